//! The layers of ARCHITECTURE.md, read from the source: who may import whom, and house rules that a
//! compiler does not check.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::visit::{self, Visit};

/// The modules of the crate, lowest first. A module imports only modules of strictly lower layers.
const LAYERS: &[&[&str]] = &[
    &["error", "sync"],
    &["event"],
    &["families", "filter"],
    &["store"],
    &["bus"],
    &["plan", "testing"],
    &["redis"],
    &["server"],
];

/// Crates that stay inside one module.
const CONFINED: &[(&str, &str)] =
    &[("rusqlite", "store"), ("redis", "redis"), ("tokio", "server"), ("axum", "server")];

/// The most lines of a source file.
const LINES_MAX: usize = 400;

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

/// The first segments after `crate::` (or `super::` where that is the root), and the crates named.
#[derive(Default)]
struct Imports {
    /// How many `super` lead from this file to the crate's root.
    depth: usize,
    modules: BTreeSet<String>,
    /// What is named beside this file, in its own folder.
    siblings: BTreeSet<String>,
    crates: BTreeSet<String>,
}

impl Imports {
    fn path(&mut self, segments: &[String]) {
        let supers = segments.iter().take_while(|segment| *segment == "super").count();
        match segments.first().map(String::as_str) {
            Some("crate") => self.modules.extend(segments.get(1).cloned()),
            Some("super") if supers >= self.depth => self.modules.extend(segments.get(supers).cloned()),
            Some("super") if supers + 1 == self.depth => self.siblings.extend(segments.get(supers).cloned()),
            Some("super" | "self") | None => {}
            Some(name) => drop(self.crates.insert(name.to_owned())),
        }
    }

    fn tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.path(&with(&name.ident)),
            syn::UseTree::Rename(name) => self.path(&with(&name.ident)),
            syn::UseTree::Glob(_) => self.path(before),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.tree(before, item)),
        }
    }
}

impl<'ast> Visit<'ast> for Imports {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if segments.len() > 1 {
            self.path(&segments);
        }
        visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        // Inside an inline module, `super` is one step farther from the root.
        self.depth += 1;
        visit::visit_item_mod(self, item);
        self.depth -= 1;
    }
}

/// What breaks the rules in these files: (path below `src`, text).
fn violations(files: &[(PathBuf, String)]) -> Vec<String> {
    let mut found = Vec::new();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let names: BTreeSet<String> =
        files.iter().map(|(path, _)| path.with_extension("").display().to_string()).collect();
    for (path, text) in files {
        let shown = path.display();
        let lines = text.lines().count();
        if lines > LINES_MAX {
            found.push(format!("{shown}: {lines} lines, the most is {LINES_MAX}"));
        }
        if !text.starts_with("//!") {
            found.push(format!("{shown}: does not open with what it does"));
        }
        let mut parts: Vec<String> =
            path.with_extension("").iter().map(|part| part.to_string_lossy().into()).collect();
        parts.pop_if(|last| last == "mod");
        let module = parts[0].clone();
        let mut imports = Imports { depth: parts.len(), ..Imports::default() };
        imports.visit_file(&syn::parse_file(text).unwrap_or_else(|error| panic!("{shown}: {error}")));
        // Files of one folder; what they take from the folder's own module is no cycle.
        let folder = parts[..parts.len() - 1].join("/");
        for sibling in imports.siblings.iter().map(|name| format!("{folder}/{name}")) {
            let own = parts.join("/");
            if names.contains(&sibling) && sibling != own && parts.len() > 1 {
                edges.entry(own).or_default().insert(sibling);
            }
        }
        let named = |name: &str| imports.crates.contains(name);
        for (name, home) in CONFINED {
            if named(name) && module != *home && module != "bin" {
                found.push(format!("{shown}: {name} stays inside {home}"));
            }
        }
        if module == "lib" || module == "bin" {
            continue;
        }
        let Some(own) = layer(&module) else {
            found.push(format!("{shown}: module {module} has no layer"));
            continue;
        };
        for other in imports.modules.iter().filter(|other| **other != module) {
            if let Some(theirs) = layer(other) {
                edges.entry(module.clone()).or_default().insert(other.clone());
                if theirs >= own {
                    found.push(format!("{shown}: {module} (layer {own}) imports {other} (layer {theirs})"));
                }
            }
        }
    }
    found.extend(
        edges
            .keys()
            .filter(|from| reaches(&edges, from, from))
            .map(|from| format!("{from}: imports itself in a cycle")),
    );
    found
}

fn reaches(edges: &BTreeMap<String, BTreeSet<String>>, from: &str, goal: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut next: Vec<&String> = edges.get(from).into_iter().flatten().collect();
    while let Some(module) = next.pop() {
        if module == goal {
            return true;
        }
        if seen.insert(module) {
            next.extend(edges.get(module).into_iter().flatten());
        }
    }
    false
}

fn sources(folder: &Path, root: &Path, files: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).expect("a folder of the source") {
        let path = entry.expect("an entry of the source").path();
        if path.is_dir() {
            sources(&path, root, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let below = path.strip_prefix(root).expect("below the source").to_owned();
            files.push((below, fs::read_to_string(&path).expect("a source file")));
        }
    }
}

#[test]
fn every_import_goes_to_a_strictly_lower_layer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &root, &mut files);
    assert!(files.len() > 20, "the source was not found: {files:?}");
    let found = violations(&files);
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// What the check says of one made-up file.
fn planted(path: &str, text: &str) -> Vec<String> {
    violations(&[(path.into(), format!("//! A file.\n{text}"))])
}

#[test]
fn no_file_of_the_tests_examples_and_benches_is_too_long_to_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in ["tests", "examples", "benches"] {
        sources(&root.join(folder), root, &mut files);
    }
    let long = files.iter().filter(|(_, text)| text.lines().count() > LINES_MAX || !text.starts_with("//!"));
    let long: Vec<_> = long.map(|(path, _)| path).collect();
    assert!(files.len() > 20 && long.is_empty(), "{long:?}");
}

#[test]
fn an_upward_import_is_found() {
    assert_eq!(
        planted("event/id.rs", "use crate::bus::EventBus;"),
        ["event/id.rs: event (layer 1) imports bus (layer 4)"]
    );
    assert_eq!(planted("store/mod.rs", "use crate::{error::Error, plan::{PlanRun}};").len(), 1);
    assert_eq!(planted("filter.rs", "fn f() { crate::store::open() }").len(), 1);
    assert_eq!(planted("event/id.rs", "use super::super::bus::EventBus;").len(), 1);
    assert_eq!(planted("event/id.rs", "mod tests { use super::super::super::bus::EventBus; }").len(), 1);
    assert!(
        planted("bus/mod.rs", "use crate::{error::Error, store::EventStore, filter::Filter};").is_empty()
    );
    assert!(
        planted("event/id.rs", "use super::{hash, json}; mod tests { use super::super::json; }").is_empty()
    );
}

#[test]
fn a_cycle_is_found() {
    let found = violations(&[
        ("plan/mod.rs".into(), "//! One.\nuse crate::testing::Recorder;".into()),
        ("testing.rs".into(), "//! Two.\nuse crate::plan::PlanRun;".into()),
    ]);
    assert!(found.iter().any(|line| line == "plan: imports itself in a cycle"), "{found:?}");
}

#[test]
fn a_cycle_of_files_in_a_folder_is_found() {
    let one = ("bus/slot.rs".into(), "//! One.\nuse super::lane::Lane;".into());
    let two = ("bus/lane.rs".into(), "//! Two.\nuse super::{registry, slot::Slot};".into());
    let found = violations(&[one, two]);
    assert_eq!(found, ["bus/lane: imports itself in a cycle", "bus/slot: imports itself in a cycle"]);
}

#[test]
fn a_confined_crate_elsewhere_and_a_long_file_are_found() {
    assert_eq!(
        planted("bus/mod.rs", "use rusqlite::Connection;"),
        ["bus/mod.rs: rusqlite stays inside store"]
    );
    assert!(planted("store/mod.rs", "use rusqlite::Connection;").is_empty());
    assert_eq!(planted("bus/mod.rs", &"\n".repeat(LINES_MAX)).len(), 1);
    assert_eq!(
        violations(&[("bus/mod.rs".into(), "use crate::error::Error;".into())]),
        ["bus/mod.rs: does not open with what it does"]
    );
}
