//! Images as tasks give them.

/// An image: 8-bit RGB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Row-major `[height, width, 3]`, the top row first.
    pub rgb: Vec<u8>,
}

impl Picture {
    /// The image as a network takes it: row-major `[3, height, width]`, (v/255 − 0.5)/0.5, so from −1 to 1 (torchvision's
    /// `ToTensor` and `Normalize([0.5], [0.5])`).
    pub fn values(&self) -> Vec<f32> {
        let channel = |c: usize| self.rgb.iter().skip(c).step_by(3);
        let value = |&level: &u8| (f32::from(level) / 255.0 - 0.5) / 0.5;
        (0..3).flat_map(channel).map(value).collect()
    }

    /// The image mirrored left to right.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        let rows = self.rgb.chunks_exact(3 * self.width);
        let turned = rows.flat_map(|row| row.chunks_exact(3).rev().flatten());
        Self {
            rgb: turned.copied().collect(),
            ..*self
        }
    }

    /// The image of what a network gives: row-major `[3, height, width]` from −1 to 1; what lies outside is cut off, and
    /// NaN becomes 0 (black).
    ///
    /// # Panics
    /// When the number of values is another.
    pub fn from_values(values: &[f32], width: usize, height: usize) -> Self {
        let area = width * height;
        assert_eq!(
            values.len(),
            3 * area,
            "three channels of {width} x {height}"
        );
        let level = |value: f32| ((value / 2.0 + 0.5).clamp(0.0, 1.0) * 255.0).round() as u8;
        let pixel = |at: usize| (0..3).map(move |c| level(values[c * area + at]));
        Self {
            width,
            height,
            rgb: (0..area).flat_map(pixel).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_run_from_minus_one_to_one_channel_by_channel() {
        let picture = Picture {
            width: 2,
            height: 1,
            rgb: vec![0, 51, 255, 255, 102, 0],
        };
        let values = picture.values();
        let expected = [-1.0, 1.0, -0.6, -0.2, 1.0, -1.0];
        for (found, expected) in values.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{values:?}");
        }
        assert_eq!(Picture::from_values(&values, 2, 1), picture);
        assert_eq!(picture.mirrored().rgb, [255, 102, 0, 0, 51, 255]);
        let wild = [-7.0, 1.5, f32::NAN, 0.0, 0.0, 0.0];
        assert_eq!(Picture::from_values(&wild, 2, 1).rgb[..4], [0, 0, 128, 255]);
    }

    #[test]
    fn every_level_comes_back() {
        let rgb: Vec<u8> = (0..=255)
            .flat_map(|level| [level, 255 - level, level / 2])
            .collect();
        let picture = Picture {
            width: 64,
            height: 4,
            rgb,
        };
        assert_eq!(Picture::from_values(&picture.values(), 64, 4), picture);
    }
}
