//! The layout of PEFT's adapters, as far as it is about names and files.

pub mod modules;

pub use modules::Modules;
