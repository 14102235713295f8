//! Numbers for readers. A missing number is "–", never 0.

/// What stands for a missing number.
pub const MISSING: &str = "–";

/// Texts with commas between them, without the empty ones.
pub fn list(texts: impl IntoIterator<Item = impl ToString>) -> String {
    let mut texts: Vec<String> = texts.into_iter().map(|text| text.to_string()).collect();
    texts.retain(|text| !text.is_empty());
    texts.join(", ")
}

/// ` [0.88, 0.90]` behind a value; nothing without an interval.
pub fn ends(interval: Option<impl Into<(f64, f64)>>, show: impl Fn(f64) -> String) -> String {
    interval.map_or(String::new(), |interval| {
        let (low, high) = interval.into();
        format!(" [{}, {}]", show(low), show(high))
    })
}

/// A text, or that there is none.
pub fn or_missing(text: impl Into<Option<String>>) -> String {
    let text = text.into().filter(|text| !text.is_empty());
    text.unwrap_or_else(|| MISSING.to_owned())
}

/// `10⁻³` for −3.
pub fn power_of_ten(exponent: i32) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let raised = |c: char| c.to_digit(10).map_or('⁻', |digit| DIGITS[digit as usize]);
    let exponent = exponent.to_string();
    "10".chars().chain(exponent.chars().map(raised)).collect()
}

/// `digits` significant digits; a power of ten outside 10⁻³…10⁵.
pub fn significant(x: f64, digits: usize) -> String {
    if !x.is_finite() {
        return MISSING.to_owned();
    }
    if x == 0.0 {
        return "0".to_owned();
    }
    // The exponent after rounding: 9.996 has three digits as 10.0.
    let scientific = format!("{:.*e}", digits - 1, x);
    let (mantissa, exponent) = scientific.split_once('e').expect("the format has an e");
    let exponent: i32 = exponent.parse().expect("a whole number");
    if (-3..5).contains(&exponent) {
        fixed(x, (digits as i32 - 1 - exponent).max(0) as usize)
    } else {
        format!("{}·{}", minus(mantissa), power_of_ten(exponent))
    }
}

/// Decimals that [`significant`] shows of `x`, so that an interval can be written alike.
pub fn decimals(x: f64, digits: usize) -> usize {
    let shown = significant(x, digits);
    let mantissa = shown.split('·').next().unwrap_or(&shown);
    mantissa.split_once('.').map_or(0, |(_, rest)| rest.len())
}

/// `decimals` places after the point.
pub fn fixed(x: f64, decimals: usize) -> String {
    if x.is_finite() {
        minus(&format!("{x:.decimals$}"))
    } else {
        MISSING.to_owned()
    }
}

/// The shortest text of the number, with a comma at the thousands: `10,000`, `0.5`.
pub fn plain(x: f64) -> String {
    if !x.is_finite() {
        return MISSING.to_owned();
    }
    if x != 0.0 && !(1e-4..1e7).contains(&x.abs()) {
        return significant(x, 3);
    }
    let text = format!("{}", (x * 1e6).round() / 1e6);
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let (sign, digits) = match whole.strip_prefix('-') {
        Some(digits) => ("−", digits),
        None => ("", whole),
    };
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{rest}")
}

/// A true minus sign; no "−0.00".
fn minus(text: &str) -> String {
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|c| c == '0' || c == '.') => rest.to_owned(),
        Some(rest) => format!("−{rest}"),
        None => text.to_owned(),
    }
}

/// Factor and name of the unit that suits a number of seconds.
pub fn second_unit(x: f64) -> (f64, &'static str) {
    match x.abs() {
        x if x >= 1.0 => (1.0, "s"),
        x if x >= 1e-3 => (1e3, "ms"),
        _ => (1e6, "µs"),
    }
}

/// Factor and name of the unit that suits a number of bytes (decimal: 1 kB = 1000 bytes).
pub fn byte_unit(x: f64) -> (f64, &'static str) {
    match x.abs() {
        x if x >= 1e12 => (1e-12, "TB"),
        x if x >= 1e9 => (1e-9, "GB"),
        x if x >= 1e6 => (1e-6, "MB"),
        x if x >= 1e3 => (1e-3, "kB"),
        _ => (1.0, "B"),
    }
}

/// `12.3 ms`
pub fn seconds(x: f64) -> String {
    let (factor, unit) = second_unit(x);
    format!("{} {unit}", significant(x * factor, 3))
}

/// `4.56 MB`
pub fn bytes(x: f64) -> String {
    let (factor, unit) = byte_unit(x);
    format!("{} {unit}", significant(x * factor, 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_carry_their_units() {
        for (found, text) in [
            (significant(0.0, 3), "0"),
            (significant(1.0, 3), "1.00"),
            (significant(9.996, 3), "10.0"),
            (significant(0.012345, 3), "0.0123"),
            (significant(-0.5, 3), "−0.500"),
            (significant(123456.0, 3), "1.23·10⁵"),
            (significant(1234.0, 3), "1234"),
            (significant(0.00012, 3), "1.20·10⁻⁴"),
            (significant(f64::NAN, 3), MISSING),
            (significant(f64::INFINITY, 3), MISSING),
            (plain(10000.0), "10,000"),
            (plain(500.0), "500"),
            (plain(0.25), "0.25"),
            (plain(-1234567.0), "−1,234,567"),
            (plain(1e-9), "1.00·10⁻⁹"),
            (fixed(-0.0001, 2), "0.00"),
            (fixed(0.5, 3), "0.500"),
            (seconds(0.0123), "12.3 ms"),
            (seconds(75.0), "75.0 s"),
            (seconds(2e-6), "2.00 µs"),
            (bytes(512.0), "512 B"),
            (bytes(4.56e6), "4.56 MB"),
        ] {
            assert_eq!(found, text);
        }
        let shown = [12.34, 1234.0, 0.01234].map(|x| decimals(x, 3));
        assert_eq!(shown, [1, 0, 4]);
    }
}
