#!/usr/bin/env python3
"""Measures oxi-state against the floor of its work, and prints each ratio beside its target.

usage: compare.py [-n COUNT]... [--only GROUP]... [--json FILE] [--corpus DIR] [--binary PATH] [--rounds N] [--quick]
                  [--work DIR] [--out FILE.md]

Needs python3, cargo and git; tar, ripgrep and strace where their rows are wanted, and other issue trackers where they are
to be compared: what is not installed is left out and said. Builds the release program (unless --binary names one) and the
twins beside this script. Makes folders of COUNT issues (1000, 10000 and 100000 unless told otherwise), by its own
generator or from a folder of issue files. The two sides of every row run in turn, A B A B, and the figure is the median of
the ratios of neighbours, so that a busy machine disturbs both alike.

Groups: mirror, queries, resources, others, writes, contention, filters.
With --json the results are added to a file: rows that are measured again are replaced, others stay. table.py makes the
tables of docs/performance.md from it, plot.py the pictures.
"""
import argparse
import os
import tempfile

import table
from harness import contention, mirror, others, queries, resources, results, writes
from harness.bench import Bench
from harness.project import Project

GROUPS = ["mirror", "queries", "resources", "others", "writes", "contention", "filters"]


def measure(bench, count, options, work):
    with Project(bench, count, options, work) as project:
        project.fill()
        for kind in (queries, mirror, resources, others, writes, contention):
            kind.measure(project)
        # last, for it has sessions take issues, and then other commands have more to do
        queries.measure_filters(project)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--count", type=int, action="append", help="how many issues; may be given more than once")
    parser.add_argument("--only", choices=GROUPS, action="append", help="this group; may be given more than once")
    parser.add_argument("--json", metavar="FILE", help="where to keep the results; those that are there stay")
    parser.add_argument("--corpus", help="a folder of issue files to multiply, instead of invented ones")
    parser.add_argument("--binary", help="the program to measure, instead of building it")
    parser.add_argument("--rounds", type=int, default=20, help="how often each pair runs (long ones less, short ones more)")
    parser.add_argument("--quick", action="store_true",
                        help="leave out the 32 x 50 creations, which take the longest; small batches, a short crowd")
    parser.add_argument("--work", help="where to make the folders; they need about 80 KB per issue")
    parser.add_argument("--out", help="where to write the table as Markdown")
    options = parser.parse_args()
    options.binary = options.binary and os.path.abspath(options.binary)
    if options.work:
        os.makedirs(options.work, exist_ok=True)
    return options


def main():
    options = parse()
    bench = Bench(options)
    print("\n".join(bench.results["runs"][0]["facts"]))
    try:
        with tempfile.TemporaryDirectory(prefix="oxi-state-bench-", dir=options.work) as work:
            for count in options.count or [1000, 10_000, 100_000]:
                measure(bench, count, options, work)
    finally:
        # also after an interruption: what was measured is worth keeping
        bench.results["runs"][0]["load"][1] = results.load_average()
        if options.json:
            results.save(options.json, bench.results)
        if options.out:
            with open(options.out, "w") as file:
                file.write(table.render(bench.results))


if __name__ == "__main__":
    main()
