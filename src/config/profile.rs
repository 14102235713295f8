//! `profiles:` named sets of settings for one experiment, of which `--profile` chooses one.
//!
//! A profile holds dotted paths and values, as `--set` takes them. They are put into the document before
//! anything is checked, so that they are checked like all other settings, with their own lines.

use serde_json::Value;

use super::document::{Document, Path, describe, setting_path};
use super::error::ConfigError;
use super::name;
use crate::input::{Problem, quote};

/// A named set of settings.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Profile {
    /// Its name.
    pub name: String,
    /// Dotted paths and values, in the order of the file.
    settings: Vec<(String, Value)>,
}

impl Profile {
    /// Puts its settings into `document`, in the order of the file.
    ///
    /// # Errors
    /// A path that is none, or one that leads through a plain value.
    pub fn apply(&self, document: &mut Document) -> Result<(), Box<ConfigError>> {
        for (text, value) in &self.settings {
            let origin = place(&[&self.name, text]);
            let path =
                setting_path(text).map_err(|problem| document.error(&origin, true, problem))?;
            document.set(&path, value.clone(), &origin).map_err(|at| {
                let problem = Problem::new(format!("`{at}` is a plain value and has no fields"));
                document.error(&origin, true, problem)
            })?;
        }
        Ok(())
    }
}

fn place(below: &[&str]) -> Path {
    let segments = std::iter::once("profiles").chain(below.iter().copied());
    segments.map(str::to_owned).collect()
}

/// Takes the profiles out of a document; there are none in most.
///
/// # Errors
/// What is no mapping of names to mappings, an empty one, a name that cannot be part of a folder's.
pub(super) fn take(document: &mut Document) -> Result<Vec<Profile>, Box<ConfigError>> {
    let value = document
        .value
        .as_object_mut()
        .and_then(|settings| settings.shift_remove("profiles"));
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let wrong = |at: &[&str], at_key, message: String| {
        Err(document.error(&place(at), at_key, Problem::new(message)))
    };
    let Value::Object(profiles) = value else {
        let found = describe(&value);
        return wrong(
            &[],
            false,
            format!("expected a mapping of names to settings, found {found}"),
        );
    };
    if profiles.is_empty() {
        return wrong(&[], false, "needs at least one profile".to_owned());
    }
    let mut all = Vec::with_capacity(profiles.len());
    for (name, settings) in profiles {
        if let Some(problem) = name::problem(&name) {
            return Err(document.error(&place(&[&name]), true, problem));
        }
        let Value::Object(settings) = settings else {
            let found = describe(&settings);
            return wrong(
                &[&name],
                false,
                format!("expected a mapping such as {{lora.rank: 4}}, found {found}"),
            );
        };
        all.push(Profile {
            name,
            settings: settings.into_iter().collect(),
        });
    }
    Ok(all)
}

/// The profile called `asked`; none when the file has none and none is asked for.
///
/// # Errors
/// A name that no profile has, a profile asked for where there are none, none where there are some.
pub(super) fn choose<'p>(
    document: &Document,
    profiles: &'p [Profile],
    asked: Option<&str>,
) -> Result<Option<&'p Profile>, Box<ConfigError>> {
    let names = || profiles.iter().map(|profile| profile.name.as_str());
    let Some(asked) = asked else {
        if profiles.is_empty() {
            return Ok(None);
        }
        let list: Vec<&str> = names().collect();
        let problem = Problem::new(format!(
            "choose one with --profile; this experiment has: {}",
            list.join(", ")
        ));
        let help = format!("--profile {}", list[0]);
        return Err(document.error(&place(&[]), true, problem.with_help(help)));
    };
    let wrong = |problem| {
        Err(ConfigError::at(
            "--profile",
            asked,
            (0, asked.len()),
            "",
            problem,
        ))
    };
    if profiles.is_empty() {
        return wrong(Problem::new(format!(
            "this experiment has no profiles; found `{}`",
            quote(asked)
        )));
    }
    match profiles.iter().find(|profile| profile.name == asked) {
        Some(profile) => Ok(Some(profile)),
        None => wrong(Problem::unknown("profile", asked, names())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::grid::parse;
    use super::super::{Plan, TaskConfig};

    const FILE: &str = "\
name: t
task: {name: gradients, train: 40}
influence: {methods: [exact, datainf]}
profiles:
  paper:
    seeds: [0, 1, 2]
    task.train: 400
    sweep.task.dim: [8, 16]
  laptop:
    influence.methods: [exact, hessian_free]
    sweep: {zip: {task.dim: [4, 8], task.blocks: [1, 2]}}
";

    fn plan(profile: &str, set: &[&str]) -> Plan {
        let set: Vec<String> = set.iter().map(|text| (*text).to_owned()).collect();
        parse("t.yaml", FILE, Some(profile), &set).unwrap()
    }

    fn error(text: &str, profile: Option<&str>) -> String {
        parse("t.yaml", text, profile, &[]).unwrap_err().to_string()
    }

    fn train(plan: &Plan) -> usize {
        match &plan.cells[0].settings.task {
            TaskConfig::Gradients(task) => task.train,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_profile_changes_settings_seeds_methods_and_sweep() {
        let paper = plan("paper", &[]);
        assert_eq!((paper.cells.len(), train(&paper)), (6, 400));
        assert_eq!(paper.cells[1].title(), "task.dim=16 seed=0");
        assert_eq!(paper.profile.as_deref(), Some("paper"));
        assert_eq!(paper.folder(), "t-paper");
        let laptop = plan("laptop", &[]);
        assert_eq!((laptop.cells.len(), train(&laptop)), (2, 40));
        assert_eq!(laptop.cells[1].title(), "task.dim=8 task.blocks=2 seed=0");
        let methods = &laptop.cells[0].settings.influence.methods;
        assert_eq!(methods[1].label, "hessian_free");
    }

    #[test]
    fn the_command_line_comes_after_the_profile() {
        let plan = plan(
            "paper",
            &["task.train=50", "sweep.task.dim=[32]", "seeds=[7]"],
        );
        assert_eq!((plan.cells.len(), train(&plan)), (1, 50));
        assert_eq!(plan.cells[0].title(), "task.dim=32 seed=7");
    }

    #[test]
    fn one_must_be_chosen_and_be_there() {
        assert_eq!(
            error(FILE, None),
            "t.yaml:4:1: profiles: choose one with --profile; this experiment has: paper, laptop"
        );
        let unknown = parse("t.yaml", FILE, Some("labtop"), &[]).unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "--profile:1:1: unknown profile `labtop`; allowed: paper, laptop"
        );
        let help = miette::Diagnostic::help(&*unknown).map(|help| help.to_string());
        assert_eq!(help.as_deref(), Some("did you mean `laptop`?"));
        let plain = "name: t\ntask: gradients\n";
        assert!(error(plain, Some("paper")).contains("has no profiles"));
    }

    #[test]
    fn every_profile_is_checked_at_its_own_line() {
        let with =
            |settings: &str| error(&format!("{FILE}  third: {{{settings}}}\n"), Some("paper"));
        for (settings, message) in [
            (
                "task.trian: 4",
                "t.yaml:12:11: task.trian: unknown field `trian`",
            ),
            (
                "task.train: 0",
                "t.yaml:12:23: task.train: 0 is out of range",
            ),
            (
                "seeds: [4, 4]",
                "t.yaml:12:22: seeds[1]: the seed 4 is given twice",
            ),
            (
                "sweep.task.dim: [8, 0]",
                "t.yaml:12:31: task.dim: 0 is out of range",
            ),
            (
                "sweep.tsk.dim: [8]",
                "t.yaml:12:11: sweep.tsk.dim: unknown setting to sweep `tsk`",
            ),
            (
                "influence.methods: [exact, datinf]",
                "t.yaml:12:38: influence.methods[1]: unknown method `datinf`",
            ),
            ("lora..rank: 4", "expected a dotted path"),
            ("profiles.paper: 4", "cannot be changed"),
            (
                "name.x: 4",
                "t.yaml:12:11: profiles.third.name.x: `name` is a plain value",
            ),
        ] {
            let found = with(settings);
            assert!(found.contains(message), "{settings}: {found}");
        }
        let base = "name: t\ntask: gradients\nprofiles";
        let case = |text: &str| error(&format!("{base}: {text}\n"), Some("a"));
        assert!(case("[a]").contains("t.yaml:3:11: profiles: expected a mapping of names"));
        assert!(case("{}").contains("at least one profile"));
        assert!(case("{a: 3}").contains("profiles.a: expected a mapping"));
        assert!(
            case("{a/b: {}}")
                .contains("t.yaml:3:12: profiles.a/b: `a/b` cannot be a name: it has `/`")
        );
    }
}
