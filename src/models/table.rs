//! From the table of architectures to the settings `model:`.

/// Declares the architectures: `name: Variant(Settings)`, with the line that the schema shows of each.
macro_rules! models {
    ($($(#[$about:meta])* $name:ident: $Variant:ident($Settings:ident)),+ $(,)?) => {
        /// The network: `model: transformer`, or `model: {name: transformer, hidden: 64}`.
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(tag = "name", rename_all = "snake_case")]
        pub enum ModelConfig {
            $($(#[$about])* $Variant($Settings),)+
        }

        impl ModelConfig {
            /// The name in the YAML.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$Variant(_) => stringify!($name),)+
                }
            }

            /// The kinds of examples that it reads.
            pub fn reads(&self) -> &'static [$crate::data::Reads] {
                match self {
                    $(Self::$Variant(_) => <$Settings>::reads(),)+
                }
            }

            /// The architectures that read examples of a kind.
            pub fn reading(kind: $crate::data::Reads) -> Vec<&'static str> {
                let all = [$((stringify!($name), <$Settings>::reads())),+];
                let reading = all.into_iter().filter(|(_, kinds)| kinds.contains(&kind));
                reading.map(|(name, _)| name).collect()
            }
        }

        impl std::ops::Deref for ModelConfig {
            type Target = dyn Architecture;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(Self::$Variant(settings) => settings,)+
                }
            }
        }
    };
}
pub(super) use models;
