//! What was seen of a run, as a table in Markdown.

use std::fmt::Write;

use super::{judge::Slice, scene::Outcome};

const HEAD: &str = "| slice | events | p50 ms | p99 ms | all there after ms | mirror lag | held | WAL MiB | log MiB | search MiB | inbox MiB | Redis MiB | runtime MiB | fds | threads | readers MiB | fds | threads |";

impl Outcome {
    /// A row for each slice.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("{HEAD}\n{}|\n", "|--:".repeat(HEAD.matches(" |").count()));
        for (at, slice) in self.course.slices.iter().enumerate() {
            text += &row(at + 1, slice);
        }
        text
    }
}

fn row(number: usize, slice: &Slice) -> String {
    let mib = |bytes: u64| format!("{:.1}", bytes as f64 / f64::from(1 << 20));
    let caught_up = slice.caught_up.map_or("never".to_owned(), |time| time.as_millis().to_string());
    let ms = |time: std::time::Duration| format!("{:.2}", time.as_secs_f64() * 1e3);
    let end = slice.end;
    let mut row = format!(
        "| {number} | {} | {} | {} | {caught_up} | {} | {} |",
        end.events,
        ms(slice.p50),
        ms(slice.p99),
        slice.mirror_lag,
        slice.held
    );
    for bytes in [end.wal_bytes, end.log_bytes, end.search_bytes, end.inbox_bytes, end.redis_bytes] {
        write!(row, " {} |", mib(bytes)).expect("a text grows");
    }
    for usage in [end.runtime, end.readers] {
        let memory = mib(usage.memory_bytes);
        write!(row, " {memory} | {} | {} |", usage.descriptors, usage.threads).expect("a text grows");
    }
    row + "\n"
}
