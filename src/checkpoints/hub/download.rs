//! Downloads into the cache of the Hugging Face hub.

use std::fs::{File, TryLockError};
use std::path::{Component, Path};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};

use hf_hub::api::Progress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};

use super::files::{self, Part, is_there, missing};
use super::{Hub, Located, absent, is_commit};
use crate::checkpoints::layout::TOKENIZER_FILE;

impl Hub {
    /// Downloads what `part` needs of a model and is not in the cache.
    pub(super) fn download(
        &self,
        cache: &Path,
        id: &str,
        revision: &str,
        part: Part,
    ) -> Result<Located, String> {
        let api = ApiBuilder::from_cache(Cache::new(cache.to_owned()))
            .with_endpoint(self.endpoint.clone())
            .with_token(self.token.clone())
            .build()
            .map_err(reason)?;
        let repo = |revision: &str| {
            Repo::with_revision(id.to_owned(), RepoType::Model, revision.to_owned())
        };
        let asked = api.repo(repo(revision));
        let info = self.watch(move |_| asked.info())?;
        let commit = info.sha;
        if !is_commit(&commit) {
            return Err(format!("the hub calls its commit `{commit}`"));
        }
        let cached = Cache::new(cache.to_owned()).repo(repo(&commit));
        let folder = cached.pointer_path(&commit);
        let names: Vec<String> = info.siblings.into_iter().map(|s| s.rfilename).collect();
        let has = |name: &str| names.iter().any(|known| known == name);
        let wanted = files::needed(part, &has);
        if let Some(name) = wanted.iter().find(|name| !has(name)) {
            return Err(match name.strip_suffix(".safetensors") {
                Some(stem) => format!("it has neither {name} nor {stem}.safetensors.index.json"),
                None if name.ends_with(TOKENIZER_FILE) => {
                    format!("it has no {name} and no older files of a tokenizer")
                }
                None => format!("it has no {name}"),
            });
        }
        let fetch = |name: &String| self.fetch(&api, repo(&commit), &folder, name);
        wanted.iter().try_for_each(fetch)?;
        let model = cache.join(Repo::model(id.to_owned()).folder_name());
        for name in &files::settings(&has) {
            if has(name) {
                fetch(name)?;
            } else {
                let note = absent(&model, &commit, name);
                crate::atomic::write(&note, b"").map_err(|e| format!("{}: {e}", note.display()))?;
            }
        }
        // the index names the shards
        missing(&folder, part).iter().try_for_each(fetch)?;
        if revision != commit {
            let named = Cache::new(cache.to_owned()).repo(repo(revision));
            named.create_ref(&commit).map_err(|e| e.to_string())?;
        }
        Ok(Located {
            folder,
            commit: Some(commit),
        })
    }

    fn fetch(&self, api: &Api, repo: Repo, folder: &Path, name: &str) -> Result<(), String> {
        let plain = Path::new(name).components();
        let plain = plain
            .into_iter()
            .all(|part| matches!(part, Component::Normal(_)));
        if !plain || name.contains('\\') || name.split('/').count() > 2 {
            return Err(format!("its index names the file `{name}`"));
        }
        let path = folder.join(name);
        if is_there(&path) {
            return Ok(());
        }
        if path.exists() {
            tracing::warn!("{} is empty and downloaded anew", path.display());
            std::fs::remove_file(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        }
        let (repo, file) = (api.repo(repo), name.to_owned());
        let fetched = self.watch(move |pulse| repo.download_with_progress(&file, pulse));
        fetched
            .map(|_| ())
            .map_err(|reason| format!("{name}: {reason}"))
    }

    /// Runs `work` on a thread of its own and gives it up when it shows no sign of life for too long:
    /// the library below has no time limits.
    fn watch<T: Send + 'static>(
        &self,
        work: impl FnOnce(Pulse<T>) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, String> {
        let (sender, receiver) = mpsc::channel();
        let pulse = Pulse {
            sender: sender.clone(),
            progress: crate::progress::Progress::new(!self.progress),
        };
        std::thread::spawn(move || sender.send(Sign::Done(work(pulse))));
        loop {
            match receiver.recv_timeout(self.patience) {
                Ok(Sign::Alive) => {}
                Ok(Sign::Done(result)) => {
                    return result.map_err(|error| format!("{}: {}", self.endpoint, reason(error)));
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!(
                        "no answer from {} for {} s",
                        self.endpoint,
                        self.patience.as_secs_f64()
                    ));
                }
                Err(RecvTimeoutError::Disconnected) => return Err("the download broke off".into()),
            }
        }
    }
}

/// What a thread says of itself.
enum Sign<T> {
    Alive,
    Done(Result<T, ApiError>),
}

/// Every piece of a download is a sign of life, and is counted.
struct Pulse<T> {
    sender: Sender<Sign<T>>,
    progress: crate::progress::Progress,
}

impl<T> Progress for Pulse<T> {
    fn init(&mut self, size: usize, filename: &str) {
        // nobody listens to a thread that was given up
        let _ = self.sender.send(Sign::Alive);
        self.progress.start(size, "bytes");
        self.progress.item(filename.to_owned());
    }

    fn update(&mut self, size: usize) {
        let _ = self.sender.send(Sign::Alive);
        self.progress.advance_by(size);
    }

    fn finish(&mut self) {
        self.progress.end();
    }
}

fn reason(error: ApiError) -> String {
    let text = match error {
        ApiError::RequestError(error) => error.to_string(),
        ApiError::LockAcquisition(path) => {
            let again = File::open(&path).map_err(TryLockError::Error);
            unlocked(&path, again.and_then(|file| file.try_lock()))
        }
        other => other.to_string(),
    };
    let means = |status: &str| text.contains(&format!("http status: {status}"));
    if means("404") {
        "no such model or revision (404)".to_owned()
    } else if means("401") || means("403") {
        "no such public model (401); for a model with restricted access set HF_TOKEN".to_owned()
    } else {
        text
    }
}

/// Why the lock `path` of a download was not had, by what another try at it says.
fn unlocked(path: &Path, again: Result<(), TryLockError>) -> String {
    let path = path.display();
    match again {
        // the library has waited for seconds
        Ok(()) | Err(TryLockError::WouldBlock) => {
            format!("another download holds {path}; try again when it has ended")
        }
        Err(TryLockError::Error(error)) => format!(
            "{path} cannot be locked ({error}): the file system of the cache keeps no locks, as NFS and Lustre are often mounted; set HF_HOME (or HF_HUB_CACHE) to a folder on a local disk, or download the model into a folder"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};
    use std::path::PathBuf;
    use std::time::{Duration, Instant};

    use super::super::HubError;
    use super::*;
    use crate::checkpoints::layout::SHARDS_FILE;

    const COMMIT: &str = "89abcdef0123456789abcdef0123456789abcdef";

    fn hub(cache: &Path, endpoint: String) -> Hub {
        Hub {
            cache: Some(cache.to_owned()),
            endpoint,
            token: None,
            offline: false,
            progress: false,
            patience: Duration::from_millis(1500),
        }
    }

    /// Answers one request as the hub does, for the model org/name of the files given.
    fn answer(stream: &mut TcpStream, files: &[(&str, String)]) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut start = 0;
        let mut probe = false;
        loop {
            line.clear();
            if reader.read_line(&mut line).unwrap() == 0 || line.trim().is_empty() {
                break;
            }
            if let Some(range) = line.to_lowercase().trim().strip_prefix("range: bytes=") {
                let (from, to) = range.split_once('-').unwrap();
                start = from.parse().unwrap();
                probe = to == "0";
            }
        }
        let respond = |stream: &mut TcpStream, status: &str, headers: &str, body: &str| {
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n"
            );
            stream.write_all((head + body).as_bytes()).unwrap();
        };
        let revision = path.strip_prefix("/api/models/org/name/revision/");
        if revision.is_some_and(|revision| ["main", COMMIT].contains(&revision)) {
            let siblings: Vec<_> = files
                .iter()
                .map(|(name, _)| serde_json::json!({ "rfilename": name }))
                .collect();
            let info = serde_json::json!({ "sha": COMMIT, "siblings": siblings });
            return respond(stream, "200 OK", "", &info.to_string());
        }
        let name = path.strip_prefix(&format!("/org/name/resolve/{COMMIT}/"));
        match files.iter().find(|(known, _)| Some(*known) == name) {
            None => respond(stream, "404 Not Found", "", ""),
            Some((name, body)) => {
                let size = body.len();
                let end = if probe { 1 } else { size };
                let headers = format!(
                    "etag: \"{name}\"\r\nx-repo-commit: {COMMIT}\r\ncontent-range: bytes {start}-{}/{size}\r\n",
                    end - 1
                );
                respond(stream, "206 Partial Content", &headers, &body[start..end]);
            }
        }
    }

    /// A hub on this machine; gone with the process.
    fn serve(files: Vec<(&'static str, String)>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(&mut stream.unwrap(), &files);
            }
        });
        address
    }

    fn shards() -> Vec<(&'static str, String)> {
        let index = r#"{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}"#;
        vec![
            ("config.json", "{}".to_owned()),
            ("tokenizer.json", "[]".to_owned()),
            ("tokenizer_config.json", "{}".to_owned()),
            ("pytorch_model.bin", "left out".to_owned()),
            (SHARDS_FILE, index.to_owned()),
            ("one.safetensors", "1".repeat(100_000)),
            ("two.safetensors", "2".to_owned()),
        ]
    }

    #[test]
    fn what_is_needed_is_downloaded_once_and_found_without_the_network() {
        let folder = tempfile::tempdir().unwrap();
        let online = hub(folder.path(), serve(shards()));
        let path = PathBuf::from("org/name");
        let found = online.locate(&path, None, Part::Description).unwrap();
        assert_eq!(found.commit.as_deref(), Some(COMMIT));
        assert!(found.folder.join("config.json").is_file());
        assert!(found.folder.join("tokenizer_config.json").is_file());
        // what the model does not have is noted as Hugging Face's tools note it
        let model = folder.path().join("models--org--name");
        assert!(absent(&model, COMMIT, "added_tokens.json").is_file());
        assert!(!found.folder.join("added_tokens.json").exists());
        assert!(!found.folder.join(SHARDS_FILE).exists());
        let read = |name: &str| std::fs::read_to_string(found.folder.join(name)).unwrap();
        let whole = online.locate(&path, None, Part::Whole).unwrap();
        assert_eq!(whole, found);
        assert_eq!(read("one.safetensors").len(), 100_000);
        assert!(!found.folder.join("pytorch_model.bin").exists());
        // as a full disk leaves it
        std::fs::write(found.folder.join("one.safetensors"), "").unwrap();
        assert_eq!(online.locate(&path, None, Part::Whole), Ok(whole.clone()));
        assert_eq!(read("one.safetensors").len(), 100_000);
        let offline = Hub {
            offline: true,
            ..online
        };
        assert_eq!(offline.locate(&path, None, Part::Whole), Ok(whole));
    }

    #[test]
    fn a_lock_that_is_held_is_told_from_a_file_system_without_locks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.lock");
        let held = File::create(&path).unwrap();
        held.lock().unwrap();
        let said = || reason(ApiError::LockAcquisition(path.clone()));
        let text = said();
        assert!(text.starts_with("another download holds"), "{text}");
        assert!(!text.contains("HF_HOME"), "{text}");
        // ENOLCK, ENOSYS and EOPNOTSUPP of Linux
        for number in [37, 38, 95] {
            let error = std::io::Error::from_raw_os_error(number);
            let text = unlocked(&path, Err(TryLockError::Error(error)));
            assert!(text.contains(&format!("(os error {number})")), "{text}");
            assert!(text.contains("keeps no locks"), "{text}");
            assert!(text.contains("set HF_HOME"), "{text}");
        }
    }

    #[test]
    fn settings_of_a_tokenizer_are_fetched_into_a_cache_that_lacks_them() {
        let folder = tempfile::tempdir().unwrap();
        let online = hub(folder.path(), serve(shards()));
        let path = PathBuf::from("org/name");
        let found = online.locate(&path, None, Part::Whole).unwrap();
        let settings = found.folder.join("tokenizer_config.json");
        std::fs::remove_file(&settings).unwrap();
        let again = online.locate(&path, None, Part::Whole);
        assert_eq!(again, Ok(found.clone()));
        assert!(settings.exists());
        // a hub that does not answer leaves the cache as it is
        std::fs::remove_file(&settings).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let unreachable = hub(folder.path(), address);
        assert_eq!(unreachable.locate(&path, None, Part::Whole), Ok(found));
    }

    #[test]
    fn older_files_of_a_tokenizer_do_where_there_is_no_tokenizer_json() {
        let folder = tempfile::tempdir().unwrap();
        let mut files = shards();
        files.retain(|(name, _)| !name.starts_with("tokenizer"));
        files.push(("merges.txt", "#".to_owned()));
        let reason = hub(folder.path(), serve(files.clone()))
            .locate(Path::new("org/name"), None, Part::Description)
            .unwrap_err()
            .to_string();
        assert!(reason.contains("no older files of a tokenizer"), "{reason}");
        files.push(("vocab.json", "{}".to_owned()));
        let online = hub(folder.path(), serve(files));
        let found = online.locate(Path::new("org/name"), None, Part::Description);
        let found = found.unwrap();
        assert!(found.folder.join("merges.txt").is_file());
        let offline = Hub {
            offline: true,
            ..online
        };
        assert_eq!(
            offline.locate(Path::new("org/name"), None, Part::Description),
            Ok(found)
        );
    }

    #[test]
    fn of_a_pipeline_what_is_read_is_downloaded() {
        let folder = tempfile::tempdir().unwrap();
        let mut files: Vec<(&str, String)> = [
            "model_index.json",
            "scheduler/scheduler_config.json",
            "unet/config.json",
            "unet/diffusion_pytorch_model.safetensors",
            "unet/diffusion_pytorch_model.fp16.safetensors",
            "vae/config.json",
            "vae/diffusion_pytorch_model.fp16.safetensors",
            "text_encoder/config.json",
            "text_encoder/model.safetensors",
            "text_encoder/pytorch_model.bin",
            "tokenizer/vocab.json",
            "tokenizer/merges.txt",
            "tokenizer/tokenizer_config.json",
            "safety_checker/model.safetensors",
            "v1-5-pruned.safetensors",
        ]
        .map(|name| (name, name.to_owned()))
        .into();
        let online = hub(folder.path(), serve(files.clone()));
        let path = PathBuf::from("org/name");
        let found = online.locate(&path, None, Part::Description).unwrap();
        let has = |name: &str| found.folder.join(name).is_file();
        assert!(has("unet/config.json") && has("tokenizer/tokenizer_config.json"));
        assert!(!has("unet/diffusion_pytorch_model.safetensors"));
        assert_eq!(online.locate(&path, None, Part::Whole), Ok(found.clone()));
        let has = |name: &str| found.folder.join(name).is_file();
        let not_read = [
            "unet/diffusion_pytorch_model.fp16.safetensors",
            "text_encoder/pytorch_model.bin",
            "safety_checker/model.safetensors",
            "v1-5-pruned.safetensors",
        ];
        files.retain(|(name, _)| !not_read.contains(name));
        for (name, text) in &files {
            let there = std::fs::read_to_string(found.folder.join(name)).unwrap();
            assert_eq!(&there, text);
        }
        assert!(!not_read.into_iter().any(has));
    }

    #[test]
    fn what_cannot_be_had_is_said_soon() {
        let folder = tempfile::tempdir().unwrap();
        let reason = |endpoint: String, id: &str| {
            let start = Instant::now();
            let found = hub(folder.path(), endpoint).locate(Path::new(id), None, Part::Whole);
            assert!(start.elapsed() < Duration::from_secs(10));
            match found.unwrap_err() {
                HubError::Unavailable { reason, .. } => reason,
                other => panic!("{other}"),
            }
        };
        let unknown = reason(serve(shards()), "org/other");
        assert!(
            unknown.contains("no such model or revision (404)"),
            "{unknown}"
        );
        let mut files = shards();
        files.retain(|(name, _)| *name != SHARDS_FILE);
        let pickled = reason(serve(files), "org/name");
        assert!(
            pickled.contains("neither model.safetensors nor"),
            "{pickled}"
        );
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let silent = reason(address.clone(), "org/name");
        assert_eq!(silent, format!("no answer from {address} for 1.5 s"));
        drop(listener);
        let refused = reason(address, "org/name");
        assert!(refused.contains("refused"), "{refused}");
        assert!(!folder.path().join("models--org--other").exists());
    }
}
