"""Commands under callgrind: what the scripts that use it have in common."""
import argparse
import os
import subprocess
import sys


def profile(program, words, folder, work, *options):
    """Runs a command of ours under callgrind; the file of its profile, which the next run replaces."""
    path = os.path.join(work, "callgrind.out")
    command = ["valgrind", "--tool=callgrind", *options, f"--callgrind-out-file={path}", program, "-q", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words)}: exit {done.returncode}\n{done.stderr[-1000:]}")
    return path


def parser(description, count):
    """A parser of the options that all have; so many issues unless told otherwise."""
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("-n", "--count", type=int, default=count, help="how many issues")
    options.add_argument("--corpus", help="a folder of issue files to multiply, instead of invented ones")
    options.add_argument("--binary", help="the program to look at, instead of building it; it needs its symbols")
    options.add_argument("--work", help="where to make the folder")
    return options


def parse(options, group):
    """The options, with what the harness asks of those of compare.py."""
    parsed = options.parse_args()
    parsed.binary = parsed.binary and os.path.abspath(parsed.binary)
    parsed.rounds, parsed.quick, parsed.only = 1, False, [group]
    return parsed
