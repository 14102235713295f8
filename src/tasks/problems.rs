//! Word problems of ten kinds with their solutions, from templates: what the tasks of mathematics share.
//!
//! Example i is a problem of kind i mod 10 with numbers drawn from 1 to 99. A problem is not used twice while there are
//! others; kinds with two numbers have 9,801 problems.

use std::collections::HashSet;

use rand::RngExt;

use super::completion::{Completion, CompletionSettings, Examples};
use crate::random::{self, Rng};

/// A kind of problem.
struct Template {
    name: &'static str,
    /// How many numbers it has.
    numbers: usize,
    /// The story and its question.
    question: fn(&[i64]) -> String,
    /// What is computed, and how.
    reason: fn(&[i64]) -> String,
    answer: fn(&[i64]) -> i64,
}

/// The kinds, in the order of their classes.
const TEMPLATES: [Template; 10] = [
    Template {
        name: "apples_left",
        numbers: 3,
        question: |x| {
            format!(
                "A farmer picks {} apples in the morning and {} in the afternoon, then sells {} of them. How many apples does the farmer have left?",
                x[0], x[1], x[2]
            )
        },
        reason: |x| format!("Apples left = {} + {} - {}.", x[0], x[1], x[2]),
        answer: |x| x[0] + x[1] - x[2],
    },
    Template {
        name: "floor_tiles",
        numbers: 2,
        question: |x| {
            format!(
                "A kitchen floor is {} tiles long and {} tiles wide. How many tiles cover it?",
                x[0], x[1]
            )
        },
        reason: |x| format!("Tiles = {} * {}.", x[0], x[1]),
        answer: |x| x[0] * x[1],
    },
    Template {
        name: "free_seats",
        numbers: 3,
        question: |x| {
            format!(
                "A train has {} carriages with {} seats in each, and {} passengers are seated. How many seats are free?",
                x[0], x[1], x[2]
            )
        },
        reason: |x| format!("Free seats = {} * {} - {}.", x[0], x[1], x[2]),
        answer: |x| x[0] * x[1] - x[2],
    },
    Template {
        name: "pages_read",
        numbers: 4,
        question: |x| {
            format!(
                "Nora reads {} pages on Monday, {} on Tuesday, {} on Wednesday and {} on Thursday. How many pages does she read altogether?",
                x[0], x[1], x[2], x[3]
            )
        },
        reason: |x| format!("Pages = {} + {} + {} + {}.", x[0], x[1], x[2], x[3]),
        answer: |x| x.iter().sum(),
    },
    Template {
        name: "ticket_change",
        numbers: 2,
        question: |x| {
            format!(
                "A ticket for the museum costs {} coins. Omar hands over {} coins. How many coins does he get back?",
                x[0], x[1]
            )
        },
        reason: |x| format!("Change = {} - {}.", x[1], x[0]),
        answer: |x| x[1] - x[0],
    },
    Template {
        name: "shared_sweets",
        numbers: 2,
        question: |x| {
            format!(
                "{} sweets are shared out evenly among {} children. How many whole sweets does each child receive?",
                x[0], x[1]
            )
        },
        reason: |x| format!("Sweets each = {} // {}.", x[0], x[1]),
        answer: |x| x[0] / x[1],
    },
    Template {
        name: "future_age",
        numbers: 2,
        question: |x| {
            format!(
                "Grandmother Iris is {} years old today. What will her age be in {} years?",
                x[0], x[1]
            )
        },
        reason: |x| format!("Age then = {} + {}.", x[0], x[1]),
        answer: |x| x[0] + x[1],
    },
    Template {
        name: "rope_pieces",
        numbers: 2,
        question: |x| {
            format!(
                "A sailor cuts a rope of {} metres into pieces of {} centimetres. How many full pieces come of it?",
                x[0], x[1]
            )
        },
        reason: |x| format!("Pieces = ({} * 100) // {}.", x[0], x[1]),
        answer: |x| x[0] * 100 / x[1],
    },
    Template {
        name: "fence_length",
        numbers: 2,
        question: |x| {
            format!(
                "A meadow measures {} metres by {} metres. How long is a fence around all of it, in metres?",
                x[0], x[1]
            )
        },
        reason: |x| format!("Fence = 2 * ({} + {}).", x[0], x[1]),
        answer: |x| 2 * (x[0] + x[1]),
    },
    Template {
        name: "mean_rain",
        numbers: 3,
        question: |x| {
            format!(
                "The rain gauge shows {}, {} and {} millimetres after three storms. What is the mean rainfall of a storm, rounded down?",
                x[0], x[1], x[2]
            )
        },
        reason: |x| format!("Mean = ({} + {} + {}) // 3.", x[0], x[1], x[2]),
        answer: |x| x.iter().sum::<i64>() / 3,
    },
];

/// How often numbers are drawn anew for a problem that was there before.
const DRAWS: usize = 100;

/// As many problems as the settings ask for, with or without the reasoning before the answer.
pub fn generate(settings: &CompletionSettings, reasoning: bool, seed: u64) -> Examples {
    let mut rng = random::rng(seed, "math", "problems");
    let mut used = HashSet::new();
    let mut draw = |count: usize| -> Vec<Completion> {
        let classes = (0..count).map(|index| index % TEMPLATES.len());
        classes
            .map(|class| problem(class, reasoning, &mut used, &mut rng))
            .collect()
    };
    let (train, query) = settings.generated();
    Examples {
        train: draw(train),
        query: draw(query),
    }
}

fn problem(
    class: usize,
    reasoning: bool,
    used: &mut HashSet<(usize, Vec<i64>)>,
    rng: &mut Rng,
) -> Completion {
    let template = &TEMPLATES[class];
    let mut numbers = Vec::new();
    for _ in 0..DRAWS {
        numbers = (0..template.numbers)
            .map(|_| rng.random_range(1..100))
            .collect();
        if used.insert((class, numbers.clone())) {
            break;
        }
    }
    let x = numbers.as_slice();
    let prompt = format!(
        "Solve the following math problem. {} -> ",
        (template.question)(x)
    );
    let reason = if reasoning {
        format!("Reason: {} ", (template.reason)(x))
    } else {
        String::new()
    };
    let text = format!("{prompt}{reason}Answer: {}", (template.answer)(x));
    Completion::generated(prompt, text, template.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of `2 * (3 + 4)`, `(5 * 100) // 7`, ….
    fn value(formula: &str) -> i64 {
        fn sum(text: &mut &str) -> i64 {
            let mut value = product(text);
            loop {
                if let Some(rest) = text.strip_prefix(" + ") {
                    *text = rest;
                    value += product(text);
                } else if let Some(rest) = text.strip_prefix(" - ") {
                    *text = rest;
                    value -= product(text);
                } else {
                    return value;
                }
            }
        }
        fn product(text: &mut &str) -> i64 {
            let mut value = atom(text);
            loop {
                if let Some(rest) = text.strip_prefix(" * ") {
                    *text = rest;
                    value *= atom(text);
                } else if let Some(rest) = text.strip_prefix(" // ") {
                    *text = rest;
                    value = value.div_euclid(atom(text));
                } else {
                    return value;
                }
            }
        }
        fn atom(text: &mut &str) -> i64 {
            if let Some(rest) = text.strip_prefix('(') {
                *text = rest;
                let value = sum(text);
                *text = text.strip_prefix(')').unwrap();
                return value;
            }
            let end = text
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(text.len());
            let (digits, rest) = text.split_at(end);
            *text = rest;
            digits.parse().unwrap()
        }
        let mut rest = formula;
        let value = sum(&mut rest);
        assert!(rest.is_empty(), "{formula}: {rest}");
        value
    }

    #[test]
    fn answers_are_what_the_reasons_compute_and_classes_are_even() {
        let settings = CompletionSettings {
            train: Some(900),
            query: Some(100),
            ..CompletionSettings::default()
        };
        let (with, without) = (generate(&settings, true, 3), generate(&settings, false, 3));
        assert_eq!((with.train.len(), with.query.len()), (900, 100));
        let mut texts = HashSet::new();
        for (one, other) in with.all().zip(without.all()) {
            let rest = one.text.strip_prefix(&one.prompt).unwrap();
            let (reason, answer) = rest.split_once(" Answer: ").unwrap();
            let (_, formula) = reason.split_once(" = ").unwrap();
            let formula = formula.strip_suffix('.').unwrap();
            assert_eq!(value(formula), answer.parse::<i64>().unwrap(), "{rest}");
            assert!(reason.starts_with("Reason: "));
            // the same problem, without the reason
            assert_eq!(other.prompt, one.prompt);
            assert_eq!(other.text, format!("{}Answer: {answer}", one.prompt));
            assert!(texts.insert(one.text.clone()), "twice: {}", one.text);
        }
        for template in &TEMPLATES {
            let of = |list: &[Completion]| {
                let same = list
                    .iter()
                    .filter(|e| e.class.as_deref() == Some(template.name));
                same.count()
            };
            assert_eq!((of(&with.train), of(&with.query)), (90, 10));
        }
        let other = generate(&settings, true, 4);
        assert!(other.train[0].text != with.train[0].text);
        let again = generate(&settings, true, 3);
        assert!(again.all().zip(with.all()).all(|(a, b)| a == b));
    }
}
