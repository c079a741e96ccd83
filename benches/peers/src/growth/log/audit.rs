//! Each query of docs/audit.md, with the `sqlite3` program.

use std::process::Command;

use super::{Answers, Log, Picked};

/// The page's queries, and what stands in them to be replaced.
const PAGE: &str = include_str!("../../../../../docs/audit.md");

pub(super) fn ask(log: &Log, picked: &Picked, answers: &mut Answers) {
    if Command::new("sqlite3").arg("--version").output().is_err() {
        println!("\nleft out: there is no sqlite3 program");
        return;
    }
    for (heading, sql) in queries() {
        let sql = sql
            .replace("plan-7", &picked.plan)
            .replace("01K0000000000000000000000A", &picked.effect.to_string())
            .replace("01K0000000000000000000000B", &picked.cause.to_string())
            .replace("2026-03-01T09:30:00", &picked.time);
        let mut command = Command::new("sqlite3");
        command.arg("-readonly").arg(&log.path).arg(&sql);
        answers.ask(heading, || super::program::finish(&mut command));
    }
}

/// What the page asks, and the SQL below it.
fn queries() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGE.split("\n### ").skip(1).map(|section| {
        let (heading, text) = section.split_once('\n').expect("a heading");
        let sql = text.split("```sql\n").nth(1).and_then(|text| text.split("```").next());
        (heading, sql.expect("a query"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_of_the_page_has_a_query() {
        assert_eq!(queries().count(), 17);
        assert!(queries().all(|(_, sql)| sql.contains("SELECT") && sql.trim_end().ends_with(';')));
    }
}
