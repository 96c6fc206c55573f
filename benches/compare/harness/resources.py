"""Memory, the size of the program, page faults, and how often each command asks the disk to sync."""
import json
import os
import re
import statistics
import subprocess
import tempfile
import time

CALLS = "fsync,fdatasync,syncfs,sync,msync,sync_file_range"


def measure(project):
    if not project.bench.wants("resources"):
        return
    shown = str(project.count // 2)
    commands = {
        "--version": ["--version"],
        "issue list --limit 50": ["issue", "list", "--limit", "50", "--json"],
        "issue show": ["issue", "show", shown, "--json"],
        "issue list": ["issue", "list", "--json"],
        "issue list --status all": ["issue", "list", "--status", "all", "--json"],
    }
    ran = {name: [project.ours(*words)() for _ in range(5)] for name, words in commands.items()}
    for name, limit in [("issue list --limit 50", 30), ("issue show", 30), ("issue list", None),
                        ("issue list --status all", None)]:
        project.value(f"memory: {name}", "MB", max(one.peak for one in ran[name]), limit)
    project.value("size of the program", "MB", os.path.getsize(project.bench.program) / 1e6)
    ran["null program"] = [project.beside(project.bench.null)() for _ in range(5)]
    for name in ("null program", "--version", "issue list --limit 50", "issue show"):
        project.value(f"page faults: {name}", "faults", int(statistics.median(one.faults for one in ran[name])))
    if not project.bench.without("strace", "syncs of each command"):
        syncs(project)


def syncs(project):
    def touch():
        with open(project.paths[0], "a") as file:
            file.write("One more line.\n")

    def nothing():
        pass

    def tick():
        # what was just written is read again, and the next import notes that it was
        time.sleep(1.1)
        project.oxi("import")

    project.oxi("sync")
    id = str(json.loads(project.oxi("issue", "list", "--limit", "1", "--json"))[0]["id"])
    project.oxi("session", "start", "--id", "bench-syncs", "--pid", str(os.getpid()))

    steps = [
        ("issue list --limit 50", nothing, ["issue", "list", "--limit", "50"]),
        ("issue show", nothing, ["issue", "show", id]),
        ("issue create", nothing, ["issue", "create", "A new issue", "--actor", "bench"]),
        ("issue update", nothing, ["issue", "update", id, "--add-label", "seen"]),
        ("issue close", nothing, ["issue", "close", id]),
        ("issue reopen", nothing, ["issue", "reopen", id]),
        ("export, 2 files changed", nothing, ["export"]),
        ("export, nothing to do", nothing, ["export"]),
        ("import, nothing to do", tick, ["import"]),
        ("import, 1 file changed", touch, ["import"]),
        ("issue start", nothing, ["issue", "start", id, "--session", "bench-syncs"]),
        ("export, 1 file changed", nothing, ["export"]),
        ("import, nothing to do, after a claim", tick, ["import"]),
        ("issue release", nothing, ["issue", "release", id, "--session", "bench-syncs"]),
    ]
    for name, before, words in steps:
        before()
        count, kinds = count_syncs(project, words)
        project.value(f"syncs: {name}", "calls", count, kinds=kinds)


def count_syncs(project, words):
    with tempfile.TemporaryDirectory(dir=project.work) as folder:
        trace = os.path.join(folder, "trace")
        command = ["strace", "-f", "-qq", "-e", f"trace={CALLS}", "-o", trace, project.bench.program, "-q", *words]
        done = subprocess.run(command, cwd=project.root, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(words)}: exit {done.returncode}\n{done.stderr[-1000:]}")
        with open(trace) as file:
            found = re.findall(r"^(?:\d+ +)?(\w+)\(", file.read(), re.M)
    return len(found), {kind: found.count(kind) for kind in sorted(set(found))}
