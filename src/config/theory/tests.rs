use super::*;

const BASE: &str = "name: t\ngradients: {train: 8, dim: 16}\n";

fn plan(extra: &str) -> TheoryPlan {
    parse("t.yaml", &format!("{BASE}{extra}")).unwrap()
}

fn error(text: &str) -> String {
    format!(
        "{:?}",
        miette::Report::from(*parse("t.yaml", text).unwrap_err())
    )
}

#[test]
fn one_at_a_time_or_all_together() {
    let vary = "vary: {dim: [16, 32], damping: [0.1, 1.0, 10.0]}\n";
    // the base is in both lists
    assert_eq!(plan(vary).settings.len(), 1 + 1 + 2);
    let all = plan(&format!("{vary}combine: all\n"));
    assert_eq!(all.settings.len(), 6);
    assert_eq!(all.settings[0], all.base);
    assert_eq!(all.varied.len(), 2);
    assert_eq!(plan("").claims.len(), infos().count());
}

#[test]
fn the_schema_has_both_kinds_of_gradients_and_no_loose_ends() {
    let schema = schema();
    let kinds = schema["properties"]["gradients"]["oneOf"]
        .as_array()
        .unwrap();
    assert_eq!(kinds.len(), 2);
    for (kind, field) in kinds.iter().zip(["spectrum_decay", "query"]) {
        let pointer = kind["$ref"].as_str().unwrap().trim_start_matches('#');
        let kind = schema.pointer(pointer).unwrap();
        assert!(kind["properties"].get(field).is_some(), "{kind}");
        assert_eq!(kind["additionalProperties"], false);
    }
    // every reference is there
    let text = schema.to_string();
    for name in text.split("#/$defs/").skip(1) {
        let name = name.split('"').next().unwrap();
        assert!(schema["$defs"].get(name).is_some(), "{name}");
    }
}

#[test]
fn stored_gradients_are_told_by_their_path() {
    let plan = parse(
        "t.yaml",
        "name: t\ngradients: {path: g.safetensors}\nvary: {train: [4, 8]}\n",
    )
    .unwrap();
    assert!(matches!(plan.base.source, Source::Stored(_)));
    assert_eq!(plan.settings.len(), 3);
    assert_eq!(plan.settings[1].axes["train"], 4.0);
}

#[test]
fn mistakes_say_what_is_allowed() {
    for (text, parts) in [
        (
            "name: t\ngradients: {trian: 8}\n",
            vec![
                "t.yaml:2:13",
                "unknown field `trian`",
                "did you mean `train`",
            ],
        ),
        (
            "name: t\ngradients: {path: x, blokcs: whole}\n",
            vec![
                "t.yaml:2:22",
                "unknown field `blokcs`",
                "did you mean `blocks`",
            ],
        ),
        (
            "name: t\ngradients: {}\nclaims: [jensen, celing]\n",
            vec![
                "t.yaml:3:18",
                "unknown claim `celing`",
                "did you mean `ceiling`",
            ],
        ),
        (
            "name: t\ngradients: {}\nclaims: [jensen, jensen]\n",
            vec!["t.yaml:3:18", "given twice"],
        ),
        (
            "name: t\ngradients: {}\nvary: {rank: [1]}\n",
            vec!["t.yaml:3:8", "unknown field `rank`", "spectrum_decay"],
        ),
        (
            "name: t\ngradients: {}\nvary: {damping: [0.1, -1]}\n",
            vec!["t.yaml:3:23"],
        ),
        (
            "name: t\ngradients: {}\nvary: {dim: [8, 8]}\n",
            vec!["t.yaml:3:17", "given twice"],
        ),
        (
            "name: t\ngradients: {path: x}\nvary: {norm_tail: [0.5]}\n",
            vec!["t.yaml:3:8", "synthetic gradients only"],
        ),
        (
            "name: t\ngradients: {path: x}\nseeds: [1]\n",
            vec!["t.yaml:3:1", "would do nothing"],
        ),
        ("name: t\n", vec!["the field `gradients` is missing"]),
        (
            "name: t\ngradients: {}\ncomplexity: {train: [8, 16], dim: [1, 2, 3], blocks: [1, 2, 3]}\n",
            vec!["t.yaml:3:21", "at least 3"],
        ),
    ] {
        let message = error(text);
        for part in parts {
            assert!(message.contains(part), "{text}: {part}\n{message}");
        }
    }
}
