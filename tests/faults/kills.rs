//! A process that is killed at any call that changes something.

use crate::calls::{Rehearsed, for_each, sample};
use crate::commands::CASES;
use crate::sandbox::{has, long};

/// What changes a file, a folder, or what is durable of them.
const CHANGING: &str = "pwrite64,write,fsync,fdatasync,syncfs,ftruncate,rename,renameat,renameat2,unlinkat,linkat,\
                        openat,mkdirat,fchmod,utimensat,copy_file_range,sendfile,flock";

#[test]
fn a_process_killed_at_any_call_leaves_everything_as_it_was_or_as_it_should_be() {
    if !has("strace") {
        return;
    }
    let cases: Vec<_> = CASES.iter().map(|case| Rehearsed::new(case, CHANGING)).collect();
    let mut jobs = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        jobs.extend(sample(case.calls.clone(), 3, number * 5).into_iter().map(|call| (case, call)));
    }
    for_each(&jobs, |(case, call)| {
        let what = format!("{}, killed at {} {}: {}", case.case.name, call.name, call.number, call.line);
        let (project, run) = case.run_with(call, "signal=KILL");
        assert_eq!(run.code, None, "{what}: it was to be killed: {run:?}");
        case.check(&project, &run, &what);
    });
    println!("{} kills in {} commands{}", jobs.len(), cases.len(), if long() { "" } else { ", a sample" });
}
