#!/usr/bin/env python3
"""Runs what the documentation shows, and compares.

In each page, every block marked `console` is a dialogue with a shell: lines that begin with `$ ` are commands (lines
that begin with `> ` continue them), all others are what they print. A page is run from its first block to its last, in
an empty home directory of its own, with `oxi-state` from BIN first on the PATH. Times, hashes, agents, processes, places in and sizes of the
database and the name of that directory differ from run to run, and are not compared.

    docs/console.py target/debug README.md docs/*.md            exit 1 if a page shows anything else than what happens
    docs/console.py --write target/debug README.md docs/*.md    put in what happens
"""

import argparse
import difflib
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HOME = "/home/ada"
# what differs from run to run, and what it is compared as
VARYING = [
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
    (re.compile(r"\boxsid_[0-9A-Z]{26}\b"), "OXSID"),
    (re.compile(r"\bOx[0-9A-Za-z]{4}\b"), "AGENT"),
    (re.compile(r'(\bpid |\bprocess +|"parent_pid": ?)\d+'), r"\1PID"),
    (re.compile(r"\b[0-9a-f]{40}\b"), "COMMIT"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "HASH"),
    (re.compile(r"\b([0-9a-f]{7}|[0-9a-f]{9}|[0-9a-f]{40})\b"), "COMMIT"),
    (re.compile(r"\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b"), "ULID"),
    (re.compile(r"\bjust now\b|\b\d+ (s|min) ago\b"), "AGO"),
    (re.compile(r"\bin \d+\.\d s\b|(?<=duration, ms )\d+|(?<=duration_ms: )\d+|(?<=\"duration_ms\":)\d+"), "DURATION"),
    (re.compile(r"\bblocked for \d+ s\b"), "blocked for SECONDS"),
    (re.compile(r"\bpage at byte \d+"), "page at byte OFFSET"),
    (re.compile(r"\bdatabase   \d+ KiB"), "database   SIZE"),
    (re.compile(r"\bstate\.redb: \d+ KiB( -> \d+ KiB)?"), "state.redb: SIZE"),
    (re.compile(r"\b(state|shop)\.redb: \d+ KiB"), r"\1.redb: SIZE"),
    (re.compile(r"\b\d{8}T\d{6}\.\d{3}Z\b"), "STAMP"),
    (re.compile(r'"database_bytes":\s*\d+'), '"database_bytes": SIZE'),
]


def comparable(lines):
    text = "\n".join(lines)
    for pattern, word in VARYING:
        text = pattern.sub(word, text)
    return text


def environment(home, binaries):
    return {
        "HOME": str(home),
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "PAGER": "cat",
        "GIT_CONFIG_NOSYSTEM": "1",
    }


class Shell:
    """One dialogue: the working directory carries over from command to command."""

    def __init__(self, home, binaries):
        self.home, self.directory, self.environment = home, str(home), environment(home, binaries)
        for setting in ("user.name=Ada", "user.email=ada@example.org", "advice.all=false"):
            subprocess.run(["git", "config", "--global", *setting.split("=")], env=self.environment, check=True)

    def run(self, command):
        where = self.home / ".directory"
        script = f"trap 'pwd >{where}' EXIT\n{command}\n"
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.directory, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False,
        )
        self.directory = where.read_text().strip()
        text = done.stdout.decode().replace(str(self.home), HOME)
        return [line.rstrip() for line in text.splitlines()]


def rerun(block, shell):
    """The lines of a block as they are now; an output that only varies is kept as it was."""
    lines, at = [], 0
    while at < len(block):
        if not block[at].startswith("$ "):
            raise SystemExit(f"not a command: {block[at]}")
        command = [block[at][2:]]
        lines.append(block[at])
        at += 1
        while at < len(block) and block[at].startswith("> "):
            command.append(block[at][2:])
            lines.append(block[at])
            at += 1
        shown = []
        while at < len(block) and not block[at].startswith("$ "):
            shown.append(block[at])
            at += 1
        printed = shell.run("\n".join(command))
        lines += shown if comparable(shown) == comparable(printed) else printed
    return lines


def page(path, binaries):
    with tempfile.TemporaryDirectory() as home:
        shell = Shell(pathlib.Path(home), binaries)
        old = path.read_text().splitlines()
        new, at = [], 0
        while at < len(old):
            new.append(old[at])
            at += 1
            if new[-1] == "```console":
                end = old.index("```", at)
                new += rerun(old[at:end], shell)
                at = end
    return old, new


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="put in what happens")
    parser.add_argument("binaries", type=pathlib.Path, help="the folder that holds oxi-state")
    parser.add_argument("pages", type=pathlib.Path, nargs="+")
    arguments = parser.parse_args()
    differs = False
    for path in arguments.pages:
        old, new = page(path, arguments.binaries.resolve())
        if old == new:
            continue
        differs = True
        if arguments.write:
            path.write_text("\n".join(new) + "\n")
            print(f"{path}: brought up to date")
        else:
            print("\n".join(difflib.unified_diff(old, new, f"{path}, as it is", f"{path}, as it happens", lineterm="")))
    sys.exit(1 if differs and not arguments.write else 0)


if __name__ == "__main__":
    main()
