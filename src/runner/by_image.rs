//! Which training images help and harm a query image most, by every method: what a reader of a report looks at first.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::Path;

use ndarray::{Array2, ArrayView1};

use super::picture_files;
use crate::data::ShownImages;
use crate::results::record::{ImageInfo, ImagesByMethod, QueryImage, ScoredImage};

/// Training images of each kind.
const SHOWN: usize = 5;

/// For `queries` queries, evenly spread over all, the training images with the smallest and the largest scores of every
/// method that has `scores`, whose last row is that of the mean query. The pictures go to a folder in `root`, by the hash
/// of their content.
///
/// # Errors
/// Pictures that cannot be written, as a sentence.
pub(super) fn by_image(
    [train, query]: &[ShownImages; 2],
    queries: usize,
    scores: &[(String, Array2<f64>)],
    root: &Path,
) -> Result<Vec<QueryImage>, String> {
    let mut known: HashMap<usize, ImageInfo> = HashMap::new();
    let of_query = |query_index: usize| {
        let mut methods = Vec::new();
        for (label, scores) in scores {
            let row = scores.row(query_index);
            let (helpful, harmful) = extremes(row);
            let mut scored = |examples: Vec<usize>| {
                let one = |example: usize| {
                    let image = match known.entry(example) {
                        Entry::Occupied(there) => there.get().clone(),
                        Entry::Vacant(new) => new.insert(info(train, example, root)?).clone(),
                    };
                    Ok::<_, String>(ScoredImage {
                        example,
                        score: row[example],
                        image,
                    })
                };
                examples.into_iter().map(one).collect::<Result<_, _>>()
            };
            methods.push(ImagesByMethod {
                label: label.clone(),
                helpful: scored(helpful)?,
                harmful: scored(harmful)?,
            });
        }
        Ok(QueryImage {
            query: query_index,
            image: info(query, query_index, root)?,
            methods,
        })
    };
    spread(query.files.len(), queries).map(of_query).collect()
}

/// `count` of `all` places, evenly spread; all where there are no more.
fn spread(all: usize, count: usize) -> impl Iterator<Item = usize> {
    let count = count.min(all);
    (0..count).map(move |k| (2 * k + 1) * all / (2 * count))
}

/// The examples with the smallest scores, the smallest first, and those with the largest, the largest first; none where a
/// score is not finite. No example is in both.
fn extremes(row: ArrayView1<'_, f64>) -> (Vec<usize>, Vec<usize>) {
    if row.iter().any(|score| !score.is_finite()) {
        return (Vec::new(), Vec::new());
    }
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|&a, &b| row[a].total_cmp(&row[b]));
    let shown = SHOWN.min(row.len() / 2);
    let harmful = order.iter().rev().take(shown).copied().collect();
    order.truncate(shown);
    (order, harmful)
}

/// What is said of an image, whose picture is written.
fn info(images: &ShownImages, index: usize, root: &Path) -> Result<ImageInfo, String> {
    Ok(ImageInfo {
        file: images.files[index].clone(),
        text: images.texts[index].clone(),
        class: images.classes.get(index).cloned(),
        picture: picture_files::write(&images.previews[index], root)?,
    })
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::data::Picture;

    #[test]
    fn extremes_are_in_order_and_apart() {
        let row = array![0.5, -1.0, 2.0, -3.0, 0.0];
        assert_eq!(extremes(row.view()), (vec![3, 1], vec![2, 0]));
        assert_eq!(extremes(array![1.0, f64::NAN].view()), (vec![], vec![]));
        assert_eq!(extremes(array![1.0].view()), (vec![], vec![]));
    }

    #[test]
    fn queries_are_spread_over_all() {
        let of = |all, count| spread(all, count).collect::<Vec<_>>();
        assert_eq!(of(150, 6), [12, 37, 62, 87, 112, 137]);
        assert_eq!(of(3, 9), [0, 1, 2]);
        assert!(of(0, 2).is_empty());
    }

    #[test]
    fn pictures_are_written_once_and_named_in_the_record() {
        let folder = tempfile::tempdir().unwrap();
        let shown = |n: usize| ShownImages {
            files: (0..n).map(|i| format!("{i}.png")).collect(),
            texts: vec!["a".to_owned(); n],
            classes: Vec::new(),
            previews: (0..n)
                .map(|i| Picture {
                    width: 1,
                    height: 1,
                    rgb: vec![i as u8 % 2; 3],
                })
                .collect(),
        };
        let images = [shown(4), shown(2)];
        let scores = vec![(
            "exact".to_owned(),
            array![[0.0, 1.0, -1.0, 3.0], [3.0, 2.0, 1.0, 0.0], [0.0; 4]],
        )];
        let found = by_image(&images, 2, &scores, folder.path()).unwrap();
        let helpful = |query: usize| {
            let method = &found[query].methods[0];
            let names = |all: &[ScoredImage]| -> Vec<String> {
                all.iter().map(|image| image.image.file.clone()).collect()
            };
            (names(&method.helpful), names(&method.harmful))
        };
        let names = |all: [&str; 2]| all.map(|name| format!("{name}.png")).to_vec();
        assert_eq!(helpful(0), (names(["2", "0"]), names(["3", "1"])));
        assert_eq!(helpful(1), (names(["3", "2"]), names(["0", "1"])));
        let written = std::fs::read_dir(folder.path().join(picture_files::FOLDER)).unwrap();
        assert_eq!(written.count(), 2);
        let path = folder.path().join(&found[0].image.picture);
        assert_eq!(
            crate::tasks::pictures::read(&path).unwrap(),
            images[1].previews[0]
        );
    }
}
