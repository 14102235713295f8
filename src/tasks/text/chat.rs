//! Chat templates: messages to the text that a chat model was trained on.
//!
//! In: messages with a role and a content. Out: one text with the model's marks of turns, which is to be tokenised without
//! further special tokens. Reference: `apply_chat_template(…, tokenize=False)` of transformers 4.57: the template is
//! Jinja with `trim_blocks` and `lstrip_blocks`, the special tokens by name (`bos_token`, …), `raise_exception`,
//! `strftime_now` and a `tojson` like Python's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

mod find;
mod python;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Enumerator, Object, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind};
use minijinja_contrib::pycompat::unknown_method_callback;
use regex::Regex;

use super::class::Class;
use super::error::TokenizerError;
use super::settings::{Added, special_tokens};
use crate::checkpoints::Fields;
use crate::input::shorten;
use find::{DEFAULT, find};
use python::{as_python, strftime_now, to_json};

/// Most characters of a message of the template engine, which quotes the template.
const LONGEST: usize = 160;

/// A turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Who speaks: `system`, `user` or `assistant`.
    pub role: &'a str,
    /// What is said.
    pub content: &'a str,
}

/// A turn as templates see it: its fields are in this order, by whatever a template goes through them.
#[derive(Debug)]
struct Turn {
    role: String,
    content: String,
}

impl Object for Turn {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "role" => Some(self.role.as_str().into()),
            "content" => Some(self.content.as_str().into()),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&["role", "content"])
    }
}

/// A checkpoint's chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    path: PathBuf,
    environment: Environment<'static>,
    special: BTreeMap<&'static str, String>,
}

impl ChatTemplate {
    /// Opens the chat template of the checkpoint in `folder` (or GGUF file): of chat_template.jinja, else of
    /// tokenizer_config.json; of several the one named `default`.
    ///
    /// # Errors
    /// Files that are damaged, no template, several without a default, a template that is not Jinja.
    pub fn open(folder: &Path) -> Result<Self, TokenizerError> {
        let settings = Fields::of_tokenizer(folder)?;
        let model = Fields::of_model(folder)?;
        let class = Class::find(&settings, &model)?;
        let special = special_tokens(&settings, folder, class, &Added::new())?;
        let (path, source) = find(folder, &settings)?;
        Self::new(path, source, special.named())
    }

    /// A template that `path` holds, with the special tokens by the names of their fields.
    fn new(
        path: PathBuf,
        source: String,
        special: BTreeMap<&'static str, String>,
    ) -> Result<Self, TokenizerError> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .expect("these are no delimiters");
        environment.set_syntax(syntax);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_unknown_method_callback(unknown_method_callback);
        environment.set_formatter(as_python);
        environment.add_filter("tojson", to_json);
        environment.add_function("raise_exception", refuse);
        environment.add_function("strftime_now", strftime_now);
        let added = environment.add_template_owned(DEFAULT, without_generation_marks(&source));
        let wrong = |error: Error| explain(&path, &error);
        added.map_err(wrong)?;
        Ok(Self {
            path,
            environment,
            special,
        })
    }

    /// The text of a conversation; with `prompt`, it ends where the assistant's next answer begins
    /// (`add_generation_prompt`).
    ///
    /// # Errors
    /// A conversation that the template refuses, such as one without turns or with two answers in a row.
    pub fn render(&self, messages: &[Message<'_>], prompt: bool) -> Result<String, TokenizerError> {
        let mut context: BTreeMap<&str, Value> = self
            .special
            .iter()
            .map(|(name, token)| (*name, token.into()))
            .collect();
        let turns = messages.iter().map(|message| {
            Value::from_object(Turn {
                role: message.role.to_owned(),
                content: message.content.to_owned(),
            })
        });
        context.insert("messages", turns.collect());
        context.insert("add_generation_prompt", prompt.into());
        // there, but nothing
        context.insert("tools", ().into());
        context.insert("documents", ().into());
        self.environment
            .get_template(DEFAULT)
            .and_then(|template| template.render(context))
            .map_err(|error| explain(&self.path, &error))
    }
}

/// `{% generation %}` marks what the assistant says, and changes nothing of the text.
fn without_generation_marks(source: &str) -> String {
    static MARKS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(\{%[-+]?\s*)(end)?generation(\s*[-+]?%\})").expect("it is one")
    });
    let replaced = MARKS.replace_all(source, |found: &regex::Captures<'_>| {
        let block = if found.get(2).is_some() {
            "endif"
        } else {
            "if true"
        };
        format!("{}{block}{}", &found[1], &found[3])
    });
    replaced.into_owned()
}

/// An error of the template engine.
fn explain(path: &Path, error: &Error) -> TokenizerError {
    let place = error
        .line()
        .map_or_else(String::new, |line| format!("line {line} of the "));
    let reason = match (error.kind(), error.detail()) {
        // the template's own words
        (ErrorKind::BadInclude, Some(detail)) => {
            format!(
                "the chat template refuses the conversation: {}",
                shorten(detail, LONGEST)
            )
        }
        (kind, detail) => format!(
            "{place}chat template: {}",
            shorten(
                &detail.map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}")),
                LONGEST
            )
        ),
    };
    TokenizerError::File {
        path: path.to_owned(),
        reason,
    }
}

/// `raise_exception(message)`.
fn refuse(message: &str) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::BadInclude, message.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(source: &str) -> Result<String, String> {
        let special = BTreeMap::from([("bos_token", "<s>".to_owned())]);
        let template = ChatTemplate::new("x.json".into(), source.to_owned(), special);
        let message = Message {
            role: "user",
            content: "é \"q\"",
        };
        template
            .and_then(|template| template.render(&[message], true))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_transformers_adds_to_jinja_is_there() {
        for (source, text) in [
            ("{{ bos_token }}{{ eos_token }}|", "<s>|"),
            (
                "{{ messages | tojson }}",
                r#"[{"role": "user", "content": "é \"q\""}]"#,
            ),
            (
                "{{ messages[0] | tojson(indent=2, ensure_ascii=true, sort_keys=true) }}",
                "{\n  \"content\": \"\\u00e9 \\\"q\\\"\",\n  \"role\": \"user\"\n}",
            ),
            ("{{ [1, []] | tojson(separators=(',', ':')) }}", "[1,[]]"),
            (
                "{{ none }}{{ true }}{{ 1.0 }}{{ tools is none }}",
                "NoneTrue1.0True",
            ),
            ("a\n  {% if true %}\nb\n  {% endif %}\nc\n", "a\nb\nc"),
            ("{%- generation %} x {%- endgeneration -%} \n", " x"),
            ("{% for m in messages %}{% continue %}{% endfor %}", ""),
        ] {
            assert_eq!(render(source).as_deref(), Ok(text), "{source}");
        }
        assert_eq!(render("{{ strftime_now('%Y') }}").unwrap().len(), 4);
    }

    #[test]
    fn what_is_wrong_with_a_template_or_a_conversation_is_said() {
        for (source, said) in [
            (
                "{{ raise_exception('No turns!') }}",
                "x.json: the chat template refuses the conversation: No turns!",
            ),
            (
                "\n{% if %}",
                "x.json: line 2 of the chat template: syntax error: ",
            ),
            (
                "{{ nothing.at.all }}",
                "x.json: line 1 of the chat template: ",
            ),
            (
                "{{ strftime_now('%!') }}",
                "x.json: line 1 of the chat template: ",
            ),
        ] {
            let text = render(source).unwrap_err();
            assert!(text.starts_with(said), "{text}");
            assert!(text.chars().count() < 250, "{text}");
        }
    }
}
