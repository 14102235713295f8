use super::*;

const BASE: &str = "name: t\ntask: {name: gradients, train: 40}\n";

fn titles(extra: &str) -> Vec<String> {
    let plan = parse("t.yaml", &format!("{BASE}{extra}"), None, &[]).unwrap();
    plan.cells.iter().map(Cell::title).collect()
}

fn error(text: &str) -> String {
    parse("t.yaml", text, None, &[]).unwrap_err().to_string()
}

#[test]
fn grid_and_zip_combine_with_seeds_outermost() {
    let found = titles(
        "seeds: [3, 4]\nsweep:\n  task.dim: [8, 16]\n  zip:\n    task.blocks: [1, 2]\n    task.query: [5, 6]\n",
    );
    assert_eq!(found.len(), 8);
    assert_eq!(found[0], "task.dim=8 task.blocks=1 task.query=5 seed=3");
    assert_eq!(found[1], "task.dim=8 task.blocks=2 task.query=6 seed=3");
    assert_eq!(found[4], "task.dim=8 task.blocks=1 task.query=5 seed=4");
}

#[test]
fn identity_depends_on_settings_and_seed_only() {
    let id = |text: &str| {
        parse("t.yaml", text, None, &[]).unwrap().cells[0]
            .id
            .clone()
    };
    assert_eq!(id(BASE), id(&BASE.replace("name: t", "name: other")));
    assert_eq!(
        id(BASE),
        id(&format!("{BASE}seed: 0\ninfluence: {{damping: 0.1}}\n"))
    );
    assert_ne!(id(BASE), id(&format!("{BASE}seed: 1\n")));
    assert_ne!(
        id(BASE),
        id(&format!("{BASE}influence: {{damping: 0.2}}\n"))
    );
}

#[test]
fn wrong_sweeps_are_refused_with_their_place() {
    let case = |extra: &str| error(&format!("{BASE}{extra}"));
    assert!(
        case("sweep: {lor.rank: [1]}\n")
            .contains("t.yaml:3:9: sweep.lor.rank: unknown setting to sweep `lor`")
    );
    assert!(case("sweep: {task.dim: []}\n").contains("at least one item"));
    assert!(case("sweep: {task.dim: [8, 8]}\n").contains("8 is given twice"));
    assert!(
        case("sweep: {task.dim: [8, 0]}\n").contains("t.yaml:3:23: task.dim: 0 is out of range")
    );
    assert!(case("sweep: {task.dm: [8]}\n").contains("unknown field `dm`"));
    assert!(case("sweep: {zip: {task.dim: [8], task.blocks: [1, 2]}}\n").contains("equally long"));
    assert!(
        case("sweep: {task.dim: [8], zip: {task.dim: [8]}}\n")
            .contains("t.yaml:3:30: sweep.zip.task.dim: this setting is swept twice")
    );
    assert!(case("seeds: [1, 1]\n").contains("the seed 1 is given twice"));
    assert!(case("lora: {rank: 2}\n").contains("no model"));
}

#[test]
fn overrides_are_checked_and_named() {
    let plan = parse("t.yaml", BASE, None, &["task.dim=32".into()]).unwrap();
    assert_ne!(
        plan.cells[0].id,
        parse("t.yaml", BASE, None, &[]).unwrap().cells[0].id
    );
    let error = parse("t.yaml", BASE, None, &["task.dim=0".into()])
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("--set:1:1: task.dim: 0 is out of range"),
        "{error}"
    );
    assert!(
        parse("t.yaml", BASE, None, &["task.dim".into()])
            .unwrap_err()
            .message
            .contains("path=value")
    );
}
