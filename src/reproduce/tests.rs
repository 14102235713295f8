use super::*;
use crate::report::paper::items::items;

#[test]
fn every_item_has_variants_that_are_right_but_for_files_that_are_not_there() {
    for item in items() {
        assert!(variants(&item.name).next().is_some(), "{}", item.name);
    }
    for variant in VARIANTS {
        assert!(items().iter().any(|item| item.name == variant.item));
        match variant.source {
            Source::Run { .. } => {
                let plan = variant.plan(&[], false).unwrap_or_else(|e| panic!("{e}"));
                let shown = plan.cells.iter().filter(|cell| variant.shows(&cell.axes));
                assert!(shown.count() > 0, "{}", variant.page());
            }
            Source::Theory { claims, .. } => match variant.theory_plan() {
                Ok(plan) => assert_eq!(plan.claims.len(), claims.len()),
                Err(error) => assert_eq!(error.field, "gradients.path: ", "{error}"),
            },
        }
    }
    let pages: std::collections::BTreeSet<String> = VARIANTS.iter().map(Variant::page).collect();
    assert_eq!(pages.len(), VARIANTS.len());
}

#[test]
fn an_unknown_profile_is_named_with_what_is_allowed() {
    let problem = choose("figure-1", Some("labtop")).expect_err("no such profile");
    assert_eq!(
        problem.message,
        "unknown profile `labtop`; allowed: laptop, paper, small, smoke"
    );
    assert_eq!(problem.help.as_deref(), Some("did you mean `laptop`?"));
    assert_eq!(choose("figure-2", None).expect("a default").name, "laptop");
}

#[test]
fn figure_5_of_digits_has_its_own_folder_and_settings() {
    let variant = choose("figure-5", Some("small")).expect("listed");
    let plan = variant.plan(&[], false).expect("right");
    assert_eq!(variant.folder(&plan), "figure-5-small");
    let other = choose("figure-2", Some("small")).expect("listed");
    assert_eq!(
        other.folder(&other.plan(&[], false).expect("right")),
        "quickstart"
    );
    let config = serde_json::to_value(&plan.cells[0].settings).expect("plain JSON");
    assert_eq!(config["task"]["flip"], 0.0);
}
