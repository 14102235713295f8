//! The device that tests run on.

use infbench::device::DeviceChoice;

/// The device that `INFBENCH_TEST_DEVICE` names.
pub fn named() -> Option<DeviceChoice> {
    let name = std::env::var("INFBENCH_TEST_DEVICE").ok()?;
    Some(name.parse().expect("a device of this build"))
}

/// The device that is tested: the one named, or the pure-Rust one.
#[allow(dead_code)]
pub fn device() -> DeviceChoice {
    named().unwrap_or_default()
}
