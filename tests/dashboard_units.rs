//! The parts of the page that need no browser: `tests/dashboard/units`, run by Node.

#![cfg(feature = "server")]

mod dashboard_support;

use std::fs;

use dashboard_support::{is_skipped, node};

#[test]
fn the_parts_of_the_page_that_need_no_browser_do_what_they_say() {
    if is_skipped() {
        return;
    }
    let folder = fs::read_dir("tests/dashboard/units").expect("the tests");
    let mut files: Vec<_> = folder.map(|file| file.expect("a file").path()).collect();
    files.retain(|file| file.to_string_lossy().ends_with(".test.mjs"));
    files.sort();
    let output = node().args(["--test", "--test-reporter=spec"]).args(&files).output().expect("node runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    println!("{told}");
    // Each file has tests: one that could not be read would count as one that passed.
    let passed = told.lines().find_map(|line| line.strip_prefix("ℹ pass ")?.parse::<usize>().ok());
    assert!(passed.is_some_and(|passed| passed > files.len()), "{told}");
}
