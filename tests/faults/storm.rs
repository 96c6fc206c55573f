//! Many writers at once, killed at random moments, again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::sandbox::{END, Sandbox, long, program};

const WRITERS: u64 = 16;

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// What a writer asked for, and what of it was reported as done.
#[derive(Default)]
struct Notes {
    /// Every title that was ever asked for.
    asked: BTreeSet<String>,
    /// The numbers of those that were acknowledged.
    made: BTreeMap<u64, String>,
    labels: Vec<(u64, String)>,
    closed: Vec<u64>,
    runs: usize,
    busy: usize,
}

/// What became of a process.
enum End {
    Done(String),
    Busy,
    Killed,
}

/// Runs a command and kills it after a while, unless it ends before.
fn run(project: &Sandbox, args: &[&str], patience: Option<Duration>) -> End {
    let mut command = project.command(&program());
    let mut child = command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    if let Some(patience) = patience {
        std::thread::sleep(patience);
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    match output.status.code() {
        Some(0) => End::Done(String::from_utf8(output.stdout).unwrap()),
        Some(6) => End::Busy,
        None => {
            assert_eq!(output.status.signal(), Some(9), "{args:?} ended by another signal");
            End::Killed
        }
        Some(code) => panic!("{args:?} answered {code}: {}", String::from_utf8_lossy(&output.stderr)),
    }
}

fn write(project: &Sandbox, writer: u64, kills: &AtomicUsize, wanted: usize) -> Notes {
    let (mut dice, mut notes) = (Dice(writer * 7_919 + 1), Notes::default());
    while kills.load(Ordering::Relaxed) < wanted {
        notes.runs += 1;
        // long enough to come to any point of its work, and some may end
        let patience = (dice.below(5) > 0).then(|| Duration::from_micros(1_000 + dice.below(150_000)));
        let mine: Vec<_> = notes.made.keys().copied().collect();
        let one = mine.get(usize::try_from(dice.below(1 + mine.len() as u64)).unwrap()).copied();
        let end = match (dice.below(20), one) {
            (0..=1, _) => run(project, &["sync"], patience),
            (2, _) => run(project, &["export"], patience),
            (3, _) => run(project, &["import"], patience),
            (4..=8, Some(id)) => {
                let label = format!("l{}", notes.runs);
                let end = run(project, &["issue", "update", &id.to_string(), "--add-label", &label], patience);
                if matches!(end, End::Done(_)) {
                    notes.labels.push((id, label));
                }
                end
            }
            (9, Some(id)) => {
                let end = run(project, &["issue", "close", &id.to_string()], patience);
                if matches!(end, End::Done(_)) {
                    notes.closed.push(id);
                }
                end
            }
            _ => {
                let title = format!("writer {writer} run {}", notes.runs);
                let end = run(project, &["issue", "create", &title, "--body", END], patience);
                if let End::Done(said) = &end {
                    let number = said.trim().parse().unwrap();
                    assert_eq!(notes.made.insert(number, title.clone()), None, "{number} is given twice");
                }
                notes.asked.insert(title);
                end
            }
        };
        match end {
            End::Killed => drop(kills.fetch_add(1, Ordering::Relaxed)),
            End::Busy => notes.busy += 1,
            End::Done(_) => {}
        }
    }
    notes
}

#[test]
fn in_a_storm_of_kills_all_that_was_acknowledged_is_kept_and_nothing_is_there_twice() {
    let wanted = if long() { 10_000 } else { 250 };
    let project = Sandbox::new();
    let kills = AtomicUsize::new(0);
    let (project_ref, kills_ref) = (&project, &kills);
    let all: Vec<Notes> = std::thread::scope(|scope| {
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| scope.spawn(move || write(project_ref, writer, kills_ref, wanted))).collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    project.goes_on();
    let list = project.json(&["issue", "list", "--status", "all"]);
    let issues: BTreeMap<u64, &serde_json::Value> =
        list.as_array().unwrap().iter().map(|issue| (issue["id"].as_u64().unwrap(), issue)).collect();
    assert_eq!(issues.len(), list.as_array().unwrap().len(), "no number is there twice");
    let mut titles: Vec<&str> = issues.values().map(|issue| issue["title"].as_str().unwrap()).collect();
    titles.sort_unstable();
    assert!(titles.windows(2).all(|pair| pair[0] != pair[1]), "nothing is there twice");
    let asked: BTreeSet<&str> = all.iter().flat_map(|notes| &notes.asked).map(String::as_str).collect();
    assert!(titles.iter().all(|title| asked.contains(title) || *title == "afterwards"));
    for notes in &all {
        for (number, title) in &notes.made {
            assert_eq!(issues[number]["title"], title.as_str(), "#{number} was acknowledged");
        }
        for (number, label) in &notes.labels {
            let labels = issues[number]["labels"].as_array().unwrap();
            assert!(labels.iter().any(|have| have == label.as_str()), "#{number} lost {label}");
        }
        for number in &notes.closed {
            assert_eq!(issues[number]["status"], "closed", "#{number} was closed");
        }
    }
    let sum = |count: &dyn Fn(&Notes) -> usize| all.iter().map(count).sum::<usize>();
    println!(
        "{} kills in {} runs of {WRITERS} writers, {} gave up waiting; {} issues, {} labels and {} closings acknowledged; \
         {} issues are there that were not",
        kills.load(Ordering::Relaxed),
        sum(&|notes| notes.runs),
        sum(&|notes| notes.busy),
        sum(&|notes| notes.made.len()),
        sum(&|notes| notes.labels.len()),
        sum(&|notes| notes.closed.len()),
        issues.len() - 1 - sum(&|notes| notes.made.len())
    );
}
