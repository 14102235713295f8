//! NaN and infinite numbers in weights: found where weights are read, so that no model computes with them.

/// Numbers that are looked at together.
const CHUNK: usize = 1024;
/// The exponent of an f32 that is NaN or infinite.
const EXPONENT: u32 = 0x7f80_0000;

/// Whether all numbers of a tensor of this shape are finite.
///
/// # Errors
/// The first that is not, as a sentence that goes on from the tensor's name: `holds NaN at [3, 5]; allowed: finite
/// numbers`.
pub fn check(values: &[f32], shape: &[usize]) -> Result<(), String> {
    match first(values) {
        None => Ok(()),
        Some(index) => Err(refusal(index, values[index], shape)),
    }
}

/// Where the first number is that is NaN or infinite.
pub fn first(values: &[f32]) -> Option<usize> {
    let bad = |value: &f32| value.to_bits() & EXPONENT == EXPONENT;
    // without a way out in the middle, a chunk is compared several numbers at a time
    let any = |chunk: &[f32]| chunk.iter().fold(false, |any, value| any | bad(value));
    let chunk = values.chunks(CHUNK).position(any)?;
    let start = chunk * CHUNK;
    Some(start + values[start..].iter().position(bad)?)
}

/// What [`check`] says of the number `value` at `index` of a tensor.
pub fn refusal(index: usize, value: f32, shape: &[usize]) -> String {
    let found = if value.is_nan() {
        "NaN"
    } else {
        "an infinite number"
    };
    let mut place = vec![0; shape.len()];
    let mut rest = index;
    for (place, &size) in place.iter_mut().zip(shape).rev() {
        (*place, rest) = (rest % size, rest / size);
    }
    format!("holds {found} at {place:?}; allowed: finite numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_named_with_its_place() {
        let mut values = vec![f32::MAX; 3 * 5 * 700];
        values[1] = f32::MIN_POSITIVE / 2.0;
        assert_eq!(check(&values, &[3, 5, 700]), Ok(()));
        assert_eq!(check(&[], &[0]), Ok(()));
        values[2 * 3500 + 4 * 700 + 699] = f32::NEG_INFINITY;
        let found = check(&values, &[3, 5, 700]).unwrap_err();
        assert!(found.starts_with("holds an infinite number at [2, 4, 699];"));
        values[3500] = -f32::NAN;
        let found = check(&values, &[3, 5, 700]).unwrap_err();
        assert!(found.starts_with("holds NaN at [1, 0, 0];"));
    }
}
