"""Many processes at once: creations alone, and 32 writers beside 32 readers."""
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

CROWD = 32


def measure(project):
    if not project.bench.wants("contention"):
        return
    before = os.path.join(project.work, "before.redb")
    shutil.copyfile(project.database, before)
    writers_and_readers(project)
    if not project.bench.quick:
        creations(project)
    project.restore(before)
    os.remove(before)


def create_many(project, processes, each):
    script = 'for i in $(seq "$2"); do "$0" -q issue create "$1 $i" --actor bench --lock-timeout 60 || exit 1; done'
    start = time.perf_counter()
    running = [
        subprocess.Popen(["sh", "-c", script, project.bench.program, f"from {number}", str(each)], cwd=project.root,
                         stdout=subprocess.PIPE, text=True)
        for number in range(processes)
    ]
    printed = [process.communicate()[0] for process in running]
    seconds = time.perf_counter() - start
    ids = re.findall(r"\d+$", "".join(printed), re.M)
    if any(process.returncode for process in running) or len(set(ids)) != processes * each:
        sys.exit(f"{len(set(ids))} different numbers of {processes * each}")
    return seconds


def creations(project):
    together, alone = create_many(project, 32, 50), create_many(project, 1, 1600)
    project.bench.ratio(project.count, "32 processes x 50 creates", together / alone, 1.5, together, alone,
                        "1,600 one after another")


def writers_and_readers(project):
    """Every writer creates and every reader lists, again and again, for some seconds; then one process after another
    does as much. A wait is what one command takes from its start to its end."""
    bench = project.bench
    commands = json.dumps({
        "folder": project.root,
        "write": [bench.program, "-q", "issue", "create", "from {}", "--actor", "bench", "--lock-timeout", "60"],
        "read": [bench.program, "issue", "list", "--limit", "50", "--json", "--lock-timeout", "60"],
    })

    def crowd(*arguments):
        done = subprocess.run([bench.twin("crowd"), *map(str, arguments)], input=commands, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"contention: {done.stderr[-1000:]}")
        return json.loads(done.stdout)

    before = len(project.heads())
    together = crowd("together", 2 if bench.quick else 10, CROWD, CROWD)
    created = len(project.heads()) - before
    done = {kind: [len(waits) for waits in together[kind]] for kind in ("write", "read")}
    if created != sum(done["write"]):
        sys.exit(f"{sum(done['write'])} creations ended well, and {created} issues are new")
    alone = crowd("alone", sum(done["write"]), sum(done["read"]))
    bench.ratio(project.count, f"{CROWD} writers and {CROWD} readers", together["seconds"] / alone["seconds"], 1.5,
                together["seconds"], alone["seconds"], "the same commands one after another")
    for kind, who in (("write", "writers"), ("read", "readers")):
        waits = [wait / 1e6 for one in together[kind] for wait in one]
        single = statistics.median(wait / 1e6 for one in alone[kind] for wait in one)
        name = f"{CROWD} + {CROWD}, {who}:"
        project.value(f"{name} median wait", "ms", statistics.median(waits), done=len(waits), alone_ms=single)
        project.value(f"{name} 99 of 100 waits", "ms", sorted(waits)[len(waits) * 99 // 100])
        project.value(f"{name} worst wait", "ms", max(waits))
        project.value(f"{name} most work over least", "times", max(done[kind]) / max(1, min(done[kind])))
        rate = len(waits) / together["seconds"]
        project.value(f"{name} commands in a second", "1/s", rate)
