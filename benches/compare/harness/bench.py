"""Runs what is measured: builds the programs, times pairs in turn, and keeps the rows."""
import collections
import os
import shutil
import statistics
import subprocess
import sys

from . import results

COMPARE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROJECT = os.path.dirname(os.path.dirname(COMPARE))

# seconds, peak memory in MB, page faults that needed no disk
Ran = collections.namedtuple("Ran", "seconds peak faults", defaults=(0, 0))


def run(command, cwd=None, **more):
    """Runs a step that is not measured; its output."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, **more)
    if done.returncode:
        sys.exit(f"{' '.join(command)[:300]}: exit {done.returncode}\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
    return done.stdout


def build(folder, target, name):
    print(f"building {name} and what belongs to it ...", file=sys.stderr)
    environment = {**os.environ, "CARGO_TARGET_DIR": target}
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=folder, env=environment, check=True)
    return os.path.join(target, "release", name)


def build_program():
    target = os.environ.get("CARGO_TARGET_DIR")
    return build(PROJECT, target or os.path.join(PROJECT, "target"), "oxi-state")


def build_twins():
    """The folder of the programs to compare with."""
    twins, target = os.path.join(COMPARE, "twins"), os.environ.get("CARGO_TARGET_DIR")
    return os.path.dirname(build(twins, target + "-twins" if target else os.path.join(twins, "target"), "null"))


# Where in memory a program lies makes a tenth of what a short command takes, so several copies run in turn.
COPIES = 5


def install(folder, programs):
    """Copies programs to folders in a folder, as an installation does. What a linker wrote lies in memory in single pages
    until it is read from disk anew, and such a program takes a tenth longer to start."""
    shutil.rmtree(folder, ignore_errors=True)
    for copy in range(COPIES):
        os.makedirs(os.path.join(folder, str(copy)))
        for name, program in programs.items():
            shutil.copy(program, os.path.join(folder, str(copy), name))


class Bench:
    def __init__(self, options):
        self.rounds, self.quick, self.only = options.rounds, options.quick, set(options.only or [])
        twins = build_twins()
        self.installed, self.turn = os.path.join(twins, "installed"), 0
        names = [name.removesuffix(".rs") for name in os.listdir(os.path.join(COMPARE, "twins", "src", "bin"))]
        programs = {name: os.path.join(twins, name) for name in names}
        install(self.installed, programs | {"oxi-state": options.binary or build_program()})
        self.program = self.twin("oxi-state")
        self.null, self.stopwatch = self.twin("null"), self.twin("stopwatch")
        self.group = ""
        self.results = results.empty()
        self.results["runs"].append({
            "facts": [*results.versions(), self.describe()],
            "load": [results.load_average(), None],
            "corpus": bool(options.corpus),
            "rounds": options.rounds,
            "quick": options.quick,
        })

    def describe(self):
        version = results.first_line(self.program, "--version")
        return f"{version}, a program of {os.path.getsize(self.program) / 1e6:.1f} MB"

    def twin(self, name):
        return os.path.join(self.installed, "0", name)

    def in_turn(self, program):
        """The copy whose turn it is, of a program that was installed."""
        folder, name = os.path.split(program)
        is_first = folder == os.path.join(self.installed, "0")
        return os.path.join(self.installed, str(self.turn % COPIES), name) if is_first else program

    def wants(self, group):
        """Whether a group of rows is to be measured; rows that follow belong to it."""
        self.group = group
        return not self.only or group in self.only

    def once(self, command, cwd=None, expect=(0,)):
        """Runs a command once, with its output thrown away."""
        command = [self.in_turn(command[0]), *command[1:]]
        answer = subprocess.run([self.stopwatch, *command], cwd=cwd, capture_output=True, text=True, check=True)
        code, nanoseconds, peak, faults = map(int, answer.stdout.split())
        if code not in expect:
            shown = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
            sys.exit(f"{' '.join(command)}: exit {code}\n{shown.stdout[-1000:]}{shown.stderr[-1000:]}")
        return Ran(nanoseconds / 1e9, peak / 1024, faults)

    def pair(self, count, what, target, ours, theirs, beside, rounds):
        """Runs two measurements in turn; each is a function that answers a `Ran`. The median of the ratios of
        neighbours is what counts. Answers the greatest memory of ours."""
        mine, other = [], []
        for self.turn in range(rounds):
            mine.append(ours())
            other.append(theirs())
        ratios = [a.seconds / b.seconds for a, b in zip(mine, other)]
        low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        peak = max(one.peak for one in mine)
        self.ratio(count, what, middle, target, statistics.median(one.seconds for one in mine),
                   statistics.median(one.seconds for one in other), beside, peak, low, high, rounds)
        return peak

    def ratio(self, count, what, value, target, ours, theirs, beside, peak=0, low=None, high=None, rounds=1):
        self.keep({
            "count": count, "what": what, "unit": "ratio", "value": value, "target": target, "ours": ours,
            "beside": theirs, "beside_name": beside, "low": low, "high": high, "rounds": rounds, "peak_mb": peak,
        })
        print(
            f"{count:>7} {what:<44} {value:7.2f} {self.aim(target):<8} {ours * 1e3:10.2f} ms {theirs * 1e3:10.2f} ms"
            f" {peak:6.1f} MB {self.verdict()}", flush=True,
        )

    def value(self, count, what, unit, value, target=None, **more):
        """A row that is no ratio of times."""
        self.keep({"count": count, "what": what, "unit": unit, "value": value, "target": target, **more})
        shown = f"{value:7.2f}" if isinstance(value, float) else f"{value:7}"
        print(f"{count:>7} {what:<44} {shown} {unit} {self.aim(target)} {self.verdict()}", flush=True)

    def keep(self, row):
        self.results["rows"].append({"run": 0, "group": self.group, **row})

    def verdict(self):
        return "misses" if results.misses(self.results["rows"][-1]) else ""

    @staticmethod
    def aim(target):
        return "" if target is None else f"of {target:g}"

    def without(self, tool, what):
        """Says that something is left out because a tool is missing; answers whether it is."""
        if shutil.which(tool):
            return False
        print(f"        left out: {what}, for `{tool}` is not installed", flush=True)
        return True
