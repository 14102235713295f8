//! The order of imports: who may import whom, and no circles.
//!
//! The graph is computed from the sources: paths that begin with `crate`, `super`, `self` or a module's own children,
//! outside comments, texts and test code, with re-exports followed to the file that defines the item. [`ORDER`] is the
//! order of docs/architecture.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// The rooms of the library from the ground up: an import goes to an earlier row. Rooms of one row do not import one
/// another.
const ORDER: &[&[&str]] = &[
    &["input"],
    &[
        "atomic",
        "device",
        "interrupt",
        "look",
        "measure",
        "progress",
        "random",
        "vector",
        "workers",
    ],
    &["data"],
    &["checkpoints"],
    &["models", "tasks"],
    &["batching"],
    // a loss leads batches of a split through a model, a sampler prompts
    &["objectives", "sampling"],
    &["gradients"],
    &["finetune"],
    // trains with the optimiser of fine-tuning
    &["pretraining"],
    &["influence"],
    &["metrics"],
    &["ground_truth"],
    &["theory"],
    &["results"],
    &["config"],
    &["resolve"],
    &["generation", "gradient_files", "runner", "score"],
    &["engines"],
    &["report"],
    &["reproduce"],
    &["cli"],
];

/// Imports that the order would allow and that are not wanted all the same.
const FORBIDDEN: &[(&str, &[&str])] = &[
    // results only: nothing is computed in a report
    (
        "report",
        &[
            "checkpoints",
            "finetune",
            "gradients",
            "influence",
            "models",
            "objectives",
            "tasks",
            "theory",
        ],
    ),
    // whatever its gradients came from
    ("influence", &["models", "objectives", "tasks"]),
    ("metrics", &["influence", "models", "objectives", "tasks"]),
    // settings are checked by themselves; `resolve` looks at what they name
    ("config", &["checkpoints"]),
    // matrices only
    ("theory", &["finetune", "models", "objectives", "tasks"]),
];

/// A source file of the library or the program.
struct Source {
    path: PathBuf,
    /// Name of its module, e.g. `["gradients", "store"]`; empty for the crate's root.
    module: Vec<String>,
    code: String,
}

/// All files of `src/`, without those that are tests.
fn sources() -> Vec<Source> {
    fn walk(folder: &Path, module: &[String], found: &mut Vec<Source>) {
        for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
            let path = entry.expect("a readable folder").path();
            let name = path.file_stem().expect("a name").display().to_string();
            let mut own = module.to_vec();
            if path.is_dir() {
                own.push(name);
                walk(&path, &own, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                if !matches!(name.as_str(), "mod" | "lib" | "main") {
                    own.push(name);
                }
                let text = fs::read_to_string(&path).expect("a readable source");
                let code = without_tests(&bare(&text));
                found.push(Source {
                    path,
                    module: own,
                    code,
                });
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &[], &mut found);
    found.retain(|source| source.path != root.join("main.rs"));
    found.sort_by(|a, b| a.path.cmp(&b.path));
    let tests = test_files(&root, &found);
    found.retain(|source| !tests.contains(&source.path));
    assert!(found.len() > 100, "the sources are in src/");
    found
}

/// Files that a `#[cfg(test)] mod name;` names, by the folder in which the module's files lie.
fn test_files(root: &Path, sources: &[Source]) -> BTreeSet<PathBuf> {
    let declared = Regex::new(
        r#"#\[cfg\(test\)\]\s*(?:#\[path = "([^"]+)"\]\s*)?pub(?:\(\w+\))?\s+mod (\w+);|#\[cfg\(test\)\]\s*(?:#\[path = "([^"]+)"\]\s*)?mod (\w+);"#,
    )
    .expect("a right expression");
    let mut found = BTreeSet::new();
    for source in sources {
        let text = fs::read_to_string(&source.path).expect("a readable source");
        let folder = root.join(source.module.iter().collect::<PathBuf>());
        for hit in declared.captures_iter(&text) {
            let path = hit.get(1).or(hit.get(3)).map(|path| path.as_str());
            let name = hit.get(2).or(hit.get(4)).expect("a name").as_str();
            let beside = source.path.parent().expect("a folder");
            found.insert(match path {
                Some(path) => beside.join(path),
                None => folder.join(format!("{name}.rs")),
            });
        }
    }
    found
}

/// The source without comments and without what stands in texts.
fn bare(text: &str) -> String {
    let tokens = Regex::new(
        r####"(?s)//[^\n]*|/\*.*?\*/|b?r###".*?"###|b?r##".*?"##|b?r#".*?"#|b?"(?:\\.|[^"\\])*"|b?'(?:\\[^\n]|[^'\\\n])[^'\n]{0,9}?'"####,
    )
    .expect("a right expression");
    tokens
        .replace_all(
            text,
            |hit: &regex::Captures| {
                if hit[0].starts_with('/') { " " } else { "\"\"" }
            },
        )
        .into_owned()
}

/// Bare code without the items that `#[cfg(test)]` stands before.
fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = String::new();
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        kept.push_str(&rest[..at]);
        let item = &rest[at + MARK.len()..];
        let mut depth = 0;
        let end = item.char_indices().find_map(|(i, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            let over = depth == 0 && (c == '}' || c == ';');
            over.then_some(i + c.len_utf8())
        });
        rest = &item[end.expect("an item ends")..];
    }
    kept.push_str(rest);
    kept
}

/// `use` declarations of a file: the name that each brings into scope, and its path. A glob has the name `*`.
fn uses(code: &str) -> Vec<(String, Vec<String>)> {
    let declarations = Regex::new(r"(?s)\buse\s+([^;]+);").expect("a right expression");
    let mut found = Vec::new();
    for hit in declarations.captures_iter(code) {
        let text: String = hit[1].replace(" as ", "@").split_whitespace().collect();
        expand(&text, &[], &mut found);
    }
    found
}

/// The paths of `a::{b, c::{self, D}}`.
fn expand(tree: &str, prefix: &[String], found: &mut Vec<(String, Vec<String>)>) {
    if let Some(open) = tree.find('{') {
        let head = tree[..open].trim_end_matches("::");
        let mut path = prefix.to_vec();
        path.extend(
            head.split("::")
                .filter(|s| !s.is_empty())
                .map(str::to_owned),
        );
        let inner = &tree[open + 1..tree.rfind('}').expect("a closed brace")];
        let (mut depth, mut start) = (0, 0);
        for (i, c) in inner.char_indices().chain([(inner.len(), ',')]) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    if i > start {
                        expand(&inner[start..i], &path, found);
                    }
                    start = i + 1;
                }
                _ => {}
            }
        }
        return;
    }
    let (path, alias) = tree
        .split_once('@')
        .map_or((tree, None), |(p, a)| (p, Some(a)));
    let mut whole = prefix.to_vec();
    whole.extend(
        path.split("::")
            .filter(|s| !s.is_empty())
            .map(str::to_owned),
    );
    if whole.len() > 1 && whole.last().is_some_and(|last| last == "self") {
        whole.pop();
    }
    let name = alias.map(str::to_owned).or_else(|| whole.last().cloned());
    found.push((name.expect("a path has a name"), whole));
}

/// The files and the imports between them.
struct Graph {
    sources: Vec<Source>,
    /// File by module.
    files: BTreeMap<Vec<String>, usize>,
    uses: Vec<Vec<(String, Vec<String>)>>,
    /// Files that each file imports from, itself excluded.
    edges: Vec<BTreeSet<usize>>,
}

impl Graph {
    fn new() -> Self {
        let sources = sources();
        let files = sources.iter().enumerate();
        let files = files
            .map(|(i, source)| (source.module.clone(), i))
            .collect();
        let uses = sources.iter().map(|source| uses(&source.code)).collect();
        let mut graph = Self {
            edges: vec![BTreeSet::new(); sources.len()],
            sources,
            files,
            uses,
        };
        let re_export = Regex::new(r"(?s)\bpub(?:\([a-z ]+\))?\s+use\s+[^;]+;").expect("right");
        let paths = Regex::new(r"\b[A-Za-z_]\w*(?:::[A-Za-z_]\w*)+").expect("right");
        for i in 0..graph.sources.len() {
            let code = &graph.sources[i].code;
            // what is only passed on is not used here: whoever imports it has the edge to its origin
            let own = re_export.replace_all(code, "").into_owned();
            let inline = paths.find_iter(&own);
            let inline = inline.map(|hit| hit.as_str().split("::").map(str::to_owned).collect());
            let named = self::uses(&own).into_iter().map(|(_, path)| path);
            let all: Vec<Vec<String>> = named.chain(inline).collect();
            for path in all {
                if let Some(file) = graph.resolve(i, &path, 0).filter(|file| *file != i) {
                    graph.edges[i].insert(file);
                }
            }
        }
        graph
    }

    /// The file that defines what `path` names in the file `from`; `None` for other crates and local names.
    fn resolve(&self, from: usize, path: &[String], depth: usize) -> Option<usize> {
        let own = &self.sources[from].module;
        let is_program = own.first().is_some_and(|room| room == "cli");
        let (mut module, rest): (Vec<String>, &[String]) = match path.first()?.as_str() {
            "infbench" if is_program => (Vec::new(), &path[1..]),
            "crate" if is_program => return None,
            "crate" => (Vec::new(), &path[1..]),
            "self" => (own.clone(), &path[1..]),
            "super" => {
                let up = path.iter().take_while(|step| *step == "super").count();
                (own[..own.len().checked_sub(up)?].to_vec(), &path[up..])
            }
            first => {
                let mut child = own.clone();
                child.push(first.to_owned());
                if self.files.contains_key(&child) {
                    (own.clone(), path)
                } else {
                    return None;
                }
            }
        };
        for (at, step) in rest.iter().enumerate() {
            module.push(step.clone());
            if self.files.contains_key(&module) {
                continue;
            }
            module.pop();
            let file = *self.files.get(&module)?;
            let bound = self.uses[file].iter().find(|(name, _)| name == step);
            if let Some((_, target)) = bound.filter(|_| depth < 8) {
                let mut whole = target.clone();
                whole.extend(rest[at + 1..].iter().cloned());
                return self.resolve(file, &whole, depth + 1);
            }
            return Some(file);
        }
        self.files.get(&module).copied()
    }

    fn room(&self, file: usize) -> Option<&str> {
        self.sources[file].module.first().map(String::as_str)
    }

    fn name(&self, file: usize) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let below = self.sources[file]
            .path
            .strip_prefix(root)
            .expect("a source");
        below.display().to_string()
    }

    /// Imports between rooms, with a file for each.
    fn rooms(&self) -> BTreeMap<(&str, &str), String> {
        let mut found = BTreeMap::new();
        for (from, targets) in self.edges.iter().enumerate() {
            for &to in targets {
                if let (Some(a), Some(b)) = (self.room(from), self.room(to))
                    && a != b
                {
                    let between = format!("{} imports {}", self.name(from), self.name(to));
                    found.entry((a, b)).or_insert(between);
                }
            }
        }
        found
    }

    /// Files that can be reached from themselves without leaving their room, by room.
    fn circles(&self) -> BTreeMap<&str, Vec<String>> {
        let reaches_itself = |start: usize| {
            let mut seen = BTreeSet::new();
            let mut todo = vec![start];
            while let Some(file) = todo.pop() {
                for &next in &self.edges[file] {
                    if self.room(next) == self.room(start) && seen.insert(next) {
                        todo.push(next);
                    }
                }
            }
            seen.contains(&start)
        };
        let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for file in (0..self.sources.len()).filter(|&file| reaches_itself(file)) {
            let room = self.room(file).unwrap_or("lib.rs");
            found.entry(room).or_default().push(self.name(file));
        }
        found
    }
}

static GRAPH: LazyLock<Graph> = LazyLock::new(Graph::new);

fn rank(room: &str) -> usize {
    ORDER
        .iter()
        .position(|row| row.contains(&room))
        .unwrap_or_else(|| panic!("src/{room} has no place in ORDER (tests/boundaries.rs)"))
}

#[test]
fn imports_go_towards_the_ground() {
    let against: Vec<String> = GRAPH
        .rooms()
        .iter()
        .filter(|((from, to), _)| rank(to) >= rank(from))
        .map(|(pair, example)| format!("{pair:?}: {example}"))
        .collect();
    assert!(
        against.is_empty(),
        "these imports go up, or to a room of the same row:\n{}",
        against.join("\n")
    );
}

#[test]
fn rooms_do_not_import_what_is_not_theirs_to_know() {
    let graph = &*GRAPH;
    let rooms = graph.rooms();
    for (room, unwanted) in FORBIDDEN {
        for other in *unwanted {
            let found = rooms.get(&(*room, *other));
            assert_eq!(found, None, "{room} must not know {other}");
        }
    }
}

#[test]
fn files_of_a_room_form_no_circles() {
    let circles = GRAPH.circles();
    assert!(
        circles.is_empty(),
        "these files import one another in circles: {circles:?}"
    );
}

#[test]
fn the_order_is_the_one_of_the_documentation() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    let text = fs::read_to_string(path).expect("docs/architecture.md");
    let row = Regex::new(r"(?m)^\| \d+ \| (.*) \|$").expect("a right expression");
    let documented: Vec<String> = row
        .captures_iter(&text)
        .map(|hit| hit[1].replace('`', ""))
        .collect();
    let there = |room: &&&str| {
        let files = 0..GRAPH.sources.len();
        files
            .into_iter()
            .any(|file| GRAPH.room(file) == Some(**room))
    };
    let rows = ORDER.iter().map(|row| {
        let rooms: Vec<&str> = row.iter().filter(there).copied().collect();
        rooms.join(" ")
    });
    let rows: Vec<String> = rows.filter(|row| !row.is_empty()).collect();
    assert_eq!(documented, rows);
}

/// Files of code in which one of `words` stands.
fn files_with(rooms: &[&str], words: &[&str]) -> Vec<String> {
    let graph = &*GRAPH;
    let files = 0..graph.sources.len();
    let in_rooms =
        |file: &usize| rooms.is_empty() || graph.room(*file).is_some_and(|r| rooms.contains(&r));
    let has = |file: &usize| {
        words
            .iter()
            .any(|word| graph.sources[*file].code.contains(word))
    };
    files
        .filter(in_rooms)
        .filter(has)
        .map(|file| graph.name(file))
        .collect()
}

#[test]
fn the_deep_learning_framework_stops_at_the_gradients() {
    let rooms = [
        "influence",
        "metrics",
        "theory",
        "report",
        "results",
        "config",
    ];
    let found = files_with(&rooms, &["burn::", "burn_"]);
    assert!(found.is_empty(), "these import burn: {found:?}");
}

#[test]
fn settings_are_checked_without_disk_and_network() {
    let readers = [
        "fs::",
        "File::",
        "net::",
        "hf_hub",
        "ureq",
        "Mmap",
        "input::text",
        "input::json",
        "input::bytes",
        "env::var",
    ];
    let found = files_with(&["config"], &readers);
    assert!(
        found.is_empty(),
        "these look at files or the network: {found:?}"
    );
}

#[test]
fn devices_are_made_in_one_module() {
    let makers = ["Device::flex(", "Device::libtorch", "Device::default()"];
    assert_eq!(files_with(&[], &makers), ["device.rs"]);
}

#[test]
fn the_reader_of_imports_reads_what_rust_reads() {
    let code = "use a::{b, c::{self, D as E}}; // use no::comment;\nlet s = \"use no::text;\"; let c = '\"';\n\
                #[cfg(test)]\nmod tests { use no::test; fn f() {} }\nuse x::*;";
    let found = uses(&without_tests(&bare(code)));
    let paths: Vec<String> = found
        .iter()
        .map(|(name, path)| format!("{name}={}", path.join("::")))
        .collect();
    assert_eq!(paths, ["b=a::b", "c=a::c", "E=a::c::D", "*=x::*"]);
    // a re-export is followed to the file that has the item
    let graph = &*GRAPH;
    let at = |module: &[&str]| {
        let module: Vec<String> = module.iter().map(|step| (*step).to_owned()).collect();
        graph.files[&module]
    };
    let path = ["crate", "results", "Record", "new"].map(str::to_owned);
    assert_eq!(
        graph.resolve(at(&["report", "data"]), &path, 0),
        Some(at(&["results", "record"]))
    );
    let path = ["super", "number"].map(str::to_owned);
    assert_eq!(
        graph.resolve(at(&["report", "data"]), &path, 0),
        Some(at(&["report", "number"]))
    );
}

/// What several methods need is in `influence/solve`, or beside them where no method is.
#[test]
fn a_method_does_not_know_another() {
    let graph = &*GRAPH;
    let is_method = |file: usize| {
        let source = &graph.sources[file];
        let room: Vec<&str> = source.module.iter().map(String::as_str).collect();
        matches!(room[..], ["influence", "methods" | "compat", _])
            && source.code.contains("InfluenceMethod for ")
    };
    let methods: Vec<usize> = (0..graph.sources.len()).filter(|i| is_method(*i)).collect();
    assert!(methods.len() >= 28);
    for &method in &methods {
        let other = graph.edges[method].iter().find(|other| is_method(**other));
        let other = other.map(|other| graph.name(*other));
        assert_eq!(other, None, "{} imports another method", graph.name(method));
    }
}
