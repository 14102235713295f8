use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::*;
use crate::data::{Inputs, Measurement, NextToken, Reduction};
use crate::tasks::{InstructionTask, Task, TaskError};

const BOS: u32 = 1;
const EOS: u32 = 2;

/// A checkpoint without weights whose tokens are the characters of ASCII, from 3, after `<unk>`, `<s>` and `</s>`.
fn checkpoint(begins: bool) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut vocabulary = Map::new();
    for (id, token) in ["<unk>", "<s>", "</s>"].iter().enumerate() {
        vocabulary.insert((*token).to_owned(), id.into());
    }
    for (id, letter) in ('\u{20}'..='\u{7e}').enumerate() {
        vocabulary.insert(letter.to_string(), (id + 3).into());
    }
    let bos = json!({"SpecialToken": {"id": "<s>", "type_id": 0}});
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let processor = json!({
        "type": "TemplateProcessing", "single": [bos, text], "pair": [bos, text],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [BOS], "tokens": ["<s>"]}},
    });
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "."}, "behavior": "Isolated", "invert": false},
        "post_processor": if begins { processor } else { Value::Null },
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"},
    });
    let write = |name: &str, value: Value| {
        fs::write(folder.path().join(name), value.to_string()).unwrap();
    };
    write("tokenizer.json", tokenizer);
    write(
        "tokenizer_config.json",
        json!({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>",
               "unk_token": "<unk>"}),
    );
    write(
        "config.json",
        json!({"model_type": "llama", "vocab_size": 98}),
    );
    folder
}

fn id(letter: char) -> u32 {
    letter as u32 - 32 + 3
}

fn ids(text: &str) -> Vec<u32> {
    text.chars().map(id).collect()
}

fn example(prompt: &str, answer: &str, class: &str) -> Completion {
    Completion::generated(prompt.to_owned(), format!("{prompt}{answer}"), class)
}

fn examples(train: Vec<Completion>) -> Examples {
    Examples {
        query: vec![example("qu", "a", "x")],
        train,
    }
}

/// Ids, targets and numbers of attended tokens of the training split.
type Parts<'a> = (&'a [Vec<u32>], &'a [Vec<NextToken>], Option<&'a [usize]>);

fn tokens(data: &TaskData) -> Parts<'_> {
    let Inputs::Tokens { ids, attended, .. } = &data.train.inputs else {
        panic!("tokens")
    };
    let Targets::Tokens(targets) = &data.train.targets else {
        panic!("targets that are tokens")
    };
    (ids, &targets.examples, attended.as_deref())
}

/// The tokens at these places, each predicted from the place before.
fn next(ids: &[u32], places: impl IntoIterator<Item = usize>) -> Vec<NextToken> {
    let next = |at: usize| NextToken {
        position: at as u32 - 1,
        token: ids[at],
    };
    places.into_iter().map(next).collect()
}

#[test]
fn answers_all_tokens_and_ends() {
    let folder = checkpoint(true);
    let list = || examples(vec![example("ab", "cd", "x"), example("e", "f", "y")]);
    let whole = [vec![BOS], ids("abcd"), vec![EOS]].concat();
    for (tokens_of, eos, places, ends) in [
        (TargetTokens::Answer, EndOfText::Counted, 3..6, true),
        (TargetTokens::Answer, EndOfText::Masked, 3..5, true),
        (TargetTokens::Answer, EndOfText::None, 3..5, false),
        (TargetTokens::All, EndOfText::Counted, 1..6, true),
        (TargetTokens::All, EndOfText::Masked, 1..5, true),
        (TargetTokens::All, EndOfText::None, 1..5, false),
    ] {
        let settings = CompletionSettings {
            tokens: tokens_of,
            eos,
            reduction: Reduction::Sum,
            measurement: Measurement::LogProbability,
            ..CompletionSettings::default()
        };
        let data = build(list(), &settings, folder.path()).unwrap();
        let (found, targets, attended) = tokens(&data);
        let expected = &whole[..if ends { 6 } else { 5 }];
        assert_eq!(found[0], expected);
        assert_eq!(targets[0], next(expected, places));
        assert_eq!(attended, None);
        let Targets::Tokens(kinds) = &data.query.targets else {
            panic!("targets that are tokens")
        };
        assert_eq!(
            (kinds.reduction, kinds.measurement),
            (Reduction::Sum, Measurement::LogProbability)
        );
        let texts = data.texts.unwrap();
        assert_eq!(data.tuning, None);
        // without tokens that begin or end a text
        assert_eq!(texts.texts[0].prompts, [ids("ab"), ids("e")]);
        assert_eq!(texts.texts[0].whole, [ids("abcd"), ids("ef")]);
        assert_eq!(data.truth.train_classes, Some(vec![0, 1]));
        assert_eq!(data.truth.query_classes, Some(vec![0]));
    }
}

#[test]
fn the_published_loss_counts_padding_that_is_not_attended_to() {
    let folder = checkpoint(false);
    let settings = CompletionSettings {
        tokens: TargetTokens::Published,
        ..CompletionSettings::default()
    };
    let list = examples(vec![
        example("abcde", "f", "x"),
        example("gh", "i", "y"),
        example("j", "k", "y"),
    ]);
    let data = build(list, &settings, folder.path()).unwrap();
    let (found, targets, attended) = tokens(&data);
    let padded = ["gh", "j"].map(|prompt| {
        let mut padded = ids(prompt);
        padded.resize(5, EOS);
        padded
    });
    assert_eq!(found, [ids("abcde"), padded[0].clone(), padded[1].clone()]);
    assert_eq!(attended, Some(&[5, 2, 1][..]));
    // a prompt of one token has only padding to predict
    assert_eq!(targets[1], next(&padded[0], 1..5));
    assert_eq!(
        (&targets[2], data.passed_over),
        (&next(&padded[1], 1..5), 0)
    );
    // fine-tuning predicts all tokens of the whole texts
    let tuning = data.tuning.unwrap();
    let Inputs::Tokens {
        ids: whole,
        attended,
        ..
    } = tuning.inputs
    else {
        panic!("tokens")
    };
    assert_eq!(
        (whole[1].as_slice(), attended),
        (&[id('g'), id('h'), id('i'), EOS][..], None)
    );
    let answers = CompletionSettings {
        train_tokens: Some(TrainTokens::Answer),
        ..settings
    };
    assert_eq!(answers.tokens_of_training(), TargetTokens::Answer);
}

#[test]
fn long_texts_are_refused_or_cut_and_counted() {
    let folder = checkpoint(true);
    let list = || {
        let long = example("abcdefgh", "ijkl", "x");
        examples(vec![example("ab", "c", "x"), long, example("ab", "c", "x")])
    };
    let settings = |truncate| CompletionSettings {
        max_length: 8,
        truncate,
        ..CompletionSettings::default()
    };
    let error = build(list(), &settings(Truncate::Error), folder.path()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "an example of the generator: the text has 14 tokens, max_length is 8; 1 of 3 texts are longer than that, the longest has 14. Raise max_length, or set truncate to left or right"
    );
    let left = build(list(), &settings(Truncate::Left), folder.path()).unwrap();
    let (found, targets, _) = tokens(&left);
    let expected = [vec![BOS], ids("ghijkl"), vec![EOS]].concat();
    assert_eq!(found[1], expected);
    assert_eq!(targets[1], next(&expected, 3..8));
    let texts = left.texts.as_ref().unwrap();
    assert_eq!(
        (texts.truncated, texts.duplicates, left.passed_over),
        (1, 1, 0)
    );
    // of the answer nothing is left
    let right = build(list(), &settings(Truncate::Right), folder.path()).unwrap();
    assert_eq!((right.train.len(), right.passed_over), (2, 1));
    assert_eq!(right.texts.unwrap().truncated, 1);
    let none = examples(vec![example("abcdefgh", "i", "x")]);
    let error = build(none, &settings(Truncate::Right), folder.path()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("task.train: no text has a token to predict within")
    );
    // all tokens but the first of what is left
    let all = CompletionSettings {
        tokens: TargetTokens::All,
        ..settings(Truncate::Right)
    };
    let data = build(list(), &all, folder.path()).unwrap();
    let (found, targets, _) = tokens(&data);
    assert_eq!(found[1], [vec![BOS], ids("abcdefg")].concat());
    assert_eq!(targets[1], next(&found[1], 1..8));
}

/// What a task of these lines says, as training file or as the only one.
fn said(lines: &str, settings: CompletionSettings) -> Result<TaskData, TaskError> {
    let (data, folder) = (tempfile::tempdir().unwrap(), checkpoint(false));
    let path = data.path().join("d.jsonl");
    fs::write(&path, lines).unwrap();
    let task = InstructionTask {
        completion: CompletionSettings {
            path: Some(path),
            ..settings
        },
    };
    task.build(Some(folder.path()), 1)
}

#[test]
fn lines_that_cannot_be_used_are_named() {
    for (line, expected) in [
        (
            "{\"text\": \"a\"}",
            "`prompt` is missing; the line has text",
        ),
        (
            "{\"prompt\": null, \"text\": \"a\"}",
            "`prompt` is missing; the line has text",
        ),
        (
            "{\"prompt\": \"a\", \"class\": 1}",
            "`text` and `answer` are missing; the line has prompt, class",
        ),
        (
            "{\"prompt\": 3, \"text\": \"a\"}",
            "`prompt` is 3, not a text",
        ),
        (
            "{\"prompt\": \"a\", \"text\": [\"ab\"]}",
            "`text` is [\"ab\"], not a text",
        ),
        (
            "{\"prompt\": \"b\", \"text\": \"ab\"}",
            "`text` does not begin with `prompt`: \"ab\", where the prompt is \"b\"",
        ),
        (
            "{\"prompt\": \"a\", \"text\": \"a</s>\", \"class\": \"x\"}",
            "the answer is empty",
        ),
        (
            "{\"prompt\": \"a\", \"answer\": \" \", \"class\": \"x\"}",
            "the answer is empty",
        ),
        (
            "{\"prompt\": \"\", \"answer\": \"b\", \"class\": \"x\"}",
            "the prompt has no tokens",
        ),
        (
            "{\"prompt\": \"a\", \"answer\": \"b\", \"class\": 1.5}",
            "`class` is 1.5; allowed: a text or a whole number",
        ),
        (
            "{\"prompt\": \"a\", \"answer\": \"b\", \"variation\": {}}",
            "`variation` is {}; allowed: a text or a whole number",
        ),
        (
            "{\"prompt\": \"a\", \"answer\": \"b\"}",
            "there is no `class` here, where the examples before have one",
        ),
        ("[{\"prompt\": \"a\"}]", "a JSON array, not JSON lines"),
        (
            "{\"prompt\": [\"a\"], \"text\": [\"ab\"]}",
            "a dictionary of columns (1 values each)",
        ),
        (
            "{\"prompt\": \"a\", ",
            "the object does not end on its line",
        ),
    ] {
        let good = "{\"prompt\": \"a\", \"answer\": \"b\", \"class\": \"x\"}\n";
        let error = said(
            &format!("{good}\n{line}\n{good}"),
            CompletionSettings::default(),
        );
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("d.jsonl:3: ") && error.contains(expected),
            "{line}: {error}"
        );
        assert!(error.len() < 400, "{error}");
    }
    let too_many = CompletionSettings {
        train: Some(9),
        ..CompletionSettings::default()
    };
    let good = "{\"prompt\": \"a\", \"answer\": \"b\"}\n".repeat(5);
    let error = said(&good, too_many).unwrap_err().to_string();
    assert_eq!(error, "task.train is 9; the data has 4");
    let data = said(&good, CompletionSettings::default()).unwrap();
    assert_eq!((data.train.len(), data.query.len()), (4, 1));
    assert_eq!((data.truth.train_classes, data.classes), (None, 0));
}

#[test]
fn files_are_drawn_evenly_over_the_classes() {
    let line = |i: usize| {
        let class = ["x", "y", "z"][if i < 20 { 0 } else { 1 + i % 2 }];
        format!("{{\"prompt\": \"p{i}\", \"answer\": {i}, \"class\": \"{class}\"}}\n")
    };
    let lines: String = (0..40).map(line).collect();
    let settings = CompletionSettings {
        train: Some(12),
        query: Some(3),
        ..CompletionSettings::default()
    };
    let data = said(&lines, settings.clone()).unwrap();
    let classes = data.truth.train_classes.clone().unwrap();
    let count = |class: usize| classes.iter().filter(|c| **c == class).count();
    assert_eq!([count(0), count(1), count(2)], [4, 4, 4]);
    assert_eq!(data.query.len(), 3);
    let texts = data.texts.as_ref().unwrap();
    assert!(
        texts.texts[1]
            .whole
            .iter()
            .all(|query| !texts.texts[0].whole.contains(query))
    );
    assert_eq!(said(&lines, settings).unwrap(), data);
}

#[test]
fn what_is_not_there_is_named() {
    let data = tempfile::tempdir().unwrap();
    let find = |path: &Path| files::Files::find(path).unwrap_err().to_string();
    let allowed = "; allowed: a .jsonl file, or a folder with train.jsonl and test.jsonl or validation.jsonl or dev.jsonl";
    let missing = data.path().join("no");
    assert_eq!(
        find(&missing),
        format!("{} is not there{allowed}", missing.display())
    );
    assert_eq!(
        find(data.path()),
        format!("{} has no train.jsonl{allowed}", data.path().display())
    );
    fs::write(data.path().join("train.jsonl"), "").unwrap();
    assert!(
        find(data.path()).contains("has no test.jsonl and no validation.jsonl and no dev.jsonl")
    );
    fs::write(data.path().join("a.json"), "").unwrap();
    assert!(find(&data.path().join("a.json")).contains("is not a .jsonl file"));
    let task = InstructionTask::default();
    assert_eq!(task.build(None, 1), Err(TaskError::NoTokenizer));
    assert!(task.problem().is_some());
    let empty = tempfile::tempdir().unwrap();
    let error = build(
        examples(Vec::new()),
        &CompletionSettings::default(),
        empty.path(),
    );
    assert!(error.unwrap_err().to_string().contains("config.json"));
    // a tokenizer with more tokens than the model
    let folder = checkpoint(false);
    fs::write(
        folder.path().join("config.json"),
        "{\"model_type\": \"llama\", \"vocab_size\": 50}",
    )
    .unwrap();
    let list = examples(vec![example("ab", "z", "x")]);
    let error = build(list, &CompletionSettings::default(), folder.path()).unwrap_err();
    assert!(
        error.to_string().contains("embedding table has 50 rows"),
        "{error}"
    );
}

#[test]
fn prompt_and_answer_stand_in_the_turns_of_a_chat() {
    let folder = checkpoint(true);
    let template = "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{% if m.role == 'assistant' %}{{ eos_token }} {% endif %}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";
    let write = |template: &str| {
        let settings = json!({
            "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>",
            "unk_token": "<unk>", "chat_template": template,
        });
        fs::write(
            folder.path().join("tokenizer_config.json"),
            settings.to_string(),
        )
        .unwrap();
    };
    write(template);
    let settings = CompletionSettings {
        template: Template::Chat,
        ..CompletionSettings::default()
    };
    let list = || examples(vec![example("ab -> ", " cd", "x")]);
    let data = build(list(), &settings, folder.path()).unwrap();
    let (found, targets, _) = tokens(&data);
    // once, by the template
    let expected = [vec![BOS], ids("[user]ab -> [assistant]cd"), vec![EOS]].concat();
    assert_eq!(found[0], expected);
    assert_eq!(
        targets[0],
        next(&expected, expected.len() - 3..expected.len())
    );
    write("{{ messages | length }}");
    let error = build(list(), &settings, folder.path())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("does not begin with the text that asks"),
        "{error}"
    );
    // no template at all
    let error = build(list(), &settings, checkpoint(true).path())
        .unwrap_err()
        .to_string();
    assert!(error.contains("template"), "{error}");
}
