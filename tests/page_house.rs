//! House rules of the dashboard's files, which no compiler checks: their length, what they may import, and
//! what would take a text for HTML or for a script.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The most lines of a file.
const LINES_MAX: usize = 400;
/// What takes a text for more than a text.
const DANGEROUS: &[&str] = &[
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "eval(",
    "new Function",
    "javascript:",
    "srcdoc",
];

/// The files of a folder, without what others wrote, by their paths below it.
fn files(folder: &Path, below: &Path, found: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(folder).expect("a folder of the sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("vendor") {
            files(&path, below, found);
        } else if path
            .extension()
            .is_some_and(|kind| ["js", "mjs", "css", "html"].iter().any(|one| kind == *one))
        {
            let text = fs::read_to_string(&path).expect("text");
            found.insert(path.strip_prefix(below).expect("below").to_owned(), text);
        }
    }
}

fn page() -> BTreeMap<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboard");
    let mut found = BTreeMap::new();
    files(&folder, &folder, &mut found);
    found
}

/// What a module imports, as it stands there.
fn imports(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let (_, rest) = line.split_once(" from '")?;
        (line.starts_with("import ") || line.starts_with("} from")).then(|| rest.split('\'').next())?
    })
}

/// What is wrong with a file by itself.
fn faults(path: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let shown = path.display();
    let lines = text.lines().count();
    if lines > LINES_MAX {
        found.push(format!("{shown}: {lines} lines, the most is {LINES_MAX}"));
    }
    if !["// ", "/* ", "<!doctype"].iter().any(|begin| text.starts_with(begin)) {
        found.push(format!("{shown}: does not open with what it does"));
    }
    found.extend(DANGEROUS.iter().filter(|word| text.contains(*word)).map(|word| format!("{shown}: {word}")));
    found.extend(
        ["http://", "https://", "//cdn", "@import"]
            .iter()
            .filter(|word| !path.ends_with("icon.svg") && text.contains(*word))
            .map(|word| format!("{shown}: fetches from elsewhere: {word}")),
    );
    found
}

/// Modules that import themselves by way of others.
fn cycles(modules: &BTreeMap<PathBuf, BTreeSet<PathBuf>>) -> Vec<PathBuf> {
    let reaches = |from: &Path| {
        let mut open: Vec<&PathBuf> = modules.get(from).into_iter().flatten().collect();
        let mut seen = BTreeSet::new();
        while let Some(next) = open.pop() {
            if seen.insert(next) {
                open.extend(modules.get(next).into_iter().flatten());
            }
        }
        seen.contains(&from.to_owned())
    };
    modules.keys().filter(|module| reaches(module)).cloned().collect()
}

/// A path without `.` and `..`.
fn resolved(from: &Path, import: &str) -> PathBuf {
    let mut path = from.parent().expect("a folder").to_owned();
    for part in import.split('/') {
        match part {
            "." => {}
            ".." => drop(path.pop()),
            part => path.push(part),
        }
    }
    path
}

#[test]
fn p11_no_file_of_the_page_takes_text_for_html_or_fetches_from_elsewhere() {
    let page = page();
    let found: Vec<_> = page.iter().flat_map(|(path, text)| faults(path, text)).collect();
    assert!(page.len() > 20 && found.is_empty(), "{found:#?}");
}

#[test]
fn modules_import_what_is_there_and_never_in_a_circle() {
    let page = page();
    let mut modules = BTreeMap::new();
    for (path, text) in page.iter().filter(|(path, _)| path.extension().is_some_and(|kind| kind == "js")) {
        let imported: BTreeSet<_> = imports(text).map(|import| resolved(path, import)).collect();
        for target in &imported {
            let is_there = page.contains_key(target) || target.starts_with("vendor");
            assert!(is_there, "{}: imports {}", path.display(), target.display());
        }
        modules.insert(path.clone(), imported);
    }
    let count: usize = modules.values().map(BTreeSet::len).sum();
    assert!(count > 20, "{count} imports");
    assert_eq!(cycles(&modules), Vec::<PathBuf>::new());
}

#[test]
fn what_breaks_the_rules_is_found() {
    let fault = |text: &str| faults(Path::new("a.js"), text);
    assert_eq!(fault("// What it does.\nbox.textContent = 'x';"), Vec::<String>::new());
    assert_eq!(fault("// It.\nbox.innerHTML = text;"), ["a.js: innerHTML"]);
    assert_eq!(fault("const a = 1;"), ["a.js: does not open with what it does"]);
    assert_eq!(fault(&format!("// It.{}", "\n".repeat(LINES_MAX + 1))).len(), 1);
    assert_eq!(fault("// It.\nfetch('https://example.org')").len(), 1);
    assert_eq!(imports("import { a } from './b/c.js';\nimport {\n  d,\n} from '../e.js';").count(), 2);
    assert_eq!(resolved(Path::new("plans/list.js"), "../parts/time.js"), Path::new("parts/time.js"));
    let to = |name: &str| BTreeSet::from([PathBuf::from(name)]);
    let circle = BTreeMap::from([("a".into(), to("b")), ("b".into(), to("a")), ("c".into(), to("a"))]);
    assert_eq!(cycles(&circle), [PathBuf::from("a"), "b".into()]);
}
