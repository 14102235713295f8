//! Families of pretrained checkpoints: names that Hugging Face's files and PEFT's have for them.

/// A family of checkpoints.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// `model_type` in config.json.
    pub model_type: &'static str,
    /// What stands before the names of the parameters in a file, without its dot, but for those of the head.
    pub prefix: &'static str,
    /// The module that gives a classifier's logits or a language model's: its name has no prefix.
    pub head: &'static str,
    /// Whether PEFT trains the head in full and saves it with an adapter.
    pub trains_head: bool,
    /// PEFT's types of tasks (`task_type`) that its adapters can be for, the usual one first.
    pub tasks: &'static [&'static str],
}

impl Family {
    /// Whether it is of causal language models, not of encoders with a classifier.
    pub fn generates(&self) -> bool {
        !self.trains_head
    }

    /// A parameter's name in Hugging Face's files.
    pub fn full_name(&self, name: &str) -> String {
        let rest = name.strip_prefix(self.head);
        if rest.is_some_and(|rest| rest.starts_with('.')) {
            name.to_owned()
        } else {
            format!("{}.{name}", self.prefix)
        }
    }
}
