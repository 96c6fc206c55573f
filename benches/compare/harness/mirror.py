"""The mirror: nothing to do, one file changed, all files new. The import into an empty database is in project.py."""
import os
import shutil
import sys
import tempfile

from .bench import run


def measure(project):
    if project.bench.wants("mirror"):
        nothing_to_do(project)
        one_changed(project)
        all_new(project)


def nothing_to_do(project):
    clean = project.beside("git", "status", "--porcelain")
    for command in ("import", "export", "status"):
        project.pair(f"{command}, nothing to do", 1, project.ours("-q", command), clean, "git status",
                     project.bench.rounds)


def one_changed(project):
    path = project.paths[project.count // 3]

    def change():
        with open(path, "a") as file:
            file.write("One more line.\n")
        return project.ours("-q", "import")()

    project.pair("import, 1 file changed", 1.2, change, project.ours("-q", "import"), "import, nothing to do",
                 project.bench.rounds)


def all_new(project):
    """Export of as many new files: deleted and undeleted, so that the records are there and the files are not.

    Nothing is removed before all rounds are over: ext4 without a journal passes over each inode that was deleted within the
    last minute, one by one, whenever it makes a file."""
    issues, work = project.issues, project.work
    archive = os.path.join(work, f"files-{project.count}.tar")
    names = os.path.join(work, "names")
    with open(names, "w") as file:
        file.write("".join(os.path.basename(path) + "\n" for path in project.paths))
    run(["tar", "-cf", archive, "-C", issues, "-T", names])
    full = os.path.join(work, "full.redb")
    with tempfile.TemporaryDirectory(dir=work) as aside:
        begin_folder(project, aside)
        project.oxi("import", "--allow-deletes")
        project.oxi("undo")
        shutil.copyfile(project.database, full)

        def export():
            begin_folder(project, aside)
            project.restore(full)
            result = project.ours("-q", "export")()
            if sum(name.endswith(".md") for name in os.listdir(issues)) < project.count:
                sys.exit("the export did not write all files")
            return result

        def untar():
            folder = tempfile.mkdtemp(dir=aside)
            project.settle()
            return project.bench.once(["sh", "-c", f"tar -xf '{archive}' -C '{folder}' && sync -f '{folder}'"])

        project.pair("export, all new", 2, export, untar, "tar -x and sync -f", project.few)
    for path in (archive, full, names):
        os.remove(path)


def begin_folder(project, aside):
    """Puts the folder of issues aside, and makes a new one that has nothing but the locks of living sessions."""
    old = os.path.join(tempfile.mkdtemp(dir=aside), "issues")
    os.rename(project.issues, old)
    os.mkdir(project.issues)
    for name in os.listdir(old):
        if not name.endswith(".md"):
            os.rename(os.path.join(old, name), os.path.join(project.issues, name))
