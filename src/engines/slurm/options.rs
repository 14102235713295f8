//! Options of sbatch that a user gives: which of them stand as they are, which are requests, and which are refused.
//!
//! `time` and `mem` take the place of the forecast as the request of every task; like it they are doubled in the second
//! attempt of what ran out of them. What decides how tasks are numbered, how jobs wait for one another and where their
//! output goes is not to be changed. Everything else is handed to sbatch, in place of ours of the same name.

/// What is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Given {
    /// Time of every task, seconds.
    pub seconds: Option<f64>,
    /// Memory of every task, bytes; 0: all that a node has.
    pub memory: Option<f64>,
    /// What sbatch is handed.
    pub others: Vec<(String, String)>,
}

/// Options that are refused, and what there is in their place.
const REFUSED: [(&str, &str); 14] = [
    ("array", "--array-limit bounds the tasks at a time"),
    ("cpus-per-task", "--cpus gives cores to a task"),
    ("dependency", "jobs wait for one another by themselves"),
    ("error", "output goes to jobs/logs of the results"),
    ("job-name", "jobs are named after the experiment"),
    ("mem-per-cpu", "--sbatch mem=AMOUNT is the memory of a task"),
    ("mem-per-gpu", "--sbatch mem=AMOUNT is the memory of a task"),
    ("no-requeue", "interrupted tasks are started again"),
    ("ntasks", "a task is one process"),
    ("open-mode", "output goes to jobs/logs of the results"),
    ("output", "output goes to jobs/logs of the results"),
    ("parsable", "it is given anyway"),
    ("requeue", "it is given anyway"),
    ("wrap", "a preamble (--preamble FILE) runs before the work"),
];

impl Given {
    /// Sorts options, as (key, value).
    ///
    /// # Errors
    /// One that is refused, or an amount that Slurm would not understand.
    pub fn of(options: &[(String, String)]) -> Result<Self, String> {
        let mut given = Self::default();
        for (key, value) in options {
            if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| refused == key) {
                return Err(format!("--sbatch {key} is not allowed: {why}"));
            }
            let wrong = |allowed: &str| {
                let value = crate::input::quote(value);
                format!("--sbatch {key}={value}: allowed: {allowed}")
            };
            match key.as_str() {
                "time" => {
                    let allowed = "minutes, [hours:]minutes:seconds or days-hours[:minutes[:seconds]], above 0";
                    given.seconds = Some(seconds(value).ok_or_else(|| wrong(allowed))?);
                }
                "mem" => {
                    let allowed =
                        "a number of MiB, or one with K, M, G or T, or 0 for all that a node has";
                    given.memory = Some(bytes(value).ok_or_else(|| wrong(allowed))?);
                }
                _ => given.others.push((key.clone(), value.clone())),
            }
        }
        Ok(given)
    }
}

/// Seconds of a time limit in Slurm's notation.
fn seconds(text: &str) -> Option<f64> {
    let (days, rest) = match text.split_once('-') {
        Some((days, rest)) => (Some(whole(days)?), rest),
        None => (None, text),
    };
    let parts: Vec<f64> = rest.split(':').map(whole).collect::<Option<_>>()?;
    let seconds = match (days, &parts[..]) {
        (Some(days), [hours, rest @ ..]) if rest.len() < 3 => {
            let [minutes, seconds] = [0, 1].map(|index| rest.get(index).unwrap_or(&0.0));
            86_400.0 * days + 3600.0 * hours + 60.0 * minutes + seconds
        }
        (None, [minutes]) => 60.0 * minutes,
        (None, [minutes, seconds]) => 60.0 * minutes + seconds,
        (None, [hours, minutes, seconds]) => 3600.0 * hours + 60.0 * minutes + seconds,
        _ => return None,
    };
    Some(seconds).filter(|&seconds| seconds > 0.0)
}

/// Bytes of an amount of memory in Slurm's notation.
fn bytes(text: &str) -> Option<f64> {
    let (number, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(end) => text.split_at(end),
        None => (text, "M"),
    };
    let unit = unit.to_ascii_uppercase();
    let mut letters = unit.trim_end_matches('B').chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) => Some(whole(number)? * super::accounting::unit(letter)?),
        _ => None,
    }
}

fn whole(text: &str) -> Option<f64> {
    text.parse().ok().map(|number: u32| f64::from(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str) -> Result<Given, String> {
        let options = text.split_whitespace().map(|option| {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            (key.to_owned(), value.to_owned())
        });
        Given::of(&options.collect::<Vec<_>>())
    }

    #[test]
    fn time_and_memory_are_requests_and_the_rest_is_handed_on() {
        let found = given("qos=low time=2-03 mem=16G exclusive").unwrap();
        assert_eq!(found.seconds, Some(51.0 * 3600.0));
        assert_eq!(found.memory, Some(f64::from(1 << 24) * 1024.0));
        let keys: Vec<&str> = found.others.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["qos", "exclusive"]);
        assert_eq!(given("mem=0").unwrap().memory, Some(0.0));
    }

    #[test]
    fn slurm_s_notations_of_time_and_memory_are_read() {
        for (text, expected) in [
            ("90", 5400.0),
            ("1:30", 90.0),
            ("4:00:00", 14_400.0),
            ("1-2:03", 93_780.0),
            ("1-2:03:04", 93_784.0),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for wrong in [
            "",
            "0",
            "-5",
            "1:2:3:4",
            "1-2:3:4:5",
            "two",
            "infinite",
            "1-",
        ] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
        for (text, expected) in [
            ("512", 20),
            ("512K", 10),
            ("512m", 20),
            ("512GB", 30),
            ("512T", 40),
        ] {
            assert_eq!(
                bytes(text),
                Some(512.0 * f64::from(expected).exp2()),
                "{text}"
            );
        }
        for wrong in ["", "G", "1.5G", "-1", "5X", "5 G"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_ours_to_set_is_refused_by_name() {
        for (key, why) in REFUSED {
            let error = given(&format!("{key}=1")).unwrap_err();
            assert!(error.contains(key) && error.contains(why), "{error}");
        }
        let error = given("time=soon").unwrap_err();
        assert!(
            error.contains("time=soon") && error.contains("days-hours"),
            "{error}"
        );
    }
}
