//! The system calls that a command makes on a project, counted with strace, so that each can be made to go wrong.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::commands::Case;
use crate::sandbox::{Run, Sandbox};

/// One call: its name, the how many-eth of that name it is, and the line that strace printed.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) number: usize,
    pub(crate) line: String,
    /// `+` for all that follow, too.
    pub(crate) steps: &'static str,
}

/// A command, what the project said before and what it says after a run without faults, and all calls of that run.
pub(crate) struct Rehearsed<'c> {
    pub(crate) case: &'c Case,
    pub(crate) project: Sandbox,
    pub(crate) before: String,
    pub(crate) after: String,
    pub(crate) calls: Vec<Call>,
}

impl<'c> Rehearsed<'c> {
    pub(crate) fn new(case: &'c Case, names: &str) -> Self {
        let project = (case.project)();
        let before = project.copy().state();
        let rehearsal = project.copy();
        let trace = rehearsal.temp.path().join("trace");
        let run = rehearsal.strace(&["-y", "-o", trace.to_str().unwrap(), "-e", &format!("trace={names}")], case.args);
        assert!(matches!(run.code, Some(0 | 4)), "{}: {run:?}", case.name);
        let root = rehearsal.root.to_str().unwrap().to_owned();
        let mut counts = BTreeMap::new();
        let mut calls = Vec::new();
        for line in std::fs::read_to_string(trace).unwrap().lines() {
            let Some((name, _)) = line.split_once('(') else { continue };
            let number = counts.entry(name.to_owned()).and_modify(|count| *count += 1).or_insert(1);
            // what the loader and the library do is not the program's
            let of_project = line.replace(&format!("AT_FDCWD<{root}>"), "").contains(&root);
            if of_project || line.starts_with("write(1") {
                calls.push(Call { name: name.to_owned(), number: *number, line: line.replace(&root, ""), steps: "" });
            }
        }
        Self { case, after: rehearsal.state(), project, before, calls }
    }

    /// Runs the command in a fresh copy, with a fault at one call.
    pub(crate) fn run_with(&self, call: &Call, fault: &str) -> (Sandbox, Run) {
        let project = self.project.copy();
        let null = ["-o", "/dev/null"];
        let inject = format!("inject={}:{fault}:when={}{}", call.name, call.number, call.steps);
        let trace = format!("trace={}", call.name);
        let run = project.strace(&[&null[..], &["-e", &trace, "-e", &inject]].concat(), self.case.args);
        (project, run)
    }

    /// After a fault: nothing is half there, what was reported as done is, and everything works by itself again.
    pub(crate) fn check(&self, project: &Sandbox, run: &Run, what: &str) {
        project.files_are_whole_in(self.case.name);
        let state = project.state();
        let done = run.code.is_some_and(|code| code == 0);
        // a file that cannot be read is named, and the rest is done
        let in_part = run.stderr.contains("bad file .oxi/issues/");
        let expected = in_part || state == self.after || (!done && state == self.before);
        assert!(
            expected,
            "{what}: {run:?}\n--- before\n{}--- after\n{}--- but it is\n{state}",
            self.before, self.after
        );
        // the same again takes away what was left
        project.run(self.case.args);
        if self.case.name != "migrate" {
            project.goes_on();
        }
    }
}

/// Every so-many-eth of a list, so that about `most` are left, or as many as `OXI_STATE_FAULTS` says; all in the long run.
pub(crate) fn sample<T>(all: Vec<T>, most: usize, shift: usize) -> Vec<T> {
    let most = std::env::var("OXI_STATE_FAULTS").ok().and_then(|most| most.parse().ok()).unwrap_or(most);
    let step = if crate::sandbox::long() { 1 } else { all.len().div_ceil(most).max(1) };
    all.into_iter().skip(shift % step).step_by(step).collect()
}

/// Does something with each, in two threads; tells all that fail.
pub(crate) fn for_each<T: Sync>(jobs: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let worker = || {
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(job)));
            if let Err(panic) = done {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or(panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                failures.lock().unwrap().push(text.unwrap_or_default());
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(worker);
        scope.spawn(worker);
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} failed:\n{}", failures.len(), jobs.len(), failures.join("\n\n"));
}
