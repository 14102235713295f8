//! The layout of PEFT's adapters, as far as it is about names and files: `adapter_config.json` and which modules it means.
//! [`models::peft`](crate::models::peft) hangs adapters on a network and saves them.

pub mod modules;
pub mod settings;

pub use modules::Modules;
pub use settings::Settings;
