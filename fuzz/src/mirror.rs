//! A folder of arbitrary files, taken in, written, and taken in again: the second time nothing happens, no file changes
//! that did not have to, and nothing is lost that could be read.
//!
//! An input is files: a name, a byte `0x1F`, the bytes; the next file after `0x1E`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::time::Duration;

use oxi_state::db::query::Query;
use oxi_state::db::record::Versioned;
use oxi_state::db::{Author, Store};
use oxi_state::project::Project;
use oxi_state::schema::frontmatter::parse;
use oxi_state::schema::id::FileName;
use oxi_state::sync::{Mirror, Options, Report};

/// What parts a file's name from its bytes.
const NAMED: u8 = 0x1F;

/// Most files of an input.
const MAX_FILES: usize = 8;

type Files = BTreeMap<OsString, Vec<u8>>;

/// Looks at an input.
pub fn run(input: &[u8]) {
    let folder = super::scratch();
    let project = Project::create(folder.path()).expect("a new folder");
    let issues = folder.path().join(project.issues_path());
    let mut written = 0;
    for file in input.split(|byte| *byte == super::PART).take(MAX_FILES) {
        let cut = file.iter().position(|byte| *byte == NAMED).unwrap_or(file.len());
        let (name, bytes) = (&file[..cut], file.get(cut + 1..).unwrap_or_default());
        if is_one_name(name) && std::fs::write(issues.join(OsStr::from_bytes(name)), bytes).is_ok() {
            written += 1;
        }
    }
    if written > 0 {
        // to build a database costs as much as all the rest
        check(&project, &issues, input.len().is_multiple_of(4));
    }
}

fn is_one_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && name != b"."
        && name != b".."
        && !name.contains(&b'/')
        && !name.contains(&0)
}

fn check(project: &Project, folder: &Path, and_rebuild: bool) {
    let store = Store::in_dir(project.state().clone(), Duration::from_secs(10));
    let author =
        Author { actor: "fuzz".into(), session: None, now: "2026-11-20T12:00:00Z".parse().expect("a fixed time") };
    let mirror = Mirror { project, store: &store, author, options: Options::default(), progress: &|_, _, _| {} };
    let before = files(folder);
    let first = mirror.ensure_database().expect("an import").expect("there was no database");
    let held = records(&store);
    check_taken(&before, &first, &held, &store);
    let exported = mirror.export().expect("an export");
    let after = files(folder);
    if first.renumbered.is_empty() {
        assert_same(&before, &after, "an export of what was just imported writes nothing");
    }
    for problem in &first.bad {
        let name = bad_name(problem.path.as_str());
        assert_eq!(before.get(OsStr::new(&name)), after.get(OsStr::new(&name)), "{name:?} was bad and is left alone");
    }
    // a file that got out of its twin's way by a new number leaves it a name of its own, which the next import takes in
    let is_twin = |reason: &str| reason.contains("only in case or Unicode form");
    if !first.renumbered.is_empty() && first.bad.iter().any(|problem| is_twin(&problem.reason)) {
        return;
    }
    let again = mirror.import().expect("a second import");
    let quiet = Report { bad: Vec::new(), conflicts: Vec::new(), ..again.clone() };
    assert!(quiet.is_quiet(), "a second import does nothing: {first:?} {exported:?} {again:?}");
    assert_eq!(records(&store), held);
    mirror.export().expect("a second export");
    assert_same(&after, &files(folder), "a second export writes nothing");
    if and_rebuild {
        rebuild(&mirror, project, &held, &first);
        assert_same(&after, &files(folder), "a rebuild writes nothing");
    }
}

/// Every file is an issue now, or is named as bad, or is none of this program's business.
fn check_taken(before: &Files, report: &Report, held: &[Versioned], store: &Store) {
    let read = store.read().expect("a database");
    let conflicts = read.all_conflicts().expect("conflicts");
    for (name, bytes) in before {
        let (Some(text), Ok(issue)) = (name.to_str(), parse(bytes)) else { continue };
        let Ok(name) = FileName::parse(text) else { continue };
        if report.bad.iter().any(|problem| bad_name(&problem.path) == text) {
            continue;
        }
        if conflicts.iter().any(|(identity, _)| identity.slug == name.slug) {
            continue;
        }
        let found = held.iter().any(|record| {
            let head = &record.issue.head;
            head.slug == name.slug
                && head.created_at == issue.head.created_at
                && head.title == issue.head.title
                && record.issue.body.trim_end_matches('\n') == issue.body.trim_end_matches('\n')
        });
        assert!(found, "{text:?} is neither an issue nor bad: {report:?}");
    }
    for problem in &report.bad {
        assert!(!problem.reason.is_empty() && !problem.reason.contains('\u{1b}'), "{problem:?}");
    }
    for record in held {
        assert_eq!(record.hash, record.issue.content_hash());
    }
}

/// A database that is made anew from the files holds the same.
fn rebuild(mirror: &Mirror<'_>, project: &Project, held: &[Versioned], first: &Report) {
    let state = project.state().path();
    std::fs::remove_file(state.join("state.redb")).expect("a database");
    let store = Store::in_dir(project.state().clone(), Duration::from_secs(10));
    let rebuilt = Mirror { store: &store, author: mirror.author.clone(), ..*mirror };
    rebuilt.ensure_database().expect("an import");
    if first.conflicts.is_empty() {
        assert_eq!(records(&store), held, "the files hold all");
    }
}

fn records(store: &Store) -> Vec<Versioned> {
    let read = store.read().expect("a database");
    let heads = read.list(&Query { classes: oxi_state::db::query::Classes::ALL, ..Query::default() }, |_| Ok(true));
    let mut ids: Vec<_> = heads.expect("a list").iter().map(|stored| stored.head.id).collect();
    ids.sort_unstable();
    ids.iter().map(|id| read.issue(*id).expect("an issue").expect("it is listed")).collect()
}

fn files(folder: &Path) -> Files {
    let entries = std::fs::read_dir(folder).expect("the issues folder").map(|entry| entry.expect("an entry"));
    let files = entries.filter(|entry| entry.path().is_file());
    files.map(|entry| (entry.file_name(), std::fs::read(entry.path()).expect("a file"))).collect()
}

#[track_caller]
fn assert_same(before: &Files, after: &Files, why: &str) {
    let shown = |files: &Files| {
        let one = |(name, bytes): (&OsString, &Vec<u8>)| format!("{name:?}\n{}", String::from_utf8_lossy(bytes));
        files.iter().map(one).collect::<Vec<_>>().join("\n")
    };
    assert!(before == after, "{why}\n{}\n=>\n{}", shown(before), shown(after));
}

fn bad_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// Folders of golden files.
pub fn seeds() -> Vec<Vec<u8>> {
    let golden = super::golden("oxi-issues");
    let edge = super::golden("oxi-parse-edge");
    let file = |name: &str, bytes: &[u8]| [name.as_bytes(), &[NAMED], bytes].concat();
    let names = ["0001-fix-login-bug.md", "0002-quote-double-and-single.md", "0003.md", "0004-true.md"];
    let whole: Vec<_> = names.iter().zip(&golden).map(|(name, bytes)| file(name, bytes)).collect();
    let mut seeds = vec![whole.join(&super::PART)];
    // numbers that collide, twins, names that are wrong
    let clash: Vec<_> = [
        file("0001-a.md", &golden[0]),
        file("0001-b.md", &golden[0]),
        file("0001-A.md", &golden[0]),
        file("0001-fix.md", b"---\nid: 1\n---\n"),
        file("1-x.md", &golden[0]),
        [OsString::from_vec(vec![b'0', b'0', b'0', b'1', b'-', 0xff]).as_bytes(), b".md", &[NAMED]].concat(),
    ]
    .into();
    seeds.push(clash.join(&super::PART));
    let linked = "---\nid: 1\ntitle: a\ncreated_at: 2026-06-17T10:30:00Z\nupdated_at: 2026-06-17T10:30:00Z\n\
        depends_on:\n- 0001-b # this\n- 2\n---\nbody";
    let other = linked.replace("10:30:00Z\nup", "10:31:00Z\nup").replace("- 2\n", "");
    seeds.push([file("0001-a.md", linked.as_bytes()), file("0001-b.md", other.as_bytes())].join(&super::PART));
    for files in edge.chunks(4) {
        let named: Vec<_> = files.iter().map(|bytes| file(&format!("{:04}-x.md", id_in(bytes)), bytes)).collect();
        seeds.push(named.join(&super::PART));
    }
    seeds
}

/// The number that a file says, if it says one.
fn id_in(bytes: &[u8]) -> u32 {
    parse(bytes).map_or(9, |issue| issue.head.id.0)
}
