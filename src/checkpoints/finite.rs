//! NaN and infinite numbers in weights: found where weights are read, so that no model computes with them.

/// Numbers that are looked at together.
const CHUNK: usize = 1024;
/// The exponent of an f32 that is NaN or infinite.
const EXPONENT: u32 = 0x7f80_0000;

/// The first number that is NaN or infinite: which it is, and its index along each dimension of `shape`, such as
/// `holds NaN at [3, 5]`; nothing where all are finite.
pub fn problem(values: &[f32], shape: &[usize]) -> Option<String> {
    let bad = |value: &f32| value.to_bits() & EXPONENT == EXPONENT;
    // without a way out in the middle, a chunk is compared several numbers at a time
    let any = |chunk: &[f32]| chunk.iter().fold(false, |any, value| any | bad(value));
    let chunk = values.chunks(CHUNK).position(any)?;
    let start = chunk * CHUNK;
    let index = start + values[start..].iter().position(bad)?;
    let found = if values[index].is_nan() {
        "NaN"
    } else {
        "an infinite number"
    };
    let mut place = vec![0; shape.len()];
    let mut rest = index;
    for (place, &size) in place.iter_mut().zip(shape).rev() {
        (*place, rest) = (rest % size, rest / size);
    }
    Some(format!("holds {found} at {place:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_named_with_its_place() {
        let mut values = vec![f32::MAX; 3 * 5 * 700];
        values[1] = f32::MIN_POSITIVE / 2.0;
        assert_eq!(problem(&values, &[3, 5, 700]), None);
        assert_eq!(problem(&[], &[0]), None);
        values[2 * 3500 + 4 * 700 + 699] = f32::NEG_INFINITY;
        let found = problem(&values, &[3, 5, 700]).unwrap();
        assert_eq!(found, "holds an infinite number at [2, 4, 699]");
        values[3500] = -f32::NAN;
        let found = problem(&values, &[3, 5, 700]).unwrap();
        assert_eq!(found, "holds NaN at [1, 0, 0]");
    }
}
