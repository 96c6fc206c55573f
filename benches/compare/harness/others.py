"""Other ways to keep issues, where they are installed: issue trackers of the command line, and plain git and ripgrep.

Each gets the same issues. What a tool does not keep, it does not get: Taskwarrior has no bodies. Up to 10,000 issues only,
for some need minutes to take in more.
"""
import json
import os
import shutil

from .bench import run
from .project import GIT

MOST = 10_000


class Tool:
    """One program with its own folder. A command is a list of words; None where there is no such step."""

    program, name = "", ""

    def __init__(self, folder):
        self.folder = folder

    def prepare(self, issues):
        """Takes in the issues; not measured."""
        raise NotImplementedError

    def steps(self, number):
        """What is measured: ours by name, and the words of the tool; `number` is an issue in the middle."""
        raise NotImplementedError


class BeadsRust(Tool):
    program, name = "br", "beads_rust"

    def prepare(self, issues):
        run(["br", "init", "--prefix", "b"], self.folder)
        with open(os.path.join(self.folder, ".beads", "issues.jsonl"), "w") as file:
            for issue in issues:
                row = {"id": f"b-{issue['id']}", "title": issue["title"], "description": issue["body"],
                       "status": issue["status"], "priority": PRIORITIES.index(issue["priority"]),
                       "issue_type": "task", "created_at": issue["created_at"], "updated_at": issue["updated_at"],
                       "labels": issue["labels"]}
                if issue["closed_at"]:
                    row["closed_at"] = issue["closed_at"]
                file.write(json.dumps(row) + "\n")
        run(["br", "sync", "--import-only"], self.folder)

    def steps(self, number):
        return [("list 50", ["br", "list", "--limit", "50", "--json"]), ("show", ["br", "show", f"b-{number}", "--json"]),
                ("create", ["br", "create", "A new issue"]), ("nothing to import", ["br", "sync", "--import-only"])]


class Minibeads(Tool):
    program, name = "mb", "minibeads"

    def prepare(self, issues):
        run(["mb", "init", "--prefix", "b"], self.folder)
        for issue in issues:
            status = "closed" if issue["status"] == "closed" else "open"
            head = [f"title: {json.dumps(issue['title'])}", f"status: {status}", f"priority: {PRIORITIES.index(issue['priority'])}",
                    "issue_type: task", f"created_at: {issue['created_at']}", f"updated_at: {issue['updated_at']}"]
            if issue["closed_at"]:
                head.append(f"closed_at: {issue['closed_at']}")
            with open(os.path.join(self.folder, ".minibeads", "issues", f"b-{issue['id']}.md"), "w") as file:
                file.write("\n".join(["---", *head, "---", "", "# Description", "", issue["body"]]))

    def steps(self, number):
        return [("list 50", ["mb", "list", "--limit", "50", "--json"]), ("show", ["mb", "show", f"b-{number}", "--json"]),
                ("create", ["mb", "create", "A new issue"])]


class Taskwarrior(Tool):
    program, name = "task", "Taskwarrior"

    def prepare(self, issues):
        self.settings = os.path.join(self.folder, "taskrc")
        with open(self.settings, "w") as file:
            file.write(f"data.location={self.folder}/data\nconfirmation=off\nverbose=nothing\n")
        os.makedirs(os.path.join(self.folder, "data"))
        rows = []
        for issue in issues:
            stamp = issue["created_at"].replace("-", "").replace(":", "")[:15] + "Z"
            row = {"description": issue["title"], "status": "pending", "entry": stamp, "tags": issue["labels"],
                   "priority": issue["priority"][0].upper().replace("C", "H")}
            if issue["closed_at"]:
                row.update(status="completed", end=stamp)
            rows.append(row)
        file = os.path.join(self.folder, "in.json")
        with open(file, "w") as out:
            json.dump(rows, out)
        run([*self.words(), "import", file], self.folder)

    def words(self):
        return ["task", f"rc:{self.settings}"]

    def steps(self, number):
        return [("list 50", [*self.words(), "limit:50", "list"]), ("show", [*self.words(), "1", "info"]),
                ("create", [*self.words(), "add", "A new issue"])]


class Backlog(Tool):
    program, name = "backlog", "Backlog.md"

    def prepare(self, issues):
        run([*GIT, "init", "-q"], self.folder)
        run(["backlog", "init", "bench", "--defaults", "--include-remote", "false"], self.folder, input="")
        for issue in issues:
            status = "Done" if issue["status"] == "closed" else "To Do"
            head = [f"id: TASK-{issue['id']}", f"title: {json.dumps(issue['title'])}", f"status: {status}", "assignee: []",
                    f"created_date: '{issue['created_at'][:10]}'", f"labels: {json.dumps(issue['labels'])}", "dependencies: []"]
            slug = os.path.basename(issue["path"])[:-3].partition("-")[2]
            name = f"task-{issue['id']} - {slug}.md"
            with open(os.path.join(self.folder, "backlog", "tasks", name), "w") as file:
                file.write("\n".join(["---", *head, "---", "", "## Description", "", issue["body"]]))
        run([*GIT, "add", "-A"], self.folder)
        run([*GIT, "commit", "-q", "-m", "tasks"], self.folder)

    def steps(self, number):
        return [("list 50", ["backlog", "task", "list", "--plain", "--limit", "50"]),
                ("show", ["backlog", "task", "view", str(number), "--plain"]),
                ("create", ["backlog", "task", "create", "A new issue", "--plain"])]


PRIORITIES = ["critical", "high", "medium", "low"]
OURS = {
    "list 50": ["issue", "list", "--limit", "50", "--json"],
    "show": ["issue", "show", "{}", "--json"],
    "create": ["issue", "create", "A new issue", "--actor", "bench"],
    "nothing to import": ["-q", "import"],
    "list all open": ["issue", "list"],
}


def measure(project):
    bench = project.bench
    if not bench.wants("others"):
        return
    if project.count > MOST:
        print(f"        left out: other tools, which are compared up to {MOST:,} issues", flush=True)
        return
    number = str(project.count // 2)
    rounds = max(3, bench.rounds // 4)
    issues = read_issues(project)
    for kind in (BeadsRust, Minibeads, Taskwarrior, Backlog):
        if bench.without(kind.program, kind.name):
            continue
        folder = os.path.join(project.work, kind.name)
        os.makedirs(folder)
        tool = kind(folder)
        try:
            tool.prepare(issues)
            for what, words in tool.steps(number):
                ours = project.ours(*(word.replace("{}", number) for word in OURS[what]))
                project.pair(f"{what}: {kind.name}", None, ours, lambda: bench.once(words, folder), kind.name, rounds)
        except (SystemExit, OSError) as error:
            # another version of a tool may have other words; the rest goes on
            print(f"        left out: {kind.name}: {str(error)[:300]}", flush=True)
        shutil.rmtree(folder)
    ours = project.ours(*OURS["list all open"])
    if not bench.without("rg", "plain ripgrep"):
        rg = project.beside("rg", "-l", "^status: open$", project.issues)
        project.pair("list all open: rg -l", None, ours, rg, "rg", rounds)
    grep = project.beside("git", "grep", "-l", "^status: open$", "--", ".oxi/issues")
    project.pair("list all open: git grep -l", None, ours, grep, "git grep", rounds)


def read_issues(project):
    """The heads with their bodies."""
    issues = project.heads()
    for issue in issues:
        issue["body"] = ""
        path = issue["path"] and os.path.join(project.root, issue["path"])
        if path and os.path.exists(path):
            with open(path) as file:
                issue["body"] = file.read().partition("\n---\n")[2]
    return issues
