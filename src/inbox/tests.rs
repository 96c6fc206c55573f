use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::time::Duration;

use chrono::TimeDelta;

use super::*;
use crate::db::record::Kind;
use crate::schema::fact::Fact;
use crate::schema::handoff::Handoff;
use crate::schema::issue::{Issue, IssueHead};
use crate::schema::pointer::Pointer;
use crate::schema::time::Timestamp;
use crate::schema::usage::Telemetry;
use crate::schema::validation::Validation;

struct World {
    folder: tempfile::TempDir,
    store: Store,
    now: Timestamp,
}

const COUNT: &str = r#"{"kind":"telemetry","data":{"measure":"count","name":"messages"}}"#;

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Duration::from_secs(10)).unwrap();
    store.create_if_missing().unwrap();
    std::fs::create_dir(folder.path().join("state")).unwrap();
    // the files' times are the file system's own
    #[expect(clippy::disallowed_methods, reason = "compared with the times of files")]
    World { folder, store, now: Timestamp::new(chrono::Utc::now()) }
}

impl World {
    fn open(&self, name: &str) -> File {
        OpenOptions::new().create(true).append(true).open(self.folder.path().join("state").join(name)).unwrap()
    }

    fn append(&self, text: &str) {
        self.open(INBOX).write_all(text.as_bytes()).unwrap();
    }

    fn put(&self, text: &str) {
        File::create(self.folder.path().join("state").join(INBOX)).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn author(&self) -> Author {
        Author { actor: "ada".into(), session: Some("s1".parse().unwrap()), now: self.now }
    }

    fn inbox(&self) -> Inbox<'_> {
        Inbox { retire_bytes: 1_000, ..Inbox::new(&self.store, self.author(), 7) }
    }

    #[track_caller]
    fn takes(&self, taken: u64, skipped: u64, bad: u64) -> Taken {
        let done = self.inbox().take().unwrap();
        assert_eq!((done.taken, done.skipped, done.bad_lines), (taken, skipped, bad), "{done:?}");
        done
    }

    fn later(&mut self, hours: i64) {
        self.now = Timestamp::new(self.now.get() + TimeDelta::hours(hours));
    }

    fn messages(&self) -> u64 {
        let counters = self.store.read().unwrap().records::<Telemetry>().unwrap();
        counters.iter().filter(|counter| counter.name.as_str() == "messages").map(|counter| counter.count).sum()
    }

    fn count(&self, kind: Kind) -> u64 {
        self.store.read().unwrap().count(kind).unwrap()
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path().join("state")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn issue(&self) -> IssueId {
        let create = |id, now| Issue { head: IssueHead::new(id, "Tide".into(), now), body: String::new() };
        self.store.write::<_, StoreError>(&self.author(), |txn| txn.create(create)).unwrap().issue.head.id
    }
}

#[test]
fn each_kind_of_row_does_what_its_command_does() {
    let world = world();
    let issue = world.issue();
    for line in [
        format!(r#"{{"kind":"handoff","data":{{"summary":"Half done","next":["a"],"issue":{issue},"from":"bot"}}}}"#),
        r#"{"kind":"validation","data":{"name":"test","result":"passed","exit_code":0}}"#.into(),
        r#"{"kind":"pointer","data":{"kind":"branch","target":"main"}}"#.into(),
        r#"{"kind":"fact","data":{"name":"theme","value":"dark"}}"#.into(),
        r#"{"kind":"runtime","data":{"name":"proxy","state":"running"}}"#.into(),
        r#"{"kind":"health","data":{"provider":"p","model":"m","ok":true}}"#.into(),
        r#"{"kind":"registry","data":{"kind":"extension","name":"lint"}}"#.into(),
        r#"{"kind":"telemetry","data":{"measure":"tool","name":"bash","total_ms":40}}"#.into(),
    ] {
        world.append(&(line + "\n"));
    }
    let done = world.takes(8, 0, 0);
    assert!(done.by_kind.values().all(|count| *count == 1) && done.by_kind.len() == RowKind::ALL.len());
    let read = world.store.read().unwrap();
    let handoff = read.records::<Handoff>().unwrap().remove(0);
    assert_eq!((handoff.from.as_str(), handoff.session), ("bot", None), "it is not of the session that takes it");
    assert_eq!(read.head(issue).unwrap().unwrap().head.handoffs.len(), 1, "it stands in its issue's file");
    assert_eq!(read.records::<Validation>().unwrap()[0].session, None);
    let tool = read.records::<Telemetry>().unwrap().remove(0);
    assert_eq!((tool.count, tool.total_ms, tool.max_ms), (1, 40, 40));
    drop(read);
    world.takes(0, 0, 0);
    assert_eq!(world.count(Kind::Handoff), 1);
}

#[test]
fn lines_that_are_alike_are_each_taken_once() {
    let world = world();
    world.append(&format!("{COUNT}\n{COUNT}\n"));
    world.takes(2, 0, 0);
    world.append(&format!("{COUNT}\n"));
    world.takes(1, 0, 0);
    assert_eq!(world.messages(), 3);
}

#[test]
fn a_file_that_was_written_anew_gives_only_what_is_new_in_it() {
    let world = world();
    let fact = |n: u8| format!("{{\"kind\":\"fact\",\"data\":{{\"name\":\"f{n}\",\"value\":{n}}}}}\n");
    world.append(&format!("{}{COUNT}\n{COUNT}\n{}", fact(1), fact(2)));
    world.takes(4, 0, 0);
    // without its first line, in another order, with one more of those that are alike
    world.put(&format!("{COUNT}\n{}{COUNT}\n{COUNT}\n{}", fact(2), fact(3)));
    world.takes(2, 3, 0);
    assert_eq!((world.messages(), world.count(Kind::Fact)), (3, 3));
    world.takes(0, 0, 0);
    world.put(&format!("{COUNT}\n"));
    world.takes(0, 1, 0);
    world.append(&format!("{COUNT}\n{COUNT}\n{COUNT}\n"));
    world.takes(3, 0, 0);
}

#[test]
fn a_line_without_an_end_is_left_alone_until_it_has_one() {
    let world = world();
    world.append(&COUNT[..20]);
    assert!(world.takes(0, 0, 0).unfinished);
    world.append(&COUNT[20..]);
    assert!(world.takes(0, 0, 0).unfinished, "whole, but it may go on");
    world.append("\n");
    assert!(!world.takes(1, 0, 0).unfinished);
    assert_eq!(world.messages(), 1);
}

#[test]
fn a_key_names_one_row_wherever_it_stands() {
    let world = world();
    let row = |key: &str, text: &str| {
        format!("{{\"kind\":\"handoff\",\"key\":\"{key}\",\"data\":{{\"from\":\"bot\",\"summary\":\"{text}\"}}}}\n")
    };
    world.append(&format!("{}{}{}", row("a", "one"), row("a", "one"), row("b", "one")));
    world.takes(2, 1, 0);
    // the same, otherwise spelled
    world.append("{\"data\":{\"summary\":\"one\",\"from\":\"bot\"},\"key\":\"a\",\"kind\":\"handoff\"}\n");
    world.takes(0, 1, 0);
    world.append(&row("a", "two"));
    assert_eq!(world.takes(0, 0, 1).bad[0].reason, Reason::KeyReused);
    world.append("{\"kind\":\"fact\",\"key\":\"a\",\"data\":{\"name\":\"x\",\"value\":1}}\n");
    world.takes(1, 0, 0);
    world.put(&row("b", "one"));
    world.takes(0, 1, 0);
    assert_eq!(world.count(Kind::Handoff), 2);
}

#[test]
fn a_bad_line_is_told_once_with_its_place_and_the_others_are_taken() {
    let world = world();
    let long = format!("{{\"kind\":\"fact\",\"data\":{{\"name\":\"x\",\"value\":\"{}\"}}}}", "x".repeat(70_000));
    let secret = ["ghp_", "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA2bC4"].concat();
    world.append("not json\n\n");
    world.append(&format!("{long}\n{COUNT}\n"));
    world.append("{\"kind\":\"pointer\",\"data\":{\"kind\":\"issue\",\"issue\":77}}\n");
    world.append("{\"kind\":\"handoff\",\"data\":{\"summary\":\"x\",\"state\":\"done\"}}\n");
    world.append("{\"kind\":\"runtime\",\"data\":{\"name\":\"x\",\"state\":7}}\n");
    world.append(&format!("{{\"kind\":\"handoff\",\"data\":{{\"summary\":\"{secret}\"}}}}\n"));
    world.append(&format!("{{\"kind\":\"telemetry\",\"data\":{{\"measure\":\"count\",\"name\":\"{secret}\"}}}}\n"));
    world.append("{\"kind\":\"health\",\"data\":{\"provider\":\"p\",\"model\":\"m\",\"ok\":true,\"remaining\":-1}}\n");
    world.append("{\"kind\":\"telemetry\",\"data\":{\"measure\":\"count\",\"name\":\"x\",\"count\":1e300}}\n");
    let done = world.takes(1, 0, 9);
    let told: Vec<_> = done.bad.iter().map(|bad| (bad.line, bad.reason.field())).collect();
    assert_eq!(
        told,
        [
            (1, None),
            (3, None),
            (5, Some("issue")),
            (6, None),
            (7, Some("state")),
            (8, Some("summary")),
            (9, Some("name")),
            (10, Some("health")),
            (11, Some("count"))
        ]
    );
    assert!(done.bad.iter().all(|bad| !bad.reason.to_string().contains(&secret)));
    assert_eq!(done.bad.iter().filter(|bad| bad.reason.rule().is_some()).count(), 2);
    world.takes(0, 0, 0);
    // with another policy they are taken redacted
    world.append(&format!("{{\"kind\":\"handoff\",\"data\":{{\"summary\":\"{secret}\"}}}}\n"));
    let redact = Policy { redact: true, ..Policy::default() };
    assert_eq!(world.inbox().with_policy(redact).take().unwrap().taken, 1);
}

#[test]
fn a_row_that_has_no_room_spoils_no_other() {
    let world = world();
    let issue = world.issue();
    let text = "x".repeat(3_900);
    for n in 0..20 {
        world.append(&format!(
            "{{\"kind\":\"handoff\",\"data\":{{\"from\":\"bot\",\"issue\":{issue},\"summary\":\"{n}{text}\"}}}}\n{COUNT}\n"
        ));
    }
    let done = world.inbox().take().unwrap();
    assert!(done.bad_lines > 0 && done.bad.iter().all(|bad| bad.reason == Reason::NoRoom), "{done:?}");
    let handoffs = done.by_kind[&RowKind::Handoff];
    assert_eq!((handoffs + done.bad_lines, world.messages()), (20, 20));
    let listed = world.store.read().unwrap().head(issue).unwrap().unwrap().head.handoffs.len() as u64;
    assert_eq!((world.count(Kind::Handoff), listed), (handoffs, handoffs));
    world.takes(0, 0, 0);
}

#[test]
fn a_rehearsal_takes_nothing() {
    let world = world();
    let fact = "{\"kind\":\"fact\",\"key\":\"a\",\"data\":{\"name\":\"x\",\"value\":1}}\n";
    world.append(&format!("{fact}{fact}{COUNT}\nbad\n"));
    let rehearsed = world.inbox().dry_run(true).take().unwrap();
    assert_eq!((world.messages(), world.count(Kind::Fact)), (0, 0));
    assert_eq!(world.takes(2, 1, 1), rehearsed);
}

#[test]
fn more_lines_than_are_taken_at_a_time() {
    let world = world();
    world.append(&format!("{COUNT}\n").repeat(batch::BATCH * 2 + 7));
    world.takes(batch::BATCH as u64 * 2 + 7, 0, 0);
    assert_eq!(world.messages(), batch::BATCH as u64 * 2 + 7);
    world.takes(0, 0, 0);
}

#[test]
fn a_long_file_is_put_aside_and_goes_when_nobody_writes_to_it() {
    let mut world = world();
    let mut held = world.open(INBOX);
    world.append(&format!("{COUNT}\n").repeat(20));
    assert!(world.takes(20, 0, 0).retired);
    assert_eq!(world.files(), [RETIRED]);
    // who has it open writes on in the old file, everybody else begins a new one
    writeln!(held, "{COUNT}").unwrap();
    world.append(&format!("{COUNT}\n").repeat(20));
    assert!(!world.takes(21, 0, 0).retired, "one at a time");
    assert_eq!(world.files(), [INBOX, RETIRED]);
    world.later(QUIET_HOURS - 1);
    world.takes(0, 0, 0);
    assert_eq!(world.files(), [INBOX, RETIRED]);
    world.later(2);
    assert!(world.takes(0, 0, 0).retired);
    assert_eq!((world.files(), world.messages()), (vec![RETIRED.to_owned()], 41));
    world.takes(0, 0, 0);
    let memory = world.store.read().unwrap().inbox_memory().unwrap();
    assert_eq!((memory.files.len(), memory.gone.len()), (1, 1));
    assert_eq!(world.store.read().unwrap().inbox_lines(0).unwrap(), [0; 0], "what is known of lines goes with them");
}

#[test]
fn a_file_with_bad_lines_is_kept() {
    let mut world = world();
    world.append(&format!("bad\n{}{}", format!("{COUNT}\n").repeat(20), &COUNT[..9]));
    world.takes(20, 0, 1);
    world.later(QUIET_HOURS + 1);
    let done = world.takes(0, 0, 1);
    assert_eq!(done.bad[0].reason, Reason::Unfinished);
    assert_eq!(world.files(), [done.kept_as.unwrap()]);
    world.takes(0, 0, 0);
}

#[test]
fn a_file_that_comes_back_is_known() {
    let mut world = world();
    let text = format!("{COUNT}\n").repeat(20);
    world.append(&text);
    world.takes(20, 0, 0);
    world.later(QUIET_HOURS + 1);
    world.takes(0, 0, 0);
    assert!(world.files().is_empty());
    world.put(&format!("{text}{COUNT}\n"));
    world.takes(1, 0, 0);
}

#[test]
fn a_process_that_was_killed_between_renaming_and_remembering_costs_nothing() {
    let world = world();
    world.append(&format!("{COUNT}\n").repeat(5));
    world.takes(5, 0, 0);
    let state = world.folder.path().join("state");
    std::fs::hard_link(state.join(INBOX), state.join(RETIRED)).unwrap();
    std::fs::remove_file(state.join(INBOX)).unwrap();
    world.append(&format!("{COUNT}\n"));
    world.takes(1, 0, 0);
    writeln!(world.open(RETIRED), "{COUNT}").unwrap();
    world.takes(1, 0, 0);
    assert_eq!(world.messages(), 7);
}

#[test]
fn a_file_that_somebody_removed_or_emptied_is_forgotten_once_that_was_seen() {
    let world = world();
    world.append(&format!("{COUNT}\n{COUNT}\n"));
    world.takes(2, 0, 0);
    std::fs::remove_file(world.folder.path().join("state").join(INBOX)).unwrap();
    world.takes(0, 0, 0);
    world.append(&format!("{COUNT}\n"));
    world.takes(1, 0, 0);
    world.put("");
    world.takes(0, 0, 0);
    world.append(&format!("{COUNT}\n"));
    world.takes(1, 0, 0);
    assert_eq!(world.messages(), 4);
}

#[test]
fn keys_are_forgotten_in_time() {
    let mut world = world();
    let fact = "{\"kind\":\"fact\",\"key\":\"a\",\"data\":{\"name\":\"x\",\"value\":1}}\n";
    world.append(fact);
    world.takes(1, 0, 0);
    let known = |world: &World| {
        world.store.read().unwrap().inbox_row(RowKind::Fact, xxhash_rust::xxh3::xxh3_128(b"a")).unwrap()
    };
    assert_eq!(known(&world).unwrap().record, "x");
    world.later(KEY_DAYS * 24 + 1);
    world.append(&format!("{COUNT}\n").repeat(20));
    world.takes(20, 0, 0);
    assert_eq!(known(&world), None);
}

#[test]
fn what_was_undone_does_not_come_back() {
    let world = world();
    world.append("{\"kind\":\"pointer\",\"data\":{\"kind\":\"branch\",\"target\":\"main\"}}\n");
    world.takes(1, 0, 0);
    let _ = world.store.write::<_, StoreError>(&world.author(), |txn| txn.undo(None)).unwrap();
    assert!(world.store.read().unwrap().record::<Pointer>("branch/active").unwrap().is_none());
    world.takes(0, 0, 0);
    assert_eq!(world.count(Kind::Pointer), 0);
}

#[test]
fn a_link_is_refused_and_nothing_is_no_error() {
    let world = world();
    world.takes(0, 0, 0);
    std::os::unix::fs::symlink("/etc/hostname", world.folder.path().join("state").join(INBOX)).unwrap();
    assert!(world.inbox().take().unwrap_err().to_string().contains("symbolic link"));
    std::fs::remove_dir_all(world.folder.path().join("state")).unwrap();
    world.takes(0, 0, 0);
    std::os::unix::fs::symlink("/etc", world.folder.path().join("state")).unwrap();
    assert!(world.inbox().take().is_err());
}

#[test]
fn facts_that_name_credentials_are_refused() {
    let world = world();
    world.append("{\"kind\":\"fact\",\"data\":{\"name\":\"db.password\",\"value\":\"tide\"}}\n");
    world.takes(0, 0, 1);
    assert!(world.store.read().unwrap().records::<Fact>().unwrap().is_empty());
}
