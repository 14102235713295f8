//! Names of an adapter's tensors in the three layouts.

/// Key of PEFT's settings in the metadata of a file.
pub(super) const METADATA: &str = "lora_adapter_metadata";
/// What diffusers puts before the names of a UNet's modules.
pub(super) const UNET: &str = "unet.";

/// How the factors are called in a file; see the [module](super).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Of 2023: attention processors.
    Processors,
    /// Of early 2024.
    DownUp,
    /// Since diffusers 0.27: PEFT's names.
    Peft,
}

impl Layout {
    /// Every layout.
    pub const ALL: [Self; 3] = [Self::Processors, Self::DownUp, Self::Peft];

    /// Name of one of the factors of `module`; `b` says which.
    pub(super) fn name(self, module: &str, b: bool) -> String {
        match self {
            Self::Peft => format!("{UNET}{module}.lora_{}.weight", if b { "B" } else { "A" }),
            Self::DownUp => format!(
                "{UNET}{module}.lora.{}.weight",
                if b { "up" } else { "down" }
            ),
            Self::Processors => {
                let module = module.strip_suffix(".0").unwrap_or(module);
                let (attention, matrix) = module.rsplit_once('.').unwrap_or(("", module));
                let part = if b { "up" } else { "down" };
                format!("{UNET}{attention}.processor.{matrix}_lora.{part}.weight")
            }
        }
    }
}

/// What a tensor is to its module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    A,
    B,
    Alpha,
}

/// Module and part of a tensor, by its name in any of the layouts.
pub(super) fn parse(name: &str) -> Option<(String, Part)> {
    const ENDS: [(&str, Part); 8] = [
        (".lora_A.weight", Part::A),
        (".lora_B.weight", Part::B),
        (".lora.down.weight", Part::A),
        (".lora.up.weight", Part::B),
        ("_lora.down.weight", Part::A),
        ("_lora.up.weight", Part::B),
        ("_lora.alpha", Part::Alpha),
        (".alpha", Part::Alpha),
    ];
    let name = name.strip_prefix(UNET).unwrap_or(name);
    let mut ends = ENDS.iter();
    let (start, part) = ends.find_map(|&(end, part)| Some((name.strip_suffix(end)?, part)))?;
    let module = match start.split_once(".processor.") {
        Some((attention, "to_out")) => format!("{attention}.to_out.0"),
        Some((attention, matrix)) => format!("{attention}.{matrix}"),
        None => start.to_owned(),
    };
    Some((module, part))
}
