//! The `logsql` program: parse, run, exit code. Everything else is in the library.

use std::process::ExitCode;

// Aggregation over text allocates much and frees late; the system allocator keeps what it got.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    logsql::cli::run(std::env::args_os())
}
