//! What the paper shows, and the numbers that it gives.
//!
//! Kwon, Wu, Wu and Zou, "DataInf: Efficiently Estimating Data Influence in LoRA-tuned LLMs and Diffusion Models",
//! ICLR 2024 (arXiv 2310.00902). Only numbers that stand in the paper or in its notebooks are here; what is drawn
//! there without numbers is asked as a question. A number that was read off a drawing says so.

/// A figure, a table or the theorem.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// Name on the command line.
    pub name: &'static str,
    /// As the paper calls it.
    pub title: &'static str,
    /// What it shows.
    pub shows: &'static str,
    /// The metrics that it compares methods by; of `selection_accuracy`, the last epoch.
    pub metrics: &'static [&'static str],
    /// The methods that it has, by label.
    pub methods: &'static [&'static str],
    /// Name of the report's figure with the same content.
    pub figure: Option<&'static str>,
    /// Whether a table with a column per method stands above the numbers one by one.
    pub is_wide: bool,
    /// Its numbers.
    pub numbers: &'static [Number],
    /// What a reader asks of it, to be answered by our records.
    pub questions: &'static [Question],
    /// How the paper's experiment was set up, by its text and code: what is set, and how. Those
    /// that neither says are not there, or empty.
    pub setup: &'static [(&'static str, &'static str)],
}

/// A number of the paper.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number {
    /// The task, as our reports name it where it is ours.
    pub task: &'static str,
    /// LoRA rank.
    pub rank: Option<u64>,
    /// The method, by label; empty for none.
    pub method: &'static str,
    /// The metric; `time_ratio` is the runtime over DataInf's.
    pub metric: &'static str,
    /// The value.
    pub value: f64,
    /// Standard deviation that stands with it.
    pub deviation: Option<f64>,
    /// Where it stands.
    pub source: &'static str,
}

/// A question that records answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// The first method is better than the second by the metric.
    Better(&'static str, &'static str, &'static str),
    /// The metric of the method falls from the lowest to the highest rank.
    FallsWithRank(&'static str, &'static str),
    /// Training on the choice of the method is more accurate at the end than on a random choice.
    SelectsWell(&'static str),
}

/// Everything of the paper that is a figure, a table or a theorem.
pub const ITEMS: &[Item] = &[
    Item {
        name: "figure-1",
        title: "Figure 1",
        shows: "Pearson correlation with exact influence on the mean validation loss against the LoRA rank, on four GLUE tasks with 20 % of the labels flipped; it generally falls with the rank",
        metrics: &["pearson_mean_query"],
        methods: &["datainf", "hessian_free", "lissa"],
        figure: Some("correlation_rank"),
        is_wide: false,
        numbers: &[
            figure_1("datainf", 0.64),
            figure_1("hessian_free", 0.50),
            figure_1("lissa", 0.45),
        ],
        questions: CORRELATION,
        setup: &glue("20 %", "1, 2, 4"),
    },
    Item {
        name: "figure-2",
        title: "Figure 2",
        shows: "detection of mislabelled examples (AUC) and runtime at rank 4, on four GLUE tasks",
        metrics: &["detection_auc", "total_seconds"],
        methods: &["exact", "datainf", "hessian_free", "lissa"],
        figure: Some("detection"),
        is_wide: false,
        numbers: &[
            runtime(
                "QQP",
                4,
                "datainf",
                13.0,
                "text: QQP, r = 4, 4500 scores, gradients excluded",
            ),
            runtime(
                "QQP",
                4,
                "lissa",
                70.0,
                "text: QQP, r = 4, 4500 scores, gradients excluded",
            ),
            runtime(
                "QQP",
                4,
                "exact",
                11_279.0,
                "text: QQP, r = 4, 4500 scores, gradients excluded",
            ),
            ratio("lissa", 5.5),
            ratio("exact", 1149.6),
        ],
        questions: DETECTION,
        setup: &glue("20 %", "4"),
    },
    Item {
        name: "figure-5",
        title: "Figure 5",
        shows: "Figure 1 without label noise",
        metrics: &["pearson_mean_query"],
        methods: &["datainf", "hessian_free", "lissa"],
        figure: Some("correlation_rank"),
        is_wide: false,
        numbers: &[],
        questions: CORRELATION,
        setup: &glue("0 %", "1, 2, 4"),
    },
    Item {
        name: "figure-6",
        title: "Figure 6",
        shows: "Figure 2 at ranks 1, 2 and 8",
        metrics: &["detection_auc", "total_seconds"],
        methods: &["exact", "datainf", "hessian_free", "lissa"],
        figure: Some("sweep_lora_rank"),
        is_wide: false,
        numbers: &[
            notebook("datainf", 0.84),
            notebook("hessian_free", 0.71),
            notebook("lissa", 0.70),
            runtime("MRPC", 8, "datainf", 11.5, "their MRPC notebook, r = 8"),
            runtime("MRPC", 8, "lissa", 64.0, "their MRPC notebook, r = 8"),
        ],
        questions: DETECTION,
        setup: &glue("20 %", "1, 2, 8"),
    },
    Item {
        name: "figure-7",
        title: "Figure 7",
        shows: "data selection: training from scratch on the 70 % that a method calls most beneficial, accuracy by epoch, beside a random choice and everything",
        metrics: &["selection_accuracy"],
        methods: &["datainf", "hessian_free", "lissa"],
        figure: Some("selection"),
        is_wide: false,
        numbers: &[],
        questions: &[
            Question::SelectsWell("datainf"),
            Question::SelectsWell("hessian_free"),
            Question::SelectsWell("lissa"),
        ],
        setup: &glue("20 %", ""),
    },
    Item {
        name: "table-1",
        title: "Table 1",
        shows: "how compute and memory of exact influence, LiSSA and DataInf grow with the examples n, the block size d and the blocks L: DataInf is linear in all of them",
        metrics: &[],
        methods: &["exact", "lissa", "datainf"],
        figure: None,
        is_wide: false,
        numbers: &[],
        questions: &[],
        setup: &[],
    },
    Item {
        name: "table-2",
        title: "Table 2",
        shows: "identification of influential data: do the most influential training examples share the test example's class? AUC and recall of Hessian-free and DataInf on language and image models",
        metrics: &["class_auc", "class_recall"],
        methods: &["datainf", "hessian_free"],
        figure: Some("class_retrieval"),
        is_wide: true,
        numbers: &[
            table_2(SENTENCES, "hessian_free", "class_auc", 0.999, 0.002),
            table_2(SENTENCES, "hessian_free", "class_recall", 0.985, 0.033),
            table_2(SENTENCES, "datainf", "class_auc", 1.000, 0.000),
            table_2(SENTENCES, "datainf", "class_recall", 0.997, 0.010),
            table_2(MATH, "hessian_free", "class_auc", 0.770, 0.174),
            table_2(MATH, "hessian_free", "class_recall", 0.258, 0.388),
            table_2(MATH, "datainf", "class_auc", 1.000, 0.000),
            table_2(MATH, "datainf", "class_recall", 0.999, 0.006),
            table_2(REASONING, "hessian_free", "class_auc", 0.772, 0.173),
            table_2(REASONING, "hessian_free", "class_recall", 0.258, 0.388),
            table_2(REASONING, "datainf", "class_auc", 1.000, 0.001),
            table_2(REASONING, "datainf", "class_recall", 0.996, 0.025),
            table_2(STYLE, "hessian_free", "class_auc", 0.692, 0.007),
            table_2(STYLE, "hessian_free", "class_recall", 0.533, 0.008),
            table_2(STYLE, "datainf", "class_auc", 0.820, 0.005),
            table_2(STYLE, "datainf", "class_recall", 0.687, 0.006),
            table_2(SUBJECT, "hessian_free", "class_auc", 0.820, 0.000),
            table_2(SUBJECT, "hessian_free", "class_recall", 0.210, 0.003),
            table_2(SUBJECT, "datainf", "class_auc", 0.865, 0.000),
            table_2(SUBJECT, "datainf", "class_recall", 0.315, 0.003),
        ],
        questions: &[
            Question::Better("class_auc", "datainf", "hessian_free"),
            Question::Better("class_recall", "datainf", "hessian_free"),
            Question::Better("class_auc", "datainf", "exact"),
            Question::Better("class_recall", "datainf", "exact"),
            Question::Better("class_auc", "datainf", "grad_cos"),
            Question::Better("class_recall", "datainf", "grad_cos"),
            Question::Better("class_auc", "datainf", "token_bags"),
            Question::Better("class_recall", "datainf", "token_bags"),
        ],
        setup: &[
            ("model", "Llama-2-13B-chat, 8 bit"),
            ("examples", "900 for training and 100 queries"),
            ("epochs", "25"),
            ("learning rate", "3e-4"),
            ("batch", "64"),
            ("optimiser", "AdamW with β = 0.9 and 0.999, ε = 1e-8"),
            ("adapted matrices", "query, value of all layers"),
            ("rank", "8"),
            ("α", "32"),
            ("initialisation of the adapters", "kaiming"),
            ("dropout of the adapters", "0.05"),
            ("longest text", "128 tokens"),
            ("flipped labels", "0 %"),
            ("damping c", "0.1"),
        ],
    },
    Item {
        name: "theorem-1",
        title: "Theorem 1",
        shows: "the bound on DataInf's error: ‖D − E‖ = O(d²) for bounded gradients and damping, from 2M²d²/λ³",
        metrics: &[],
        methods: &["datainf"],
        figure: None,
        is_wide: false,
        numbers: &[],
        questions: &[],
        setup: &[],
    },
];

const SENTENCES: &str = "sentences";
const MATH: &str = "math, no reasoning";
const REASONING: &str = "math, with reasoning";
const STYLE: &str = "style generation";
const SUBJECT: &str = "subject generation";

const CORRELATION: &[Question] = &[
    Question::Better("pearson_mean_query", "datainf", "hessian_free"),
    Question::Better("pearson_mean_query", "datainf", "lissa"),
    Question::FallsWithRank("pearson_mean_query", "datainf"),
    Question::FallsWithRank("pearson_mean_query", "hessian_free"),
];

const DETECTION: &[Question] = &[
    Question::Better("detection_auc", "datainf", "hessian_free"),
    Question::Better("detection_auc", "datainf", "lissa"),
];

const EXAMPLES: &str = "MRPC 3668 and 408, QQP 4500 and 500, SST-2 4500 and 500, WNLI 635 and 71";

/// The settings of the GLUE experiments, by their text and code; an empty one neither says.
const fn glue(flip: &'static str, rank: &'static str) -> [(&'static str, &'static str); 18] {
    [
        ("model", "RoBERTa-large"),
        ("examples", EXAMPLES),
        ("runs", "20"),
        ("epochs", "10"),
        ("learning rate", "3e-4"),
        ("batch", "32"),
        ("optimiser", "AdamW with β = 0.9 and 0.999, ε = 1e-8"),
        ("weight decay", "0.01"),
        ("learning-rate schedule", "linear with 6 % warm-up"),
        ("dropout of the base", "the checkpoint's"),
        ("adapted matrices", "value of all layers"),
        ("rank", rank),
        ("α", "the rank"),
        ("initialisation of the adapters", "kaiming"),
        ("dropout of the adapters", "0.05"),
        ("longest text", "128 tokens"),
        ("flipped labels", flip),
        ("damping c", "0.1"),
    ]
}

const fn figure_1(method: &'static str, value: f64) -> Number {
    Number {
        task: "MRPC",
        rank: Some(1),
        method,
        metric: "pearson_mean_query",
        value,
        deviation: None,
        source: "Figure 1",
    }
}

const fn notebook(method: &'static str, value: f64) -> Number {
    Number {
        task: "MRPC",
        rank: Some(8),
        method,
        metric: "detection_auc",
        value,
        deviation: None,
        source: "read off the detection curve of their MRPC notebook",
    }
}

const fn runtime(
    task: &'static str,
    rank: u64,
    method: &'static str,
    value: f64,
    source: &'static str,
) -> Number {
    Number {
        task,
        rank: Some(rank),
        method,
        metric: "total_seconds",
        value,
        deviation: None,
        source,
    }
}

const fn ratio(method: &'static str, value: f64) -> Number {
    Number {
        task: "",
        rank: None,
        method,
        metric: "time_ratio",
        value,
        deviation: None,
        source: "text: average over the tasks",
    }
}

const fn table_2(
    task: &'static str,
    method: &'static str,
    metric: &'static str,
    value: f64,
    deviation: f64,
) -> Number {
    Number {
        task,
        rank: None,
        method,
        metric,
        value,
        deviation: Some(deviation),
        source: "Table 2, mean ± standard deviation over test examples",
    }
}

/// How the paper's experiments on images were set up, by its text and by the public code for styles; they differ in the
/// examples and the rank.
const fn of_images(
    examples: &'static str,
    rank: &'static str,
) -> [(&'static str, &'static str); 13] {
    [
        ("model", "Stable Diffusion v1.5"),
        ("examples", examples),
        ("learning rate", "1e-4"),
        ("learning-rate schedule", "cosine with 0 % warm-up"),
        ("batch", "1 × 4 accumulated"),
        (
            "optimiser",
            "AdamW with β = 0.9 and 0.999, ε = 1e-8, gradients no longer than 1",
        ),
        ("weight decay", "0.01"),
        (
            "adapted matrices",
            "to_q, to_k, to_v, to_out.0 of all layers",
        ),
        ("rank", rank),
        ("α", "the rank"),
        ("initialisation of the adapters", "gaussian"),
        ("dropout of the adapters", "0"),
        ("damping c", "0.1"),
    ]
}

const STYLE_SETUP: &[(&str, &str)] = &of_images("600 for training and 150 queries", "1");
const SUBJECT_SETUP: &[(&str, &str)] = &of_images("93 for training and 31 to 93 queries", "4");

impl Item {
    /// [`Self::setup`] of its experiment on `task`.
    pub fn setup_on(&self, task: &str) -> &'static [(&'static str, &'static str)] {
        match task {
            _ if self.setup.is_empty() => &[],
            "styles" => STYLE_SETUP,
            "subjects" => SUBJECT_SETUP,
            _ => self.setup,
        }
    }
}

impl Number {
    /// Whether it belongs to a task of this bench.
    pub fn is_of(&self, task: &str) -> bool {
        let ours = match self.task {
            SENTENCES => "grammars",
            MATH => "math",
            REASONING => "math_reasoning",
            STYLE => "styles",
            SUBJECT => "subjects",
            other => other,
        };
        task == ours || task == self.task
    }
}

/// The item of that name.
pub fn find(name: &str) -> Option<&'static Item> {
    ITEMS.iter().find(|item| item.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::metrics;

    #[test]
    fn names_are_unique_and_numbers_are_of_methods_and_metrics_that_are_compared() {
        let names: BTreeSet<&str> = ITEMS.iter().map(|item| item.name).collect();
        assert_eq!(names.len(), ITEMS.len());
        for item in ITEMS {
            for number in item.numbers {
                assert!(item.methods.contains(&number.method), "{number:?}");
                let known = item.metrics.contains(&number.metric) || number.metric == "time_ratio";
                assert!(known, "{number:?}");
            }
            for metric in item.metrics {
                assert!(metrics::find(metric).is_some() || *metric == "selection_accuracy");
            }
        }
        assert!(find("figure-3").is_none());
    }
}
