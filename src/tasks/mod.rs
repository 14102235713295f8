//! Tasks: examples, targets, and what is known about the truth. One file a task, with its settings, their defaults and
//! ranges, and `build`, which makes the examples.
//!
//! In: settings and a seed; for texts also the folder of a tokenizer. Out: [`TaskData`](crate::data::TaskData). Nothing
//! here knows a model, a method or a metric. A new task is a file here, which implements [`Task`], and an entry in the
//! table below.

pub mod completion;
mod error;
pub mod flip;
pub mod image_folder;
mod json_lines;
pub mod phrases;
pub mod pictures;
pub mod problems;
mod table;
mod task;
pub mod text;

pub use error::TaskError;
pub use task::{DataFiles, Task};

table::tasks! {
    /// Synthetic gradient matrices, no model: for theory and scaling.
    gradients: Gradients(GradientsTask),
    /// Synthetic classification: Gaussian clusters labelled by a frozen teacher.
    clusters: Clusters(ClustersTask),
    /// The 1,797 handwritten digits (8×8) of the UCI optical recognition set, in patches.
    digits: Digits(DigitsTask),
    /// Ten sentence transformations; classify which one was applied.
    sentences: Sentences(SentencesTask),
    /// A task of the GLUE benchmark, from files; needs `model: {name: checkpoint, path: …}`.
    glue: Glue(GlueTask),
    /// Sentence transformations for a language model, as in the paper; from our own generator or the authors' files.
    grammars: Grammars(GrammarsTask),
    /// Word problems for a language model, the answer at once; from our own generator or the authors' files.
    math: Math(MathTask),
    /// Word problems for a language model, the reasoning before the answer; from our own generator or the authors' files.
    math_reasoning: MathReasoning(MathReasoningTask),
    /// Prompts and answers for a language model, from JSON lines.
    instruction: Instruction(InstructionTask),
    /// Images of several styles, for a diffusion pipeline: which training image taught the query's style?
    styles: Styles(StylesTask),
    /// Images of many subjects, for a diffusion pipeline: which training image taught the query's subject?
    subjects: Subjects(SubjectsTask),
    /// Captioned images of one's own, for a diffusion pipeline.
    images: Images(ImagesTask),
}
