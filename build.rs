//! Makes release builds for Linux start sooner, where the compiler and the linker can. Where they cannot, the program is
//! as right, but slower to start.
//!
//! What everyday commands run is put first (`link/first.ld`, made by `benches/compare/order.py`). What unwinds the stack
//! after a panic becomes part of the program, so that the dynamic linker has one library less to load.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const ORDER: &str = "link/first.ld";

/// GCC's unwinder as an archive. It must come before the shared `gcc_s`, which the standard library asks for.
const UNWINDER: &str = "static:-bundle=gcc_eh";

/// Ends well only if a panic can be caught.
const PROBE: &str =
    "fn main() { assert!(std::panic::catch_unwind(|| std::env::args().for_each(|it| panic!(\"{it}\"))).is_err()) }\n";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={ORDER}");
    let is = |name: &str, value: &str| env::var_os(name).is_some_and(|found| found == value);
    if !is("PROFILE", "release") || !is("CARGO_CFG_TARGET_OS", "linux") {
        return;
    }
    let Some(out) = env::var_os("OUT_DIR").map(PathBuf::from) else { return };
    if is("CARGO_CFG_TARGET_ENV", "gnu") && links(&out, &["-l", UNWINDER]) {
        println!("cargo::rustc-link-lib={UNWINDER}");
    }
    let folder = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let Some(order) = folder.join(ORDER).to_str().map(|order| format!("-Wl,-T,{order}")) else { return };
    if links(&out, &["-C", &format!("link-arg={order}")]) {
        println!("cargo::rustc-link-arg-bin=oxi-state={order}");
    }
}

/// Whether a program can be linked with some arguments, by the compiler, the linker and the flags that cargo uses, and runs.
#[expect(clippy::disallowed_methods, reason = "the file is the build's own")]
fn links(out: &Path, arguments: &[&str]) -> bool {
    let (source, probe) = (out.join("probe.rs"), out.join("probe"));
    if std::fs::write(&source, PROBE).is_err() {
        return false;
    }
    let Some(compiler) = env::var_os("RUSTC") else { return false };
    let mut command = Command::new(compiler);
    command.arg(source).arg("-o").arg(&probe).args(arguments);
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
