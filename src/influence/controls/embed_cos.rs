//! Similar images, or similar captions, without looking at gradients.

use ndarray::Array2;

use super::cosine::negative_cosines;
use super::part::pairs;
use crate::data::Embeddings;
use crate::influence::companions::{Companions, Need};
use crate::influence::cost::{BlockSize, Cost};
use crate::influence::method::{Control, InfluenceMethod};
use crate::influence::registry::{Allowed, Listed, MethodInfo, OptionInfo, Values};
use crate::look::{Dash, Drawn, Given, Look, Marker};

/// Cosine of embeddings: I(k, q) = −e_q·e_k/(‖e_q‖‖e_k‖) with e the pixels of an image, its latents, their mean and
/// standard deviation in every channel, or the state of its caption at the token that ends it.
///
/// Nothing of them depends on the fine-tune. Cost: the width of an embedding for every pair.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbedCos {
    /// What is compared.
    pub of: Embedded,
}

/// What of an example is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Embedded {
    /// [`Embeddings::pixels`].
    #[default]
    Pixels,
    /// [`Embeddings::latents`].
    Latents,
    /// [`Embeddings::pooled`].
    Pooled,
    /// [`Embeddings::captions`].
    Caption,
}

const OF: &str = "of";

impl Listed for EmbedCos {
    const INFO: MethodInfo = MethodInfo {
        name: "embed_cos",
        title: "Pixel cosine",
        look: Some(Look::new([0xb0, 0x4a, 0x8b], Marker::Diamond, Dash::Dotted)),
        variant: shown,
        summary: "control: cosines of images or of their captions, without gradients; needs images",
        formula: "cosine of the two images' pixels or latents or of their captions' text states, in place of a gradient product",
        cost: "the width of an embedding, a pair",
        memory: "(n + m) times the width",
        passes: "0",
        damping: "none",
        source: "a control of our own; CLIP similarity in Zheng et al. 2024, arXiv 2311.00500, is of this kind",
        when: "beside every method on images: what looks alike is found without influence",
        options: &[OptionInfo {
            key: OF,
            default: "pixels",
            allowed: Allowed::Word(&["pixels", "latents", "pooled", "caption"]),
            help: "what is compared: pixels, the autoencoder's latents, their mean and deviation by channel, or the caption's text state",
        }],
    };

    fn from_values(values: &Values) -> Self {
        Self {
            of: match values.word(OF) {
                Some("latents") => Embedded::Latents,
                Some("pooled") => Embedded::Pooled,
                Some("caption") => Embedded::Caption,
                _ => Embedded::Pixels,
            },
        }
    }
}

/// What is compared is the title, and has a dash of its own.
fn shown(given: &Given<'_>, drawn: &mut Drawn) {
    let (title, dash) = match given.get(OF) {
        Some("latents") => ("Latent cosine", Dash::Dashed),
        Some("pooled") => ("Pooled-latent cosine", Dash::LongDashes),
        Some("caption") => ("Caption-state cosine", Dash::Solid),
        _ => ("Pixel cosine", Dash::Dotted),
    };
    title.clone_into(&mut drawn.title);
    if let Some(look) = &mut drawn.look {
        look.dash = dash;
    }
    drawn.shown.push(OF);
}

impl InfluenceMethod for EmbedCos {
    fn control(&self) -> Option<&dyn Control> {
        Some(self)
    }

    fn need(&self) -> Need {
        Need::Embeddings
    }

    fn cost(&self, size: &BlockSize) -> Cost {
        pairs(size)
    }
}

impl Control for EmbedCos {
    fn scores(&self, beside: &Companions<'_>, [m, n]: [usize; 2], _: u64) -> Array2<f64> {
        let Some([train, query]) = beside.embeddings else {
            return Array2::from_elem((m, n), f64::NAN);
        };
        let pick: fn(&Embeddings) -> &Array2<f32> = match self.of {
            Embedded::Pixels => |all| &all.pixels,
            Embedded::Latents => |all| &all.latents,
            Embedded::Pooled => |all| &all.pooled,
            Embedded::Caption => |all| &all.captions,
        };
        negative_cosines(pick(query), pick(train))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn each_option_compares_what_it_says() {
        let embeddings = |x: f32| Embeddings {
            pixels: array![[1.0, x]],
            latents: array![[x, 2.0]],
            pooled: array![[x]],
            captions: array![[0.0, x, x]],
        };
        let beside = [embeddings(3.0), embeddings(-1.0)];
        let companions = Companions {
            embeddings: Some(&beside),
            ..Companions::default()
        };
        for (of, expected) in [
            (Embedded::Pixels, 2.0 / (2.0f64 * 10.0).sqrt()),
            (Embedded::Latents, -1.0 / (5.0f64 * 13.0).sqrt()),
            (Embedded::Pooled, 1.0),
            (Embedded::Caption, 1.0),
        ] {
            let found = EmbedCos { of }.scores(&companions, [1, 1], 0)[(0, 0)];
            assert!((found - expected).abs() < 1e-12, "{of:?}: {found}");
        }
    }
}
