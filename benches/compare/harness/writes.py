"""Writes: one durable creation, and ten thousand creations or changes in one transaction."""
import json
import os
import shutil

from .bench import run
from .folders import make_body, number_stream, sentence


def measure(project):
    if project.bench.wants("writes"):
        create(project)
        batches(project)


def create(project):
    twin, sqlite = project.bench.twin("sqlite_insert"), os.path.join(project.work, f"twin-{project.count}.sqlite")
    run([twin, sqlite, "fill", str(project.count)])
    project.settle()
    ours = project.ours("issue", "create", "A new issue", "--actor", "bench")
    project.pair("issue create", 2, ours, project.beside(twin, sqlite), "durable SQLite insertion", project.bench.rounds)
    remove_database(sqlite)


def remove_database(path):
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(path + suffix):
            os.remove(path + suffix)


def batch_file(path, size):
    with open(path, "w") as file:
        for number in range(1, size + 1):
            numbers = number_stream(number + 1_000_000)
            row = {"title": sentence(numbers, 5), "priority": "low", "labels": ["batch"], "body": make_body(numbers)}
            file.write(json.dumps(row) + "\n")


def batches(project):
    """Both sides start from a copy of the same database in each round, and end with a commit that is on disk."""
    size = 1000 if project.bench.quick else 10_000
    work, twin = project.work, project.bench.twin("sqlite_batch")
    rows, sqlite = os.path.join(work, "batch.jsonl"), os.path.join(work, "batch.sqlite")
    before, theirs_before = os.path.join(work, "before.redb"), os.path.join(work, "before.sqlite")
    batch_file(rows, size)
    run([twin, theirs_before, "fill", str(project.count)])
    shutil.copyfile(project.database, before)

    def fresh_sqlite():
        remove_database(sqlite)
        shutil.copyfile(theirs_before, sqlite)
        project.settle()

    def create_ours():
        project.restore(before)
        return project.ours("-q", "issue", "create", "--from", rows, "--actor", "bench")()

    def create_theirs():
        fresh_sqlite()
        return project.beside(twin, sqlite, "create", rows)()

    beside = "one SQLite transaction"
    project.pair(f"issue create --from, {size:,} issues", None, create_ours, create_theirs, beside, project.few)
    # both databases now hold the rows of the last round; changed there and back, so that each round changes all
    priorities = iter(["high", "low"] * project.few)
    last = ["low"]

    def update_ours():
        last[0] = next(priorities)
        project.settle()
        return project.ours("-q", "issue", "update", "--where", "label=batch", "--priority", last[0],
                            "--actor", "bench")()

    def update_theirs():
        project.settle()
        return project.beside(twin, sqlite, "update", last[0])()

    project.pair(f"issue update --where, {size:,} issues", None, update_ours, update_theirs, beside, project.few)
    changed = json.loads(project.oxi("issue", "list", "--label", "batch", "--priority", last[0], "--json"))
    if len(changed) != size:
        raise SystemExit(f"{len(changed)} of {size} issues were changed")
    project.restore(before)
    remove_database(sqlite)
    for path in (rows, before, theirs_before):
        os.remove(path)
