"""The results of runs: a JSON file that later runs add to, and that tables and plots are made from.

`{"format": 1, "runs": [RUN...], "rows": [ROW...]}`. A RUN says when, where and with what: `facts` (lines for people),
`load` before and after, `counts`, `groups`. A ROW has `run` (place in `runs`), `count` (issues), `group`, `what`, `unit`
(`ratio`, `MB`, `ms`, `calls`, `faults`, `times`), `value` and `target` (null where none is set). Ratios also have `ours`
and `beside` (medians, in seconds), `beside_name`, `low` and `high` (quartiles of the ratio), `rounds` and `peak_mb`.
Group, work and count name a row; one that is measured again takes the place of the old one.
"""
import datetime
import json
import os
import platform
import subprocess

FORMAT = 1


def name_of(row):
    return row["group"], row["what"], row["count"]


def misses(row):
    return row["value"] is not None and row["target"] is not None and row["value"] > row["target"]


def empty():
    return {"format": FORMAT, "runs": [], "rows": []}


def load(paths):
    """The results of one or more files; where two have a row, the file named last wins."""
    merged = empty()
    for path in paths:
        with open(path) as file:
            merged = merge(merged, json.load(file))
    return merged


def merge(old, new):
    for results in (old, new):
        if results.get("format") != FORMAT:
            raise SystemExit(f"results of format {results.get('format')!r}; this script reads {FORMAT}")
    first = len(old["runs"])
    moved = [{**row, "run": row["run"] + first} for row in new["rows"]]
    # a row that is measured again keeps its place in the order
    rows = {name_of(row): row for row in old["rows"]}
    rows.update((name_of(row), row) for row in moved)
    return without_idle_runs({"format": FORMAT, "runs": old["runs"] + new["runs"], "rows": list(rows.values())})


def without_idle_runs(results):
    """Leaves out runs that no row is of any more."""
    used = sorted({row["run"] for row in results["rows"]})
    place = {run: number for number, run in enumerate(used)}
    rows = [{**row, "run": place[row["run"]]} for row in results["rows"]]
    return {**results, "runs": [results["runs"][run] for run in used], "rows": rows}


def save(path, results):
    """Adds the results to those of the file, if there is one."""
    if os.path.exists(path):
        results = merge(load([path]), results)
    temporary = path + ".tmp"
    with open(temporary, "w") as file:
        json.dump(results, file, indent=1)
        file.write("\n")
    os.replace(temporary, path)


def first_line(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()[0].strip()
    except (OSError, IndexError):
        return f"{command[0]}: not installed"


def processor():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return "unknown processor"


def load_average():
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def versions():
    """What figures depend on: date, machine, versions."""
    return [
        f"{datetime.date.today()}, {processor()}, {os.cpu_count()} processors, {platform.system()} {platform.release()}",
        ", ".join(first_line(tool, "--version") for tool in ("rustc", "git", "rg")),
    ]


def replace_between(page, name, text):
    """Puts text between the two comments `<!-- NAME: begin ... -->` and `<!-- NAME: end -->` of a page."""
    with open(page) as file:
        lines = file.read().split("\n")
    begin = [place for place, line in enumerate(lines) if line.startswith(f"<!-- {name}: begin")]
    end = [place for place, line in enumerate(lines) if line.startswith(f"<!-- {name}: end")]
    if len(begin) != 1 or len(end) != 1 or begin[0] > end[0]:
        raise SystemExit(f"{page} needs one line `<!-- {name}: begin -->` and after it one `<!-- {name}: end -->`")
    lines[begin[0] + 1 : end[0]] = ["", *text.strip("\n").split("\n"), ""]
    with open(page, "w") as file:
        file.write("\n".join(lines))
