//! What Slurm says of jobs: the lines of sacct and of scontrol.

use std::collections::HashMap;

use super::super::engine::{Task, TaskState};
use crate::input::quote;
use crate::interrupt;
use crate::runner::units::report::Cause;

/// `MaxArraySize` of `scontrol show config`.
pub(super) fn max_array_size(text: &str) -> Option<usize> {
    let line = text.lines().find(|line| line.starts_with("MaxArraySize"))?;
    line.split('=').nth(1)?.trim().parse().ok()
}

/// The jobs that one waits for, from squeue's `afterany:12_*(unfulfilled),afternotok:13(unfulfilled)`.
pub(super) fn unfulfilled(text: &str) -> Vec<String> {
    let parts = text.split([',', '\n', '?']);
    let parts = parts.filter(|part| part.contains("unfulfilled"));
    let id = |part: &str| {
        let id = part.split_once(':')?.1;
        let id: String = id.chars().take_while(char::is_ascii_digit).collect();
        Some(id).filter(|id| !id.is_empty())
    };
    let mut ids: Vec<String> = parts.filter_map(id).collect();
    ids.sort();
    ids.dedup();
    ids
}

/// A state in Slurm's words, and what is known of the reason.
fn state(word: &str, about: &str) -> TaskState {
    // `CANCELLED by 1000`
    let word = word.split_whitespace().next().unwrap_or_default();
    let failed = |cause| TaskState::Failed(cause, format!("{word}{about}"));
    match word {
        "COMPLETED" => TaskState::Completed,
        "RUNNING" | "COMPLETING" | "SUSPENDED" | "STOPPED" => TaskState::Running(String::new()),
        "PENDING" | "CONFIGURING" | "REQUEUED" | "REQUEUE_HOLD" | "REQUEUE_FED" | "RESIZING" => {
            TaskState::Waiting(word.to_owned())
        }
        "TIMEOUT" | "DEADLINE" => failed(Cause::Timeout),
        "OUT_OF_MEMORY" => failed(Cause::OutOfMemory),
        "NODE_FAIL" | "BOOT_FAIL" => failed(Cause::NodeFail),
        "PREEMPTED" => failed(Cause::Preempted),
        "CANCELLED" | "REVOKED" => failed(Cause::Cancelled),
        "FAILED" => failed(Cause::Error),
        _ => failed(Cause::Other),
    }
}

impl TaskState {
    /// The state of a job with this exit code: one that was interrupted and not started again ran out of time.
    fn interrupted(self, code: &str) -> Self {
        match self {
            Self::Failed(Cause::Error, word) if code == format!("{}:0", interrupt::EXIT) => {
                Self::Failed(Cause::Timeout, format!("out of time: {word}"))
            }
            state => state,
        }
    }
}

/// Which of two states of the same task says more: a step that ran out of memory tells why its job failed.
fn weight(state: &TaskState) -> u8 {
    match state {
        TaskState::Failed(Cause::OutOfMemory | Cause::Timeout, _) => 3,
        TaskState::Failed(Cause::Error | Cause::Other, _) => 1,
        _ => 2,
    }
}

/// Bytes of `134672K`, `100M`, `2.50G`; the letter for "a node" or "a core" of older versions may follow.
fn bytes(text: &str) -> Option<f64> {
    let text = text.trim_end_matches(['n', 'c']);
    match text
        .char_indices()
        .last()
        .map(|(at, letter)| (at, unit(letter)))?
    {
        (at, Some(unit)) => Some(text[..at].parse::<f64>().ok()? * unit),
        (_, None) => text.parse().ok(),
    }
}

/// Bytes of Slurm's units of memory.
pub(super) fn unit(letter: char) -> Option<f64> {
    let power = "KMGT".find(letter)? + 1;
    Some(1024f64.powi(power as i32))
}

/// Lines `JobID|State|ExitCode|Timelimit|ReqMem|NodeList|MaxRSS` of jobs and their steps; of a task that was started again
/// all attempts in order, each before its steps. A step that was ended and had
/// more than its job was allowed ran out of memory, also where Slurm's own word for that is `CANCELLED` (without
/// cgroups, by `JobAcctGatherParams=OverMemoryKill`).
pub(super) fn of_sacct(text: &str) -> Vec<Task> {
    let mut found: Vec<Task> = Vec::new();
    let mut allowed: HashMap<&str, f64> = HashMap::new();
    // how the latest attempt of a task stands, in Slurm's words
    let mut latest: HashMap<(&str, usize), String> = HashMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('|').collect();
        let [id, word, code, limit, memory, nodes, resident] = fields[..] else {
            continue;
        };
        let (whole, step) = match id.split_once('.') {
            Some((whole, step)) => (whole, Some(step)),
            None => (id, None),
        };
        let Some((job, task)) = whole.split_once('_') else {
            continue;
        };
        if step.is_none() {
            allowed.extend(bytes(memory).map(|bytes| (whole, bytes)));
        }
        let about = format!(" (exit code {code}, allowed {limit} and {memory}, on {nodes})");
        let mut state = match step {
            Some(_) => state(word, ""),
            None => state(word, &about).interrupted(code),
        };
        if let TaskState::Running(place) = &mut state {
            nodes.clone_into(place);
        }
        let over = bytes(resident).zip(allowed.get(whole));
        let over = over.is_some_and(|(resident, allowed)| resident > *allowed);
        if over && matches!(state, TaskState::Failed(..)) {
            let word = format!("out of memory: {resident} resident");
            state = TaskState::Failed(Cause::OutOfMemory, word);
        }
        for index in numbers(task) {
            let earlier = match step {
                Some(_) => None,
                None => latest.insert((job, index), format!("{word} on {nodes}")),
            };
            let known = found
                .iter_mut()
                .find(|known| known.job == job && known.index == index);
            match known {
                // of the steps only why the job failed is wanted
                Some(known) if step.is_some() => {
                    let failed = matches!(known.state, TaskState::Failed(..));
                    if failed && weight(&state) > weight(&known.state) && state.has_ended() {
                        known.state = match (&state, &known.state) {
                            (TaskState::Failed(cause, word), TaskState::Failed(_, job)) => {
                                TaskState::Failed(*cause, format!("{word}; {job}"))
                            }
                            _ => state.clone(),
                        };
                    }
                }
                Some(known) => {
                    known.before.extend(earlier);
                    known.state = state.clone();
                }
                None if step.is_none() => found.push(Task {
                    job: job.to_owned(),
                    index,
                    state: state.clone(),
                    before: Vec::new(),
                }),
                None => {}
            }
        }
    }
    found
}

/// Lines of `scontrol show job --oneliner`.
pub(super) fn of_scontrol(text: &str) -> Vec<Task> {
    let mut found = Vec::new();
    for line in text.lines() {
        let field = |name: &str| {
            let mut words = line.split_whitespace();
            words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        };
        let (Some(job), Some(tasks), Some(word)) =
            (field("ArrayJobId"), field("ArrayTaskId"), field("JobState"))
        else {
            continue;
        };
        let code = field("ExitCode").unwrap_or_default();
        let nodes = field("NodeList").unwrap_or_default();
        let about = format!(
            " (exit code {code}, allowed {}, on {nodes})",
            field("TimeLimit").unwrap_or_default()
        );
        let mut state = state(word, &about).interrupted(code);
        match &mut state {
            TaskState::Running(place) => nodes.clone_into(place),
            TaskState::Waiting(reason) => field("Reason").unwrap_or(word).clone_into(reason),
            _ => {}
        }
        // how often, and not why
        let restarts = field("Restarts").and_then(|text| text.parse().ok());
        let before = vec!["requeued".to_owned(); restarts.unwrap_or(0)];
        found.extend(numbers(tasks).into_iter().map(|index| Task {
            job: job.to_owned(),
            index,
            state: state.clone(),
            before: before.clone(),
        }));
    }
    found
}

/// Adds what the controller says of tasks to what is known of them from the accounting, which learns later how they stand,
/// and knows more of why they ended.
pub(super) fn heard(known: &mut Vec<Task>, now: Vec<Task>) {
    for task in now {
        let mut all = known.iter_mut();
        let known_task = all.find(|known| (&known.job, known.index) == (&task.job, task.index));
        match known_task {
            Some(known) => {
                if !known.state.has_ended() || !task.state.has_ended() {
                    known.state = task.state;
                }
                if known.before.is_empty() {
                    known.before = task.before;
                }
            }
            None => known.push(task),
        }
    }
}

/// The message of Slurm's step daemon among the output of a task that took more memory than it was allowed: where that is
/// all that tells (accounting that misses the peak, or none).
pub(super) fn out_of_memory(output: &str) -> Option<(Cause, String)> {
    const WORDS: [&str; 4] = [
        "exceeded memory limit",
        "oom-kill",
        "oom_kill",
        "out of memory",
    ];
    let mut lines = output.lines().rev();
    let line = lines.find(|line| {
        let line = line.to_lowercase();
        line.starts_with("slurmstepd") && WORDS.iter().any(|word| line.contains(word))
    })?;
    // `slurmstepd-NODE: error: …`
    let message = line
        .split_once("error: ")
        .map_or(line, |(_, message)| message);
    Some((
        Cause::OutOfMemory,
        format!("out of memory: {}", quote(message)),
    ))
}

/// The task numbers of `7`, `[1-3,9%4]` and `1-3,9%4`.
fn numbers(text: &str) -> Vec<usize> {
    let text = text.trim_matches(['[', ']']);
    let text = text.split('%').next().unwrap_or_default();
    let of_part = |part: &str| match part.split_once('-') {
        Some((first, last)) => Some(first.parse().ok()?..=last.parse().ok()?),
        None => part.parse().ok().map(|number| number..=number),
    };
    text.split(',').filter_map(of_part).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_from_sacct() {
        let text = "\
12_0|COMPLETED|0:0|00:01:00|100M|n1|
12_0.batch|COMPLETED|0:0|||n1|
12_1|TIMEOUT|0:0|00:01:00|100M|n2|
12_1.batch|CANCELLED|0:15|||n2|
12_2|FAILED|0:9|00:01:00|100M|n3|
12_2.batch|OUT_OF_MEMORY|0:125|||n3|
12_3|FAILED|1:0|00:01:00|100M|n1|
12_3.batch|FAILED|1:0|||n1|
12_4|RUNNING|0:0|00:01:00|100M|n3|
12_4.batch|RUNNING|0:0|||n3|
12_5|CANCELLED by 0|0:0|00:01:00|100M|None assigned|
12_[6-8%2]|PENDING|0:0|00:01:00|100M|None assigned|
13_0|NODE_FAIL|0:0|00:01:00|100M|n2|
12_9|FAILED|0:9|00:01:00|100M|n1|
12_9.batch|CANCELLED by 0|0:9|||n1|134672K
14|RUNNING|0:0|00:01:00|100M|n2|
15_0|PREEMPTED|0:0|00:01:00|100M|n3|
15_0.batch|CANCELLED|0:15|||n3|
15_0|NODE_FAIL|0:0|00:01:00|100M|n2|
15_0|RUNNING|0:0|00:01:00|100M|n1|
15_1|FAILED|75:0|00:01:00|100M|n1|
15_2|PREEMPTED|0:0|00:01:00|100M|n1|
";
        let found = of_sacct(text);
        let cause = |index: usize| match &found[index].state {
            TaskState::Failed(cause, _) => Some(*cause),
            _ => None,
        };
        assert_eq!(found.len(), 14);
        assert_eq!(found[0].state, TaskState::Completed);
        assert_eq!(cause(1), Some(Cause::Timeout));
        assert_eq!(cause(2), Some(Cause::OutOfMemory));
        assert_eq!(cause(3), Some(Cause::Error));
        assert_eq!(found[4].state, TaskState::Running("n3".to_owned()));
        assert_eq!(cause(5), Some(Cause::Cancelled));
        let waiting = TaskState::Waiting("PENDING".to_owned());
        assert!(found[6..9].iter().all(|task| task.state == waiting));
        assert_eq!((found[8].index, found[9].job.as_str()), (8, "13"));
        assert_eq!(cause(9), Some(Cause::NodeFail));
        assert_eq!(cause(10), Some(Cause::OutOfMemory));
        assert_eq!(bytes("2.50G"), Some(2.5 * f64::from(1 << 30)));
        // started again, interrupted at the end of its time, and preempted for good
        assert_eq!(found[11].state, TaskState::Running("n1".to_owned()));
        assert_eq!(found[11].before, ["PREEMPTED on n3", "NODE_FAIL on n2"]);
        assert_eq!(cause(12), Some(Cause::Timeout));
        assert_eq!(cause(13), Some(Cause::Preempted));
        assert!(found[..11].iter().all(|task| task.before.is_empty()));
        let TaskState::Failed(_, word) = &found[1].state else {
            panic!("failed")
        };
        assert_eq!(
            word,
            "TIMEOUT (exit code 0:0, allowed 00:01:00 and 100M, on n2)"
        );
    }

    #[test]
    fn the_controller_knows_without_accounting() {
        let text = "\
JobId=5 ArrayJobId=4 ArrayTaskId=1 JobName=x JobState=TIMEOUT Reason=TimeLimit Restarts=2 ExitCode=0:15 TimeLimit=00:01:00 NodeList=n1
JobId=4 ArrayJobId=4 ArrayTaskId=2-3%1 JobState=PENDING Reason=Dependency TimeLimit=00:01:00 NodeList=
JobId=9 JobName=y JobState=RUNNING
";
        let found = of_scontrol(text);
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].before, ["requeued", "requeued"]);
        assert!(matches!(
            &found[0].state,
            TaskState::Failed(Cause::Timeout, _)
        ));
        let waits = "afterany:12_*(unfulfilled),afterany:13(unfulfilled),afterany:9(failed)\n";
        assert_eq!(unfulfilled(waits), ["12", "13"]);
        assert_eq!(found[2].state, TaskState::Waiting("Dependency".to_owned()));
        assert_eq!(
            max_array_size("MaxArraySize            = 10001\n"),
            Some(10_001)
        );
    }
    #[test]
    fn the_controller_knows_first_and_the_accounting_more() {
        let task = |index, state| Task {
            job: "4".to_owned(),
            index,
            state,
            before: Vec::new(),
        };
        let failed = |cause| TaskState::Failed(cause, String::new());
        let running = || TaskState::Running("n1".to_owned());
        let mut known = vec![
            task(0, failed(Cause::OutOfMemory)),
            task(1, running()),
            task(2, failed(Cause::Preempted)),
        ];
        let again = Task {
            before: vec!["requeued".to_owned()],
            ..task(2, TaskState::Waiting("BeginTime".to_owned()))
        };
        let now = vec![
            task(0, failed(Cause::Error)),
            task(1, failed(Cause::Timeout)),
            again.clone(),
            task(3, running()),
        ];
        heard(&mut known, now);
        assert_eq!(known[0].state, failed(Cause::OutOfMemory));
        assert_eq!(known[1].state, failed(Cause::Timeout));
        assert_eq!(known[2], again);
        assert_eq!(known[3].state, running());
    }

    #[test]
    fn messages_of_the_step_daemon_tell_that_memory_ran_out() {
        let messages = [
            "slurmstepd-n1: error: StepId=5.batch exceeded memory limit (323837952 > 104857600), being killed",
            "slurmstepd: error: Exceeded memory limit at some point",
            "slurmstepd: error: Detected 1 oom-kill event(s) in StepId=5.batch. Some of your processes may have been killed by the cgroup out-of-memory handler.",
            "slurmstepd: error: Detected 1 oom_kill event in StepId=5.batch",
        ];
        for message in messages {
            let (cause, word) = out_of_memory(&format!("one\n{message}\nlast\n")).unwrap();
            assert_eq!(cause, Cause::OutOfMemory);
            assert!(message.contains(&word[15..60.min(word.len())]), "{word}");
        }
        // what the task itself says is no message of Slurm's
        assert_eq!(out_of_memory("the paper is called Out Of Memory\n"), None);
        assert_eq!(
            out_of_memory("slurmstepd: error: *** STEP 5.0 CANCELLED ***\n"),
            None
        );
    }
}
