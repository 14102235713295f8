use super::*;
use crate::config::schema::schema;

fn misfit(value: Value) -> (String, Problem) {
    let misfit = check(&schema(), &value).unwrap_err();
    (
        crate::config::document::display(&misfit.path),
        misfit.problem,
    )
}

#[test]
fn a_small_experiment_fits() {
    let value = json!({"name": "x", "task": "digits", "lora": {"rank": 2, "layers": {"last": 1}}, "influence": {"methods": ["exact", {"name": "lissa", "iterations": 5}]}});
    if let Err(misfit) = check(&schema(), &value) {
        panic!("{misfit:?}");
    }
}

#[test]
fn misfits_name_place_found_and_allowed() {
    let base = |extra: Value| {
        let mut value = json!({"name": "x", "task": "digits"});
        value
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        value
    };
    for (value, path, text) in [
        (
            base(json!({"lora": {"rnk": 2}})),
            "lora.rnk",
            "unknown field `rnk`",
        ),
        (
            base(json!({"lora": {"rank": 0}})),
            "lora.rank",
            "0 is out of range; allowed: at least 1",
        ),
        (
            base(json!({"lora": {"rank": "two"}})),
            "lora.rank",
            "expected a whole number, found the text \"two\"",
        ),
        (
            base(json!({"lora": {"rank": 1.5}})),
            "lora.rank",
            "expected a whole number, found the number 1.5",
        ),
        (
            base(json!({"lora": {"targets": [3]}})),
            "lora.targets[0]",
            "expected text, found the number 3",
        ),
        (
            base(json!({"lora": {"targets": 3}})),
            "lora.targets",
            "expected a list or text, found the number 3",
        ),
        (
            base(json!({"lora": {"targets": []}})),
            "lora.targets",
            "needs at least 1 item",
        ),
        (
            base(json!({"lora": {"layers": "al"}})),
            "lora.layers",
            "unknown value `al`; allowed: all, a list, a mapping",
        ),
        (
            base(json!({"train": {"base_dropout": "chekpoint"}})),
            "train.base_dropout",
            "unknown value `chekpoint`; allowed: checkpoint, a number",
        ),
        (
            base(json!({"train": {"base_dropout": 1.5}})),
            "train.base_dropout",
            "1.5 is out of range; allowed: between 0 and 0.99",
        ),
        (
            base(json!({"lora": {"layers": {"lst": 1}}})),
            "lora.layers.lst",
            "unknown field `lst`",
        ),
        (
            base(json!({"lora": {"layers": {"from": 1}}})),
            "lora.layers",
            "the field `to` is missing",
        ),
        (
            base(json!({"lora": {"layers": {"from": 1, "upto": 2}}})),
            "lora.layers.upto",
            "unknown field `upto`; allowed: from, to",
        ),
        (
            base(json!({"task": "digit"})),
            "task",
            "unknown value `digit`; allowed: gradients, clusters, digits, sentences",
        ),
        (
            base(json!({"task": {"name": "digits", "flp": 1}})),
            "task.flp",
            "unknown field `flp`",
        ),
        (
            base(json!({"task": {"name": "digits", "flip": 1.5}})),
            "task.flip",
            "1.5 is out of range; allowed: between 0 and 1",
        ),
        (
            base(json!({"influence": {"methods": []}})),
            "influence.methods",
            "needs at least 1 item",
        ),
        (
            base(json!({"train": []})),
            "train",
            "expected a mapping, found a list of 0",
        ),
    ] {
        let (found, problem) = misfit(value);
        assert_eq!(found, path);
        assert!(
            problem.message.contains(text),
            "{path}: {}",
            problem.message
        );
    }
    assert_eq!(
        misfit(base(json!({"lora": {"rnk": 2}}))).1.help.as_deref(),
        Some("did you mean `rank`?")
    );
    assert!(
        misfit(json!({"task": "digits"}))
            .1
            .message
            .contains("`name` is missing")
    );
}
