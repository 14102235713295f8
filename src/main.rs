//! The program: see `infbench --help`.

mod cli;

/// The pure-Rust device allocates a buffer per operation, which mimalloc does faster than the system;
/// the wrapper counts bytes, for the peak memory of every method.
#[global_allocator]
static ALLOCATOR: infbench::measure::TrackingAllocator<mimalloc::MiMalloc> =
    infbench::measure::TrackingAllocator(mimalloc::MiMalloc);

fn main() -> std::process::ExitCode {
    infbench::measure::keep_freed_memory();
    cli::main()
}
