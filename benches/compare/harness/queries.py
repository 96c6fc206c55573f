"""Queries: the four of the design, every filter and every order of `issue list`, and `issue search`."""
import json
import os
import subprocess
import sys

from .bench import run


def measure(project):
    bench = project.bench
    null = project.beside(bench.null)
    if bench.wants("queries"):
        shown = str(project.count // 2)
        for what, arguments in [
            ("issue list --limit 50", ["issue", "list", "--limit", "50", "--json"]),
            ("issue list --ready --limit 50", ["issue", "list", "--ready", "--limit", "50", "--json"]),
            ("issue show", ["issue", "show", shown, "--json"]),
            ("issue summary", ["issue", "summary", "--json"]),
        ]:
            project.pair(what, 2, project.ours(*arguments), null, "null program", project.many)
        search(project)


def measure_filters(project):
    if project.bench.wants("filters"):
        project.claim()
        filters(project, project.beside(project.bench.null))


def search(project):
    if project.bench.without("rg", "issue search"):
        return
    words = "writer has"
    rg = project.beside("rg", "-i", "-F", "-l", words, project.issues, expect=(0, 1))
    project.pair("issue search", 1.5, project.ours("issue", "search", words, "--json"), rg, "rg", project.few)


def filter_flags(project):
    """Every filter and order that `issue list` has: how it is called in the table, and the words."""
    label, other = project.frequent_labels()
    return [
        ("", []),
        ("--status closed", ["--status", "closed"]),
        ("--status all", ["--status", "all"]),
        ("--priority high", ["--priority", "high"]),
        ("--label L", ["--label", label]),
        ("--label L --label M", ["--label", label, "--label", other]),
        ("--assignee NAME", ["--assignee", "ann"]),
        ("--claimed", ["--claimed"]),
        ("--free", ["--free"]),
        ("--session ID", ["--session", "bench-1"]),
        ("--text T", ["--text", "the"]),
        ("--ready", ["--ready"]),
        ("--blocked", ["--blocked"]),
        ("--sort created", ["--sort", "created"]),
        ("--sort priority", ["--sort", "priority"]),
        ("--sort id", ["--sort", "id"]),
        ("--reverse", ["--reverse"]),
        ("--sort priority --reverse", ["--sort", "priority", "--reverse"]),
        ("--ready --label L --sort priority", ["--ready", "--label", label, "--sort", "priority"]),
    ]


def filters(project, null):
    bench, twin = project.bench, project.bench.twin("heads_scan")
    heads = os.path.join(project.work, f"heads-{project.count}.bin")
    listed = project.oxi("issue", "list", "--status", "all", "--sort", "id", "--json")
    scan = subprocess.run([twin, heads, "fill"], input=listed, text=True).returncode == 0
    if not scan:
        print("        left out: lists without a limit, for the twin cannot hold these heads", file=sys.stderr)
    for flags, words in filter_flags(project):
        name, list_command = f"issue list {flags}".rstrip(), ["issue", "list", *words, "--json"]
        project.pair(f"{name} --limit 50", 2, project.ours(*list_command, "--limit", "50"), null, "null program",
                     bench.rounds)
        if scan:
            same_answer(run([bench.program, *list_command], project.root), run([twin, heads, *words]), name)
            project.pair(name, 3, project.ours(*list_command), project.beside(twin, heads, *words), "in-memory scan",
                         max(3, bench.rounds // 4))
    if scan:
        os.remove(heads)


def same_answer(ours, theirs, what):
    """A floor that does other work is no floor."""
    ours, theirs = json.loads(ours), json.loads(theirs)
    if ours != theirs:
        first = next((pair for pair in zip(ours, theirs) if pair[0] != pair[1]), None)
        sys.exit(f"{what}: {len(ours)} issues here, {len(theirs)} from the twin; first difference: {first}")
