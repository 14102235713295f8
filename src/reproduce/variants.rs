//! The experiments that reproduce each figure, table and theorem of the paper.

use super::{Source, Variant};

const fn run(file: &'static str, profile: Option<&'static str>, ranks: &'static [u64]) -> Source {
    Source::Run {
        file,
        profile,
        set: &[],
        ranks,
    }
}

const LAPTOP: &str = "all-MiniLM-L6-v2 on a part of the examples";

const PAPER: &str = "RoBERTa-large, all examples, 20 seeds";

const fn variant(
    item: &'static str,
    name: &'static str,
    what: &'static str,
    source: Source,
) -> Variant {
    Variant {
        item,
        name,
        source,
        what,
    }
}

/// All ways, by item; the first of an item is its default.
pub const VARIANTS: &[Variant] = &[
    variant(
        "figure-1",
        "laptop",
        LAPTOP,
        run("glue_rank", Some("laptop"), &[1, 2, 4]),
    ),
    variant(
        "figure-1",
        "paper",
        PAPER,
        run("glue_rank", Some("paper"), &[1, 2, 4]),
    ),
    variant(
        "figure-1",
        "small",
        "small models on digits, clusters and sentences",
        run("rank", None, &[1, 2, 4]),
    ),
    variant(
        "figure-1",
        "smoke",
        "two tiny fine-tunes, to see that it works",
        run("smoke", None, &[]),
    ),
    variant(
        "figure-2",
        "laptop",
        LAPTOP,
        run("glue_detection", Some("laptop"), &[4]),
    ),
    variant(
        "figure-2",
        "paper",
        PAPER,
        run("glue_detection", Some("paper"), &[4]),
    ),
    variant(
        "figure-2",
        "small",
        "a small transformer on digits",
        run("quickstart", None, &[4]),
    ),
    variant(
        "figure-5",
        "laptop",
        LAPTOP,
        run("glue_clean", Some("laptop"), &[]),
    ),
    variant(
        "figure-5",
        "paper",
        PAPER,
        run("glue_clean", Some("paper"), &[]),
    ),
    variant(
        "figure-5",
        "small",
        "a small transformer on digits",
        Source::Run {
            file: "quickstart",
            profile: None,
            set: &["task.flip=0"],
            ranks: &[1, 2, 4],
        },
    ),
    variant(
        "figure-6",
        "laptop",
        LAPTOP,
        run("glue_detection", Some("laptop"), &[1, 2, 8]),
    ),
    variant(
        "figure-6",
        "paper",
        PAPER,
        run("glue_detection", Some("paper"), &[1, 2, 8]),
    ),
    variant(
        "figure-6",
        "small",
        "a small transformer on digits",
        run("quickstart", None, &[1, 2, 8]),
    ),
    variant(
        "figure-7",
        "laptop",
        LAPTOP,
        run("glue_selection", Some("laptop"), &[]),
    ),
    variant(
        "figure-7",
        "paper",
        PAPER,
        run("glue_selection", Some("paper"), &[]),
    ),
    variant(
        "figure-7",
        "small",
        "a small transformer on digits, among other retraining",
        run("retraining", Some("full"), &[]),
    ),
    variant(
        "figure-7",
        "quick",
        "the same on half of the examples",
        run("retraining", Some("quick"), &[]),
    ),
    variant(
        "table-1",
        "synthetic",
        "fitted exponents on synthetic gradients",
        Source::Theory {
            file: "theory_synthetic",
            claims: &["complexity"],
        },
    ),
    variant(
        "table-2",
        "laptop",
        "SmolLM2-135M-Instruct, 20 training texts and 5 queries a class, adapters in the last 10 layers",
        run("llama_table2", Some("laptop"), &[]),
    ),
    variant(
        "table-2",
        "paper",
        "Llama-2-13B-chat, 90 training texts and 10 queries a class",
        run("llama_table2", Some("paper"), &[]),
    ),
    variant(
        "table-2",
        "quick",
        "SmolLM2-135M-Instruct, 4 training texts and a query a class, adapters in the last 2 layers",
        run("llama_table2", Some("small"), &[]),
    ),
    variant(
        "table-2",
        "small",
        "the sentence transformations, from our own grammar, told apart by a small transformer",
        run("sentences", None, &[]),
    ),
    variant(
        "table-2",
        "styles",
        "style generation by a latent diffusion model of 4 million parameters, 40 training images and 15 queries a style",
        run("styles", Some("laptop"), &[]),
    ),
    variant(
        "table-2",
        "subjects",
        "subject generation by a latent diffusion model of 4 million parameters, 3 training images of each of 30 subjects",
        run("subjects", Some("laptop"), &[]),
    ),
    variant(
        "table-2",
        "styles-paper",
        "style generation by Stable Diffusion v1.5, 200 training images and 50 queries a style",
        run("styles", Some("paper"), &[]),
    ),
    variant(
        "table-2",
        "subjects-paper",
        "subject generation by Stable Diffusion v1.5, 3 training images of each subject",
        run("subjects", Some("paper"), &[]),
    ),
    variant(
        "theorem-1",
        "synthetic",
        "the bound and tighter ones on synthetic gradients",
        Source::Theory {
            file: "theory_synthetic",
            claims: THEOREM,
        },
    ),
    variant(
        "theorem-1",
        "gradients",
        "the same on the gradients of a real fine-tune",
        Source::Theory {
            file: "theory_gradients",
            claims: THEOREM,
        },
    ),
];

const THEOREM: &[&str] = &[
    "ceiling",
    "second_order",
    "second_order_inner",
    "theorem_1",
    "growth_in_d",
];
