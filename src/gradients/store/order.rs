//! Natural order of tensor names: runs of digits compare as numbers.

use std::cmp::Ordering;

/// `layer.2` before `layer.10`; texts that differ in leading zeros only fall back to plain order.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    let (mut x, mut y) = (a.as_bytes(), b.as_bytes());
    loop {
        match (x.first(), y.first()) {
            (Some(p), Some(q)) if p.is_ascii_digit() && q.is_ascii_digit() => {
                let (number_x, rest_x) = split_number(x);
                let (number_y, rest_y) = split_number(y);
                let order = number_x
                    .len()
                    .cmp(&number_y.len())
                    .then(number_x.cmp(number_y));
                if order != Ordering::Equal {
                    return order;
                }
                (x, y) = (rest_x, rest_y);
            }
            (Some(p), Some(q)) if p == q => (x, y) = (&x[1..], &y[1..]),
            (Some(p), Some(q)) => return p.cmp(q),
            _ => return x.len().cmp(&y.len()).then_with(|| a.cmp(b)),
        }
    }
}

/// Leading digits without leading zeros, and what follows them.
fn split_number(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|c| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let zeros = digits.iter().take_while(|&&c| c == b'0').count();
    (&digits[zeros..], rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_compare_as_numbers() {
        let mut names = ["l.10.b", "l.2.b", "l.2.a", "head", "l.02.a", "l.2"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["head", "l.2", "l.02.a", "l.2.a", "l.2.b", "l.10.b"]);
        assert_eq!(natural("x", "x"), Ordering::Equal);
    }
}
