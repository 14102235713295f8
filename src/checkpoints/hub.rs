//! Checkpoints by their id on the Hugging Face hub: from the local cache, else by download into it.
//!
//! The cache is the one of Hugging Face's own tools (`HF_HUB_CACHE`, else `HF_HOME/hub`, else
//! `~/.cache/huggingface/hub`); what lies there is used without asking the network, but for
//! the tokenizer_config.json of a cache that lacks it and has no note that the model has none. `HF_HUB_OFFLINE=1`
//! forbids the network, `HF_ENDPOINT` and `HF_TOKEN` are honoured.

mod download;
mod files;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hf_hub::{Cache, Repo};
use thiserror::Error;

use super::gguf;
use super::layout::TOKENIZER_CONFIG_FILE;
use crate::input::expand_home;
pub use files::Part;
use files::missing;

/// Revision of a model when none is given.
pub const REVISION: &str = "main";
/// How long the network may show no sign of life.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why there is no folder for a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HubError {
    /// Neither a folder nor an id.
    #[error(
        "there is no folder {path}. A checkpoint is a folder with config.json, model.safetensors and tokenizer.json, a GGUF file, or the id of a model on the Hugging Face hub, such as roberta-large"
    )]
    NoFolder {
        /// The path given.
        path: PathBuf,
    },
    /// An id that cannot be had.
    #[error(
        "there is no folder {id}, and the model {id} (revision {revision}) cannot be had from the Hugging Face hub: {reason}. Give the path of a folder with config.json, model.safetensors and tokenizer.json; where there is a network, `hf download {id} --local-dir FOLDER` makes one"
    )]
    Unavailable {
        /// The id.
        id: String,
        /// The revision.
        revision: String,
        /// Why.
        reason: String,
    },
    /// A revision that no id can have, or one of a folder.
    #[error(
        "`{revision}` is not a branch, tag or commit of a model on the Hugging Face hub: {reason}"
    )]
    Revision {
        /// The revision given.
        revision: String,
        /// Why not.
        reason: String,
    },
}

/// Where a checkpoint lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Its folder, or its GGUF file.
    pub folder: PathBuf,
    /// Commit of its repository when it came by id.
    pub commit: Option<String>,
}

/// The cache, and how the hub is spoken to.
#[derive(Clone, Debug)]
pub struct Hub {
    /// The cache; `None` without a home folder.
    pub cache: Option<PathBuf>,
    /// Address of the hub.
    pub endpoint: String,
    /// Token for models that are not public.
    pub token: Option<String>,
    /// Whether the cache is all there is.
    pub offline: bool,
    /// Whether downloads show a bar.
    pub progress: bool,
    /// How long the network may show no sign of life.
    pub patience: Duration,
}

impl Hub {
    /// As the environment says.
    pub fn from_env() -> Self {
        let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let path = |name: &str| given(name).map(|value| expand_home(Path::new(&value)));
        let home = path("HF_HOME").or_else(|| {
            let caches = path("XDG_CACHE_HOME");
            let caches = caches.or_else(|| Some(std::env::home_dir()?.join(".cache")));
            Some(caches?.join("huggingface"))
        });
        let shared = home.map(|home| home.join("hub"));
        let token = || Cache::new(shared.clone()?).token();
        let offline = given("HF_HUB_OFFLINE").map(|value| value.to_uppercase());
        Self {
            token: given("HF_TOKEN").or_else(token),
            cache: path("HF_HUB_CACHE").or(shared),
            endpoint: given("HF_ENDPOINT").map_or_else(
                || "https://huggingface.co".to_owned(),
                |endpoint| endpoint.trim_end_matches('/').to_owned(),
            ),
            offline: offline.is_some_and(|v| ["1", "ON", "YES", "TRUE"].contains(&v.as_str())),
            progress: true,
            patience: PATIENCE,
        }
    }

    /// The folder or GGUF file `path`, or the checkpoint that it is the id of; of the latter at least `part` is there.
    ///
    /// # Errors
    /// Neither folder nor id, a model that is not in the cache and cannot be downloaded.
    pub fn locate(
        &self,
        path: &Path,
        revision: Option<&str>,
        part: Part,
    ) -> Result<Located, HubError> {
        let path = &expand_home(path);
        if path.is_dir() || gguf::is_gguf(path) {
            return match revision {
                None => Ok(Located {
                    folder: gguf::inside(path).unwrap_or_else(|| path.to_owned()),
                    commit: None,
                }),
                Some(revision) => Err(HubError::Revision {
                    revision: revision.to_owned(),
                    reason: format!("{} is a folder or file of this machine", path.display()),
                }),
            };
        }
        let Some(id) = path.to_str().filter(|text| is_id(text)) else {
            return Err(HubError::NoFolder {
                path: path.to_owned(),
            });
        };
        let revision = revision.unwrap_or(REVISION);
        if !is_revision(revision) {
            return Err(HubError::Revision {
                revision: revision.to_owned(),
                reason: "letters, digits and - _ . / are allowed".to_owned(),
            });
        }
        self.snapshot(id, revision, part)
            .map_err(|reason| HubError::Unavailable {
                id: id.to_owned(),
                revision: revision.to_owned(),
                reason,
            })
    }

    /// The model's files in the cache, what lacks there downloaded; or the reason why not.
    fn snapshot(&self, id: &str, revision: &str, part: Part) -> Result<Located, String> {
        let cache = self.cache.as_ref();
        let cache = cache.ok_or("there is no home folder for the cache; set HF_HOME")?;
        let model = cache.join(Repo::model(id.to_owned()).folder_name());
        let known = std::fs::read_to_string(model.join("refs").join(revision)).ok();
        let known = known.map(|commit| commit.trim().to_owned());
        let known = known.or_else(|| is_commit(revision).then(|| revision.to_owned()));
        let known = known.filter(|commit| is_commit(commit));
        let known = known.map(|commit| (model.join("snapshots").join(&commit), commit));
        let known = known.filter(|(folder, _)| folder.is_dir());
        let lacking = known.as_ref().map(|(folder, _)| missing(folder, part));
        match (known, lacking) {
            (Some((folder, commit)), Some(lacking)) if lacking.is_empty() => {
                let located = Located {
                    folder,
                    commit: Some(commit.clone()),
                };
                // settings of the tokenizer that were never asked for: older programs took tokenizer.json alone
                let [settings, ..] = files::settings(&|name| located.folder.join(name).exists());
                let told = located.folder.join(&settings).exists()
                    || absent(&model, &commit, &settings).exists();
                if told || self.offline {
                    return Ok(located);
                }
                let asked = self.download(cache, id, &commit, part);
                asked.or_else(|reason| {
                    tracing::warn!(
                        "{id}: whether it has a {TOKENIZER_CONFIG_FILE}, which may change its tokens, cannot be asked: {reason}; the cache is used as it is"
                    );
                    Ok(located)
                })
            }
            (_, lacking) if self.offline => {
                let lacking = lacking.map_or_else(|| "it".to_owned(), |names| names.join(", "));
                Err(format!(
                    "HF_HUB_OFFLINE is set, and the cache {} does not hold {lacking}",
                    cache.display()
                ))
            }
            // what is there is of this commit; the rest has to be, too
            (Some((_, commit)), _) => self.download(cache, id, &commit, part),
            (None, _) => self.download(cache, id, revision, part),
        }
    }
}

/// `org/name` or `name`, as the hub allows them.
fn is_id(text: &str) -> bool {
    let plain = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
            && !part.contains("..")
    };
    text.len() <= 96 && text.split('/').count() <= 2 && text.split('/').all(plain)
}

fn is_revision(text: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    text.split('/').all(plain)
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Where Hugging Face's tools note that a commit of a model has no such file.
fn absent(model: &Path, commit: &str, name: &str) -> PathBuf {
    model.join(".no_exist").join(commit).join(name)
}

/// The checkpoints of an experiment: each is looked up once, however many cells it has.
#[derive(Debug)]
pub struct Checkpoints {
    hub: Hub,
    part: Part,
    known: HashMap<(PathBuf, Option<String>), Located>,
}

impl Checkpoints {
    /// None looked up yet; of each, `part` will be there.
    pub fn new(hub: Hub, part: Part) -> Self {
        Self {
            hub,
            part,
            known: HashMap::new(),
        }
    }

    /// Where the checkpoint at `path` lies, a folder or an id; once found it stays at its `commit`.
    ///
    /// # Errors
    /// See [`Hub::locate`].
    pub fn locate(
        &mut self,
        path: &Path,
        revision: Option<&str>,
        commit: Option<&str>,
    ) -> Result<Located, HubError> {
        let key = (path.to_owned(), revision.map(str::to_owned));
        if let Some(located) = self.known.get(&key) {
            return Ok(located.clone());
        }
        let found = self.hub.locate(path, commit.or(revision), self.part)?;
        self.known.insert(key, found.clone());
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoints::layout::{CONFIG_FILE, SHARDS_FILE, TOKENIZER_FILE};

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    /// The cache in a folder, and no network.
    fn offline(cache: &Path) -> Hub {
        Hub {
            cache: Some(cache.to_owned()),
            offline: true,
            ..Hub::from_env()
        }
    }

    #[test]
    fn the_cache_of_hugging_face_is_read_by_branch_and_by_commit() {
        let cache = tempfile::tempdir().unwrap();
        let model = cache.path().join("models--org--name");
        let snapshot = model.join("snapshots").join(COMMIT);
        std::fs::create_dir_all(&snapshot).unwrap();
        std::fs::create_dir_all(model.join("refs/pr")).unwrap();
        for name in ["main", "pr/1"] {
            std::fs::write(model.join("refs").join(name), COMMIT).unwrap();
        }
        let hub = offline(cache.path());
        let locate = |revision, part| hub.locate(Path::new("org/name"), revision, part);
        let lacks = |part, names: &str| {
            let error = locate(None, part).unwrap_err().to_string();
            assert!(
                error.contains(&format!("does not hold {names}.")),
                "{error}"
            );
        };
        let touch = |name: &str, text: &str| std::fs::write(snapshot.join(name), text).unwrap();
        lacks(Part::Description, "config.json, tokenizer.json");
        touch(CONFIG_FILE, "{}");
        touch(TOKENIZER_FILE, "{}");
        let found = Located {
            folder: snapshot.clone(),
            commit: Some(COMMIT.to_owned()),
        };
        for revision in [None, Some("main"), Some("pr/1"), Some(COMMIT)] {
            assert_eq!(locate(revision, Part::Description), Ok(found.clone()));
        }
        lacks(Part::Whole, "model.safetensors");
        touch(
            SHARDS_FILE,
            r#"{"weight_map": {"a": "1.safetensors", "b": "2.safetensors", "c": "1.safetensors"}}"#,
        );
        touch("1.safetensors", "1");
        touch("2.safetensors", "");
        lacks(Part::Whole, "2.safetensors");
        touch("2.safetensors", "2");
        assert_eq!(locate(None, Part::Whole), Ok(found));

        let error = locate(Some("dev"), Part::Whole).unwrap_err().to_string();
        assert!(
            error.contains("the model org/name (revision dev) cannot"),
            "{error}"
        );
        assert!(error.contains("does not hold it. Give the path of a folder"));
        assert!(error.contains("`hf download org/name --local-dir FOLDER`"));
        assert!(matches!(
            locate(Some("../main"), Part::Whole),
            Err(HubError::Revision { .. })
        ));
    }

    #[test]
    fn a_pipeline_is_its_parts_in_folders() {
        let cache = tempfile::tempdir().unwrap();
        let model = cache.path().join("models--org--name");
        let snapshot = model.join("snapshots").join(COMMIT);
        std::fs::create_dir_all(model.join("refs")).unwrap();
        std::fs::write(model.join("refs/main"), COMMIT).unwrap();
        let hub = offline(cache.path());
        let touch = |name: &str, text: &str| {
            let path = snapshot.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let locate = |part| hub.locate(Path::new("org/name"), None, part);
        let lacks = |part, names: &str| {
            let error = locate(part).unwrap_err().to_string();
            assert!(
                error.contains(&format!("does not hold {names}.")),
                "{error}"
            );
        };
        touch("model_index.json", "{}");
        lacks(
            Part::Description,
            "scheduler/scheduler_config.json, unet/config.json, vae/config.json, text_encoder/config.json, tokenizer/tokenizer.json",
        );
        for name in ["vocab.json", "merges.txt"] {
            touch(&format!("tokenizer/{name}"), "{}");
        }
        for part in ["unet", "vae", "text_encoder"] {
            touch(&format!("{part}/config.json"), "{}");
        }
        touch("scheduler/scheduler_config.json", "{}");
        let found = Located {
            folder: snapshot.clone(),
            commit: Some(COMMIT.to_owned()),
        };
        assert_eq!(locate(Part::Description), Ok(found.clone()));
        lacks(
            Part::Whole,
            "unet/diffusion_pytorch_model.safetensors, vae/diffusion_pytorch_model.safetensors, text_encoder/model.safetensors",
        );
        // shards, half precision and a whole file
        touch(
            "unet/diffusion_pytorch_model.safetensors.index.json",
            r#"{"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}"#,
        );
        touch("unet/1.safetensors", "1");
        touch("vae/diffusion_pytorch_model.fp16.safetensors", "1");
        touch("text_encoder/model.safetensors", "1");
        lacks(Part::Whole, "unet/2.safetensors");
        touch("unet/2.safetensors", "1");
        assert_eq!(locate(Part::Whole), Ok(found));
    }

    #[test]
    fn a_folder_is_itself_and_what_is_no_id_is_not_looked_up() {
        let folder = tempfile::tempdir().unwrap();
        let hub = offline(folder.path());
        let found = hub.locate(folder.path(), None, Part::Whole).unwrap();
        assert_eq!(
            (found.folder.as_path(), found.commit),
            (folder.path(), None)
        );
        let revised = hub.locate(folder.path(), Some("main"), Part::Whole);
        assert!(matches!(revised, Err(HubError::Revision { .. })));
        for id in [
            "roberta-large",
            "FacebookAI/roberta-large",
            "a.b/c_d.v2",
            "_",
        ] {
            assert!(is_id(id), "{id}");
            let found = hub.locate(Path::new(id), None, Part::Whole);
            assert!(matches!(found, Err(HubError::Unavailable { .. })), "{id}");
        }
        for path in [
            "./a",
            "../nowhere",
            "/a/b",
            "a/b/c",
            "a/",
            "",
            "a b",
            "~/a",
            "a..b",
            "org/-a",
        ] {
            let found = hub.locate(Path::new(path), None, Part::Whole);
            assert!(matches!(found, Err(HubError::NoFolder { .. })), "{path}");
        }
    }
}
