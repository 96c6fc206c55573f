//! What reaches the command that a session runs, and what it answers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::processes::{Running, eventually, send, unignore_signals};
use crate::project::project;

#[test]
fn the_commands_exit_code_is_ours() {
    let project = project();
    for (script, code) in
        [("exit 0", 0), ("exit 3", 3), ("exit 42", 42), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
    {
        project.oxi(&format!("session run -- sh -c '{script}'")).exits(code).prints("").silent();
    }
}

#[test]
fn the_command_has_our_streams_its_arguments_and_its_session() {
    let project = project();
    let run = project.oxi("session run -- sh -c 'echo $OXI_STATE_SESSION; echo $0 $1 >&2' a --json").ok();
    let id = run.stdout.trim();
    assert!(id.len() == 26 && id.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase()), "{id}");
    assert_eq!(run.stderr, "a --json\n");
    project.oxi("session run --id mine --json -- sh -c 'echo $OXI_STATE_SESSION'").ok().prints("mine\n").silent();
    let mut cat = project.command("session run -- cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    cat.stdin.take().unwrap().write_all(b"through").unwrap();
    assert_eq!(cat.wait_with_output().unwrap().stdout, b"through");
    // what the command does, it does as its session
    project.oxi("issue create a").ok();
    project.oxi(&format!("session run --id mine -- {} issue start 1", env!("CARGO_BIN_EXE_oxi-state"))).ok();
    assert_eq!(project.show(1)["assigned_to"]["session"], json!("mine"));
}

#[test]
fn a_command_that_cannot_run_begins_nothing() {
    let project = project();
    let revisions = || project.json("log").as_array().unwrap().len();
    let before = revisions();
    let error = project.oxi("session run --id s --json -- no-such-command-here").exits(3).error();
    assert_eq!((&error["code"], &error["command"]), (&json!("not_found"), &json!("no-such-command-here")));
    project.oxi("session run --id s -- ./nothing").exits(3);
    project.oxi("session run --id s -- .").exits(1);
    project.oxi("session run --id s").exits(2);
    project.oxi("session run --id s -- ''").exits(3);
    let script = project.path("script");
    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    project.oxi("session run --id s -- ./script").exits(1).warns("chmod");
    assert_eq!(revisions(), before);
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    project.oxi("session run --id s -- ./script").exits(3).warns("interpreter");
    assert!(!project.exists(".alive/s"));
    project.oxi("session end s").exits(3);
}

#[test]
fn signals_reach_the_command() {
    let project = project();
    unignore_signals();
    let signals = [
        ("TERM", Signal::TERM),
        ("INT", Signal::INT),
        ("HUP", Signal::HUP),
        ("QUIT", Signal::QUIT),
        ("USR1", Signal::USR1),
        ("USR2", Signal::USR2),
    ];
    for (name, signal) in signals {
        let script = format!("trap \"echo got {name}; exit 9\" {name}; echo ready; while :; do sleep 0.02; done");
        let running = Running::start(&project, &format!("session run -- sh -c '{script}'"));
        running.signal(signal);
        assert_eq!(running.ends(), (9, format!("got {name}\n")));
    }
    let running = Running::start(&project, "session run -- sh -c 'echo ready; exec sleep 60'");
    running.signal(Signal::TERM);
    assert_eq!(running.ends(), (143, String::new()));
}

#[test]
fn a_signal_at_any_moment_ends_the_run_or_reaches_the_command() {
    let project = project();
    for step in 0..24 {
        let mut child = project.command("session run -- sleep 60").stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(step * 1500));
        send(child.id(), Signal::TERM);
        let status = eventually("the end of the run", || child.try_wait().unwrap());
        assert!(status.signal() == Some(15) || status.code() == Some(143), "{status} after step {step}");
    }
}

#[test]
fn a_signal_that_was_ignored_stays_ignored() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let project = project();
    let oxi = env!("CARGO_BIN_EXE_oxi-state");
    let script = "grep SigIgn /proc/self/status; echo ready; sleep 0.3; exit 5";
    let mut command = Command::new("sh");
    command.args(["-c", &format!("trap '' HUP; exec {oxi} session run -- sh -c '{script}'")]);
    command.current_dir(&project.root).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mask = lines.next().unwrap();
    let mask = u64::from_str_radix(mask.strip_prefix("SigIgn:").unwrap().trim(), 16).unwrap();
    assert_eq!(mask & 1, 1, "the command ignores it too");
    assert_eq!(lines.next().as_deref(), Some("ready"));
    send(child.id(), Signal::HUP);
    assert_eq!(child.wait().unwrap().code(), Some(5));
}

#[test]
fn what_the_terminal_sends_reaches_the_command_once() {
    let project = project();
    unignore_signals();
    let python = r#"
import os, pty, sys, time
pid, terminal = pty.fork()
if pid == 0:
    script = 'n=0; trap "n=\$((n+1))" INT; echo ready; for i in 1 2 3 4 5 6 7 8; do sleep 0.05; done; echo "n=$n"'
    os.execv(sys.argv[1], [sys.argv[1], "session", "run", "--", "sh", "-c", script])
seen = b""
while b"ready" not in seen:
    seen += os.read(terminal, 1000)
time.sleep(0.05)
os.write(terminal, b"\x03")
while b"n=" not in seen:
    seen += os.read(terminal, 1000)
print("once" if b"n=1" in seen else seen)
os.waitpid(pid, 0)
"#;
    let mut command = Command::new("python3");
    command.args(["-c", python, env!("CARGO_BIN_EXE_oxi-state")]).current_dir(&project.root);
    let Ok(output) = command.output() else {
        eprintln!("skipped: python3 is missing");
        return;
    };
    assert_eq!(String::from_utf8_lossy(&output.stdout), "once\n", "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_exit_code_is_kept_where_the_caller_ignores_the_end_of_children() {
    let project = project();
    let script = format!("trap '' CHLD; exec {} session run -- sh -c 'exit 7'", env!("CARGO_BIN_EXE_oxi-state"));
    let status = Command::new("sh").args(["-c", &script]).current_dir(&project.root).status().unwrap();
    assert_eq!(status.code(), Some(7));
}

#[test]
fn the_session_lives_while_its_command_does_even_if_that_closed_what_it_inherited() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let project = project();
    project.oxi("issue create a").ok();
    let script = "for fd in 3 4 5 6 7 8 9; do eval \"exec $fd>&-\"; done; echo ready $$; exec sleep 60";
    let mut command = project.command("session run --id s -- sh -c");
    command.arg(script);
    let mut wrapper = Running::of(command);
    let pid: u32 = wrapper.told.parse().unwrap();
    // the file names the command a moment after it was started
    eventually("the command's name", || (project.json("session show s")["pid"] == json!(pid)).then_some(()));
    wrapper.child.kill().unwrap();
    wrapper.child.wait().unwrap();
    project.oxi("--session s issue start 1").ok();
    project.oxi("--session other issue start 1").exits(5).warns("(alive)");
    send(pid, Signal::KILL);
    eventually("the end of the session", || (project.oxi("--session other issue start 1").code == 0).then_some(()));
}
