#!/usr/bin/env python3
"""Counts the instructions of whole commands with callgrind, by who spends them. No other process disturbs these figures.

usage: instructions.py [-n COUNT] [--corpus DIR] [--binary PATH] [--runs N] [--top N] [--json FILE] [--work DIR]

Commands: list, show, create, import with nothing to do; all in one folder of COUNT issues (10000 unless told otherwise).
Each runs several times from the same state, and the run with the middle total is shown, with how far the runs are apart.
Not counted: the kernel's instructions (only how often it is entered), and the git that an import asks whether it tracks
the database. Inlined functions count for the function that they were put into, so with link-time optimisation the border
between two crates is not sharp.
Needs valgrind and what compare.py needs.
"""
import collections
import os
import re
import shutil
import sys
import tempfile

import table
from harness import callgrind, results
from harness.bench import Bench
from harness.project import Project

COPYING = re.compile(r"^_*(mem|wmem|str(?!to)|wcs|rawmem|st[pr]n?c)")
ALLOCATION = re.compile(r"^(malloc|free|calloc|realloc|posix_memalign|_int_\w+|sysmalloc|unlink_chunk|malloc_consolidate|"
                        r"ptmalloc\w*|tcache\w*|systrim\w*|alloc_perturb|__rust_\w*alloc\w*|aligned_alloc|_mid_memalign)(\W.*)?$")
STANDARD = {"core", "alloc", "std", "hashbrown", "gimli", "addr2line", "rustc_demangle", "memchr"}
GROUPS = {"clap": {"clap", "clap_builder", "clap_lex", "anstyle", "anstream", "strsim"},
          "serde, JSON": {"serde", "serde_core", "serde_json", "itoa", "ryu", "zmij", "indexmap"},
          "bincode": {"bincode", "unty"}, "checksums": {"xxhash_rust", "twox_hash", "siphasher"},
          "redb": {"redb"}, "own code": {"oxi_state"}}


def group_of(place, function, entries):
    """Who a function belongs to."""
    if "ld-linux" in place or "libm.so" in place or "vgpreload" in place:
        return "dynamic linker"
    if "::" in function:
        crates = re.findall(r"(?<![\w:])([a-z_][a-z0-9_]*)::", function)
        crate = next((crate for crate in crates if crate not in STANDARD), None)
        if crate is None:
            return "Rust's standard library"
        return next((name for name, members in GROUPS.items() if crate in members), "other crates")
    if ALLOCATION.match(function):
        return "allocation"
    if COPYING.match(function):
        return "copying, comparing bytes"
    if entries:
        return "calls that enter the kernel"
    if function in {"main", "_start"}:
        return "Rust's standard library"
    return "C library, other"


def read_profile(lines):
    """Instructions and entries into the kernel of each function itself: `{(object, function): [Ir, entries]}`."""
    names = {"ob": {}, "fn": {}}
    place = function = ""
    events, after_call = [], False
    costs = collections.defaultdict(lambda: [0, 0])
    for line in lines:
        line = line.rstrip("\n")
        if line.startswith("events:"):
            events = line.split()[1:]
        elif line.startswith("calls="):
            after_call = True
        elif found := re.match(r"(c?)(ob|fn)=\((\d+)\)(?: (.*))?$", line):
            called, kind, number, name = found.groups()
            if name is not None:
                names[kind][number] = name
            if not called:
                if kind == "ob":
                    place = names[kind].get(number, "")
                else:
                    function = names[kind].get(number, "")
        elif line[:1].isdigit() or line[:1] in "+-*":
            if not after_call:
                values = [int(value) for value in line.split()[1:]]
                cost = dict(zip(events, values))
                costs[place, function][0] += cost.get("Ir", 0)
                costs[place, function][1] += cost.get("sysCount", 0)
            after_call = False
    return costs


def count(program, words, folder, work):
    with open(callgrind.profile(program, words, folder, work, "--collect-systime=nsec")) as file:
        return read_profile(file)


def commands(project):
    """What is counted: a name, the words, and whether the database is to be put back before each run."""
    return [
        ("issue list --limit 50", ["issue", "list", "--limit", "50", "--json"], False),
        ("issue show", ["issue", "show", str(project.count // 2), "--json"], False),
        ("issue create", ["issue", "create", "A new issue", "--actor", "bench"], True),
        ("import, nothing to do", ["import"], False),
    ]


def measure(bench, project, options):
    kept = os.path.join(project.work, "kept.redb")
    shutil.copyfile(project.database, kept)
    for name, words, changes in commands(project):
        runs = []
        # the first one may have to do what is done once, so it is left out
        count(bench.program, words, project.root, project.work)
        for _ in range(options.runs):
            if changes:
                project.restore(kept)
            runs.append(count(bench.program, words, project.root, project.work))
        runs.sort(key=total)
        middle = runs[len(runs) // 2]
        spread = (total(runs[-1]) - total(runs[0])) / total(middle)
        print(f"        runs in millions: {', '.join(f'{total(one) / 1e6:.3f}' for one in runs)}")
        parts = collections.Counter()
        for (place, function), (instructions, entries) in middle.items():
            parts[group_of(place, function, entries)] += instructions
        entered = sum(entries for _, entries in middle.values())
        bench.value(project.count, name, "million instructions", total(middle) / 1e6, parts=dict(parts),
                    kernel_entries=entered, spread=spread)
        for (place, function), (instructions, _) in sorted(middle.items(), key=lambda item: -item[1][0])[: options.top]:
            print(f"        {instructions / 1e6:9.3f}  {function[:100]}")
    os.remove(kept)


def total(costs):
    return sum(instructions for instructions, _ in costs.values())


def parse():
    parser = callgrind.parser(__doc__, 10_000)
    parser.add_argument("--runs", type=int, default=3, help="how often each command runs")
    parser.add_argument("--top", type=int, default=0, help="also print so many functions of each command")
    parser.add_argument("--json", metavar="FILE", help="results to add to, as compare.py does")
    options = callgrind.parse(parser, "instructions")
    options.rounds = options.runs
    return options


def main():
    options = parse()
    if not shutil.which("valgrind"):
        sys.exit("valgrind is not installed")
    bench = Bench(options)
    with tempfile.TemporaryDirectory(prefix="oxi-state-bench-", dir=options.work) as work:
        with Project(bench, options.count, options, work) as project:
            project.fill()
            bench.wants("instructions")
            measure(bench, project, options)
    bench.results["runs"][0]["load"][1] = results.load_average()
    if options.json:
        results.save(options.json, bench.results)
    print("\n" + table.instructions(bench.results))


if __name__ == "__main__":
    main()
