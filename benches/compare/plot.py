#!/usr/bin/env python3
"""Draws time against number of issues from results that compare.py wrote, as SVG and without any library.

usage: plot.py RESULTS.json... [--out DIR] [--page FILE.md | --no-page]

Both axes are logarithmic, so that what grows in step with the issues rises by one decade in one decade. Ours is a full
line, the floor of the same work a dashed one. References to the pictures go between the lines `<!-- plots: begin -->` and
`<!-- plots: end -->` of the page.
"""
import argparse
import math
import os
from xml.sax.saxutils import escape

from harness import results
from harness.bench import PROJECT

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 96, 216, 56, 60
INK, GREY, LINES = "#1f2733", "#5b6673", "#dde2e8"
OURS, OTHER = "#0b5cad", "#b4540a"
FLOOR, OTHER_FLOOR = "#6b7683", "#c98f5f"

# name of the file, title, and the works: (what, name of our line, colour, colour of the floor)
PLOTS = [
    ("performance-list", "issue list --limit 50", [("issue list --limit 50", "oxi-state", OURS, FLOOR)]),
    ("performance-create", "issue create", [("issue create", "oxi-state", OURS, FLOOR)]),
    ("performance-nothing", "import with nothing to do", [("import, nothing to do", "oxi-state", OURS, FLOOR)]),
    ("performance-growth", "import and export of new files", [
        ("import, empty database", "import", OURS, FLOOR), ("export, all new", "export", OTHER, OTHER_FLOOR)]),
]


class Series:
    def __init__(self, name, points, colour, dashed, marked):
        self.name, self.points, self.colour, self.dashed, self.marked = name, points, colour, dashed, marked


def series_of(found, works):
    """Two lines for each work that was measured: ours and its floor."""
    lines = []
    for what, name, colour, floor in works:
        rows = sorted((row for row in found["rows"] if row["what"] == what and row["unit"] == "ratio"),
                      key=lambda row: row["count"])
        if rows:
            lines.append(Series(name, [(row["count"], row["ours"]) for row in rows], colour, False, True))
            beside = rows[-1]["beside_name"].replace("`", "")
            lines.append(Series(beside, [(row["count"], row["beside"]) for row in rows], floor, True, False))
    return lines


def time_label(seconds):
    """A measured time, with two digits that count."""
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 0.9995 or unit == "µs":
            value = seconds * factor
            return f"{value:.0f} {unit}" if value >= 9.95 else f"{value:.1f} {unit}"


def axis_label(seconds):
    """A round time."""
    return time_label(seconds).replace(".0 ", " ")


def round_times(low, high):
    """1, 2, 5, 10, ... from the greatest that is not over `low` to the least that is not under `high`."""
    steps = [step * 10.0**decade for decade in range(-7, 6) for step in (1, 2, 5)]
    first = max(place for place, step in enumerate(steps) if step <= low)
    last = min(place for place, step in enumerate(steps) if step >= high)
    # a decade at least, so that small differences do not look large
    while last - first < 3:
        last, first = (last, first - 1) if low / steps[first] < steps[last] / high else (last + 1, first)
    return steps[first : last + 1]


class Plot:
    def __init__(self, title, lines, growth):
        self.title, self.lines, self.growth = title, lines, growth
        counts = sorted({count for line in lines for count, _ in line.points})
        times = [time for line in lines for _, time in line.points]
        self.counts = counts
        self.x0, self.x1 = math.log10(counts[0]), math.log10(counts[-1])
        if self.x0 == self.x1:
            self.x0, self.x1 = self.x0 - 0.5, self.x1 + 0.5
        # with room beneath the lowest line and above the highest
        self.ticks = round_times(min(times) * 0.8, max(times) * 1.25)
        self.y0, self.y1 = math.log10(self.ticks[0]), math.log10(self.ticks[-1])
        self.parts = []

    def x(self, count):
        pad = 26
        return LEFT + pad + (math.log10(count) - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT - 2 * pad)

    def y(self, time):
        return HEIGHT - BOTTOM - (math.log10(time) - self.y0) / (self.y1 - self.y0) * (HEIGHT - TOP - BOTTOM)

    def line(self, x1, y1, x2, y2, **style):
        self.shape("line", x1=x1, y1=y1, x2=x2, y2=y2, **style)

    def shape(self, kind, **attributes):
        words = " ".join(f'{name.replace("_", "-")}="{value:.1f}"' if isinstance(value, float) else
                         f'{name.replace("_", "-")}="{value}"' for name, value in attributes.items())
        self.parts.append(f"  <{kind} {words}/>")

    def text(self, x, y, text, **attributes):
        words = " ".join(f'{name.replace("_", "-")}="{value}"' for name, value in attributes.items())
        self.parts.append(f'  <text x="{x:.1f}" y="{y:.1f}" {words}>{escape(text)}</text>')

    def axes(self):
        right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
        for time in self.ticks:
            if self.y1 - self.y0 > 2 and round(math.log10(time), 6) % 1:
                continue
            self.line(float(LEFT), self.y(time), float(right), self.y(time), stroke=LINES, stroke_width=1)
            self.text(LEFT - 10, self.y(time) + 4.5, axis_label(time), text_anchor="end", fill=GREY)
        for count in self.counts:
            self.line(self.x(count), float(TOP), self.x(count), float(bottom), stroke=LINES, stroke_width=1)
            self.text(self.x(count), bottom + 21, f"{count:,}", text_anchor="middle", fill=GREY)
        self.line(float(LEFT), float(bottom), float(right), float(bottom), stroke=GREY, stroke_width=1)
        self.line(float(LEFT), float(TOP), float(LEFT), float(bottom), stroke=GREY, stroke_width=1)
        self.text((LEFT + right) / 2, HEIGHT - 14, "issues (logarithmic)", text_anchor="middle", fill=GREY)
        middle = (TOP + bottom) / 2
        self.text(18, middle, "time of the whole process (logarithmic)", text_anchor="middle", fill=GREY,
                  transform=f"rotate(-90 18 {middle:.1f})")

    def guide(self):
        """How a line rises that grows in step with the issues; its end and name."""
        (count, _), (last, _) = self.lines[0].points[0], self.lines[0].points[-1]
        if not self.growth or last == count:
            return
        start = max(min(line.points[0][1] for line in self.lines) * 0.85, self.ticks[0])
        end = start * last / count
        if end > self.ticks[-1]:
            return
        self.line(self.x(count), self.y(start), self.x(last), self.y(end), stroke=INK, stroke_width=1,
                  stroke_dasharray="1 4", stroke_linecap="round")
        return self.y(end), "in step with the issues"

    def draw_lines(self):
        for line in self.lines:
            places = " ".join(f"{self.x(count):.1f},{self.y(time):.1f}" for count, time in line.points)
            dash = {"stroke_dasharray": "7 5"} if line.dashed else {}
            self.shape("polyline", points=places, fill="none", stroke=line.colour, stroke_width=2.25,
                       stroke_linejoin="round", **dash)
            for count, time in line.points:
                self.shape("circle", cx=self.x(count), cy=self.y(time), r=4 if line.marked else 3, fill=line.colour)

    def draw_values(self):
        """The times at each number of issues: the greatest above its point, the least beneath. Of two works only ours."""
        for count in self.counts:
            here = sorted((time, line.colour, line.marked) for line in self.lines for at, time in line.points if at == count)
            shown = [(time, colour) for time, colour, marked in here if marked or not self.growth]
            self.value(count, shown[-1][0], -10, shown[-1])
            if len(shown) > 1:
                self.value(count, shown[0][0], 20, shown[0])

    def value(self, count, place, shift, shown):
        time, colour = shown
        # a white edge keeps the figure readable where it crosses a line
        self.text(self.x(count), self.y(place) + shift, time_label(time), text_anchor="middle", fill=colour, font_size=12,
                  stroke="#ffffff", stroke_width=3, paint_order="stroke")

    def draw_names(self, guide):
        """The names beside the ends of the lines, moved apart where they would touch."""
        names = [(self.y(line.points[-1][1]), line.name, line.colour, line.dashed) for line in self.lines]
        if guide:
            names.append((guide[0], guide[1], INK, True))
        names.sort()
        places, last = [], -math.inf
        for y, *_ in names:
            last = max(y, last + 19)
            places.append(last)
        # what was pushed out at the bottom moves all up again
        over = max(0.0, places[-1] - (HEIGHT - BOTTOM - 2))
        x = WIDTH - RIGHT + 12
        for (y, name, colour, dashed), place in zip(names, places):
            weight = {} if dashed else {"font_weight": 600}
            self.text(x, place - over + 4.5, name, fill=colour, **weight)

    def render(self):
        said = "; ".join(f"{line.name}: " + ", ".join(f"{time_label(time)} at {count:,}" for count, time in line.points)
                         for line in self.lines)
        self.axes()
        guide = self.guide()
        self.draw_lines()
        self.draw_values()
        self.draw_names(guide)
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
            ' role="img" aria-labelledby="title description" font-family="system-ui, -apple-system, \'Segoe UI\','
            f' Helvetica, Arial, sans-serif" font-size="13" fill="{INK}">',
            f'  <title id="title">{escape(self.title)}: time against number of issues</title>',
            f'  <desc id="description">{escape(said)}</desc>',
            f'  <rect width="{WIDTH}" height="{HEIGHT}" rx="10" fill="#ffffff"/>',
            f'  <text x="{LEFT}" y="30" font-size="16" font-weight="600">{escape(self.title)}</text>',
            *self.parts, "</svg>", "",
        ])


def draw_all(found, folder):
    """Writes the pictures for which there are results; their files and what they show."""
    drawn = []
    for name, title, works in PLOTS:
        lines = series_of(found, works)
        if not lines:
            print(f"left out: {name}, of which there are no results")
            continue
        with open(os.path.join(folder, name + ".svg"), "w") as file:
            file.write(Plot(title, lines, growth=len(works) > 1).render())
        drawn.append((name + ".svg", title))
    return drawn


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+")
    parser.add_argument("--out", default=os.path.join(PROJECT, "docs", "img"), help="the folder for the pictures")
    parser.add_argument("--page", default=os.path.join(PROJECT, "docs", "performance.md"),
                        help="the page to put references into")
    parser.add_argument("--no-page", action="store_true", help="leave the page as it is")
    options = parser.parse_args()
    drawn = draw_all(results.load(options.results), options.out)
    if not options.no_page:
        folder = os.path.relpath(options.out, os.path.dirname(os.path.abspath(options.page)))
        shown = [f"![{title}: time against number of issues]({folder}/{name})" for name, title in drawn]
        results.replace_between(options.page, "plots", "\n\n".join(shown))


if __name__ == "__main__":
    main()
