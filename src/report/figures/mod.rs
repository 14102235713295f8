//! The figures. A figure is drawn only when its data are there; otherwise the report
//! says why it is missing.

mod decomposition;
mod detection_curve;
mod dots;
pub mod draft;
mod figure;
pub mod findings;
mod frontier;
mod selection;
mod shared;
pub mod sweeps;
mod training;
mod training_cost;

use super::tables::damping_text;
use crate::report::data::ResultSet;
use figure::omitted;
use shared::{
    caption, change_between, compared, lower_first, mean_series, metric_axis, named, references,
    slug, taken, why_missing,
};

pub use figure::{Figure, Outcome};
pub use shared::{agreement, mean_point};

/// All figures, in the order of the report.
pub fn all(results: &ResultSet) -> Vec<Outcome> {
    let mut outcomes = vec![sweeps::correlation_with_rank(results)];
    outcomes.extend(dots::draw(results, &dots::DETECTION));
    outcomes.push(detection_curve::draw(results));
    outcomes.extend(sweeps::every_setting(results));
    outcomes.push(frontier::draw(results));
    let by_method = [dots::RETRIEVAL, dots::LDS, dots::LEAVE_ONE_OUT];
    outcomes.extend(
        by_method
            .iter()
            .filter_map(|figure| dots::draw(results, figure)),
    );
    outcomes.extend(decomposition::draw(results));
    outcomes.extend(sweeps::retraining_with_damping(results));
    outcomes.extend(selection::draw(results));
    // what follows is about training alone; everything before it has a damping
    let with_damping = outcomes.len();
    outcomes.push(training::draw(results));
    outcomes.extend(training_cost::draw(results));
    for (i, outcome) in outcomes.iter_mut().enumerate() {
        let Ok(figure) = outcome else { continue };
        let said = &mut figure.caption;
        if i < with_damping && !said.contains("amping") {
            *said = caption([said.as_str(), &damping_text(results)]);
        }
        // every figure says what it leaves out, also when that is nothing
        if !said.contains("Missing: ") {
            said.push_str(" No failures or undefined values.");
        }
    }
    outcomes
}

#[cfg(test)]
mod tests {
    use super::super::synthetic;
    use super::*;

    #[test]
    fn no_two_texts_of_a_figure_overlap_and_none_leaves_it() {
        let mut drawn = 0;
        for (name, records) in synthetic::all() {
            for figure in all(&ResultSet::new(&records)).into_iter().flatten() {
                drawn += 1;
                crate::report::chart::check_texts(&figure.chart)
                    .unwrap_or_else(|problem| panic!("{name}/{}: {problem}", figure.id));
            }
        }
        assert!(drawn > 10, "{drawn}");
    }

    #[test]
    fn acronyms_keep_their_capitals_and_slugs_are_file_names() {
        assert_eq!(lower_first("LoRA rank r"), "LoRA rank r");
        assert_eq!(lower_first("Adapted layers"), "adapted layers");
        assert_eq!(slug("sweep task.train, a = {b}"), "sweep_task_train_a_b");
    }
}
