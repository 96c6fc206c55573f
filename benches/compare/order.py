#!/usr/bin/env python3
"""Makes link/first.ld: which functions the linker puts first, because everyday commands run them.

usage: order.py [-n COUNT] [--corpus DIR] [--binary PATH] [--work DIR]
       order.py --check BINARY

A program is read from disk and mapped in pieces of 64 KB, and each piece that a command touches costs it a page fault.
What a query runs is 0.6 MB of a program of 14, all over it; put together it is a tenth of the pieces.

Runs each command under callgrind, in a project of COUNT issues (3000 unless told otherwise), and writes down what it runs:
first what the first command needs, then what the next needs besides, and so on. Names are written without their hashes,
which differ from compiler to compiler, so one may stand for many functions. With --check, says how many of the names are
still those of a program; fails if it is less than three quarters, or if the linker did not get the order.
Needs valgrind, nm, and what compare.py needs; --check needs nm and readelf alone.
"""
import collections
import os
import re
import subprocess
import sys
import tempfile

from harness import callgrind
from harness.bench import PROJECT, Bench
from harness.project import Project

ORDER = os.path.join(PROJECT, "link", "first.ld")
SECTION = ".text.first"
HEAD = f"""/* Functions that everyday commands run, in one place: a command touches fewer pages, and starts sooner.
   Made by benches/compare/order.py; build.rs hands it to the linker. What is not here, or is not found, comes after. */
SECTIONS {{
  {SECTION} : {{
"""
FOOT = """  }
} INSERT BEFORE .text;
"""
# how many bytes of a program are mapped at once
PIECE = 65536
# of all functions that have one name, so much at least is to be run
DENSE = 0.2


def pattern(symbol):
    """A name without what another compiler would write otherwise."""
    symbol = re.sub(r"17h[0-9a-f]{16}E(\..*)?$", "17h*", symbol)
    symbol = re.sub(r"\.(llvm\.)?\d+$", "*", symbol)
    return re.sub(r"Cs[0-9A-Za-z]+_", "Cs*_", symbol) if symbol.startswith("_R") else symbol


def functions(binary):
    """The size of each function of a program, by name."""
    listed = subprocess.run(["nm", "-S", "--defined-only", binary], capture_output=True, text=True, check=True).stdout
    rows = (line.split() for line in listed.splitlines())
    return {row[3]: int(row[1], 16) for row in rows if len(row) == 4 and row[2] in "tTwW"}


def run_by(program, words, folder, work):
    """The names of all functions that a command runs."""
    with open(callgrind.profile(program, words, folder, work, "--demangle=no")) as file:
        names = (re.match(r"c?fn=\(\d+\) (\S+)", line) for line in file)
        return {name[1].split("'")[0] for name in names if name}


def change_a_file(project):
    with open(project.paths[0], "a") as file:
        file.write("One more line.\n")


def commands(project):
    """What is run, the most usual first: the words, and what is done before."""
    # not those that sessions have
    one, other = sorted(head["id"] for head in project.heads() if head["status"] == "open")[-2:]
    one, other = str(one), str(other)
    label, _ = project.frequent_labels()
    session = ["--session", "bench-1"]
    listed = ["issue", "list", "--limit", "50", "--json"]
    # what only reads, which takes so short that pieces count
    yield from [listed, ["issue", "list", "--ready", "--limit", "50"], ["issue", "show", one, "--json"],
                ["issue", "summary", "--json"], ["issue", "next", "--json"]]
    yield from ([*listed, *flags] for flags in [
        ["--free"], ["--claimed"], ["--text", "the"], ["--blocked"], ["--assignee", "ann"], ["--label", label],
        ["--status", "closed"], ["--sort", "priority"], ["--sort", "created", "--reverse"], ["--session", "bench-1"]])
    yield from [["issue", "create", "A new issue", "--label", "new", "--json"],
                ["issue", "update", one, "--priority", "high", "--append", "Seen again."],
                ["issue", "start", one, *session], ["issue", "release", one, *session],
                ["issue", "close", other], ["issue", "search", "writer has", "--json"]]
    yield from (["import"], ["status"], ["export"])
    change_a_file(project)
    yield from (["import"], ["sync"], ["resume"], ["session", "start", "--id", "bench-9", "--pid", str(os.getpid())],
                ["handoff", "add", "Half done", "--session", "bench-9"], ["handoff", "list"],
                ["validation", "record", "tests", "--result", "passed"], ["validation", "list"], ["session", "list"],
                ["session", "end", "bench-9", "--session", "bench-9"], ["pointer", "list"], ["log", "--limit", "10"], ["undo"],
                ["issue", "dep", "add", one, "1"], ["issue", "reopen", other], ["doc", "list"], ["stats"])


def in_order(runs, sizes):
    """Patterns: those of the first run, then what the next has besides. In each, shared names of which it needs little
    come after the others; those which fill more than two pieces are left out."""
    total, often = collections.Counter(), collections.Counter(pattern(name) for run in runs for name in run)
    for name, size in sizes.items():
        total[pattern(name)] += size
    order = {}
    for run in runs:
        used = collections.Counter()
        for name in run & sizes.keys():
            used[pattern(name)] += sizes[name]
        dense = {name for name, size in used.items() if size >= DENSE * total[name]}
        thin = {name for name in used if name not in dense and total[name] < 2 * PIECE}
        order.update(dict.fromkeys(sorted(dense, key=lambda name: (-often[name], name))))
        order.update(dict.fromkeys(sorted(thin, key=lambda name: (total[name], name))))
    return list(order)


def write(patterns):
    os.makedirs(os.path.dirname(ORDER), exist_ok=True)
    with open(ORDER, "w") as file:
        file.write(HEAD)
        file.writelines(f"    *(.text.{name} .text.unlikely.{name})\n" for name in patterns)
        file.write(FOOT)


def check(binary):
    """Whether most of the names are still those of functions, and the linker put them where they belong."""
    with open(ORDER) as file:
        wanted = re.findall(r"^    \*\(\.text\.(\S+) ", file.read(), re.MULTILINE)
    there = {pattern(name) for name in functions(binary)}
    found = sum(name in there for name in wanted)
    print(f"{found} of {len(wanted)} functions of {os.path.relpath(ORDER, PROJECT)} are in {binary}")
    sections = subprocess.run(["readelf", "-SW", binary], capture_output=True, text=True, check=True).stdout
    is_linked = f" {SECTION} " in sections
    if not is_linked:
        print(f"it has no section {SECTION}: see build.rs")
    return is_linked and found >= 0.75 * len(wanted) > 0


def parse():
    parser = callgrind.parser(__doc__, 3_000)
    parser.add_argument("--check", metavar="BINARY", help="only say how much of the order is true of a program")
    return callgrind.parse(parser, "order")


def main():
    options = parse()
    if options.check:
        sys.exit(not check(options.check))
    bench = Bench(options)
    with tempfile.TemporaryDirectory(prefix="oxi-state-order-", dir=options.work) as work:
        with Project(bench, options.count, options, work) as project:
            project.fill()
            project.claim()
            runs = []
            for words in commands(project):
                runs.append(run_by(bench.program, words, project.root, work))
                print(f"{len(runs[-1]):>6} functions: {' '.join(words)}", flush=True)
    patterns = in_order(runs, functions(bench.program))
    write(patterns)
    print(f"{len(patterns)} names in {os.path.relpath(ORDER)}")


if __name__ == "__main__":
    main()
