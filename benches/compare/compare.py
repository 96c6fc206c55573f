#!/usr/bin/env python3
"""Measures oxi-state against the floor of its work, and prints each ratio beside its target.

usage: compare.py [-n COUNT]... [--corpus DIR] [--binary PATH] [--rounds N] [--work DIR] [--out FILE.md]

Needs python3, cargo and git; tar and ripgrep where their rows are wanted. Builds the release program (unless --binary
names one) and the twins beside this script: a program that only prints, an SQLite insertion, a redb insertion. Makes
folders of COUNT issues (1000, 10000 and 100000 unless told otherwise), by its own generator or from a folder of issue
files. The two sides of every row run in turn, A B A B, and the figure is the median of the ratios of neighbours, so
that a busy machine disturbs both alike.
"""
import argparse
import datetime
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.dirname(os.path.dirname(HERE))
WORDS = (
    "the reader waits until every writer has left a gate that opens once more when the index of open issues is "
    "written to disk and the file beside it says what was agreed between two clones of a project after a merge "
    "which nobody expected to fail because a label or a title was changed on both sides at the same time"
).split()
LABELS = ["bug", "docs", "sync", "cli", "storage", "windows", "speed", "needs-test", "good-first-issue"]


def number_stream(seed):
    """A stream of numbers that is the same everywhere (xorshift)."""
    state = (seed * 2654435761 + 88172645463325252) & (2**64 - 1)
    while True:
        state ^= (state << 13) & (2**64 - 1)
        state ^= state >> 7
        state ^= (state << 17) & (2**64 - 1)
        yield state >> 11


def sentence(numbers, length):
    words = [WORDS[next(numbers) % len(WORDS)] for _ in range(length)]
    return " ".join(words).capitalize()


def make_issue(number):
    """The text of an invented issue of 3 to 5 KB, and its slug."""
    numbers = number_stream(number)
    title = sentence(numbers, 5)
    stamp = (datetime.datetime(2025, 1, 1) + datetime.timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
    closed = next(numbers) % 3 == 0
    head = ["---", f"id: {number}", f"title: {title}", f"status: {'closed' if closed else 'open'}"]
    head.append("priority: " + ["low", "medium", "medium", "high", "critical"][next(numbers) % 5])
    labels = sorted({LABELS[next(numbers) % len(LABELS)] for _ in range(next(numbers) % 3)})
    head += ["labels:"] + [f"- {label}" for label in labels] if labels else ["labels: []"]
    head += [f"created_at: {stamp}", f"updated_at: {stamp}"]
    if closed:
        head.append(f"closed_at: {stamp}")
    head += ["---", ""]
    body, wanted = [], 3000 + next(numbers) % 2000
    while sum(map(len, body)) < wanted:
        kind = next(numbers) % 6
        if kind == 0:
            body.append(f"## {sentence(numbers, 3)}\n")
        elif kind == 1:
            body.append("\n".join(f"- [{' x'[next(numbers) % 2]}] {sentence(numbers, 8)}" for _ in range(4)) + "\n")
        elif kind == 2:
            body.append(f"```rust\nlet gate = Gate::new({next(numbers) % 9973});\nassert!(gate.is_open());\n```\n")
        else:
            body.append(". ".join(sentence(numbers, 11) for _ in range(4)) + ".\n")
    return "\n".join(head) + "\n" + "\n".join(body), title.lower().replace(" ", "-")


def copy_issue(texts, number):
    """The text of an issue of the corpus under another number and time, and its slug."""
    slug, text = texts[(number - 1) % len(texts)]
    stamp = (datetime.datetime(2025, 1, 1) + datetime.timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = re.sub(r"(?m)^id: \d+$", f"id: {number}", text, count=1)
    text = re.sub(r"(?m)^(created_at|updated_at|closed_at): .*$", rf"\1: {stamp}", text, count=3)
    return text, f"{slug}-r{(number - 1) // len(texts)}"


def make_folder(folder, count, corpus):
    os.makedirs(folder)
    texts = []
    if corpus:
        for name in sorted(name for name in os.listdir(corpus) if name.endswith(".md")):
            with open(os.path.join(corpus, name), newline="") as file:
                texts.append((name[:-3].partition("-")[2] or "untitled", file.read()))
    for number in range(1, count + 1):
        text, slug = copy_issue(texts, number) if texts else make_issue(number)
        with open(os.path.join(folder, f"{number:04d}-{slug}.md"), "w", newline="") as file:
            file.write(text)


class Bench:
    def __init__(self, options):
        self.rounds = options.rounds
        self.rows = []
        target = os.environ.get("CARGO_TARGET_DIR")
        self.program = options.binary or self.build(PROJECT, target or os.path.join(PROJECT, "target"), "oxi-state")
        twins = os.path.join(HERE, "twins")
        place = target + "-twins" if target else os.path.join(twins, "target")
        self.null = self.build(twins, place, "null")
        self.stopwatch, self.sqlite, self.redb = (
            os.path.join(place, "release", name) for name in ("stopwatch", "sqlite_insert", "redb_insert")
        )

    @staticmethod
    def build(folder, target, name):
        print(f"building {name} and what belongs to it ...", file=sys.stderr)
        environment = {**os.environ, "CARGO_TARGET_DIR": target}
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=folder, env=environment, check=True)
        return os.path.join(target, "release", name)

    def once(self, command, cwd=None, expect=(0,)):
        """Runs a command; its seconds and its peak memory in MB."""
        answer = subprocess.run([self.stopwatch, *command], cwd=cwd, capture_output=True, text=True, check=True)
        code, nanoseconds, peak = map(int, answer.stdout.split())
        if code not in expect:
            shown = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
            sys.exit(f"{' '.join(command)}: exit {code}\n{shown.stdout[-1000:]}{shown.stderr[-1000:]}")
        return nanoseconds / 1e9, peak / 1024

    def pair(self, count, what, target, ours, theirs, rounds):
        """Runs two measurements in turn; each is a function that answers seconds and peak."""
        ratios, a, b, peaks = [], [], [], []
        for _ in range(rounds):
            (mine, peak), (other, _) = ours(), theirs()
            ratios.append(mine / other)
            a.append(mine)
            b.append(other)
            peaks.append(peak)
        self.row(count, what, statistics.median(ratios), target, statistics.median(a), statistics.median(b), max(peaks))

    def row(self, count, what, ratio, target, mine, other, peak):
        missed = "" if ratio <= target else "misses"
        self.rows.append((count, what, ratio, target, mine, other, peak, missed))
        print(
            f"{count:>7} {what:<34} {ratio:6.2f} of {target:<4g} {mine * 1e3:10.2f} ms {other * 1e3:10.2f} ms"
            f" {peak:6.1f} MB {missed}",
            flush=True,
        )

    def memory(self, count, what, peak, limit):
        missed = "" if peak <= limit else "misses"
        self.rows.append((count, what, None, limit, None, None, peak, missed))
        print(f"{count:>7} {what:<34} {peak:6.1f} of {limit} MB {missed}", flush=True)


def run(command, cwd, **more):
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True, **more).stdout


def measure(bench, count, options, work):
    root = os.path.join(work, f"project-{count}")
    issues = os.path.join(root, ".oxi", "issues")
    database = os.path.join(root, ".oxi", "state.redb")
    make_folder(issues, count, options.corpus)
    git = ["git", "-c", "user.name=Bench", "-c", "user.email=bench@example.invalid", "-c", "gc.auto=0"]
    run([*git, "init", "-q"], root)
    run([bench.program, "-q", "init"], root)
    # files of one tick with the index or the scan are read again by everybody; let the clock move on
    time.sleep(1.1)
    many = max(3, bench.rounds // (20 if count > 20000 else 4))
    short = bench.rounds * 5

    def ours(*arguments, expect=(0,)):
        return lambda: bench.once([bench.program, *arguments], root, expect)

    # import into an empty database
    names = sorted(os.listdir(issues))
    paths = [os.path.join(issues, name) for name in names]

    def fresh():
        for name in os.listdir(os.path.join(root, ".oxi")):
            if name.startswith("state."):
                os.remove(os.path.join(root, ".oxi", name))
        return bench.once([bench.program, "-q", "import"], root)

    def floor():
        start = time.perf_counter()
        subprocess.run(["xargs", "-0", "cat"], input="\0".join(paths).encode(), stdout=subprocess.DEVNULL, check=True)
        cat = time.perf_counter() - start
        with tempfile.TemporaryDirectory(dir=work) as folder:
            inserted = int(run([bench.redb, issues, os.path.join(folder, "twin.redb")], root)) / 1e9
        return 3 * cat + 1.5 * inserted, 0

    bench.pair(count, "import, empty database", 1, fresh, floor, many)
    bench.memory(count, "memory of that import", bench.rows[-1][6], 300)
    run([*git, "add", "-A"], root)
    run([*git, "commit", "-q", "-m", "issues"], root)
    size = sum(os.path.getsize(path) for path in paths)
    print(f"        files {size / 1e6:.1f} MB, database {os.path.getsize(database) / 1e6:.1f} MB", flush=True)
    run([bench.program, "-q", "sync"], root)

    # queries against the program that only prints
    shown = str(count // 2)
    null = lambda: bench.once([bench.null])
    for what, arguments in [
        ("issue list --limit 50", ["issue", "list", "--limit", "50", "--json"]),
        ("issue list --ready --limit 50", ["issue", "list", "--ready", "--limit", "50", "--json"]),
        ("issue show", ["issue", "show", shown, "--json"]),
        ("issue summary", ["issue", "summary", "--json"]),
    ]:
        bench.pair(count, what, 2, ours(*arguments), null, short)
    bench.memory(count, "memory of list --limit 50", max(row[6] for row in bench.rows[-4:]), 30)

    # nothing to do, against git status
    clean = lambda: bench.once(["git", "status", "--porcelain"], root)
    for what in ("import", "export", "status"):
        bench.pair(count, f"{what}, nothing to do", 1, ours("-q", what), clean, bench.rounds)

    # one changed file against none
    def one_changed():
        with open(paths[count // 3], "a") as file:
            file.write("One more line.\n")
        return bench.once([bench.program, "-q", "import"], root)

    bench.pair(count, "import, 1 file changed", 1.2, one_changed, ours("-q", "import"), bench.rounds)

    if shutil.which("rg"):
        rg = lambda: bench.once(["rg", "-i", "-F", "-l", "writer has", issues], root, expect=(0, 1))
        bench.pair(count, "issue search", 1.5, ours("issue", "search", "writer has", "--json"), rg, many)

    # export of as many new files: deleted and undeleted, so that the records are there and the files are not
    archive = os.path.join(work, f"files-{count}.tar")
    run(["tar", "-cf", archive, "-C", issues, "."], root)
    kept = os.path.join(work, "kept.redb")
    shutil.copyfile(database, kept)
    shutil.rmtree(issues)
    os.makedirs(issues)
    run([bench.program, "-q", "import", "--allow-deletes"], root)
    run([bench.program, "-q", "undo"], root)
    full = os.path.join(work, "full.redb")
    shutil.copyfile(database, full)

    def export():
        shutil.rmtree(issues)
        os.makedirs(issues)
        shutil.copyfile(full, database)
        run(["sync", "-f", work], root)
        result = bench.once([bench.program, "-q", "export"], root)
        if len(os.listdir(issues)) < count:
            sys.exit("the export did not write all files")
        return result

    def untar():
        with tempfile.TemporaryDirectory(dir=work) as folder:
            run(["sync", "-f", work], root)
            return bench.once(["sh", "-c", f"tar -xf '{archive}' -C '{folder}' && sync -f '{folder}'"])

    bench.pair(count, "export, all new", 2, export, untar, many)
    os.remove(archive), os.remove(kept), os.remove(full)

    # durable creation
    twin = os.path.join(work, f"twin-{count}.sqlite")
    run([bench.sqlite, twin, "fill", str(count)], root)
    title = ["issue", "create", "A new issue", "--actor", "bench"]
    bench.pair(count, "issue create", 2, ours(*title), lambda: bench.once([bench.sqlite, twin]), bench.rounds)

    # 32 processes at once against one after another
    def create_many(processes, each):
        script = 'for i in $(seq "$2"); do "$0" -q issue create "$1 $i" --actor bench --lock-timeout 60 || exit 1; done'
        start = time.perf_counter()
        running = [
            subprocess.Popen(["sh", "-c", script, bench.program, f"from {number}", str(each)], cwd=root,
                             stdout=subprocess.PIPE, text=True)
            for number in range(processes)
        ]
        printed = [process.communicate()[0] for process in running]
        seconds = time.perf_counter() - start
        ids = re.findall(r"\d+$", "".join(printed), re.M)
        if any(process.returncode for process in running) or len(set(ids)) != processes * each:
            sys.exit(f"{len(set(ids))} different numbers of {processes * each}")
        return seconds

    if options.quick:
        shutil.rmtree(root)
        return
    together, alone = create_many(32, 50), create_many(1, 1600)
    bench.row(count, "32 processes x 50 creates", together / alone, 1.5, together, alone, 0)
    shutil.rmtree(root)
    os.remove(twin)


def versions():
    def first(*command):
        try:
            return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()[0].strip()
        except (OSError, IndexError):
            return f"{command[0]}: not installed"

    processor = "unknown processor"
    try:
        with open("/proc/cpuinfo") as file:
            processor = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return [
        f"{datetime.date.today()}, {processor}, {os.cpu_count()} processors, {platform.system()} {platform.release()}",
        ", ".join([first("rustc", "--version"), first("git", "--version"), first("rg", "--version")]),
    ]


def table(bench):
    lines = ["| issues | work | ratio | at most | oxi-state | beside | peak memory | |", "|--:|---|--:|--:|--:|--:|--:|---|"]
    for count, what, ratio, target, mine, other, peak, missed in bench.rows:
        if ratio is None:
            lines.append(f"| {count:,} | {what} | | {target} MB | | | {peak:.1f} MB | {missed} |")
        else:
            memory = f"{peak:.1f} MB" if peak else ""
            lines.append(
                f"| {count:,} | {what} | {ratio:.2f} | {target:g} | {mine * 1e3:,.2f} ms | {other * 1e3:,.2f} ms"
                f" | {memory} | {missed} |"
            )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--count", type=int, action="append", help="how many issues; may be given more than once")
    parser.add_argument("--corpus", help="a folder of issue files to multiply, instead of invented ones")
    parser.add_argument("--binary", help="the program to measure, instead of building it")
    parser.add_argument("--rounds", type=int, default=20, help="how often each pair runs (long ones less, short ones more)")
    parser.add_argument("--quick", action="store_true", help="leave out the 32 processes, which take the longest")
    parser.add_argument("--work", help="where to make the folders; they need about 15 KB per issue")
    parser.add_argument("--out", help="where to write the table as Markdown")
    options = parser.parse_args()
    if options.binary:
        options.binary = os.path.abspath(options.binary)
    bench = Bench(options)
    facts = versions()
    print("\n".join(facts))
    try:
        with tempfile.TemporaryDirectory(prefix="oxi-state-bench-", dir=options.work) as work:
            for count in options.count or [1000, 10_000, 100_000]:
                measure(bench, count, options, work)
    finally:
        if options.out:
            with open(options.out, "w") as file:
                file.write("\n\n".join([*facts, table(bench)]))


if __name__ == "__main__":
    main()
