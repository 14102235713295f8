//! The figures: one file each. A figure is drawn only when its data are there; otherwise the report
//! says why it is missing.

mod by_method;
mod correlation_rank;
pub mod damping;
mod decomposition;
mod detection_curve;
mod dots;
pub mod draft;
mod figure;
pub mod findings;
mod frontier;
mod selection;
mod shared;
mod sweep;
mod training;
mod training_cost;

use super::tables::damping_text;
use crate::report::data::ResultSet;
use shared::{
    Bounds, caption, change_between, compared, lower_first, metric_axis, named, references, slug,
    taken, why_missing,
};

pub use figure::{Figure, Outcome};
pub use shared::{agreement, mean_point};

/// All figures, in the order of the report.
pub fn all(results: &ResultSet) -> Vec<Outcome> {
    let mut outcomes = vec![correlation_rank::draw(results)];
    outcomes.extend(dots::draw(results, &by_method::DETECTION));
    outcomes.push(detection_curve::draw(results));
    outcomes.extend(sweep::draw(results));
    outcomes.push(frontier::draw(results));
    let dots = [
        by_method::RETRIEVAL,
        by_method::LDS,
        by_method::LEAVE_ONE_OUT,
    ];
    outcomes.extend(dots.iter().filter_map(|figure| dots::draw(results, figure)));
    outcomes.extend(decomposition::draw(results));
    outcomes.extend(damping::draw(results));
    outcomes.extend(selection::draw(results));
    // what follows is about training alone; everything before it has a damping
    let with_damping = outcomes.len();
    outcomes.push(training::draw(results));
    outcomes.extend(training_cost::draw(results));
    for (i, outcome) in outcomes.iter_mut().enumerate() {
        let Outcome::Drawn(figure) = outcome else {
            continue;
        };
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
            for outcome in all(&ResultSet::new(&records)) {
                let Outcome::Drawn(figure) = outcome else {
                    continue;
                };
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
