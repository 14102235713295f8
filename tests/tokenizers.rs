//! Token ids against transformers, for tokenizers in every form they come in.
//!
//! The fixtures are made by `scripts/parity/tokens.py` and `scripts/parity/chat_templates.py` with transformers 4.57.1 and
//! tokenizers 0.22.2.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use infbench::data::Inputs;
use infbench::tasks::text::{
    CaptionEncoder, ChatTemplate, Encoder, Message, Texts, TokenizerError,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/tokenizers")
        .join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[derive(Deserialize)]
struct Fixture {
    files: BTreeMap<String, String>,
    texts: Vec<(String, Option<String>)>,
    base: Map<String, Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    family: String,
    files: BTreeMap<String, String>,
    config: Map<String, Value>,
    settings: BTreeMap<String, Value>,
    max_length: usize,
    #[serde(default)]
    ids: Lists,
    #[serde(default)]
    types: Lists,
    #[serde(default)]
    error: bool,
}

impl Fixture {
    fn read() -> Self {
        serde_json::from_str(&fixture("cases.json")).unwrap()
    }

    /// The folder of a checkpoint without weights.
    fn folder(&self, case: &Case) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut config = self.base.clone();
        config.insert("model_type".into(), case.family.as_str().into());
        config.extend(case.config.clone());
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("config.json", &Value::from(config).to_string());
        for (name, key) in &case.files {
            write(name, &self.files[key]);
        }
        for (name, settings) in &case.settings {
            write(name, &settings.to_string());
        }
        folder
    }

    fn texts(&self) -> Vec<Texts<'_>> {
        let texts = self.texts.iter();
        texts
            .map(|(first, second)| (first.as_str(), second.as_deref()))
            .collect()
    }
}

/// One list of ids, or of token types, an example.
type Lists = Vec<Vec<u32>>;

fn encode(
    folder: &Path,
    texts: &[Texts<'_>],
    max_length: usize,
) -> Result<(Lists, Lists), TokenizerError> {
    let Inputs::Tokens { ids, types, .. } = Encoder::open(folder, max_length)?.encode(texts)?
    else {
        panic!("texts become tokens")
    };
    Ok((ids, types))
}

#[test]
fn every_form_of_a_tokenizer_gives_the_ids_of_transformers() {
    let fixture = Fixture::read();
    let texts = fixture.texts();
    let mut wrong = Vec::new();
    for case in &fixture.cases {
        let folder = fixture.folder(case);
        match (encode(folder.path(), &texts, case.max_length), case.error) {
            (Ok(found), false) => {
                for (at, (ours, theirs)) in found.0.iter().zip(&case.ids).enumerate() {
                    if ours != theirs {
                        wrong.push(format!("{}: text {at}: {ours:?}\n  {theirs:?}", case.name));
                    }
                }
                if found.1 != case.types {
                    wrong.push(format!("{}: types {:?}", case.name, found.1));
                }
            }
            (Err(error), true) => println!("{}: {error}", case.name),
            (Ok(_), true) => wrong.push(format!("{}: transformers refuses", case.name)),
            (Err(error), false) => wrong.push(format!("{}: {error}", case.name)),
        }
    }
    assert!(fixture.cases.len() > 100);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Words of one to four letters with `tokens` letters in all, as the script draws them.
fn words(seed: u64, tokens: usize) -> String {
    let (mut state, mut left) = (seed, 0);
    let mut text = String::new();
    for _ in 0..tokens {
        state = (state * 1_103_515_245 + 12_345) % (1 << 31);
        if left == 0 {
            if !text.is_empty() {
                text.push(' ');
            }
            left = 1 + (state >> 16) % 4;
        }
        left -= 1;
        text.push(char::from(b'a' + ((state >> 8) % 26) as u8));
    }
    text
}

/// 32-bit FNV-1a of the ids' bytes.
fn hash(ids: &[u32]) -> String {
    let bytes = ids.iter().flat_map(|id| id.to_le_bytes());
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    format!("{hash:08x}")
}

#[test]
fn a_thousand_pairs_are_cut_as_transformers_cuts_them() {
    let forms = Fixture::read();
    let folder = forms.folder(&forms.cases[0]);
    let encoders = [16, 32].map(|length| Encoder::open(folder.path(), length).unwrap());
    let rows = fixture("pairs.txt");
    assert_eq!(rows.lines().count(), 1000);
    for (seed, row) in rows.lines().enumerate() {
        let fields: Vec<&str> = row.split(' ').collect();
        let text = |field: usize, seed| words(seed as u64, fields[field].parse().unwrap());
        let (first, second) = (text(0, seed), text(1, seed + 5000));
        for (encoder, expected) in encoders.iter().zip(&fields[2..]) {
            let found = encoder.encode(&[(&first, Some(&second))]).unwrap();
            let Inputs::Tokens { ids, .. } = found else {
                panic!("texts become tokens")
            };
            assert_eq!(hash(&ids[0]), *expected, "{first} | {second}");
        }
    }
}

#[test]
fn an_id_beyond_the_table_is_named_with_its_token() {
    let fixture = Fixture::read();
    let mut tokenizer: Value = serde_json::from_str(&fixture.files["bert"]).unwrap();
    let vocabulary = tokenizer["model"]["vocab"].as_object_mut().unwrap();
    let rows = vocabulary.len();
    // as many tokens as rows, with a hole: the token `!` has an id of its own behind the table
    vocabulary.insert("!".into(), (rows + 3).into());
    let folder = fixture.folder(&fixture.cases[0]);
    let write = |name: &str, value: &Value| {
        fs::write(folder.path().join(name), value.to_string()).unwrap();
    };
    write("tokenizer.json", &tokenizer);
    let mut config = fixture.base.clone();
    config.insert("model_type".into(), "bert".into());
    config.insert("vocab_size".into(), rows.into());
    write("config.json", &config.clone().into());
    let error = |text: &str| encode(folder.path(), &[("a b", Some(text))], 16);
    assert!(error("fine.").is_ok());
    let text = error("not fine!").unwrap_err().to_string();
    let said = format!(
        "tokenizer.json: the token `!` has id {}, but the checkpoint's embedding table has {rows} rows",
        rows + 3
    );
    assert!(text.contains(&said), "{text}");
    // a special token of the settings that the vocabulary lacks gets the next id
    write(
        "tokenizer_config.json",
        &json!({"additional_special_tokens": ["<new>"]}),
    );
    let text = error("a <new> b").unwrap_err().to_string();
    assert!(text.contains("the token `<new>` has id "), "{text}");
    config.insert("type_vocab_size".into(), 1.into());
    write("config.json", &config.into());
    let text = error("fine").unwrap_err().to_string();
    assert!(
        text.contains("gives token type 1; the checkpoint has 1"),
        "{text}"
    );
}

#[test]
fn what_is_wrong_with_the_older_files_is_named() {
    let fixture = Fixture::read();
    let case = |name: &str| fixture.cases.iter().find(|case| case.name == name).unwrap();
    let with = |name: &str, file: &str, text: &[u8]| {
        let folder = fixture.folder(case(name));
        fs::write(folder.path().join(file), text).unwrap();
        let error = encode(folder.path(), &fixture.texts(), 16).unwrap_err();
        error
            .to_string()
            .replace(&folder.path().display().to_string(), "F")
    };
    assert_eq!(
        with("vocab.txt", "vocab.txt", b"[PAD]\n[UNK]\n[SEP]\na\n"),
        "F/vocab.txt: has no token `[CLS]`, the tokenizer's `cls_token`"
    );
    assert_eq!(
        with("merges", "merges.txt", "#version\nĠ t\nh e l\n".as_bytes()),
        "F/merges.txt: line 3: expected two tokens with a space between, found 3"
    );
    let unknown = with("merges", "merges.txt", "#version\nĠ tt\n".as_bytes());
    assert!(unknown.starts_with("F/vocab.json: "), "{unknown}");
    // what the files hold is repeated in part only
    let long = "t".repeat(100_000);
    let unknown = with(
        "merges",
        "merges.txt",
        format!("#version\nĠ {long}\n").as_bytes(),
    );
    assert!(
        unknown.starts_with("F/vocab.json: ") && unknown.len() < 250,
        "{unknown}"
    );
    let token = with(
        "vocab.txt",
        "tokenizer_config.json",
        format!("{{\"cls_token\": \"{long}\"}}").as_bytes(),
    );
    assert!(
        token.starts_with("F/vocab.txt: has no token `ttt") && token.len() < 200,
        "{token}"
    );
    let class = with(
        "nothing",
        "tokenizer_config.json",
        br#"{"tokenizer_class": "T5Tokenizer"}"#,
    );
    assert!(
        class.starts_with("F/tokenizer_config.json: `tokenizer_class` is \"T5Tokenizer\"; allowed: \"BertTokenizer\""),
        "{class}"
    );
    let none = with("nothing", "notes.txt", b"");
    assert!(
        none.starts_with("F has no tokenizer: expected tokenizer.json"),
        "{none}"
    );
}

/// The vocabulary of a real tokenizer as the file that BERT came with before tokenizer.json.
#[test]
fn a_real_vocabulary_gives_the_same_ids_from_vocab_txt() {
    let model = std::env::var_os("INFBENCH_MINILM").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("models/all-MiniLM-L6-v2"),
        PathBuf::from,
    );
    let Ok(text) = fs::read_to_string(model.join("tokenizer.json")) else {
        eprintln!(
            "SKIPPED a_real_vocabulary: no tokenizer.json in {}",
            model.display()
        );
        return;
    };
    let tokenizer: Value = serde_json::from_str(&text).unwrap();
    let vocabulary = tokenizer["model"]["vocab"].as_object().unwrap();
    let mut tokens: Vec<(u64, &String)> = vocabulary
        .iter()
        .map(|(token, id)| (id.as_u64().unwrap(), token))
        .collect();
    tokens.sort_unstable();
    let older = tempfile::tempdir().unwrap();
    fs::copy(model.join("config.json"), older.path().join("config.json")).unwrap();
    let lines: String = tokens
        .iter()
        .map(|(_, token)| format!("{token}\n"))
        .collect();
    fs::write(older.path().join("vocab.txt"), lines).unwrap();
    let examples =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity/minilm/examples.jsonl");
    let text = fs::read_to_string(examples).unwrap();
    let rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let texts: Vec<Texts> = rows
        .iter()
        .map(|row| {
            (
                row["sentence1"].as_str().unwrap(),
                row["sentence2"].as_str(),
            )
        })
        .collect();
    let found = encode(older.path(), &texts, 128).unwrap();
    assert_eq!(found, encode(&model, &texts, 128).unwrap());
    assert!(found.0.iter().any(|ids| ids.len() == 128));
}

/// `name` under `$INFBENCH_SHARED` or a `shared/` folder above this crate.
fn shared(name: &str) -> Option<PathBuf> {
    let given = std::env::var_os("INFBENCH_SHARED").map(PathBuf::from);
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let all = given
        .into_iter()
        .chain(above.map(|folder| folder.join("shared")));
    let found = all
        .map(|folder| folder.join(name))
        .find(|path| path.exists());
    if found.is_none() {
        println!("SKIPPED: no {name} under $INFBENCH_SHARED or a shared/ folder above this crate");
    }
    found
}

/// A pipeline with the tokenizer of `from` and a text encoder of the given settings.
fn pipeline(from: &Path, config: Value) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let [tokenizer, text_encoder] =
        ["tokenizer", "text_encoder"].map(|name| folder.path().join(name));
    fs::create_dir_all(&tokenizer).unwrap();
    fs::create_dir_all(&text_encoder).unwrap();
    for name in [
        "vocab.json",
        "merges.txt",
        "special_tokens_map.json",
        "tokenizer_config.json",
    ] {
        fs::copy(from.join(name), tokenizer.join(name)).unwrap();
    }
    fs::write(text_encoder.join("config.json"), config.to_string()).unwrap();
    folder
}

#[derive(Deserialize)]
struct Caption {
    text: String,
    ids: Vec<u32>,
}

#[test]
fn captions_get_the_ids_of_clips_tokenizer() {
    let Some(golden) = shared("golden/clip_tokenizer") else {
        return;
    };
    let config = json!({"vocab_size": 49408, "max_position_embeddings": 77});
    let folder = pipeline(&golden, config);
    let cases: Vec<Caption> =
        serde_json::from_slice(&fs::read(golden.join("cases.json")).unwrap()).unwrap();
    let captions: Vec<&str> = cases.iter().map(|case| case.text.as_str()).collect();
    let encoder = CaptionEncoder::open(folder.path()).unwrap();
    assert_eq!((encoder.length(), encoder.vocabulary()), (77, 49408));
    let found = encoder.encode(&captions).unwrap().ids;
    assert_eq!(found.len(), 24);
    for (case, ids) in cases.iter().zip(&found) {
        assert_eq!(ids, &case.ids, "{:?}", case.text);
    }
    // without settings of its own, the class is told by the text encoder's type
    fs::remove_file(folder.path().join("tokenizer/tokenizer_config.json")).unwrap();
    fs::remove_file(folder.path().join("tokenizer/special_tokens_map.json")).unwrap();
    let config = json!({"model_type": "clip_text_model", "vocab_size": 49408});
    fs::write(
        folder.path().join("text_encoder/config.json"),
        config.to_string(),
    )
    .unwrap();
    assert_eq!(
        CaptionEncoder::open(folder.path())
            .unwrap()
            .encode(&captions)
            .unwrap()
            .ids,
        found
    );
    // Stable Diffusion 2 fills up with "!", which by that is never part of a word (transformers 4.57 and 5.24)
    let settings =
        json!({"tokenizer_class": "CLIPTokenizer", "pad_token": "!", "model_max_length": 9});
    fs::write(
        folder.path().join("tokenizer/tokenizer_config.json"),
        settings.to_string(),
    )
    .unwrap();
    let other = CaptionEncoder::open(folder.path()).unwrap();
    assert_eq!(
        other.encode(&["crossed! a", "a!!! b"]).unwrap().ids,
        [
            [49406, 11731, 0, 320, 49407, 0, 0, 0, 0],
            [49406, 320, 0, 0, 0, 321, 49407, 0, 0]
        ]
    );
}

#[test]
fn captions_of_small_pipelines() {
    if let Some(golden) = shared("golden/sd_tiny") {
        let examples: Vec<Value> =
            serde_json::from_slice(&fs::read(golden.join("examples.json")).unwrap()).unwrap();
        let captions: Vec<&str> = examples
            .iter()
            .map(|e| e["text"].as_str().unwrap())
            .collect();
        let bytes = fs::read(golden.join("reference.safetensors")).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let view = file.tensor("input_ids").unwrap();
        let expected: Vec<u32> = (view.data().as_chunks::<8>().0.iter())
            .map(|bytes| u32::try_from(i64::from_le_bytes(*bytes)).unwrap())
            .collect();
        let found = CaptionEncoder::open(&golden.join("pipeline"))
            .unwrap()
            .encode(&captions);
        assert_eq!(found.unwrap().ids.concat(), expected);
    }
    if let Some(folder) = shared("data/model_sd_icons32") {
        let encoder = CaptionEncoder::open(&folder).unwrap();
        let long = "red ".repeat(15);
        let made = encoder
            .encode(&["an icon of red apple", "", &long])
            .unwrap();
        let found = made.ids;
        // transformers 4.57: CLIPTokenizer.from_pretrained(…)("an icon of red apple").input_ids
        const ICONS: [u32; 7] = [2046, 301, 300, 297, 465, 1025, 2047];
        assert_eq!(found[0][..7], ICONS);
        assert!(found[0][7..].iter().all(|&id| id == ICONS[6]));
        assert_eq!(found[1][..2], [ICONS[0], ICONS[6]]);
        assert_eq!(found[1].len(), 16);
        assert_eq!(made.words[..2], [ICONS[1..6].to_vec(), Vec::new()]);
        // fifteen words and two special tokens do not go into sixteen
        assert_eq!((made.words[2].len(), made.truncated), (15, 1));
    }
}

#[test]
fn captions_longer_than_the_text_encoder_are_refused() {
    let Some(golden) = shared("golden/clip_tokenizer") else {
        return;
    };
    let error = |config: Value, settings: Option<Value>| {
        let folder = pipeline(&golden, config);
        if let Some(settings) = settings {
            let path = folder.path().join("tokenizer/tokenizer_config.json");
            fs::write(path, settings.to_string()).unwrap();
            fs::remove_file(folder.path().join("tokenizer/special_tokens_map.json")).unwrap();
        }
        let encoder = CaptionEncoder::open(folder.path());
        let error = encoder
            .and_then(|encoder| encoder.encode(&["zebra"]))
            .unwrap_err();
        error
            .to_string()
            .replace(&folder.path().display().to_string(), "F")
    };
    let short = error(
        json!({"vocab_size": 49408, "max_position_embeddings": 20}),
        None,
    );
    assert!(
        short.contains("`model_max_length` is 77; allowed: a whole number from 2 to 20"),
        "{short}"
    );
    let small = error(json!({"vocab_size": 1000}), None);
    assert!(small.contains("has 1000 rows"), "{small}");
    let unknown = json!({"tokenizer_class": "CLIPTokenizer", "pad_token": "[PAD]x"});
    let added = error(json!({"vocab_size": 49408}), Some(unknown));
    assert!(added.contains("`[PAD]x` has id 49408"), "{added}");
}

#[derive(Deserialize)]
struct Chats {
    tokens: Map<String, Value>,
    conversations: Vec<Vec<BTreeMap<String, String>>>,
    templates: BTreeMap<String, Template>,
}

#[derive(Deserialize)]
struct Template {
    source: String,
    texts: Vec<Option<String>>,
}

impl Chats {
    fn read() -> Self {
        serde_json::from_str(&fixture("chat.json")).unwrap()
    }

    /// A folder with these settings of its tokenizer.
    fn folder(&self, settings: &Value) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let mut all = self.tokens.clone();
        all.insert("tokenizer_class".into(), "PreTrainedTokenizerFast".into());
        all.extend(settings.as_object().unwrap().clone());
        write("config.json", "{\"model_type\": \"llama\"}");
        write("tokenizer_config.json", &Value::from(all).to_string());
        folder
    }
}

fn messages(conversation: &[BTreeMap<String, String>]) -> Vec<Message<'_>> {
    let turns = conversation.iter();
    turns
        .map(|turn| Message {
            role: &turn["role"],
            content: &turn["content"],
        })
        .collect()
}

#[test]
fn conversations_become_the_texts_of_transformers() {
    let chats = Chats::read();
    let mut wrong = Vec::new();
    for (name, template) in &chats.templates {
        let folder = chats.folder(&json!({"chat_template": template.source}));
        let opened = match ChatTemplate::open(folder.path()) {
            Ok(opened) => opened,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let mut expected = template.texts.iter();
        for conversation in &chats.conversations {
            for prompt in [false, true] {
                let found = opened.render(&messages(conversation), prompt);
                let expected = expected.next().unwrap();
                if found.as_ref().ok() != expected.as_ref() {
                    wrong.push(format!("{name}: {found:?}\n  {expected:?}"));
                }
            }
        }
    }
    assert!(chats.templates.len() >= 8);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_chat_template_is_found_where_transformers_finds_it() {
    let chats = Chats::read();
    let turn = [Message {
        role: "user",
        content: "x",
    }];
    let text = |settings: Value, file: Option<&str>| {
        let folder = chats.folder(&settings);
        if let Some(source) = file {
            fs::write(folder.path().join("chat_template.jinja"), source).unwrap();
        }
        let opened = ChatTemplate::open(folder.path());
        let text = opened.and_then(|template| template.render(&turn, false));
        let own = format!("{}", folder.path().display());
        text.map_err(|error| error.to_string().replace(&own, "FOLDER"))
    };
    let named = |name: &str| json!({"chat_template": [{"name": "rag", "template": "r"}, {"name": name, "template": "d"}]});
    assert_eq!(
        text(json!({"chat_template": "c"}), None).as_deref(),
        Ok("c")
    );
    assert_eq!(
        text(json!({"chat_template": "c"}), Some("f{{ eos_token }}")).as_deref(),
        Ok("f</s>")
    );
    assert_eq!(text(named("default"), None).as_deref(), Ok("d"));
    assert_eq!(
        text(named("tool_use"), None).unwrap_err(),
        "FOLDER: the model has several chat templates, but none with the name `default`: rag, tool_use"
    );
    assert_eq!(
        text(json!({}), None).unwrap_err(),
        "FOLDER: the model has no chat template: neither chat_template.jinja nor `chat_template` in tokenizer_config.json"
    );
    let wrong = text(json!({"chat_template": 3}), None).unwrap_err();
    assert!(
        wrong.contains("`chat_template` is 3; allowed: a template, or a list"),
        "{wrong}"
    );
    // a GGUF file has its own
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf/llama.gguf");
    let opened = ChatTemplate::open(&file).unwrap();
    assert_eq!(opened.render(&turn, false).unwrap(), "<s>x");
    let (ids, _) = encode(&file, &[("hello the", None)], 16).unwrap();
    let expected = fs::read_to_string(file.with_file_name("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let whole: Vec<u32> =
        serde_json::from_value(expected["models"]["llama"]["ids"][7].clone()).unwrap();
    assert!(
        whole.starts_with(&ids[0][..ids[0].len()]),
        "{ids:?} {whole:?}"
    );
}
