//! From the table of tasks to the settings `task:`.

/// Declares the tasks: `file: Variant(Settings)`, with the line that `infbench list tasks` shows of each.
macro_rules! tasks {
    ($($(#[$about:meta])* $file:ident: $Variant:ident($Settings:ident)),+ $(,)?) => {
        $(pub mod $file;)+
        $(pub use $file::$Settings;)+

        /// The data of an experiment: `task: digits`, or with options `task: {name: digits, flip: 0.2}`.
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(tag = "name", rename_all = "snake_case")]
        pub enum TaskConfig {
            $($(#[$about])* $Variant($Settings),)+
        }

        impl TaskConfig {
            /// The name in the YAML.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$Variant(_) => stringify!($file),)+
                }
            }
        }

        impl std::ops::Deref for TaskConfig {
            type Target = dyn Task;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(Self::$Variant(settings) => settings,)+
                }
            }
        }
    };
}
pub(super) use tasks;
