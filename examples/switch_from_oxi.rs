//! What a program written against the original issue store looks like on this one: run it with
//! `cargo run --example switch_from_oxi`. It works in a temporary folder and prints what it does.

use oxi_state::fs::Dir;
use oxi_state::issues::{
    FileIssueStore, IssueError, IssueFilter, IssuePatch, Priority, Status, content_hash, serialize_issue,
};
use oxi_state::liveness::{self, Lease, Payload};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let store = FileIssueStore::open(folder.path())?;
    println!("the next issue will be #{}", store.next_id()?);

    let login = store.create("Fix login bug", "Steps to follow.\n", Priority::High, vec!["auth".into()], None)?;
    let docs = store.create("Write the docs", "", Priority::Low, Vec::new(), None)?;
    for issue in [&login, &docs] {
        println!("created issue #{}: {}", issue.meta.id, issue.meta.title);
    }

    // a session that lives holds its lock; while it does, nobody else takes its issues
    let locks = liveness::ensure_folder(&Dir::open(&store.issues_dir())?)?;
    let lease = Lease::acquire(&locks, &"proc-1".parse()?, &Payload::default())?;
    store.start(login.meta.id, None, "proc-1")?;
    match store.start(login.meta.id, None, "proc-2") {
        Err(error @ IssueError::Assigned { .. }) => println!("proc-2 is told: {error}"),
        other => println!("unexpected: {other:?}"),
    }
    drop(lease);
    let taken = store.start(login.meta.id, None, "proc-2")?;
    println!("proc-1 is gone, so proc-2 has it: sessions {:?}", taken.meta.sessions);

    // read, change, and be told if somebody else was first
    let seen = content_hash(&serialize_issue(&taken)?);
    let patch = IssuePatch { body: Some("Found: a missing check.\n".into()), ..IssuePatch::default() };
    store.apply_patch(login.meta.id, Some(&seen), &patch, Some("proc-2"))?;
    if let Err(error) = store.apply_patch(login.meta.id, Some(&seen), &patch, Some("proc-2")) {
        println!("with the old hash: {error}");
    }

    let closed = store.close(login.meta.id, None, Some("proc-2"))?;
    println!("closed issue #{}: {}", closed.meta.id, closed.meta.title);
    for issue in store.list(&IssueFilter::default())? {
        println!("#{:<4} [{:<8}] {:<8} {}", issue.meta.id, issue.badge(), issue.meta.priority, issue.meta.title);
    }
    let open = store.list(&IssueFilter { status: Some(Status::Open), ..IssueFilter::default() })?;
    println!("{} open; the summary says {:?}", open.len(), store.summary()?);

    let path = closed.path.ok_or("a stored issue has a file")?;
    let name = path.strip_prefix(folder.path().canonicalize()?)?;
    println!("\n{}:\n{}", name.display(), std::fs::read_to_string(&path)?);
    Ok(())
}
