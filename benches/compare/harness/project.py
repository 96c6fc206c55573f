"""A folder with so many issues, its database, and what of it is measured on the way: the first import, sizes."""
import collections
import json
import os
import shutil
import subprocess
import tempfile
import time

from .bench import Ran, run
from .folders import make_folder

GIT = ["git", "-c", "user.name=Bench", "-c", "user.email=bench@example.invalid", "-c", "gc.auto=0"]


class Project:
    """One project; it is removed at the end of the `with`."""

    def __init__(self, bench, count, options, work):
        self.bench, self.count, self.work = bench, count, work
        self.root = os.path.join(work, f"project-{count}")
        self.state = os.path.join(self.root, ".oxi")
        self.issues = os.path.join(self.state, "issues")
        self.database = os.path.join(self.state, "state.redb")
        make_folder(self.issues, count, options.corpus)
        self.paths = [os.path.join(self.issues, name) for name in sorted(os.listdir(self.issues))]
        run([*GIT, "init", "-q"], self.root)
        self.oxi("init")
        # files of one tick with the index or the scan are read again by everybody; let the clock move on
        time.sleep(1.1)
        # rounds for what takes long, and for what is over in milliseconds
        self.few = max(3, bench.rounds // (20 if count > 20_000 else 4))
        self.many = bench.rounds * 5

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.root)

    def oxi(self, *arguments):
        return run([self.bench.program, "-q", *arguments], self.root)

    def ours(self, *arguments, expect=(0,)):
        """A measurement of one command of ours."""
        return lambda: self.bench.once([self.bench.program, *arguments], self.root, expect)

    def beside(self, *command, expect=(0,)):
        return lambda: self.bench.once(list(command), self.root, expect)

    def pair(self, what, target, ours, theirs, beside, rounds):
        return self.bench.pair(self.count, what, target, ours, theirs, beside, rounds)

    def value(self, what, unit, value, target=None, **more):
        self.bench.value(self.count, what, unit, value, target, **more)

    def settle(self):
        """Waits until what was written is on disk, so that nobody else's writing is measured."""
        run(["sync", "-f", self.work])

    def restore(self, copy):
        """Puts back an older state of the database."""
        shutil.copyfile(copy, self.database)
        self.settle()

    def heads(self):
        return json.loads(self.oxi("issue", "list", "--status", "all", "--json"))

    def import_fresh(self):
        for name in os.listdir(self.state):
            if name.startswith("state."):
                os.remove(os.path.join(self.state, name))
        return self.bench.once([self.bench.program, "-q", "import"], self.root)

    def insert_floor(self):
        """What an import into an empty database may cost: reading all files three times and storing them half again."""
        start = time.perf_counter()
        paths = "\0".join(self.paths).encode()
        subprocess.run(["xargs", "-0", "cat"], input=paths, stdout=subprocess.DEVNULL, check=True)
        read = time.perf_counter() - start
        with tempfile.TemporaryDirectory(dir=self.work) as folder:
            stored = int(run([self.bench.twin("redb_insert"), self.issues, os.path.join(folder, "twin.redb")])) / 1e9
        return Ran(3 * read + 1.5 * stored)

    def fill(self):
        """The first import; measured where the mirror is."""
        if self.bench.wants("mirror"):
            peak = self.pair("import, empty database", 1, self.import_fresh, self.insert_floor,
                             "3 x `cat` + 1.5 x redb insertion", self.few)
        else:
            peak = self.import_fresh().peak
        if self.bench.wants("resources"):
            self.value("memory: import, empty database", "MB", peak, 300)
            self.sizes()
        run([*GIT, "add", "-A"], self.root)
        run([*GIT, "commit", "-q", "-m", "issues"], self.root)
        time.sleep(1.1)
        self.oxi("sync")

    def sizes(self):
        text = sum(os.path.getsize(path) for path in self.paths)
        file = os.stat(self.database)
        sizes = {"text_mb": text / 1e6, "database_mb": file.st_size / 1e6, "blocks_mb": file.st_blocks * 512 / 1e6}
        self.value("database by length over its text", "times", file.st_size / text, 1.6, **sizes)
        self.value("database by disk blocks over its text", "times", file.st_blocks * 512 / text, 1.6, **sizes)

    def claim(self):
        """Three sessions that live as long as this script take a few issues each."""
        open_ids = sorted(head["id"] for head in self.heads() if head["status"] == "open")
        for number in range(3):
            session = f"bench-{number}"
            self.oxi("session", "start", "--id", session, "--pid", str(os.getpid()))
            self.oxi("issue", "start", *map(str, open_ids[number::3][:10]), "--session", session)
        self.oxi("sync")

    def frequent_labels(self):
        """The two labels that most issues have."""
        counted = collections.Counter(label for head in self.heads() for label in head["labels"])
        return [label for label, _ in counted.most_common(2)] or ["none", "none"]
