//! What an installer asks of the program: completions that shells really use, and pages of the manual.

#![cfg(feature = "cli")]
#![cfg(unix)]

mod cli_support;

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use cli_support::{fails, planbus, run, stdout};
use tempfile::TempDir;

/// What bash offers for the last of these words.
fn completed(words: &[&str]) -> BTreeSet<String> {
    // As bash does it itself: by the function that `complete` was told.
    let script = r#"
        source <("$0" completions bash)
        [[ $(complete -p planbus) =~ -F\ ([^ ]+) ]] || exit 1
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        "${BASH_REMATCH[1]}" planbus "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let mut command = Command::new("bash");
    command.args(["--norc", "-c", script, env!("CARGO_BIN_EXE_planbus")]).args(words);
    let output = command.stdin(Stdio::null()).output().expect("bash runs");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// The commands that the help lists.
fn commands() -> BTreeSet<String> {
    let directory = TempDir::new().expect("a directory");
    let help = stdout(directory.path(), &["-h"]);
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    // What is indented further goes on with a line before.
    let rows = listed.take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("  "));
    let names = rows.filter(|row| !row.starts_with(' ')).filter_map(|row| row.split(' ').next());
    let names: BTreeSet<String> = names.filter(|name| *name != "help").map(str::to_owned).collect();
    assert!(names.len() > 20, "{help}");
    names
}

#[test]
fn bash_completes_every_command() {
    let offered = completed(&["planbus", ""]);
    assert!(commands().is_subset(&offered), "{offered:?}");
    assert_eq!(completed(&["planbus", "compl"]), BTreeSet::from(["completions".to_owned()]));
}

#[test]
fn bash_completes_options_and_the_values_of_those_that_have_few() {
    let options = completed(&["planbus", "show", "--t"]);
    assert_eq!(options, BTreeSet::from(["--tenant".to_owned(), "--timeline".to_owned()]));
    let forms = completed(&["planbus", "show", "--output", ""]);
    assert_eq!(forms, ["json", "table", "tree"].map(str::to_owned).into());
    assert!(completed(&["planbus", "completions", ""]).contains("fish"), "values of an argument");
}

#[test]
fn every_shell_gets_a_script_that_knows_the_commands() {
    let directory = TempDir::new().expect("a directory");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = stdout(directory.path(), &["completions", shell]);
        for command in commands() {
            assert!(script.contains(&command), "{shell} knows nothing of {command}");
        }
    }
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 0, "nothing was made");
}

#[test]
fn man_prints_the_page_of_the_program() {
    let directory = TempDir::new().expect("a directory");
    let page = stdout(directory.path(), &["man"]);
    for chapter in ["NAME", "SYNOPSIS", "SUBCOMMANDS", "\"EXIT STATUS\""] {
        assert!(page.contains(&format!("\n.SH {chapter}\n")), "no {chapter} in {page}");
    }
    for command in commands() {
        assert!(page.contains(&format!("planbus\\-{command}(1)")), "no {command} in {page}");
    }
    check_troff(&page);
}

#[test]
fn man_writes_a_page_for_each_command_and_again_in_place_of_its_own() {
    let directory = TempDir::new().expect("a directory");
    let folder = directory.path().join("share/man1");
    for _ in 0..2 {
        assert_eq!(stdout(directory.path(), &["man", "--to", "share/man1"]), "");
    }
    let page = |name: &str| fs::read_to_string(folder.join(name)).expect("a page");
    for command in commands() {
        let page = page(&format!("planbus-{command}.1"));
        assert!(page.contains(&format!("\n.TH planbus-{command} 1 ")), "{page}");
        check_troff(&page);
    }
    assert!(page("planbus-dlq-replay.1").contains("dlq"), "commands of commands have theirs");
    assert!(page("planbus-show.1").contains("\\-\\-timeline"));
    assert_eq!(page("planbus.1"), stdout(directory.path(), &["man"]));
}

#[test]
fn man_never_replaces_a_page_of_somebody_else() {
    let directory = TempDir::new().expect("a directory");
    let theirs = directory.path().join("planbus-show.1");
    fs::write(&theirs, ".TH planbus-show 1\n").expect("writes");
    fails(
        directory.path(),
        &["man", "--to", "."],
        2,
        &["--to", "planbus-show.1", "not written by planbus man"],
    );
    assert_eq!(fs::read_to_string(&theirs).expect("reads"), ".TH planbus-show 1\n");
    assert!(!directory.path().join("planbus.1").exists(), "nor was any other written");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let at = TempDir::new().expect("a directory");
    fails(at.path(), &["completions", "tcsh"], 2, &["tcsh", "bash"]);
    fails(at.path(), &["completions", "bash", "-o", "json"], 2, &["completions", "no JSON"]);
    fails(at.path(), &["man", "-o", "tree"], 2, &["man has no tree"]);
    fails(at.path(), &["man", "--tenant", "acme"], 2, &["--tenant: man"]);
    fs::write(at.path().join("file"), "").expect("writes");
    fails(at.path(), &["man", "--to", "file/man1"], 4, &["file/man1"]);
}

#[test]
fn what_is_printed_does_not_depend_on_where_it_is_made() {
    let at = TempDir::new().expect("a directory");
    let elsewhere = |argument: &[&str]| {
        let mut command = planbus(at.path());
        command
            .args(argument)
            .env("PLANBUS_DB", "/secret/store.db")
            .env("PLANBUS_TOKEN_FILE", "/secret/tokens");
        String::from_utf8(command.output().expect("runs").stdout).expect("UTF-8")
    };
    for arguments in [&["man"][..], &["completions", "zsh"]] {
        assert_eq!(elsewhere(arguments), stdout(at.path(), arguments));
    }
    assert!(run(at.path(), &["man", "--to", "pages"]).status.success());
    elsewhere(&["man", "--to", "others"]);
    let read = |folder: &str| read_all(&at.path().join(folder));
    assert_eq!(read("pages"), read("others"));
}

fn read_all(folder: &Path) -> Vec<(String, String)> {
    let files = fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file"));
    let mut read: Vec<_> = files
        .map(|file| {
            let name = file.file_name().to_string_lossy().into_owned();
            (name, fs::read_to_string(file.path()).expect("text"))
        })
        .collect();
    read.sort();
    read
}

/// Looks for what `man` would pass over in silence: requests that it does not know, among them lines of
/// text that begin like one.
fn check_troff(page: &str) {
    const REQUESTS: [&str; 10] = [".SH", ".TH", ".TP", ".RS", ".RE", ".IP", ".PP", ".br", ".ie", ".el"];
    for line in page.lines().filter(|line| line.starts_with('.') || line.starts_with('\'')) {
        let request = line.split_whitespace().next().unwrap_or_default();
        assert!(request == ".\\\"" || REQUESTS.contains(&request), "{line:?} in {page}");
    }
}
