//! What the controls of images compare: pixels, latents and the states of captions.

use ndarray::Array2;

use crate::data::{Embeddings, Inputs, Latents, ShownImages, Split, TaskData, Texts};

/// Embeddings of training images and queries; none of a task without images.
pub(super) fn embeddings(data: &TaskData) -> Option<[Embeddings; 2]> {
    let (shown, texts) = (data.images.as_ref()?, &data.texts.as_ref()?.texts);
    let of = |split: &Split, part: usize| {
        let Inputs::Latents(latents) = &split.inputs else {
            return None;
        };
        Some(of_split(latents, &shown[part], &texts[part]))
    };
    Some([of(&data.train, 0)?, of(&data.query, 1)?])
}

fn of_split(latents: &Latents, shown: &ShownImages, texts: &Texts) -> Embeddings {
    let means = latents.moments.means.chunks_exact(latents.size());
    let pooled = means.clone().map(|image| pooled(image, latents.points()));
    let captions = latents.captions.iter().zip(&texts.whole);
    let captions = captions.map(|(&caption, words)| {
        // the token that ends the caption comes after the one that begins it and its words
        let end = (words.len() + 1).min(latents.tokens.saturating_sub(1));
        let states = &latents.texts[caption];
        states[end * latents.width..(end + 1) * latents.width].to_vec()
    });
    Embeddings {
        pixels: rows(shown.previews.iter().map(|picture| picture.values())),
        latents: rows(means.map(<[f32]>::to_vec)),
        pooled: rows(pooled),
        captions: rows(captions),
    }
}

/// Mean and standard deviation of every channel.
fn pooled(image: &[f32], points: usize) -> Vec<f32> {
    let of_channel = |channel: &[f32]| {
        let n = channel.len() as f32;
        let mean = channel.iter().sum::<f32>() / n;
        let variance = channel.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / n;
        [mean, variance.sqrt()]
    };
    image.chunks_exact(points).flat_map(of_channel).collect()
}

/// Rows of equal length.
fn rows(rows: impl Iterator<Item = Vec<f32>>) -> Array2<f32> {
    let rows: Vec<Vec<f32>> = rows.collect();
    let shape = (rows.len(), rows.first().map_or(0, Vec::len));
    Array2::from_shape_vec(shape, rows.concat()).expect("rows of one split are equally long")
}
