//! The `oxi-state` program: turns the library's answer into an exit code.

fn main() -> std::process::ExitCode {
    oxi_state::cli::run().into()
}
