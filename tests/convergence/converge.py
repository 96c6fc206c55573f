#!/usr/bin/env python3
"""Clones that work apart and exchange everything end up with the same issues.

usage: converge.py OXI_STATE SEED [STEPS]

Three clones of one bare repository create, change, delete, undo, edit by hand, export, import, commit, pull and push at
random. In the end each has pulled everything and synced; then all must hold the same records and the same files, each
number once, and `status --check` must be content. A failure prints the seed; the same seed plays the same script.
From seed 1000 on the clones have the merge driver or the hooks at times, or neither, and rebase as well.
"""
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

program, seed = os.path.abspath(sys.argv[1]), int(sys.argv[2])
steps = int(sys.argv[3]) if len(sys.argv) > 3 else 40
dice = random.Random(seed)
place = tempfile.mkdtemp(prefix=f"converge-{seed}-")
clones = ["a", "b", "c"]
script = []
registers = seed >= 1000

environment = {
    "PATH": os.environ["PATH"],
    "HOME": place,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_EDITOR": "true",
    "LC_ALL": "C",
}
for role in ("AUTHOR", "COMMITTER"):
    environment |= {f"GIT_{role}_NAME": "Converge", f"GIT_{role}_EMAIL": "converge@example.invalid"}


def fail(reason):
    print(f"seed {seed}: {reason}\nscript:")
    for line in script:
        print("  " + line)
    print(f"left in {place}")
    sys.exit(1)


def run(folder, *command, ok=(0,)):
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    name = os.path.basename(folder)
    script.append(f"{name}: {' '.join([os.path.basename(command[0]), *command[1:]])!r} -> {done.returncode}")
    if done.returncode not in ok:
        fail(f"{command} in {name} exited {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def oxi(clone, *arguments, ok=(0,)):
    return run(os.path.join(place, clone), program, *arguments, ok=ok)


def git(clone, *arguments, ok=(0,)):
    return run(os.path.join(place, clone), "git", *arguments, ok=ok)


def issues(clone):
    return json.loads(oxi(clone, "issue", "list", "--status", "all", "--sort", "id", "--json").stdout)


def files(clone):
    folder = os.path.join(place, clone, ".oxi/issues")
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".md")]


def settle(clone):
    """Syncs until nothing is left, ending each conflict one way or another."""
    for _ in range(6):
        done = oxi(clone, "sync", ok=(0, 4, 7))
        if done.returncode == 0:
            return
        for conflict in json.loads(oxi(clone, "conflicts", "--json").stdout):
            choice = dice.choice(["--ours", "--theirs", "--union"])
            oxi(clone, "resolve", str(conflict["id"]), choice, ok=(0, 4))
    fail(f"{clone} does not settle\n{done.stdout}{done.stderr}")


def commit(clone):
    settle(clone)
    git(clone, "add", "-A")
    done = git(clone, "commit", "-qm", "work", ok=(0, 1))
    if done.returncode and "oxi-state" in done.stderr:
        fail(f"{clone}: a hook refused a commit after a sync\n{done.stderr}")


def pull(clone):
    commit(clone)
    git(clone, "pull", "-q", "--no-rebase", "--no-edit", ok=(0, 1))
    commit(clone)
    commit(clone)  # what waited for the end of the merge


def rebase(clone):
    """Puts its own commits onto the others'; where that stops, each step is settled and committed."""
    commit(clone)
    git(clone, "fetch", "-q")
    done = git(clone, "rebase", "-q", "@{upstream}", ok=(0, 1))
    for _ in range(60):
        if done.returncode == 0:
            break
        settle(clone)
        git(clone, "add", "-A")
        done = git(clone, "rebase", "--continue", ok=(0, 1))
    else:
        fail(f"{clone}: the rebase does not end\n{done.stdout}{done.stderr}")
    commit(clone)
    commit(clone)


def push(clone):
    for _ in range(5):
        if git(clone, "push", "-q", ok=(0, 1)).returncode == 0:
            return
        pull(clone)


def edit_by_hand(clone):
    path = dice.choice(files(clone) or [None])
    if path is None:
        return
    with open(path, newline="") as file:
        text = file.read()
    if "<<<<<<<" in text:
        return
    kind = dice.random()
    if kind < 0.4:
        lines = text.split("\n")
        end = [number for number, line in enumerate(lines) if line == "---"][1]
        if len(lines) > end + 1:
            lines[dice.randrange(end + 1, len(lines))] = f"hand {dice.randrange(99)}"
        text = "\n".join(lines)
    elif kind < 0.6:
        priority = dice.choice(["low", "high", "critical"])
        text = re.sub(r"(?m)^priority: .*$", f"priority: {priority}", text, count=1)
    elif kind < 0.8 and "\nkey" not in text:
        text = text.replace("\n---\n", f"\nkey{dice.randrange(3)}: {dice.randrange(9)}\n---\n", 1)
    elif "# note" not in text:
        text = re.sub(r"(?m)^(title: .*)$", r"# note\n\1", text, count=1)
    script.append(f"{clone}: edits {os.path.basename(path)}")
    with open(path, "w", newline="") as file:
        file.write(text)


def listed(clone, *arguments):
    return json.loads(oxi(clone, *arguments, "--json").stdout)


def hand_over(clone, known):
    """Handoffs and pinned validations, which stand in the files as well."""
    kind = dice.random()
    handoffs = listed(clone, "handoff", "list")
    runs = [run for run in listed(clone, "validation", "list") if run["issue_number"]]
    if kind < 0.35:
        oxi(clone, "handoff", "add", f"note {dice.randrange(99)}", "--issue", dice.choice(known), "--next", "a", "--next", "b")
    elif kind < 0.45 and handoffs:
        oxi(clone, "handoff", "accept", dice.choice(handoffs)["id"], "--force")
    elif kind < 0.65 and handoffs:
        number = dice.choice([[], ["1"], ["2"]])
        oxi(clone, "handoff", "done", dice.choice(handoffs)["id"], *number)
    elif kind < 0.8:
        result = dice.choice(["passed", "failed"])
        oxi(clone, "validation", "record", dice.choice(["test", "lint"]), "--result", result, "--issue", dice.choice(known))
    elif runs:
        oxi(clone, "validation", dice.choice(["pin", "unpin"]), dice.choice(runs)["id"], ok=(0, 4))


def step():
    clone, kind = dice.choice(clones), dice.random()
    known = [str(issue["id"]) for issue in issues(clone)]
    if kind < 0.1 and known:
        hand_over(clone, known)
    elif kind < 0.13 and known:
        id = dice.choice(known)
        for other in listed(clone, "issue", "show", id)["depends_on"]:
            oxi(clone, "issue", "dep", "remove", id, str(other))
    elif kind < 0.24:
        title = dice.choice(["same", "other", f"title {dice.randrange(1000)}"])
        after = ["--depends-on", dice.choice(known)] if known and dice.random() < 0.5 else []
        oxi(clone, "issue", "create", title, "-b", f"body {dice.randrange(99)}", *after)
    elif kind < 0.4 and known:
        change = dice.choice([
            ["--add-label", f"l{dice.randrange(4)}"],
            ["--remove-label", "l1"],
            ["--priority", dice.choice(["low", "high"])],
            ["--append", f"more {dice.randrange(99)}"],
            ["--title", f"new {dice.randrange(99)}"],
        ])
        oxi(clone, "issue", "update", dice.choice(known), *change)
    elif kind < 0.46 and known:
        oxi(clone, "issue", dice.choice(["close", "reopen"]), dice.choice(known))
    elif kind < 0.52 and known:
        oxi(clone, "issue", "delete", dice.choice(known))
    elif kind < 0.55 and files(clone):
        path = dice.choice(files(clone))
        script.append(f"{clone}: removes {os.path.basename(path)}")
        os.remove(path)
    elif kind < 0.68:
        edit_by_hand(clone)
    elif kind < 0.76:
        oxi(clone, dice.choice(["export", "import"]), ok=(0, 4, 7))
    elif kind < 0.84:
        commit(clone)
    elif registers and kind < 0.86:
        register(clone)
    elif registers and kind < 0.875:
        rebase(clone)
        push(clone)
    elif kind < 0.92:
        pull(clone)
        push(clone)
    elif kind < 0.94:
        settle(clone)
        script.append(f"{clone}: loses its database")
        os.remove(os.path.join(place, clone, ".oxi/state.redb"))
    elif kind < 0.96:
        oxi(clone, "undo", ok=(0, 3, 4))
    else:
        settle(clone)


def register(clone):
    """Installs hooks and driver, or takes them out again."""
    git(clone, "config", "--unset", "core.hooksPath", ok=(0, 5))
    oxi(clone, "hooks", dice.choice(["install", "install", "uninstall"]))
    if dice.random() < 0.3:
        # the driver alone
        git(clone, "config", "core.hooksPath", "/dev/null")


def contents(clone):
    records = [json.loads(oxi(clone, "issue", "show", str(issue["id"]), "--json").stdout) for issue in issues(clone)]
    texts = {}
    for path in files(clone):
        with open(path, newline="") as file:
            texts[os.path.basename(path)] = file.read()
    local = {"session", "accepted_session", "hash", "updated_at"}
    open_ones = [handoff for handoff in listed(clone, "handoff", "list") if handoff["issue_number"]]
    pinned = [run for run in listed(clone, "validation", "list") if run["pinned"]]
    for record in sorted(open_ones + pinned, key=lambda record: record["id"]):
        records.append({name: value for name, value in record.items() if name not in local})
    return records, texts


run(place, "git", "init", "-q", "--bare", "-b", "main", "origin.git")
run(place, "git", "clone", "-q", "origin.git", "a")
git("a", "checkout", "-q", "-b", "main", ok=(0, 128))
oxi("a", "init")
for number in range(4):
    oxi("a", "issue", "create", f"base {number}", "-b", "\n".join(f"line {line}" for line in range(8)))
commit("a")
git("a", "push", "-q", "-u", "origin", "main")
for clone in clones[1:]:
    run(place, "git", "clone", "-q", "origin.git", clone)
if registers:
    for clone in dice.sample(clones, dice.randrange(1, 4)):
        register(clone)
for _ in range(steps):
    step()
for _ in range(4):
    for clone in clones:
        pull(clone)
        push(clone)
for clone in clones:
    pull(clone)
    oxi(clone, "status", "--check")
first = contents("a")
numbers = [issue["id"] for issue in issues("a")]
if len(set(numbers)) != len(numbers):
    fail(f"a number is there twice: {numbers}")
for clone in clones[1:]:
    other = contents(clone)
    if other[0] != first[0]:
        pairs = [pair for pair in zip(first[0], other[0]) if pair[0] != pair[1]]
        fail(f"the records of a and {clone} differ: {pairs[:2]}")
    if other[1] != first[1]:
        names = {name for name in first[1].keys() | other[1].keys() if first[1].get(name) != other[1].get(name)}
        fail(f"the files of a and {clone} differ: {sorted(names)}")
shutil.rmtree(place)
print(f"seed {seed}: {len(numbers)} issues, the same in {len(clones)} clones")
