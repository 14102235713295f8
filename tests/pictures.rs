//! Images against PIL: decoding of every kind of file, and resizing.
//!
//! The fixtures are made by `scripts/parity/pictures.py` with Pillow 11.3.

use std::fs;
use std::path::{Path, PathBuf};

use infbench::data::Picture;
use infbench::tasks::pictures::{Fit, PictureError, fit, read, resize};
use safetensors::SafeTensors;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/pictures")
        .join(name)
}

/// Largest difference of two images' levels; the sizes have to be the same.
fn difference(found: &Picture, shape: &[usize], expected: &[u8]) -> u8 {
    assert_eq!([found.height, found.width, 3], *shape);
    let pairs = found.rgb.iter().zip(expected);
    pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

#[test]
fn images_are_read_and_resized_as_pil_does() {
    let bytes = fs::read(fixture("expected.safetensors")).unwrap();
    let expected = SafeTensors::deserialize(&bytes).unwrap();
    let mut wrong = Vec::new();
    for (case, view) in expected.iter() {
        let words: Vec<&str> = case.split(' ').collect();
        let number = |at: usize| words[at].parse::<usize>().unwrap();
        let whole = read(&fixture(words[0])).unwrap();
        let found = match words[1] {
            "read" => whole,
            "resize" => resize(&whole, number(2), number(3)),
            _ => fit(&whole, number(2), Fit::Crop),
        };
        // Resizing is exact. JPEG leaves the rounding of the inverse cosine transform and the interpolation of colour
        // (at half the resolution but in 4:4:4) to the decoder, which is another than PIL's.
        let allowed = match words[0] {
            "photo_420.jpg" | "photo_turned.jpg" | "photo_progressive.jpg" => 6,
            "photo_444.jpg" | "photo_grey.jpg" | "photo_cmyk.jpg" => 2,
            _ => 0,
        };
        let gap = difference(&found, view.shape(), view.data());
        if allowed > 0 {
            println!("{case}: {gap}");
        }
        if gap > allowed {
            wrong.push(format!("{case}: {gap} levels"));
        }
    }
    assert!(expected.len() > 40);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // the whole is stretched
    let whole = read(&fixture("rgb.png")).unwrap();
    assert_eq!(fit(&whole, 16, Fit::Stretch), resize(&whole, 16, 16));
    assert_ne!(fit(&whole, 16, Fit::Stretch), fit(&whole, 16, Fit::Crop));
}

#[test]
fn files_that_are_no_image_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let error = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains(name) && error.len() < 400, "{error}");
        error
    };
    for name in [
        "rgb.png",
        "palette.png",
        "photo_420.jpg",
        "photo_progressive.jpg",
        "photo_turned.jpg",
        "lossy.webp",
        "lossless.webp",
    ] {
        let whole = fs::read(fixture(name)).unwrap();
        for keep in [whole.len() - 20, whole.len() / 2, 40, 14] {
            let text = error(name, &whole[..keep]);
            assert!(text.contains("cannot be decoded"), "{keep}: {text}");
        }
    }
    let mut zero = fs::read(fixture("rgb.png")).unwrap();
    zero[16..20].fill(0);
    assert!(error("zero.png", &zero).contains("cannot be decoded"));
    assert!(error("empty.png", b"").contains("is empty"));
    assert!(
        error(
            "pointer.png",
            b"version https://git-lfs.github.com/spec/v1\n"
        )
        .contains("LFS")
    );
    assert!(error("page.jpg", b"<!DOCTYPE html><html>").contains("web page"));
    let gif = error("animated.gif", b"GIF89a\x10\0\x10\0\xf7\0\0abc");
    assert!(gif.ends_with("is not a PNG, JPEG or WebP image"), "{gif}");
    let none = read(&folder.path().join("none.png")).unwrap_err();
    assert!(none.to_string().contains("none.png"), "{none}");
    assert!(matches!(
        read(&fixture("grey_16bit.png")),
        Err(PictureError::Grey16 { .. })
    ));
}
