"""Makes folders of issue files: invented ones, the same on every machine, or a corpus of one's own, multiplied."""
import datetime
import os
import re

WORDS = (
    "the reader waits until every writer has left a gate that opens once more when the index of open issues is "
    "written to disk and the file beside it says what was agreed between two clones of a project after a merge "
    "which nobody expected to fail because a label or a title was changed on both sides at the same time"
).split()
LABELS = ["bug", "docs", "sync", "cli", "storage", "windows", "speed", "needs-test", "good-first-issue"]
ASSIGNEES = ["ann", "bob", "cho"]


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


def stamp(number):
    return (datetime.datetime(2025, 1, 1) + datetime.timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ")


def make_body(numbers):
    """3 to 5 KB of Markdown."""
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
    return "\n".join(body)


class Invented:
    """Issues of 3 to 5 KB that nobody wrote."""

    def slug(self, number):
        return sentence(number_stream(number), 5).lower().replace(" ", "-")

    def text(self, number):
        numbers = number_stream(number)
        title = sentence(numbers, 5)
        closed = next(numbers) % 3 == 0
        head = ["---", f"id: {number}", f"title: {title}", f"status: {'closed' if closed else 'open'}"]
        head.append("priority: " + ["low", "medium", "medium", "high", "critical"][next(numbers) % 5])
        labels = sorted({LABELS[next(numbers) % len(LABELS)] for _ in range(next(numbers) % 3)})
        head += ["labels:"] + [f"- {label}" for label in labels] if labels else ["labels: []"]
        head += [f"created_at: {stamp(number)}", f"updated_at: {stamp(number)}"]
        if closed:
            head.append(f"closed_at: {stamp(number)}")
        return "\n".join([*head, "---", "", make_body(numbers)])


class Copies:
    """The issues of a folder, again and again under other numbers and times."""

    def __init__(self, corpus):
        self.texts = []
        for name in sorted(name for name in os.listdir(corpus) if name.endswith(".md")):
            with open(os.path.join(corpus, name), newline="") as file:
                self.texts.append((name[:-3].partition("-")[2] or "untitled", file.read()))

    def slug(self, number):
        return f"{self.texts[(number - 1) % len(self.texts)][0]}-r{(number - 1) // len(self.texts)}"

    def text(self, number):
        text = self.texts[(number - 1) % len(self.texts)][1]
        text = re.sub(r"(?m)^id: \d+$", f"id: {number}", text, count=1)
        return re.sub(r"(?m)^(created_at|updated_at|closed_at): .*$", rf"\1: {stamp(number)}", text, count=3)


def with_relations(source, number, text):
    """Three of five issues have an assignee, one of seven waits for another, so that every filter finds some."""
    head, end, body = text.partition("\n---\n")
    if number % 5 < len(ASSIGNEES) and "\nassignee:" not in head:
        head += f"\nassignee: {ASSIGNEES[number % 5]}"
    if number % 7 == 3 and "\ndepends_on:" not in head:
        head += f"\ndepends_on:\n- {number - 2:04d}-{source.slug(number - 2)}"
    return head + end + body


def make_folder(folder, count, corpus):
    os.makedirs(folder)
    source = Copies(corpus) if corpus else Invented()
    for number in range(1, count + 1):
        with open(os.path.join(folder, f"{number:04d}-{source.slug(number)}.md"), "w", newline="") as file:
            file.write(with_relations(source, number, source.text(number)))
