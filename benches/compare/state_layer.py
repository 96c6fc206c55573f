#!/usr/bin/env python3
"""Compares ways of keeping project state that many short processes share: oxi-state, redb, SQLite, JSONL and Redis.

usage: state_layer.py [-n COUNT]... [--part PART]... [--rounds N] [--binary PATH] [--better-sqlite3 DIR] [--work DIR]
                      [--out FILE.md]

What is measured are whole processes that do one thing, as agents call them: a durable write, a read by key, the newest
fifty of a status; sixteen and thirty-two writers at once; compare-and-swap; kill -9 at random moments. Prints Markdown
tables; docs/state-layer.md says what they mean. Needs python3 and cargo; node, redis-server, redis-cli and strace where
their rows are wanted, and a folder with better-sqlite3. What is not installed is skipped, and a line says so.

All stores run in turn, A B C A B C, and the figure is the median, so that a busy machine disturbs all alike. It takes
about 20 minutes and 2 GB of disk, and is no part of CI. Parts: times, syncs, crowd, prune, swap, kill, torn, server,
resident.
"""
import argparse
import json
import os
import random
import re
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import layer_stores
from harness import bench as building
from harness import results
from layer_stores import HERE, Oxi, Redis, Server, all_stores, run

PARTS = ["times", "syncs", "crowd", "prune", "swap", "kill", "torn", "server", "resident"]


class Bench:
    def __init__(self, options):
        self.options, self.out = options, []
        self.program = options.binary or building.build_program()
        self.binaries = building.build_twins()
        self.null, self.stopwatch = os.path.join(self.binaries, "null"), os.path.join(self.binaries, "stopwatch")
        self.node = ["node", os.path.join(HERE, "state_layer.mjs")] if shutil.which("node") else None

    def once(self, command, cwd=None):
        """Milliseconds and peak megabytes of a process that must go well."""
        code, nanoseconds, peak, _ = map(int, run([self.stopwatch, *command], cwd).split())
        if code:
            run(command, cwd)
            raise SystemExit(f"{command}: exit {code}, and then none")
        return nanoseconds / 1e6, peak / 1024

    def say(self, line):
        print(line, flush=True)
        self.out.append(line)

    def table(self, title, head, rows):
        lines = [f"### {title}", "", "| " + " | ".join(head) + " |", "|---" + "|--:" * (len(head) - 1) + "|"]
        lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
        self.say("\n".join(["", *lines, ""]))

    def stores(self, folder):
        os.makedirs(folder)
        return all_stores(self.binaries, self.program, folder, self.options.better_sqlite3, self.say)

    def small(self, folder):
        """The stores that write single records, empty."""
        others = ("oxi-state, documents", "oxi-state, issues")
        stores = [store for store in self.stores(folder) if store.name not in others]
        for store in stores:
            store.make(0 if not isinstance(store, Oxi) else 10)
        return stores


def close(stores):
    for store in stores:
        store.close()


def number(value):
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def times(bench, work):
    """Write, read, list: milliseconds of whole processes, beside a program that only prints a line."""
    counts = bench.options.count or [1000, 10_000, 100_000]
    cells, fastest, ratios, sizes, peaks, names = {}, {}, {}, {}, {}, []
    for count in counts:
        stores = bench.stores(os.path.join(work, f"times-{count}"))
        for store in stores:
            store.make(count)
            sizes[store.name, count] = store.size()
        names = [store.name for store in stores]
        for step in ("write", "read", "list"):
            samples = {name: [] for name in [*names, "null", "null, Node"]}
            for turn in range(bench.options.rounds):
                samples["null"].append(bench.once([bench.null]))
                if bench.node:
                    samples["null, Node"].append(bench.once([*bench.node, "null"]))
                for store in stores:
                    command = {
                        "write": lambda: store.put("task/000500", f"value {turn} of {count}"),
                        "read": lambda: store.get("task/000500"),
                        "list": store.listing,
                    }[step]()
                    if command:
                        samples[store.name].append(bench.once(command, store.cwd))
            for name, measured in samples.items():
                if measured:
                    cells[name, step, count] = statistics.median(ms for ms, _ in measured)
                    fastest[name, step, count] = min(ms for ms, _ in measured)
                    floor = samples["null"]
                    ratios[name, step, count] = statistics.median(a[0] / b[0] for a, b in zip(measured, floor))
                    peaks[name, step, count] = max(peak for _, peak in measured)
        close(stores)
        print(f"{count} done", file=sys.stderr, flush=True)
    names = ["null", *names[:], "null, Node"]
    heads = [f"{step} {count:,}" for step in ("write", "read", "list") for count in counts]

    def rows(values, shape):
        return [[name, *(shape(values[name, step, count]) if (name, step, count) in values else "–"
                         for step in ("write", "read", "list") for count in counts)] for name in names]

    bench.table("Milliseconds of a whole process", ["store", *heads], rows(cells, number))
    bench.table("The fastest of each, milliseconds", ["store", *heads], rows(fastest, number))
    bench.table("A whole process over one that only prints, median of ratios", ["store", *heads], rows(ratios, number))
    bench.table("Peak memory of that process, MB", ["store", *heads], rows(peaks, number))
    bench.table("Size on disk, KB", ["store", *(f"{count:,} records" for count in counts)], [
        [name, *(f"{sizes[name, count] / 1000:,.0f}" for count in counts)]
        for name in names if (name, counts[0]) in sizes])


def syncs(bench, work):
    """How often one write waits for the disk."""
    if not shutil.which("strace"):
        return bench.say("skipped: the number of syncs; strace is not installed")
    rows = []
    stores = bench.small(os.path.join(work, "syncs"))
    for store in stores:
        if not isinstance(store, Redis):
            trace = ["strace", "-f", "-o", os.path.join(work, "trace"), "-e", "trace=fsync,fdatasync,syncfs"]
            run(store.put("task/1", "first"), store.cwd)
            run([*trace, *store.put("task/1", "second")], store.cwd)
            with open(os.path.join(work, "trace")) as file:
                rows.append([store.name, len(re.findall(r"\b(?:fsync|fdatasync|syncfs)\(", file.read()))])
    close(stores)
    bench.table("Waits for the disk in one write", ["store", "syncs"], rows)


def crowd(bench, work):
    """Many processes, each of which writes fifty records by fifty processes, all records different."""
    found = {}
    for turn, processes in [(turn, processes) for turn in range(3) for processes in bench.options.processes]:
        stores = bench.small(os.path.join(work, f"crowd-{processes}-{turn}"))
        for at, store in enumerate(stores):
            # a process of Node takes so long to start that one turn has to do
            if ("Node" in store.name or "redis-cli" in store.name) and (turn or processes > 16):
                continue
            scripts = []
            for writer in range(processes):
                keys = [f"s{at}w{writer}/{n}" for n in range(50)]
                puts = [shlex.join(store.put(key, "one of fifty")) for key in keys]
                scripts.append("\n".join(f"{put} >/dev/null && echo {key}" for put, key in zip(puts, keys)))
            begin = time.perf_counter()
            running = [subprocess.Popen(["sh", "-c", script], cwd=store.cwd, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True) for script in scripts]
            told = set("".join(process.communicate()[0] for process in running).split())
            seconds = time.perf_counter() - begin
            keys = [key for key in store.keys() if key.startswith(f"s{at}w")]
            found.setdefault((processes, store.name), []).append(
                (processes * 50 - len(told), len(told - set(keys)), len(keys) - len(set(keys)), seconds))
            print(turn, processes, store.name, found[processes, store.name][-1], file=sys.stderr, flush=True)
        close(stores)
    rows = []
    for (processes, name), turns in found.items():
        failed, lost, doubled, seconds = zip(*turns)
        middle = statistics.median(seconds)
        shown = " ".join(map(str, lost)) if any(lost) else 0
        rows.append([name, processes, processes * 50, sum(failed), shown, sum(doubled), f"{middle:,.1f}",
                     f"{middle * 1e3 / (processes * 50):,.1f}"])
    rows.sort(key=lambda row: row[1])
    bench.table("Processes that each write 50 records, one process for each record",
                ["store", "processes", "records", "failed", "lost, each turn", "doubled", "seconds", "ms for a record"],
                rows)


def prune(bench, work):
    """Rows appended while another process rewrites the file, as a retention does; nothing is old enough to go."""
    folder = os.path.join(work, "prune")
    os.makedirs(folder)
    twin = [os.path.join(bench.binaries, "layer_jsonl"), "log:" + folder]
    run([*twin, "fill", "1000"])
    stop, rewrites = threading.Event(), []

    def rewrite():
        while not stop.is_set():
            run([*twin, "prune"])
            rewrites.append(1)
            time.sleep(0.05)

    thread = threading.Thread(target=rewrite)
    thread.start()
    put = shlex.join(twin) + " put"
    scripts = [f"for i in $(seq 50); do {put} w{writer}/$i x && echo w{writer}/$i; done" for writer in range(16)]
    running = [subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True) for script in scripts]
    told = set("".join(process.communicate()[0] for process in running).split())
    stop.set()
    thread.join()
    lost = len(told - set(run([*twin, "keys"]).split()))
    bench.table("JSONL that is rewritten while 16 processes append 50 rows each", ["rewrites", "told as written", "lost"],
                [[len(rewrites), len(told), lost]])


def swap(bench, work):
    """Eight writers add one to a counter ten times each: read, then swap if nobody came between, else again."""
    rows, stores = [], bench.small(os.path.join(work, "swap"))
    for store in stores:
        if store.program[:1] == ["node"] and "latest.json" not in store.name or isinstance(store, Redis) and store.cli:
            continue
        if isinstance(store, Oxi):
            run([*store.program, "doc", "put", "runs/counter"], store.cwd, input="0")
        else:
            run(store.put("counter", "0"))
        told, again = [], []

        def read():
            if isinstance(store, Oxi):
                shown = json.loads(run([*store.program, "doc", "get", "runs/counter", "--json"], store.cwd))
                return shown["text"], shown["hash"]
            value = run(store.get("counter")).strip()
            return value, value

        def add():
            while True:
                value, mark = read()
                new = str(int(value) + 1)
                if isinstance(store, Oxi):
                    command, text = [*store.program, "doc", "put", "runs/counter", "--expect", mark], new
                else:
                    command, text = store.swap("counter", mark, new), None
                done = subprocess.run(command, cwd=store.cwd, input=text, capture_output=True, text=True)
                if done.returncode == 0:
                    return told.append(1)
                if done.returncode != 4:
                    raise SystemExit(f"{store.name}: {done.stderr}")
                again.append(1)

        threads = [threading.Thread(target=lambda: [add() for _ in range(10)]) for _ in range(8)]
        begin = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - begin
        rows.append([store.name, len(told), read()[0], len(told) - int(read()[0]), len(again), f"{seconds:.1f}"])
        print(rows[-1], file=sys.stderr, flush=True)
    close(stores)
    bench.table("A counter, raised 80 times by 8 writers at once",
                ["store", "told as raised", "counter", "lost", "tried again", "seconds"], rows)


def kill(bench, work):
    """kill -9 at a random moment of a write, again and again; then everything is read."""
    rows, chance, stores = [], random.Random(42), bench.small(os.path.join(work, "kill"))
    close(stores)
    for store in stores:
        if isinstance(store, Redis):
            continue
        usual = statistics.median(bench.once(store.put(f"warm/{turn}", "x"), store.cwd)[0] for turn in range(9)) / 1e3
        told, killed = set(), set()
        for turn in range(bench.options.kills):
            process = subprocess.Popen(store.put(f"k/{turn}", "a record"), cwd=store.cwd, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(chance.uniform(0, 1.6 * usual))
            process.kill()
            (told if process.wait() == 0 else killed).add(f"k/{turn}")
        keys = set(store.keys())
        begin = time.perf_counter()
        run(store.put("after", "x"), store.cwd)
        after = (time.perf_counter() - begin) * 1e3
        half, left = "–", 0
        if "latest.json" in store.name:
            logged = set(run([*store.filler, "log:" + store.base, "keys"]).split())
            half = len((logged - keys) & killed)
            left = len([name for name in os.listdir(store.base) if ".tmp." in name])
        lost, written = len(told - keys), len(killed & keys)
        rows.append([store.name, len(killed), len(told), lost, written, half, left, f"{after:.0f}"])
        print(rows[-1], file=sys.stderr, flush=True)
    for flush in ("always", "everysec") if shutil.which("redis-server") else ():
        server = Server(os.path.join(work, f"kill-{flush}"), flush)
        missing = total = 0
        for turn in range(bench.options.kills // 10):
            server.start()
            acknowledged = []

            def write():
                try:
                    with server.connect() as client:
                        for at in range(100_000):
                            key = f"k{turn}-{at}".encode()
                            client.sendall(b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$1\r\nx\r\n" % (len(key), key))
                            if not client.recv(100).startswith(b"+OK"):
                                return
                            acknowledged.append(key)
                except OSError:
                    pass

            thread = threading.Thread(target=write)
            thread.start()
            time.sleep(chance.uniform(0.02, 0.3))
            server.stop(signal.SIGKILL)
            thread.join()
            server.start()
            with server.connect() as client:
                for key in acknowledged:
                    client.sendall(b"*2\r\n$6\r\nEXISTS\r\n$%d\r\n%s\r\n" % (len(key), key))
                    missing += not client.recv(100).startswith(b":1")
            total += len(acknowledged)
            server.stop()
        rows.append([f"Redis, {flush}: the server", bench.options.kills // 10, total, missing, "–", "–", 0, "–"])
    bench.table("kill -9 at random moments", ["store", "killed in the middle", "told as written", "of these lost",
                "killed, yet written", "written by half", "files left over", "next write, ms"], rows)


def torn(bench, work):
    """A last row that is cut off: by a kill while a long row is written, or by hand; and the row that comes after it."""
    rows, chance = [], random.Random(7)
    kinds = [("Rust", [os.path.join(bench.binaries, "layer_jsonl")])]
    if bench.node:
        kinds.append(("Node", [*bench.node, "jsonl"]))
    for name, program in kinds:
        folder = os.path.join(work, f"torn-{name}")
        os.makedirs(folder)
        place, log = "unsynced:" + folder, os.path.join(folder, "log.jsonl")
        read = [kinds[0][1][0], "log:" + folder, "keys"]
        long_row = [*program, place, "put", "long", "size:8000000"]
        usual = statistics.median(bench.once(long_row)[0] for _ in range(5)) / 1e3
        killed = torn_rows = lost = 0
        for turn in range(100):
            if os.path.exists(log):
                os.remove(log)
            run([*program, place, "put", "before", "x"])
            process = subprocess.Popen(long_row)
            time.sleep(chance.uniform(0.5 * usual, 1.1 * usual))
            process.kill()
            killed += process.wait() != 0
            with open(log, "rb") as file:
                torn_rows += not file.read().endswith(b"\n")
            run([*program, place, "put", "after", "x"])
            lost += "after" not in run(read).split()
        os.remove(log)
        run([*program, place, "put", "cut", "x"])
        os.truncate(log, os.path.getsize(log) - 10)
        run([*program, place, "put", "after", "x"])
        run([*program, place, "put", "later", "x"])
        keys = run(read).split()
        found = ["yes" if key in keys else "no" for key in ("cut", "after", "later")]
        rows.append([name, killed, torn_rows, lost, *found])
    bench.table("JSONL: rows cut off", ["appended by", "killed while 8 MB were appended", "row cut off",
                "the next row, told as written, lost", "cut by hand: is it read", "the row after it",
                "the one after that"], rows)


def server(bench, work):
    """What Redis costs before anybody asks it something."""
    if not shutil.which("redis-server"):
        return bench.say("skipped: Redis, which is not installed (redis-server)")
    rows = []
    for count in [0, *(bench.options.count or [1000, 10_000, 100_000])]:
        redis = Server(os.path.join(work, f"server-{count}"), "always")
        redis.start()
        if count:
            run([os.path.join(bench.binaries, "layer_redis"), f"127.0.0.1:{redis.port}", "fill", str(count)])
        redis.stop()
        starts, memory = [], 0
        for _ in range(5):
            starts.append(redis.start())
            memory = redis.memory()
            redis.stop(signal.SIGKILL)
        rows.append([f"{count:,}", f"{statistics.median(starts) * 1e3:.0f}", f"{memory:.1f}"])
    bench.table("A Redis server that is started", ["records", "ms until it answers", "memory, MB"], rows)


def resident(bench, work):
    """The same from a Node process that runs already."""
    if not bench.node:
        return bench.say("skipped: calls from a running Node process; node is not installed")
    rows = {}
    for count in bench.options.count or [1000, 10_000, 100_000]:
        stores = [store for store in bench.stores(os.path.join(work, f"resident-{count}")) if store.name in
                  ("oxi-state, pointers", "JSONL + latest.json, Node")]
        for store in stores:
            store.make(count)
        project, node = (store.place for store in stores)
        rounds = bench.options.rounds * 2
        shown = json.loads(run([*bench.node, "resident", node, str(rounds), bench.program, project]))
        for name, milliseconds in shown.items():
            rows.setdefault(name, []).append(f"{milliseconds:,.2f}")
    bench.table("Milliseconds of a call from a Node process that runs already", ["call",
                *(f"{count:,}" for count in bench.options.count or [1000, 10_000, 100_000])],
                [[name, *values] for name, values in rows.items()])


def versions(bench):
    def first(*command):
        try:
            return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()[0].strip()
        except (OSError, IndexError):
            return f"{command[0]}: not installed"

    with open(os.path.join(HERE, "twins", "Cargo.lock")) as file:
        lock = file.read()
    crates = [" ".join(found) for found in re.findall(r'name = "(redb|rusqlite)"\nversion = "(.+)"', lock)]
    programs = [first("node", "--version"), first("redis-server", "--version").split(" sha")[0]]
    return [*results.versions()[:1], ", ".join([first("rustc", "--version"), *crates, "Node " + programs[0], programs[1]])]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--count", type=int, action="append", help="how many records; may be given more than once")
    parser.add_argument("--part", action="append", choices=PARTS, help="measure only this; may be given more than once")
    parser.add_argument("--rounds", type=int, default=21, help="how often each command runs")
    parser.add_argument("--kills", type=int, default=300, help="how many writes are killed")
    parser.add_argument("--processes", type=int, nargs="+", default=[16, 32], help="how many writers at once")
    parser.add_argument("--binary", help="the oxi-state to measure, instead of building it")
    parser.add_argument("--better-sqlite3", metavar="DIR", help="a folder in which `npm install better-sqlite3` was run")
    parser.add_argument("--work", help="where to make the stores")
    parser.add_argument("--out", help="where to write the tables as Markdown")
    options = parser.parse_args()
    for name in ("binary", "better_sqlite3"):
        if getattr(options, name):
            setattr(options, name, os.path.abspath(getattr(options, name)))
    bench = Bench(options)
    for fact in versions(bench):
        bench.say(fact + "\n")
    try:
        with tempfile.TemporaryDirectory(prefix="oxi-state-layer-", dir=options.work) as work:
            for part in options.part or PARTS:
                begin = time.perf_counter()
                before = os.getloadavg()[0]
                globals()[part](bench, work)
                bench.say(f"Load average while {part} ran: {before:.1f} to {os.getloadavg()[0]:.1f}\n")
                print(f"{part}: {time.perf_counter() - begin:.0f} s", file=sys.stderr, flush=True)
    finally:
        if options.out:
            with open(options.out, "w") as file:
                file.write("\n".join(bench.out) + "\n")


if __name__ == "__main__":
    main()
