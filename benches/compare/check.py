#!/usr/bin/env python3
"""Tests of the scripts here that need no built program; takes less than a second. Part of .ci/run."""
import contextlib
import hashlib
import io
import os
import re
import tempfile
import unittest
import xml.dom.minidom

import instructions
import order
import plot
import table
from harness import folders, results
from harness.bench import PROJECT


def row(count, what, value, target=2.0, group="queries", ours=0.002, beside=0.001):
    return {"run": 0, "count": count, "group": group, "what": what, "unit": "ratio", "value": value, "target": target,
            "ours": ours, "beside": beside, "beside_name": "null program", "low": value, "high": value, "rounds": 3,
            "peak_mb": 7.0}


def some_results(*rows):
    run = {"facts": ["a day, a machine"], "load": [0.1, 0.2], "corpus": False, "rounds": 20, "quick": False}
    return {"format": results.FORMAT, "runs": [run], "rows": list(rows)}


class Folders(unittest.TestCase):
    def test_invented_issues_are_the_same_everywhere(self):
        source = folders.Invented()
        texts = [folders.with_relations(source, number, source.text(number)) for number in range(1, 30)]
        digest = hashlib.sha256("".join(texts).encode()).hexdigest()
        self.assertEqual(digest, "cb4c997bdf341531ee26af0fae5932f5fc7fbf0468f7de0e8a5ee52d0683436d")

    def test_dependencies_name_files_that_are_there(self):
        with tempfile.TemporaryDirectory() as folder:
            issues = os.path.join(folder, "issues")
            folders.make_folder(issues, 30, None)
            names = {name[:-3] for name in os.listdir(issues)}
            self.assertEqual(len(names), 30)
            for name in names:
                with open(os.path.join(issues, name + ".md")) as file:
                    head = file.read().partition("\n---\n")[0]
                self.assertLessEqual(set(re.findall(r"^- (\d{4}-.*)$", head, re.M)), names)


class Results(unittest.TestCase):
    def test_later_rows_replace_earlier_ones_and_others_stay(self):
        first = some_results(row(1000, "issue show", 1.5), row(10_000, "issue show", 1.6))
        second = some_results(row(10_000, "issue show", 1.9), row(100_000, "issue show", 2.5))
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "results.json")
            results.save(file, first)
            results.save(file, second)
            merged = results.load([file])
        self.assertEqual([(one["count"], one["value"], one["run"]) for one in merged["rows"]],
                         [(1000, 1.5, 0), (10_000, 1.9, 1), (100_000, 2.5, 1)])
        self.assertEqual(len(merged["runs"]), 2)

    def test_a_run_of_which_no_row_is_left_is_forgotten(self):
        once = some_results(row(1000, "issue show", 1.5))
        self.assertEqual(len(results.merge(once, once)["runs"]), 1)

    def test_another_format_is_refused(self):
        with self.assertRaises(SystemExit):
            results.merge(results.empty(), {"format": 2, "runs": [], "rows": []})


class Pages(unittest.TestCase):
    def test_tables_go_between_the_markers_and_show_what_misses(self):
        found = some_results(row(1000, "issue show", 1.5), row(100_000, "issue show", 2.5),
                             row(1000, "issue list --ready", 3.5, 3, "filters"))
        with tempfile.TemporaryDirectory() as folder:
            page = os.path.join(folder, "page.md")
            with open(page, "w") as file:
                file.write("before\n<!-- figures: begin -->\nwhat was there\n<!-- figures: end -->\nafter\n")
            for _ in range(2):
                results.replace_between(page, "figures", table.render(found))
            with open(page) as file:
                text = file.read()
        self.assertTrue(text.startswith("before\n") and text.endswith("after\n"))
        self.assertNotIn("what was there", text)
        self.assertEqual(text.count("| `issue show` | null program | 2 | 1.50 | **2.50** |"), 1)
        self.assertIn("| `issue list --ready` |  | **3.50** |", text)

    def test_the_page_has_its_markers(self):
        with open(os.path.join(PROJECT, "docs", "performance.md")) as file:
            text = file.read()
        for name in ("figures", "plots"):
            for side in ("begin", "end"):
                self.assertEqual(len(re.findall(f"^<!-- {name}: {side}", text, re.M)), 1)


class Pictures(unittest.TestCase):
    def test_pictures_are_well_formed_also_of_one_number_of_issues(self):
        for counts in ([1000], [1000, 10_000, 100_000]):
            rows = [row(count, what, 1.5, ours=2e-6 * count, beside=1e-6 * count)
                    for what in ("issue create", "import, empty database", "export, all new") for count in counts]
            with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
                drawn = plot.draw_all(some_results(*rows), folder)
                self.assertEqual([name for name, _ in drawn], ["performance-create.svg", "performance-growth.svg"])
                for name, _ in drawn:
                    picture = xml.dom.minidom.parse(os.path.join(folder, name))
                    lines = picture.getElementsByTagName("polyline")
                    self.assertTrue(any(line.getAttribute("stroke-dasharray") for line in lines))
                    for circle in picture.getElementsByTagName("circle"):
                        self.assertTrue(plot.LEFT <= float(circle.getAttribute("cx")) <= plot.WIDTH - plot.RIGHT)
                        self.assertTrue(plot.TOP <= float(circle.getAttribute("cy")) <= plot.HEIGHT - plot.BOTTOM)

    def test_times_are_written_with_two_digits(self):
        self.assertEqual([plot.time_label(time) for time in (0.00195, 0.0995, 0.9999, 12.3, 0.00002)],
                         ["1.9 ms", "100 ms", "1.0 s", "12 s", "20 µs"])


class Instructions(unittest.TestCase):
    PROFILE = """events: Ir sysCount sysTime sysCpuTime
ob=(1) /lib/ld-linux-x86-64.so.2
fl=(1) dl.c
fn=(1) _dl_relocate
10 500
ob=(2) /usr/bin/oxi-state
fn=(2) oxi_state::cli::run
5 100
cob=(3) /lib/libc.so.6
cfn=(3) read
calls=1 0
5 7000 1 900 800
+1 20
ob=(3)
fn=(3)
1 40 1 900 800
"""

    def test_what_a_call_costs_inside_is_not_counted_twice(self):
        costs = instructions.read_profile(self.PROFILE.splitlines())
        self.assertEqual(dict(costs), {("/lib/ld-linux-x86-64.so.2", "_dl_relocate"): [500, 0],
                                       ("/usr/bin/oxi-state", "oxi_state::cli::run"): [120, 0],
                                       ("/lib/libc.so.6", "read"): [40, 1]})

    def test_functions_belong_to_whom_they_should(self):
        for function, entries, group in [
            ("<redb::db::Database as core::ops::drop::Drop>::drop", 0, "redb"),
            ("core::ptr::drop_in_place<clap_builder::Command>", 0, "clap"),
            ("alloc::raw_vec::RawVec<T,A>::grow_one", 0, "Rust's standard library"),
            ("<&mut serde_json::ser::Serializer<W,F> as serde_core::ser::Serializer>::serialize_str", 0, "serde, JSON"),
            ("chrono::format::write", 0, "other crates"), ("malloc", 0, "allocation"), ("fdatasync", 7,
            "calls that enter the kernel"), ("__memcpy_avx_unaligned_erms", 0, "copying, comparing bytes"),
            ("____strtoul_l_internal", 0, "C library, other"),
        ]:
            with self.subTest(function):
                self.assertEqual(instructions.group_of("/usr/bin/oxi-state", function, entries), group)


class Order(unittest.TestCase):
    def test_a_name_is_written_without_what_another_compiler_would_write_otherwise(self):
        for symbol, pattern in [
            ("_ZN9oxi_state3cli3run17h26b0e134fa2441e1E", "_ZN9oxi_state3cli3run17h*"),
            ("_ZN4core3ptr9drop_glue17h26b0e134fa2441e1E.llvm.347", "_ZN4core3ptr9drop_glue17h*"),
            ("_RNvNtCsjrHSEGnQ3l9_3std2io5stdio", "_RNvNtCs*_3std2io5stdio"),
            ("main", "main"),
        ]:
            self.assertEqual(order.pattern(symbol), pattern)

    def test_what_the_first_command_runs_comes_first_and_what_is_large_and_hardly_run_is_left_out(self):
        hashed = "_ZN{}17h{:016x}E".format
        grow = [hashed("4grow", number) for number in range(100)]
        huge = [hashed("4huge", number) for number in range(100)]
        sizes = {hashed("3one", 1): 100, hashed("3two", 1): 100, hashed("4both", 1): 100, "main": 10}
        sizes |= dict.fromkeys(grow, 50) | dict.fromkeys(huge, 2000)
        first = {hashed("3one", 1), hashed("4both", 1), grow[0], huge[0], "memcpy@plt"}
        second = {hashed("3two", 1), hashed("4both", 1), "main", grow[1]}
        expected = ["_ZN4both17h*", "_ZN3one17h*", "_ZN4grow17h*", "_ZN3two17h*", "main"]
        self.assertEqual(order.in_order([first, second], sizes), expected)


if __name__ == "__main__":
    unittest.main()
