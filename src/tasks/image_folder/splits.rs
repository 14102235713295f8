//! Which images are training examples and which are queries.

use std::path::{Path, PathBuf};

use rand::seq::SliceRandom;
use serde_json::{Map, Value};

use super::source::ImageSource;
use crate::input::{self, expand_home, listed, or_meant, quote};
use crate::random;
use crate::tasks::error::TaskError;
use crate::tasks::glue::TextError;
use crate::tasks::pictures::{Listing, Row};

/// Name of the list in an image folder.
const METADATA_FILE: &str = "metadata.jsonl";
/// Folders of the splits, as in an image folder of Hugging Face's datasets.
const TRAIN_FOLDER: &str = "train";
const QUERY_FOLDERS: [&str; 2] = ["test", "validation"];

/// The lists of a folder.
pub(super) enum Lists {
    /// Of all images.
    One(Listing),
    /// Of the training images, and of the queries.
    Two(Box<[Listing; 2]>),
}

impl Lists {
    /// Reads the lists of `source`.
    pub fn read(source: &ImageSource) -> Result<Self, TaskError> {
        let folder = expand_home(source.path);
        let wrong = |problem: String| TaskError::NoData {
            path: folder.clone(),
            problem: format!("{problem}. {}", source.needs),
        };
        if !folder.is_dir() {
            return Err(wrong("is not there, or no folder".to_owned()));
        }
        let list = |part: &str| {
            let path = folder.join(part).join(METADATA_FILE);
            path.is_file().then(|| Listing::read(&path))
        };
        if let Some(one) = list("") {
            return Ok(Self::One(one?));
        }
        let query = QUERY_FOLDERS.into_iter().find_map(list);
        match (list(TRAIN_FOLDER), query) {
            (Some(train), Some(query)) => Ok(Self::Two(Box::new([train?, query?]))),
            _ => Err(wrong(format!("has no {METADATA_FILE}"))),
        }
    }
}

/// The images of a split, with their classes.
pub(super) struct Chosen<'a> {
    pub listing: &'a Listing,
    pub rows: Vec<&'a Row>,
    /// By the place among the names of the classes.
    pub classes: Vec<usize>,
}

/// Training images and queries.
pub(super) struct Splits<'a> {
    pub train: Chosen<'a>,
    pub query: Chosen<'a>,
    /// Names of the classes; empty where the images have none.
    pub names: Vec<String>,
}

/// Images by class, in the order in which the classes are met.
type ByClass<'a> = Vec<(String, Vec<&'a Row>)>;

impl<'a> Splits<'a> {
    /// The images of `lists` that the settings ask for.
    pub fn choose(source: &ImageSource, lists: &'a Lists, seed: u64) -> Result<Self, TaskError> {
        match (lists, &source.settings.splits) {
            (Lists::One(listing), Some(path)) => {
                let splits = File::read(source, listing, &expand_home(path))?;
                splits.choose()
            }
            (Lists::One(listing), None) => drawn(source, listing, seed),
            (Lists::Two(_), Some(path)) => Err(TaskError::NoData {
                path: expand_home(source.path),
                problem: format!(
                    "has a list of its own for each split, and task.splits names {}; give one of the two",
                    path.display()
                ),
            }),
            (Lists::Two(two), None) => two_lists(source, &two[0], &two[1]),
        }
    }

    fn new(
        [train, query]: [&'a Listing; 2],
        classes: Vec<(String, [Vec<&'a Row>; 2])>,
    ) -> Result<Self, TaskError> {
        let chosen = |part: usize, listing: &'a Listing| {
            let of_class = |(class, (_, rows)): (usize, &(String, [Vec<&'a Row>; 2]))| {
                let rows: Vec<_> = rows[part].iter().map(|row| (*row, class)).collect();
                rows
            };
            let (rows, classes) = classes.iter().enumerate().flat_map(of_class).unzip();
            Chosen {
                listing,
                rows,
                classes,
            }
        };
        let (train, query) = (chosen(0, train), chosen(1, query));
        for (split, name) in [(&train, "training"), (&query, "query")] {
            if split.rows.is_empty() {
                return Err(TaskError::NoData {
                    path: split.listing.path().to_owned(),
                    problem: format!("leaves no {name} image"),
                });
            }
        }
        let names = classes.into_iter().map(|(name, _)| name);
        Ok(Self {
            train,
            query,
            names: names.filter(|name| !name.is_empty()).collect(),
        })
    }
}

/// The images of a list by class; those without classes are one of the empty name.
fn by_class<'a>(source: &ImageSource, listing: &'a Listing) -> Result<ByClass<'a>, TaskError> {
    let mut classes: ByClass = Vec::new();
    let has = listing.rows().iter().any(|row| row.has(source.class));
    for row in listing.rows() {
        let name = match has || !source.may_lack_classes {
            true => listing.text(row, source.class)?,
            false => "",
        };
        if has && name.is_empty() {
            let problem = format!("`{}` is empty", source.class);
            return Err(listing.about(row, problem).into());
        }
        match classes.iter_mut().find(|(known, _)| known == name) {
            Some((_, rows)) => rows.push(row),
            None => classes.push((name.to_owned(), vec![row])),
        }
    }
    Ok(classes)
}

/// The first images of every class of two lists.
fn two_lists<'a>(
    source: &ImageSource,
    train: &'a Listing,
    query: &'a Listing,
) -> Result<Splits<'a>, TaskError> {
    let mut classes: Vec<(String, [Vec<&Row>; 2])> = Vec::new();
    for (name, mut rows) in by_class(source, train)? {
        cut(
            source,
            train,
            (&name, "training"),
            &mut rows,
            source.settings.train,
        )?;
        classes.push((name, [rows, Vec::new()]));
    }
    for (name, mut rows) in by_class(source, query)? {
        cut(
            source,
            query,
            (&name, "query"),
            &mut rows,
            source.settings.query,
        )?;
        let known = classes.iter().position(|(known, _)| *known == name);
        let Some(known) = known else {
            let names: Vec<&str> = classes.iter().map(|(name, _)| name.as_str()).collect();
            let near = or_meant(&name, &names);
            let problem = format!(
                "no training image has the {} `{}`{near}",
                source.class,
                quote(&name)
            );
            return Err(query.about(rows[0], problem).into());
        };
        classes[known].1[1] = rows;
    }
    Splits::new([train, query], classes)
}

/// The first `asked` of `rows`.
fn cut(
    source: &ImageSource,
    listing: &Listing,
    (class, kind): (&str, &str),
    rows: &mut Vec<&Row>,
    asked: Option<usize>,
) -> Result<(), TaskError> {
    match asked {
        Some(asked) if asked > rows.len() => {
            let place = listing.path().to_owned();
            Err(too_few(source, place, class, (rows.len(), asked), kind))
        }
        asked => {
            rows.truncate(asked.unwrap_or(usize::MAX));
            Ok(())
        }
    }
}

fn too_few(
    source: &ImageSource,
    path: PathBuf,
    class: &str,
    (found, asked): (usize, usize),
    kind: &str,
) -> TaskError {
    let of = match class {
        "" => String::new(),
        class => format!(" of the {} `{}`", source.class, quote(class)),
    };
    TaskError::NoData {
        path,
        problem: format!("has {found} {kind} images{of}; the settings ask for {asked}"),
    }
}

/// Images of every class drawn by the seed, in the order of the list.
fn drawn<'a>(
    source: &ImageSource,
    listing: &'a Listing,
    seed: u64,
) -> Result<Splits<'a>, TaskError> {
    let mut classes = Vec::new();
    for (name, rows) in by_class(source, listing)? {
        let train = source.train().unwrap_or((rows.len() * 4 / 5).max(1));
        let query = source.query();
        let asked = train + query.unwrap_or(1);
        if asked > rows.len() {
            let place = listing.path().to_owned();
            return Err(too_few(
                source,
                place,
                &name,
                (rows.len(), asked),
                "training and query",
            ));
        }
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.shuffle(&mut random::rng(seed, source.task, &name));
        let query = query.unwrap_or(rows.len() - train);
        let pick = |indices: &[usize]| {
            let mut indices = indices.to_vec();
            indices.sort_unstable();
            indices.into_iter().map(|index| rows[index]).collect()
        };
        let split = [pick(&order[..train]), pick(&order[train..train + query])];
        classes.push((name, split));
    }
    Splits::new([listing, listing], classes)
}

/// A file of splits.
struct File<'s, 'a> {
    source: &'s ImageSource<'s>,
    listing: &'a Listing,
    path: PathBuf,
    /// By class.
    classes: Map<String, Value>,
}

impl<'s, 'a> File<'s, 'a> {
    fn read(
        source: &'s ImageSource<'s>,
        listing: &'a Listing,
        path: &Path,
    ) -> Result<Self, TaskError> {
        let all: Map<String, Value> = input::json(path).map_err(TextError::from)?;
        let Some(Value::Object(classes)) = all.get(source.class) else {
            let found = listed(&all.keys().collect::<Vec<_>>());
            return Err(TaskError::NoData {
                path: path.to_owned(),
                problem: format!(
                    "has no object `{}` with the images of every class; found: {found}",
                    source.class
                ),
            });
        };
        Ok(Self {
            source,
            listing,
            path: path.to_owned(),
            classes: classes.clone(),
        })
    }

    fn wrong(&self, problem: String) -> TaskError {
        TaskError::NoData {
            path: self.path.clone(),
            problem,
        }
    }

    fn choose(&self) -> Result<Splits<'a>, TaskError> {
        let source = self.source;
        let mut classes = Vec::new();
        for name in self.classes.keys() {
            let train = self.part(name, "train", source.train())?;
            let query = self.part(name, "query", source.query())?;
            if let Some(row) = query.iter().find(|row| train.contains(row)) {
                let (image, class) = (quote(&row.name), quote(name));
                return Err(self.wrong(format!(
                    "has `{image}` of `{class}` as a training image and as a query"
                )));
            }
            classes.push((name.clone(), [train, query]));
        }
        Splits::new([self.listing, self.listing], classes)
    }

    /// The first images of a class's list `key`.
    fn part(
        &self,
        class: &str,
        key: &str,
        asked: Option<usize>,
    ) -> Result<Vec<&'a Row>, TaskError> {
        let place = quote(&format!("{}.{class}.{key}", self.source.class));
        let list = self.classes[class].get(key).and_then(Value::as_array);
        let list = list.ok_or_else(|| self.wrong(format!("has no list of images `{place}`")))?;
        if let Some(asked) = asked.filter(|&asked| asked > list.len()) {
            let found = (list.len(), asked);
            return Err(too_few(self.source, self.path.clone(), class, found, key));
        }
        let taken = list.iter().take(asked.unwrap_or(usize::MAX));
        taken.map(|name| self.row(class, &place, name)).collect()
    }

    /// The image that `name` names.
    fn row(&self, class: &str, place: &str, name: &Value) -> Result<&'a Row, TaskError> {
        let text = name.as_str().unwrap_or_default();
        let rows = self.listing.rows();
        let Some(row) = rows.iter().find(|row| row.name == text) else {
            let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
            return Err(self.wrong(format!(
                "names {} in `{place}`, which {} does not have{}",
                quote(&name.to_string()),
                self.listing.path().display(),
                or_meant(text, &names)
            )));
        };
        let own = self.listing.text(row, self.source.class)?;
        if own == class {
            return Ok(row);
        }
        let problem = format!(
            "`{}` is `{}`; {} has the image under `{}`",
            self.source.class,
            quote(own),
            self.path.display(),
            quote(class)
        );
        Err(self.listing.about(row, problem).into())
    }
}
