//! Where two results differ, value by value: what `infbench compare` counts.
//!
//! In: two JSON values of the same kind (records, `theory.json`), or two numbers of score tensors. Out: how many
//! values there are, how many differ, the first difference and the largest. What every run measures anew (times,
//! memory, whether a cache was used) is passed over.

use serde_json::Value;

/// Fields that are measured anew in every run.
const MEASURED: [&str; 4] = ["seconds", "examples_per_second", "peak_bytes", "cached"];

/// Fields whose numbers are relative errors themselves: their difference is taken as it is.
const RELATIVE: [&str; 4] = ["residual", "residuals", "history", "asymmetry"];

/// Fields that tell the objects of a list apart, in the order of preference.
const NAMES: [&str; 5] = ["label", "name", "metric", "claim", "method"];

/// One value that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Where: file, cell, field.
    pub place: String,
    /// Both values; `None` where there is none.
    pub values: [Option<Value>; 2],
    /// |a − b| / max(|a|, |b|); infinite where they are not two finite numbers.
    pub relative: f64,
}

/// Counts of a comparison.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Differences {
    /// Largest relative difference that counts as equal; 0 asks for the same bits.
    pub tolerance: f64,
    /// Values compared.
    pub values: usize,
    /// Values that are not the same bits.
    pub different: usize,
    /// Those among them that differ by more than the tolerance.
    pub beyond: usize,
    /// The first that differs by more than the tolerance; while there is none, the first that differs.
    pub first: Option<Difference>,
    /// The largest relative difference.
    pub largest: Option<Difference>,
}

impl Differences {
    /// Nothing compared yet.
    pub fn new(tolerance: f64) -> Self {
        Self {
            tolerance,
            ..Self::default()
        }
    }

    /// Compares two JSON values leaf by leaf; `place` names them (file and cell).
    pub fn values(&mut self, place: &str, a: &Value, b: &Value) {
        walk(&mut String::new(), Some(a), Some(b), &mut |path, a, b| {
            self.values += 1;
            if same(a, b) {
                return;
            }
            let field = path.rsplit('.').next().unwrap_or(path);
            let scaled = !RELATIVE.contains(&field.split('[').next().unwrap_or(field));
            let relative = match (a.and_then(Value::as_f64), b.and_then(Value::as_f64)) {
                (Some(a), Some(b)) if scaled => relative(a, b, a.abs().max(b.abs())),
                (Some(a), Some(b)) => relative(a, b, 1.0),
                _ => f64::INFINITY,
            };
            self.add(
                || format!("{place}, {path}"),
                [a.cloned(), b.cloned()],
                relative,
            );
        });
    }

    /// Compares two numbers; what they differ by is held against `scale`.
    pub fn number(&mut self, place: impl FnOnce() -> String, a: f64, b: f64, scale: f64) {
        self.values += 1;
        if a.to_bits() != b.to_bits() {
            let text = |x: f64| Some(serde_json::json!(x)).filter(|value| !value.is_null());
            let text = |x: f64| text(x).or_else(|| Some(Value::from(x.to_string())));
            self.add(place, [text(a), text(b)], relative(a, b, scale));
        }
    }

    /// Counts a difference.
    pub fn add(
        &mut self,
        place: impl FnOnce() -> String,
        values: [Option<Value>; 2],
        relative: f64,
    ) {
        self.different += 1;
        let beyond = self.tolerance == 0.0 || relative > self.tolerance;
        self.beyond += usize::from(beyond);
        let is_first = self.different == 1 || (beyond && self.beyond == 1);
        let largest = self.largest.as_ref().map_or(-1.0, |found| found.relative);
        let is_largest = relative > largest;
        if !is_first && !is_largest {
            return;
        }
        let found = Difference {
            place: place(),
            values,
            relative,
        };
        if is_largest {
            self.largest = Some(found.clone());
        }
        if is_first {
            self.first = Some(found);
        }
    }
}

/// |a − b| over `scale`; 0 for two NaN, infinite where only one is finite.
fn relative(a: f64, b: f64, scale: f64) -> f64 {
    if a == b || (a.is_nan() && b.is_nan()) {
        0.0
    } else if a.is_finite() && b.is_finite() {
        (a - b).abs() / scale
    } else {
        f64::INFINITY
    }
}

/// Whether both are written alike: −0 is not 0, 1 is not 1.0.
fn same(a: Option<&Value>, b: Option<&Value>) -> bool {
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            a == b && a.is_f64() == b.is_f64() && is_negative(a) == is_negative(b)
        }
        (a, b) => a == b,
    }
}

fn is_negative(x: &serde_json::Number) -> bool {
    x.as_f64().is_some_and(f64::is_sign_negative)
}

/// What is called with the path of a leaf and its value on either side.
pub type Visit<'v> = dyn FnMut(&str, Option<&Value>, Option<&Value>) + 'v;

/// Visits the leaves of both values in the order of the first, with their path. Objects in lists are matched by what
/// names them, names in lists by themselves, anything else by position.
pub fn walk(path: &mut String, a: Option<&Value>, b: Option<&Value>, visit: &mut Visit) {
    let length = path.len();
    match (a, b) {
        (Some(Value::Object(x)), Some(Value::Object(y))) => {
            let more = y.keys().filter(|key| !x.contains_key(*key));
            for key in x.keys().chain(more) {
                if MEASURED.contains(&key.as_str()) {
                    continue;
                }
                if length > 0 {
                    path.push('.');
                }
                path.push_str(key);
                walk(path, x.get(key), y.get(key), visit);
                path.truncate(length);
            }
        }
        (Some(Value::Array(x)), Some(Value::Array(y))) => {
            let mut step = |name: &str, a: Option<&Value>, b: Option<&Value>| {
                path.push_str(&format!("[{name}]"));
                walk(path, a, b, visit);
                path.truncate(length);
            };
            let (Some(names), Some(others)) = (names(x), names(y)) else {
                for i in 0..x.len().max(y.len()) {
                    step(&i.to_string(), x.get(i), y.get(i));
                }
                return;
            };
            let place = |list: &[&str], name: &str| list.iter().position(|known| *known == name);
            for (i, name) in names.iter().enumerate() {
                step(name, x.get(i), place(&others, name).and_then(|j| y.get(j)));
            }
            for (j, name) in others.iter().enumerate() {
                if place(&names, name).is_none() {
                    step(name, None, y.get(j));
                }
            }
            let both = |list: &[&str], other: &[&str]| -> Vec<Value> {
                let known = list.iter().filter(|name| place(other, name).is_some());
                known.map(|name| Value::from(*name)).collect()
            };
            let (first, second) = (both(&names, &others), both(&others, &names));
            if first != second {
                path.push_str(" (order)");
                visit(path, Some(&first.into()), Some(&second.into()));
                path.truncate(length);
            }
        }
        _ => visit(path, a, b),
    }
}

/// What tells the entries of a list apart, when something does.
fn names(list: &[Value]) -> Option<Vec<&str>> {
    let by = |key: Option<&str>| -> Option<Vec<&str>> {
        let name = |entry: &'_ Value| key.map_or(Some(entry), |key| entry.get(key)).is_some();
        if !list.iter().all(name) {
            return None;
        }
        let found: Option<Vec<&str>> = list
            .iter()
            .map(|entry| key.map_or(entry, |key| &entry[key]).as_str())
            .collect();
        let found = found?;
        let mut sorted = found.clone();
        sorted.sort_unstable();
        sorted.dedup();
        (sorted.len() == found.len()).then_some(found)
    };
    if list.is_empty() {
        return Some(Vec::new());
    }
    by(None).or_else(|| NAMES.iter().find_map(|key| by(Some(key))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compared(a: &Value, b: &Value, tolerance: f64) -> Differences {
        let mut found = Differences::new(tolerance);
        found.values("file, cell", a, b);
        found
    }

    #[test]
    fn times_are_passed_over_and_the_first_difference_is_named() {
        let a = json!({"seconds": 1.0, "n": 3, "methods": [
            {"label": "exact", "metrics": [{"metric": "auc", "value": 0.5, "low": null}]},
            {"label": "datainf", "metrics": []},
        ]});
        let mut b = a.clone();
        b["seconds"] = json!(2.0);
        let found = compared(&a, &b, 0.0);
        // n, label, metric, value, low, label
        assert_eq!((found.values, found.different), (6, 0));
        b["methods"][0]["metrics"][0]["value"] = json!(0.51);
        let found = compared(&a, &b, 0.0);
        let first = found.first.expect("a difference");
        assert_eq!(first.place, "file, cell, methods[exact].metrics[auc].value");
        assert_eq!(first.values, [Some(json!(0.5)), Some(json!(0.51))]);
        assert!((first.relative - 0.01 / 0.51).abs() < 1e-15);
        assert_eq!(compared(&a, &b, 0.02).beyond, 0);
        assert_eq!(compared(&a, &b, 0.019).beyond, 1);
        b["methods"][0]["metrics"][0]["low"] = json!(0.4);
        let found = compared(&a, &b, 0.02);
        assert_eq!((found.different, found.beyond), (2, 1));
        assert!(found.first.expect("one beyond").place.ends_with(".low"));
        assert_eq!(found.largest.expect("the same").relative, f64::INFINITY);
    }

    #[test]
    fn entries_are_matched_by_name_and_their_order_is_compared() {
        let list = |names: &[&str]| -> Value {
            let of = |(i, name): (usize, &&str)| json!({"name": *name, "value": i % 2});
            names.iter().enumerate().map(of).collect()
        };
        let mut paths = Vec::new();
        walk(
            &mut String::new(),
            Some(&list(&["a", "b"])),
            Some(&list(&["c", "x", "a"])),
            &mut |path, a, b| {
                if a != b {
                    paths.push(path.to_owned());
                }
            },
        );
        assert_eq!(paths, ["[b]", "[c]", "[x]"]);
        let found = compared(&json!(["a", "b"]), &json!(["b", "a"]), 0.0);
        assert_eq!(found.first.expect("order").place, "file, cell,  (order)");
        let found = compared(&json!([1, 2]), &json!([1, 2, 3]), 1.0);
        assert_eq!((found.values, found.beyond), (3, 1));
    }

    #[test]
    fn the_same_bits_are_asked_for_without_a_tolerance() {
        for (a, b) in [(json!(0.0), json!(-0.0)), (json!(1), json!(1.0))] {
            assert_eq!(compared(&a, &b, 0.0).beyond, 1);
            assert_eq!(compared(&a, &b, 1e-300).beyond, 0);
        }
        let mut found = Differences::new(0.1);
        let nowhere = || String::from("t[0]");
        found.number(nowhere, f64::NAN, f64::NAN, 1.0);
        found.number(nowhere, 1.0, 1.5, 10.0);
        assert_eq!((found.different, found.beyond), (1, 0));
        found.number(nowhere, 1.0, f64::NAN, 10.0);
        assert_eq!((found.different, found.beyond), (2, 1));
        // a residual is relative already
        let residual = |x: f64| json!({"evidence": {"residuals": [x]}});
        assert_eq!(
            compared(&residual(1e-15), &residual(3e-15), 1e-12).beyond,
            0
        );
    }
}
