//! Has the linker put first what everyday commands run (`link/first.ld`, made by `benches/compare/order.py`), in release
//! builds for Linux. A linker that cannot leaves the program as it would have been: as right, but slower to start.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const ORDER: &str = "link/first.ld";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={ORDER}");
    let is = |name: &str, value: &str| env::var_os(name).is_some_and(|found| found == value);
    if !is("PROFILE", "release") || !is("CARGO_CFG_TARGET_OS", "linux") {
        return;
    }
    let folder = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let Some(argument) = folder.join(ORDER).to_str().map(|order| format!("-Wl,-T,{order}")) else { return };
    let works = env::var_os("OUT_DIR").is_some_and(|out| links(Path::new(&out), &argument));
    if works {
        println!("cargo::rustc-link-arg-bin=oxi-state={argument}");
    }
}

/// Whether a program can be linked with an argument, by the compiler, the linker and the flags that cargo uses, and runs.
#[expect(clippy::disallowed_methods, reason = "the file is the build's own")]
fn links(out: &Path, argument: &str) -> bool {
    let (source, probe) = (out.join("probe.rs"), out.join("probe"));
    if std::fs::write(&source, "fn main() {}\n").is_err() {
        return false;
    }
    let Some(compiler) = env::var_os("RUSTC") else { return false };
    let mut command = Command::new(compiler);
    command.arg(source).arg("-o").arg(&probe).arg(format!("-Clink-arg={argument}"));
    if let Some(target) = env::var_os("TARGET") {
        command.arg("--target").arg(target);
    }
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        command.arg(format!("-Clinker={linker}"));
    }
    if let Ok(flags) = env::var("CARGO_ENCODED_RUSTFLAGS") {
        command.args(flags.split('\x1f').filter(|flag| !flag.is_empty()));
    }
    let succeeds = |command: &mut Command| {
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|it| it.success())
    };
    let is_foreign = env::var_os("HOST") != env::var_os("TARGET");
    succeeds(&mut command) && (is_foreign || succeeds(&mut Command::new(probe)))
}
