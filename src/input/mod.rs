//! Files and texts from outside. What a user hands over is often not what its name says: a Git LFS pointer, a web page,
//! an empty file, text in another encoding. Every reader of the crate goes through here, so that each of these has one
//! message that says what the file is, where, and what to do.
//!
//! [`text`] and [`json`] read whole files; [`explain`] says what a binary file is that its parser refused; [`quote`] is
//! how every message repeats something that a user wrote; [`expand_home`] is `~` in a path.

mod error;
mod foreign;
mod home;
mod nearest;
mod problem;
mod quote;
mod read;

pub use error::InputError;
pub use foreign::explain;
pub use home::expand_home;
pub use nearest::{did_you_mean, nearest, or_meant, suggestion};
pub use problem::Problem;
pub use quote::{listed, quote, quote_name, shorten};
pub use read::{bytes, decode, json, json_problem, parse_json, text};
