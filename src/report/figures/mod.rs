//! The figures: one file each. A figure is drawn only when its data are there; otherwise the report
//! says why it is missing.

mod correlation_rank;
pub mod damping;
mod decomposition;
mod detection;
mod detection_curve;
mod dots;
mod draft;
mod figure;
pub mod findings;
mod frontier;
mod retraining;
mod retrieval;
mod selection;
mod shared;
mod sweep;
mod training;
mod training_cost;

use super::data::{ResultSet, has_values};
use super::tables::damping_text;
use shared::{
    Bounds, caption, change_between, compared, lower_first, mean_point, metric_axis, slug,
};

pub use figure::{Figure, Outcome};
pub use shared::agreement;

/// All figures, in the order of the report.
pub fn all(results: &ResultSet) -> Vec<Outcome> {
    let mut outcomes = vec![
        correlation_rank::draw(results),
        detection::draw(results),
        detection_curve::draw(results),
    ];
    outcomes.extend(sweep::draw(results));
    outcomes.extend([frontier::draw(results), retrieval::draw(results)]);
    outcomes.extend(retraining::draw(results));
    outcomes.extend(decomposition::draw(results));
    outcomes.extend(damping::draw(results));
    outcomes.extend(selection::draw(results));
    // what follows is about training alone; everything before it has a damping
    outcomes
        .iter_mut()
        .for_each(|outcome| say_damping(results, outcome));
    outcomes.push(training::draw(results));
    outcomes.extend(training_cost::draw(results));
    for outcome in &mut outcomes {
        // every figure says what it leaves out, also when that is nothing
        if let Outcome::Drawn(figure) = outcome
            && !figure.caption.contains("Missing: ")
        {
            figure
                .caption
                .push_str(" Missing: nothing, no cell failed and no value is undefined.");
        }
    }
    outcomes
}

/// Adds the damping to a caption that does not speak of it.
fn say_damping(results: &ResultSet, outcome: &mut Outcome) {
    if let Outcome::Drawn(figure) = outcome
        && !figure.caption.contains("amping")
    {
        figure.caption = caption(&[&figure.caption, &damping_text(results)]);
    }
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
    fn acronyms_keep_their_capitals() {
        assert_eq!(
            (lower_first("LoRA rank r"), lower_first("Adapted layers")),
            ("LoRA rank r".to_owned(), "adapted layers".to_owned())
        );
    }

    #[test]
    fn slugs_are_file_names() {
        assert_eq!(slug("sweep task.train, a = {b}"), "sweep_task_train_a_b");
    }
}
