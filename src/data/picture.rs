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

    /// Images of one size side by side, a row of the table below the other, with `gap` white pixels around each and every
    /// pixel `scale` pixels wide and high. Rows may be shorter than the longest.
    ///
    /// # Panics
    /// When sizes differ.
    pub fn table(rows: &[&[Self]], scale: usize, gap: usize) -> Self {
        let first = rows.iter().find_map(|row| row.first());
        let [width, height] = first.map_or([0; 2], |first| [first.width, first.height]);
        let columns = rows.iter().map(|row| row.len()).max().unwrap_or(0);
        let [across, down] = [width, height].map(|side| side * scale + gap);
        let (wide, high) = (columns * across + gap, rows.len() * down + gap);
        let mut rgb = vec![u8::MAX; 3 * wide * high];
        for (row, pictures) in rows.iter().enumerate() {
            for (column, picture) in pictures.iter().enumerate() {
                assert_eq!([picture.width, picture.height], [width, height]);
                for y in 0..height * scale {
                    let start = ((row * down + gap + y) * wide + column * across + gap) * 3;
                    let line = picture.rgb[y / scale * width * 3..]
                        .chunks_exact(3)
                        .take(width);
                    let line = line.flat_map(|pixel| pixel.repeat(scale));
                    let out = rgb[start..start + 3 * width * scale].iter_mut();
                    out.zip(line).for_each(|(out, level)| *out = level);
                }
            }
        }
        Self {
            width: wide,
            height: high,
            rgb,
        }
    }

    /// The image as a PNG file.
    ///
    /// # Panics
    /// When it has no pixels.
    pub fn png(&self) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let (width, height) = (self.width as u32, self.height as u32);
        image::RgbImage::from_raw(width, height, self.rgb.clone())
            .expect("as many levels as pixels")
            .write_to(&mut bytes, image::ImageFormat::Png)
            .expect("memory takes what is written");
        bytes.into_inner()
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

    #[test]
    fn tables_place_every_pixel() {
        let of = |level: u8| Picture {
            width: 2,
            height: 1,
            rgb: vec![level, 0, 0, level + 1, 0, 0],
        };
        let table = Picture::table(&[&[of(10), of(20)], &[of(30)]], 2, 1);
        assert_eq!([table.width, table.height], [11, 7]);
        let red = |x: usize, y: usize| table.rgb[3 * (y * table.width + x)];
        let row = |y: usize| (0..11).map(|x| red(x, y)).collect::<Vec<_>>();
        assert_eq!(row(0), [255; 11]);
        let first = [255, 10, 10, 11, 11, 255, 20, 20, 21, 21, 255];
        assert_eq!((row(1), row(2)), (first.into(), first.into()));
        let second = [255, 30, 30, 31, 31, 255, 255, 255, 255, 255, 255];
        assert_eq!((row(4), row(5)), (second.into(), second.into()));
        let read = image::load_from_memory(&table.png()).unwrap().into_rgb8();
        assert_eq!(read.into_raw(), table.rgb);
    }
}
