//! The commands that faults happen in: a new command is one more row.

use crate::noise::noise;
use crate::sandbox::{END, Sandbox};

/// A command, and the project that it is run in.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) args: &'static [&'static str],
    pub(crate) project: fn() -> Sandbox,
}

/// All of them.
pub(crate) const CASES: &[Case] = &[
    case("create", &["issue", "create", "new one", "--body", "text\nthe end\n"], in_use),
    case("update", &["issue", "update", "2", "--priority", "high", "--add-label", "l"], in_use),
    case("close", &["issue", "close", "1", "3"], in_use),
    case("delete", &["issue", "delete", "4"], in_use),
    case("undo", &["undo"], in_use),
    case("pointer", &["pointer", "set", "branch", "feature"], in_use),
    case("import", &["import"], in_use),
    case("export", &["export"], in_use),
    case("export many", &["export"], unexported),
    case("sync", &["sync"], in_use),
    case("sync after a collision", &["sync"], collided),
    case("init of a clone", &["init"], fresh_clone),
    case("first command in a clone", &["issue", "create", "new one", "--body", "text\nthe end\n"], fresh_clone),
    case("migrate", &["pointer", "set", "branch", "feature"], old_schema),
    case("snapshot", &["snapshot"], in_use),
    case("compact", &["compact"], much_deleted),
    case("config set", &["config", "set", "retention.changes", "5000"], in_use),
    case("hooks install", &["hooks", "install"], in_use),
    case("inbox", &["inbox"], inbox),
];

const fn case(name: &'static str, args: &'static [&'static str], project: fn() -> Sandbox) -> Case {
    Case { name, args, project }
}

/// Five issues, exported and committed; then changes on both sides.
pub(crate) fn in_use() -> Sandbox {
    let project = Sandbox::new();
    for number in 1..=5 {
        project.create(&format!("issue {number}"));
    }
    project.ok(&["sync"]);
    project.commit();
    project.ok(&["issue", "update", "1", "--add-label", "changed"]);
    project.create("not exported");
    project.edit(3, "text of", "another text of");
    std::fs::remove_file(project.path(".oxi/issues/0005-issue-5.md")).unwrap();
    project
}

/// So many new issues that they are synced together.
fn unexported() -> Sandbox {
    let project = Sandbox::new();
    for number in 1..=7 {
        project.create(&format!("issue {number}"));
    }
    project
}

/// Another clone's issue has a number that one has here.
fn collided() -> Sandbox {
    let project = Sandbox::new();
    project.create("first");
    project.create("second");
    project.ok(&["sync"]);
    let theirs = format!(
        "---\nid: 2\ntitle: Theirs\nstatus: open\npriority: medium\nlabels: []\ncreated_at: 2020-01-01T00:00:00Z\nupdated_at: 2020-01-01T00:00:00Z\nsessions: []\n---\n{END}"
    );
    std::fs::write(project.path(".oxi/issues/0002-theirs.md"), theirs).unwrap();
    project
}

/// Files and no database.
fn fresh_clone() -> Sandbox {
    let project = in_use();
    project.ok(&["sync"]);
    project.commit();
    for name in project.everything_in(".oxi").iter().filter(|name| name.starts_with("state.")) {
        std::fs::remove_file(project.path(".oxi").join(name)).unwrap();
    }
    project
}

/// A database that an older version of the program wrote, its bodies as all bodies here.
fn old_schema() -> Sandbox {
    let project = Sandbox::new();
    let database = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/databases/schema-3.redb");
    std::fs::copy(database, project.path(".oxi/state.redb")).unwrap();
    project
}

/// A database that can be made much smaller.
fn much_deleted() -> Sandbox {
    let project = in_use();
    let large = noise(1, 200_000) + END;
    std::fs::write(project.path("large"), large).unwrap();
    for _ in 0..2 {
        project.ok(&["issue", "update", "2", "--body-file", "large"]);
        project.ok(&["issue", "update", "2", "--body", END]);
    }
    std::fs::remove_file(project.path("large")).unwrap();
    project.ok(&["config", "set", "retention.changes", "3"]);
    project
}

/// Rows that another program appended.
fn inbox() -> Sandbox {
    let project = in_use();
    std::fs::create_dir_all(project.path(".oxi/state")).unwrap();
    let rows = "{\"kind\":\"pointer\",\"key\":\"k\",\"data\":{\"kind\":\"issue\",\"issue\":1}}\n";
    std::fs::write(project.path(".oxi/state/inbox.jsonl"), rows).unwrap();
    project
}
