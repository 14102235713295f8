use super::*;

fn parse(text: &str) -> MethodSpec {
    text.parse().unwrap()
}

#[test]
fn strings_are_read() {
    let built = |text: &str| format!("{:?}", parse(text).method());
    assert_eq!(built("datainf"), "DataInf { group_size: 1, shuffle: true }");
    let spec = parse("datainf:shuffle=false,group_size=8");
    assert_eq!(
        built(&spec.label),
        "DataInf { group_size: 8, shuffle: false }"
    );
    assert_eq!(
        (spec.name(), spec.label.as_str()),
        ("datainf", "datainf:shuffle=false,group_size=8")
    );
    for (text, expected) in [
        ("lissa", "variant: Paper, iterations: 10, scale: Fixed(1.0)"),
        (
            "lissa:scale=auto,variant=code,iterations=3",
            "variant: Code, iterations: 3, scale: Auto",
        ),
        (
            "lissa:scale=2.5",
            "variant: Paper, iterations: 10, scale: Fixed(2.5)",
        ),
    ] {
        assert_eq!(built(text), format!("Lissa {{ {expected} }}"));
    }
}

#[test]
fn mappings_are_read_in_their_order() {
    let read = |text: &str| {
        serde_yaml::from_str::<Vec<MethodSpec>>(text)
            .unwrap()
            .remove(0)
    };
    let spec = read("- {name: datainf, shuffle: false, group_size: 8}");
    assert_eq!(spec, parse("datainf:shuffle=false,group_size=8"));
    assert_eq!(
        read("- {iterations: 20, name: lissa}"),
        parse("lissa:iterations=20")
    );
    assert_eq!(read("- exact"), parse("exact"));
    assert_eq!(read("- name: exact"), parse("exact"));
    assert_eq!(
        serde_json::to_string(&spec).unwrap(),
        "\"datainf:shuffle=false,group_size=8\""
    );
}

#[test]
fn mistakes_say_what_is_allowed() {
    let names: Vec<&str> = METHODS.iter().map(|(info, _)| info.name).collect();
    let unknown = format!(
        "unknown method `datinf` (did you mean `datainf`?); the methods are {}",
        names.join(", ")
    );
    for (text, message) in [
        ("datinf", unknown.as_str()),
        (
            "datainf:groupsize=3",
            "`datainf` has no option `groupsize` (did you mean `group_size`?); it has group_size, shuffle",
        ),
        (
            "hessian_free:scale=1",
            "`hessian_free` has no option `scale`; it takes none",
        ),
        (
            "datainf:group_size=0",
            "`datainf`: group_size is `0`, expected an integer, at least 1",
        ),
        (
            "lissa:variant=papers",
            "`lissa`: variant is `papers`, expected paper or code (did you mean `paper`?)",
        ),
        (
            "lissa:scale=-1",
            "`lissa`: scale is `-1`, expected a positive number or auto",
        ),
        (
            "lissa:iterations=2,iterations=3",
            "`lissa`: iterations is given twice",
        ),
        (
            "lissa:20",
            "`lissa`: found `20` where key=value is expected, as in lissa:variant=paper",
        ),
        (
            "exact:",
            "`exact`: found `` where key=value is expected, as in exact:solver=auto",
        ),
    ] {
        assert_eq!(
            text.parse::<MethodSpec>().unwrap_err().to_string(),
            message,
            "{text}"
        );
    }
    let error = |text: &str| {
        serde_yaml::from_str::<Vec<MethodSpec>>(text)
            .unwrap_err()
            .to_string()
    };
    assert!(
        error("- {iterations: 20}").contains("missing field `name`"),
        "{}",
        error("- {iterations: 20}")
    );
    assert!(error("- {name: lissa, iterations: [1]}").contains("expected a word, a number"));
    assert!(error("- 7").contains("a method as `name:key=value,...`"));
}

#[test]
fn the_schema_names_every_method_and_option() {
    let schema = schemars::schema_for!(MethodSpec).to_value().to_string();
    for (info, _) in METHODS {
        assert!(schema.contains(info.name));
        assert!(
            info.options
                .iter()
                .all(|option| schema.contains(option.key))
        );
    }
}
