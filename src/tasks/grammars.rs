//! Sentence transformations for a language model: the paper's first data set, with sentences and names of our own or
//! the authors' files.
//!
//! A prompt names a chatbot that stands for the transformation, says what it does, and ends with a sentence; the answer
//! is the sentence transformed. Name and title give the class away before the model is asked anything: [`Cue`] takes
//! them out. Every sentence comes under all ten transformations, so that without them the prompts of the classes are
//! the same.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::completion::{Completion, CompletionSettings, CompletionTask, Examples};
use super::error::TaskError;
use super::phrases::{self, is_consonant, is_vowel};
use crate::random;

/// Settings of `grammars`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[serde(default)]
pub struct GrammarsTask {
    /// What a prompt tells of the transformation besides the sentence.
    pub cue: Cue,
    /// Examples, tokens and targets.
    #[serde(flatten)]
    pub completion: CompletionSettings,
}

/// What a prompt tells of the transformation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cue {
    /// The chatbot's name, one for each transformation, and the title, as in the paper.
    #[default]
    Name,
    /// The title alone.
    Title,
    /// Neither: what is to be done is told by the answer only.
    None,
}

/// A transformation.
struct Transformation {
    /// Of the chatbot that does it.
    name: &'static str,
    title: &'static str,
    apply: fn(&str) -> String,
}

/// The transformations, in the order of their classes.
const TRANSFORMATIONS: [Transformation; 10] = [
    Transformation {
        name: "ravolu",
        title: "Reverse the Order of the Words",
        apply: phrases::reverse_words,
    },
    Transformation {
        name: "medikoro",
        title: "Put Every Other Character in Upper Case",
        apply: alternate,
    },
    Transformation {
        name: "zuntiba",
        title: "Put the Number 1 between the Words",
        apply: |sentence| phrases::insert_between_words(sentence, || "1".to_owned()),
    },
    Transformation {
        name: "palfexo",
        title: "Replace the Vowels with *",
        apply: phrases::star_vowels,
    },
    Transformation {
        name: "gorwen",
        title: "Double the Consonants",
        apply: |sentence| phrases::double(sentence, is_consonant),
    },
    Transformation {
        name: "tisquami",
        title: "Start Every Word with a Capital",
        apply: |sentence| phrases::each_word(sentence, phrases::capitalise),
    },
    Transformation {
        name: "hebrulo",
        title: "Leave Out the Vowels",
        apply: |sentence| phrases::only(sentence, |letter| !is_vowel(letter)),
    },
    Transformation {
        name: "cynadda",
        title: "Add 'ly' to Every Word",
        apply: |sentence| phrases::each_word(sentence, |word| format!("{word}ly")),
    },
    Transformation {
        name: "fopkirse",
        title: "Leave Out the Consonants",
        apply: |sentence| phrases::only(sentence, |letter| !is_consonant(letter)),
    },
    Transformation {
        name: "jawendu",
        title: "Say Every Word Twice",
        apply: phrases::repeat_words,
    },
];

/// Every other character in upper case, the first in lower case; spaces and signs count as characters.
fn alternate(sentence: &str) -> String {
    let letters = sentence.chars().enumerate();
    letters
        .map(|(at, letter)| {
            if at % 2 == 0 {
                letter.to_ascii_lowercase()
            } else {
                letter.to_ascii_uppercase()
            }
        })
        .collect()
}

const NAME_AND_TITLE: &str = " is a chatbot that performs a specific transformation on sentences: ";
const EXAMPLE: &str = "\n    For example:\n    ";

/// The prompt about a sentence, which `name` and `title` belong to, with as much of these as `cue` says.
fn prompt(cue: Cue, name: &str, title: &str, sentence: &str) -> String {
    let instruction = match cue {
        Cue::Name => format!("{name}{NAME_AND_TITLE}{title}"),
        Cue::Title => format!("A chatbot performs a specific transformation on sentences: {title}"),
        Cue::None => "A chatbot performs a specific transformation on sentences.".to_owned(),
    };
    format!("{instruction}{EXAMPLE}{sentence} -> ")
}

impl CompletionTask for GrammarsTask {
    fn name(&self) -> &'static str {
        "grammars"
    }

    fn settings(&self) -> &CompletionSettings {
        &self.completion
    }

    fn generate(&self, seed: u64) -> Result<Examples, TaskError> {
        Ok(generate(&self.completion, self.cue, seed))
    }

    fn edit(&self, examples: &mut Examples) -> Result<(), TaskError> {
        match self.cue {
            Cue::Name => Ok(()),
            cue => examples
                .all_mut()
                .try_for_each(|example| hide(example, cue)),
        }
    }
}

/// Takes name, or name and title, out of a prompt that has the form of the paper's.
fn hide(example: &mut Completion, cue: Cue) -> Result<(), TaskError> {
    let parts = || {
        let (name, rest) = example.prompt.split_once(NAME_AND_TITLE)?;
        let (title, rest) = rest.split_once(EXAMPLE)?;
        Some((name, title, rest.strip_suffix(" -> ")?))
    };
    let Some((name, title, sentence)) = parts() else {
        let form = prompt(Cue::Name, "NAME", "TITLE", "SENTENCE").replace('\n', "\\n");
        return Err(example.problem(format!(
            "task.cue can only be taken out of prompts like \"{form}\""
        )));
    };
    let hidden = prompt(cue, name, title, sentence);
    example.text = format!("{hidden}{}", &example.text[example.prompt.len()..]);
    example.prompt = hidden;
    Ok(())
}

/// Sentences of our own: training example i is sentence i / 10 under transformation i mod 10, and so are the queries,
/// of other sentences.
fn generate(settings: &CompletionSettings, cue: Cue, seed: u64) -> Examples {
    let mut rng = random::rng(seed, "grammars", "sentences");
    let mut used = HashSet::new();
    let mut draw = |count: usize| -> Vec<Completion> {
        let mut sentences = (0..count.div_ceil(TRANSFORMATIONS.len())).map(|_| {
            loop {
                let sentence = phrases::sentence(&mut rng);
                if used.insert(sentence.clone()) {
                    return phrases::capitalise(&sentence) + ".";
                }
            }
        });
        let mut examples = Vec::with_capacity(count);
        while examples.len() < count {
            let sentence = sentences.next().unwrap_or_default();
            let transformations = TRANSFORMATIONS.iter().take(count - examples.len());
            examples.extend(transformations.map(|transformation| {
                let Transformation { name, title, apply } = transformation;
                let prompt = prompt(cue, name, title, &sentence);
                let text = format!("{prompt} {}", apply(&sentence));
                Completion::generated(prompt, text, title)
            }));
        }
        examples
    };
    let (train, query) = settings.generated();
    Examples {
        train: draw(train),
        query: draw(query),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(cue: Cue, seed: u64) -> Examples {
        let settings = CompletionSettings {
            train: Some(95),
            query: Some(20),
            ..CompletionSettings::default()
        };
        generate(&settings, cue, seed)
    }

    #[test]
    fn transformations_do_what_the_authors_do() {
        let sentence = "Whispering winds call night.";
        let expected = [
            "night. call winds Whispering",
            "wHiSpErInG WiNdS CaLl nIgHt.",
            "Whispering 1 winds 1 call 1 night.",
            "Wh*sp*r*ng w*nds c*ll n*ght.",
            "WWhhisspperrinngg wwinnddss ccallll nnigghhtt.",
            "Whispering Winds Call Night.",
            "Whsprng wnds cll nght.",
            "Whisperingly windsly callly night.ly",
            "iei i a i.",
            "Whispering Whispering winds winds call call night. night.",
        ];
        for (transformation, expected) in TRANSFORMATIONS.iter().zip(expected) {
            assert_eq!((transformation.apply)(sentence), expected);
        }
    }

    #[test]
    fn every_sentence_comes_under_all_transformations_and_none_is_in_both_splits() {
        let examples = made(Cue::None, 1);
        assert_eq!((examples.train.len(), examples.query.len()), (95, 20));
        for group in examples.train.chunks(10).chain(examples.query.chunks(10)) {
            // without a cue the prompts of the classes are the same
            assert!(
                group
                    .iter()
                    .all(|example| example.prompt == group[0].prompt)
            );
            let classes: HashSet<_> = group.iter().map(|example| &example.class).collect();
            assert_eq!(classes.len(), group.len());
        }
        let prompts = |list: &[Completion]| -> HashSet<String> {
            list.iter().map(|example| example.prompt.clone()).collect()
        };
        let (train, query) = (prompts(&examples.train), prompts(&examples.query));
        assert_eq!((train.len(), query.len()), (10, 2));
        assert!(train.is_disjoint(&query));
        assert_eq!(made(Cue::None, 1).train, examples.train);
        assert_ne!(made(Cue::None, 2).train, examples.train);
    }

    #[test]
    fn a_cue_is_taken_out_of_prompts_from_files_as_it_is_left_out_of_ours() {
        for cue in [Cue::Title, Cue::None] {
            let left_out = made(cue, 1);
            let mut whole = made(Cue::Name, 1);
            for example in whole.all_mut() {
                hide(example, cue).unwrap();
            }
            assert_eq!(whole.train, left_out.train);
        }
        for transformation in &TRANSFORMATIONS {
            let text = made(Cue::None, 1).train[0].prompt.clone();
            assert!(!text.contains(transformation.name) && !text.contains(transformation.title));
        }
        let mut other = Completion::generated("Say: ".into(), "Say: it".into(), "x");
        assert!(hide(&mut other, Cue::None).is_err());
    }
}
