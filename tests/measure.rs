//! Memory is counted when the allocator is installed; this binary installs it.

use infbench::measure::{Meter, TrackingAllocator, peak_above_resident};

#[global_allocator]
static ALLOCATOR: TrackingAllocator<std::alloc::System> = TrackingAllocator(std::alloc::System);

/// What a peak may be off by: 8 KiB a thread, and the test harness's own.
const SLACK: u64 = 64 << 10;

fn hold(bytes: usize) -> Vec<u8> {
    std::hint::black_box(vec![1u8; bytes])
}

// One test, so that no other thread of this binary allocates meanwhile.
#[test]
fn peaks_are_counted() {
    let near = |found: Option<u64>, expected: u64| {
        let found = found.expect("the allocator is installed");
        assert!(
            found.abs_diff(expected) <= SLACK,
            "found {found}, expected {expected}"
        );
    };

    // freed again, yet it counts; two in turn count once
    let ((), peak) = peak_above_resident(|| {
        drop(hold(5 << 20));
        drop(hold(3 << 20));
    });
    near(peak, 5 << 20);

    // what was there before does not count
    let before = hold(7 << 20);
    let (kept, peak) = peak_above_resident(|| hold(1 << 20));
    near(peak, 1 << 20);
    drop((before, kept));

    // what a stage leaves behind counts in the next
    let meter = Meter::start();
    let (kept, first) = meter.stage(|| hold(2 << 20));
    let ((), second) = meter.stage(|| drop(hold(1 << 20)));
    near(first.peak_bytes, 2 << 20);
    near(second.peak_bytes, 3 << 20);
    drop(kept);

    // an inner measurement does not hide the outer's peak
    let (inner, outer) = peak_above_resident(|| {
        drop(hold(6 << 20));
        peak_above_resident(|| drop(hold(1 << 20))).1
    });
    near(inner, 1 << 20);
    near(outer, 6 << 20);

    // many small pieces, on another thread too
    let (_pieces, peak) = peak_above_resident(|| {
        let here: Vec<_> = (0..1000).map(|_| hold(1000)).collect();
        let there = std::thread::spawn(|| (0..1000).map(|_| hold(1000)).collect::<Vec<_>>()).join();
        (here, there.expect("the thread only allocates"))
    });
    near(peak, 2_000_000 + 2 * 1000 * size_of::<Vec<u8>>() as u64);
}
