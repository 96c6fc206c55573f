#!/usr/bin/env python3
"""Makes the tables of docs/performance.md from results that compare.py wrote.

usage: table.py RESULTS.json... [--page FILE.md | --print]

The tables go between the lines `<!-- figures: begin -->` and `<!-- figures: end -->` of the page. Of several files the one
named last wins where two have the same row.
"""
import argparse
import os

from harness import results
from harness.bench import PROJECT

# who spends instructions, from before `main` to what is ours
PARTS = ["dynamic linker", "calls that enter the kernel", "allocation", "copying, comparing bytes", "C library, other",
         "Rust's standard library", "clap", "redb", "bincode", "checksums", "serde, JSON", "own code", "other crates"]

PAGE = os.path.join(PROJECT, "docs", "performance.md")


def number(value):
    """Three digits that count."""
    if value is None:
        return ""
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def cell(row):
    if row is None:
        return ""
    return f"**{number(row['value'])}**" if results.misses(row) else number(row["value"])


def milliseconds(seconds):
    return number(seconds * 1e3)


def markdown(head, align, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join(align) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


class Tables:
    def __init__(self, found):
        self.found = found
        self.counts = sorted({row["count"] for row in found["rows"]})
        self.parts = []

    def rows(self, *groups, unit=None):
        """Each work of the groups in the order of measuring, with its rows by count."""
        works = {}
        for row in self.found["rows"]:
            if row["group"] in groups and (unit is None or (row["unit"] == "ratio") == (unit == "ratio")):
                works.setdefault(row["what"], {})[row["count"]] = row
        return works

    def add(self, title, text, head, align, rows):
        if rows:
            self.parts.append("\n".join([f"### {title}", "", *([text, ""] if text else []), markdown(head, align, rows)]))

    def by_count(self, title, text, works, first, show=cell):
        """A table with one column for each number of issues; `first` makes the cells before them."""
        counts = [count for count in self.counts if any(count in by for by in works.values())]
        if not works:
            return
        names, makers = zip(*first)
        rows = [[make(what, next(iter(by.values()))) for make in makers] + [show(by.get(count)) for count in counts]
                for what, by in works.items()]
        head = [*names, *(f"{count:,}" for count in counts)]
        self.add(title, text, head, ["---"] + ["---" if name == "over" else "--:" for name in head[1:]], rows)

    def facts(self):
        """When, where and with what; runs of one day and machine are told together."""
        places = {}
        for place, run in enumerate(self.found["runs"]):
            rows = [row for row in self.found["rows"] if row["run"] == place]
            counts = ", ".join(f"{count:,}" for count in sorted({row["count"] for row in rows}))
            load = " to ".join(f"{value:g}" for value in run["load"] if value is not None) or "unknown"
            what = "real issues, multiplied" if run["corpus"] else "invented issues"
            short = ", **a quick run**" if run["quick"] else ""
            groups = ", ".join(dict.fromkeys(row["group"] for row in rows))
            text = f"{counts} {what} at a load of {load}, {run['rounds']} rounds{short} ({groups})"
            places.setdefault("; ".join(run["facts"]), []).append(text)
        self.parts += [f"{facts}. {'; '.join(runs)}." for facts, runs in places.items()]

    def render(self):
        self.facts()
        work = ("work", lambda what, _: f"`{what}`" if what.startswith("issue ") else what)
        over = ("over", lambda _, row: row["beside_name"])
        most = ("at most", lambda _, row: "" if row["target"] is None else f"{row['target']:g}")
        unit = ("", lambda _, row: row["unit"])
        timed = self.rows("queries", "writes", "mirror", "contention", unit="ratio")
        self.by_count("Time over the floor", "Medians of ratios. **Bold**: over the target.", timed, [work, over, most])
        self.by_count("The same in milliseconds", "Ours / the floor; medians.", timed, [work],
                      lambda row: row and f"{milliseconds(row['ours'])} / {milliseconds(row['beside'])}" or "")
        self.filters(work)
        plain = self.rows("resources", unit="other")
        small = {what: by for what, by in plain.items() if not what.startswith(("syncs", "page faults", "size of"))}
        self.by_count("Memory and size", "", small, [("what", lambda what, _: what), unit, most])
        self.once("Start-up", {what: by for what, by in plain.items() if what.startswith(("page faults", "size of"))})
        self.once("Syncs of one command", {what: by for what, by in plain.items() if what.startswith("syncs")})
        self.by_count("32 writers and 32 readers at once", "", self.rows("contention", unit="other"),
                      [("what", lambda what, _: what.partition("+ 32, ")[2] or what), unit])
        self.by_count("Beside other tools", "Milliseconds of the other tool / of ours for the same work.",
                      self.rows("others"), [work],
                      lambda row: row and f"{milliseconds(row['beside'])} / {milliseconds(row['ours'])}" or "")
        self.instructions()
        return "\n\n".join(self.parts) + "\n"

    def filters(self, work):
        """Limited and unlimited lists side by side."""
        works = self.rows("filters")
        names = [what for what in works if not what.endswith(" --limit 50")]
        names += [what[:-11] for what in works if what.endswith(" --limit 50") and what[:-11] not in works]
        counts = [count for count in self.counts if any(count in by for by in works.values())]
        head = ["list", *(f"{count:,}: 50" for count in counts), *(f"{count:,}: all" for count in counts)]
        rows = [[work[1](what, None)] + [cell(works.get(f"{what} --limit 50", {}).get(count)) for count in counts]
                + [cell(works.get(what, {}).get(count)) for count in counts] for what in names]
        text = ("`--limit 50` over the null program, at most 2; all that match over an in-memory scan that prints the same"
                " JSON, at most 3.")
        self.add("Every filter and order", text, head, ["---"] + ["--:"] * (len(head) - 1), rows)

    def instructions(self):
        """Who spends the instructions of each command; at the largest number of issues that was counted."""
        works = {what: by[max(by)] for what, by in self.rows("instructions").items()}
        if not works:
            return
        issues = max(row["count"] for row in works.values())
        parts = [part for part in PARTS if any(part in row["parts"] for row in works.values())]
        rows = [[part, *(number(row["parts"].get(part, 0) / 1e6) for row in works.values())] for part in parts]
        rows.append(["**all**", *(f"**{number(row['value'])}**" for row in works.values())])
        rows.append(["times that the kernel is entered", *(number(row["kernel_entries"]) for row in works.values())])
        apart = max(row["spread"] for row in works.values())
        text = f"At {issues:,} issues, counted with callgrind. Runs of one command are up to {apart * 100:.1f} % apart."
        self.add("Instructions, in millions", text, ["", *works], ["---"] + ["--:"] * len(works), rows)

    def once(self, title, works):
        """What does not depend on the number of issues; the figure of the largest folder."""
        rows = []
        for what, by in works.items():
            row = by[max(by)]
            kinds = ", ".join(f"{count} {kind}" for kind, count in row.get("kinds", {}).items())
            rows.append([what.partition(": ")[2] or what, number(row["value"]), kinds or row["unit"]])
        self.add(title, "", ["what", "", ""], ["---", "--:", "---"], rows)


def render(found):
    return Tables(found).render()


def instructions(found):
    tables = Tables(found)
    tables.instructions()
    return "\n\n".join(tables.parts) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+")
    parser.add_argument("--page", default=PAGE, help="the page to put the tables into")
    parser.add_argument("--print", action="store_true", help="print the tables, and leave the page as it is")
    options = parser.parse_args()
    text = render(results.load(options.results))
    if options.print:
        print(text, end="")
    else:
        results.replace_between(options.page, "figures", text)


if __name__ == "__main__":
    main()
