//! Entries of streams as rows or JSON: as the events that they hold, or raw where they hold none.
//!
//! Never drops an entry.

use std::mem;

use planbus::{
    Event, EventType, Timestamp,
    redis::{EntryId, StreamEntry},
};
use serde_json::{Value, json};

use crate::{
    cli::Form,
    describe,
    failure::Failure,
    output::Output,
    style::Style,
    table::{Cell, Column, Table, cell},
};

/// The part of a terminal's columns that a plan's id takes at most: one of so many.
const PLAN_SHARE: usize = 4;

/// Writes entries in one of the forms.
pub(crate) struct EntryPrinter {
    form: Form,
    table: Table,
    is_begun: bool,
    /// How many entries were written.
    pub(crate) printed: u64,
    /// The year for which no row needs to name it.
    year: String,
}

impl EntryPrinter {
    pub(crate) fn new(form: Form) -> Self {
        let heads = [
            ("SEQ", Column::Right),
            ("TIME (UTC)", Column::Right),
            ("TYPE", Column::Left),
            ("PLAN", Column::End(PLAN_SHARE)),
            ("WHAT", Column::Left),
        ];
        let table = Table::new(&heads).at_least(&[6, 18, 16, 0, 0]);
        let year = Timestamp::now().to_string().get(..4).unwrap_or_default().to_owned();
        Self { form, table, is_begun: false, printed: 0, year }
    }

    /// Writes the table's head, once.
    pub(crate) fn begin(&mut self, out: &mut Output) -> Result<(), Failure> {
        if mem::replace(&mut self.is_begun, true) || self.form == Form::Json {
            return Ok(());
        }
        self.table.write_head(out)
    }

    /// Writes entries that were read together; the columns widen for them.
    pub(crate) fn write_all(&mut self, entries: &[StreamEntry], out: &mut Output) -> Result<(), Failure> {
        self.printed += entries.len() as u64;
        if self.form == Form::Json {
            return entries.iter().try_for_each(|entry| out.json(&to_json(entry)?));
        }
        let rows: Vec<Vec<Cell>> = entries.iter().map(|entry| self.row(entry)).collect();
        self.table.fit(&rows, out);
        self.begin(out)?;
        rows.iter().try_for_each(|row| self.table.write(row, out))
    }

    /// Writes the event of one entry.
    pub(crate) fn write_event(
        &mut self,
        stream: &str,
        id: EntryId,
        event: &Event,
        out: &mut Output,
    ) -> Result<(), Failure> {
        self.printed += 1;
        if self.form == Form::Json {
            return out.json(&event_json(stream, id, event)?);
        }
        self.begin(out)?;
        self.table.write(&self.event_row(event), out)
    }

    fn event_row(&self, event: &Event) -> Vec<Cell> {
        vec![
            (Style::Faint, event.seq().map(|seq| seq.to_string()).unwrap_or_default()),
            (Style::Faint, self.short_time(Some(event.timestamp()))),
            (style(event), event.event_type().to_string()),
            cell(event.plan_id().to_string()),
            cell(describe::event(event)),
        ]
    }

    fn row(&self, entry: &StreamEntry) -> Vec<Cell> {
        match &entry.event {
            Ok(event) => self.event_row(event),
            Err(error) => vec![
                cell(""),
                (Style::Faint, self.short_time(entry.id.time())),
                (Style::Bad, "no event".to_owned()),
                cell(""),
                cell(format!("{}  {error}", raw(&entry.fields))),
            ],
        }
    }

    /// The time without the year, unless it is another than this one, and without the microseconds:
    /// both are in the JSON.
    fn short_time(&self, time: Option<Timestamp>) -> String {
        let text = time.map(|time| time.to_string()).unwrap_or_default();
        let begin = if text.starts_with(&self.year) { 5 } else { 0 };
        let parts = (text.get(begin..10), text.get(11..23));
        if let (Some(day), Some(time)) = parts { format!("{day} {time}") } else { String::new() }
    }
}

fn style(event: &Event) -> Style {
    let has_failed = event.event_type() == &EventType::ToolCompleted
        && event.payload::<planbus::ToolCompleted>().is_ok_and(|tool| !tool.ok);
    if has_failed { Style::Bad } else { Style::from(event.event_type()) }
}

/// All fields, for a person.
pub(crate) fn raw(fields: &[(Vec<u8>, Vec<u8>)]) -> String {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let pairs = fields.iter().map(|(name, value)| format!("{}={}", lossy(name), lossy(value)));
    pairs.collect::<Vec<_>>().join(" ")
}

/// The event with its place in Redis before it.
fn event_json(stream: &str, id: EntryId, event: &Event) -> Result<String, Failure> {
    let event = event.to_json()?;
    let fields = event.strip_prefix('{').unwrap_or(&event);
    Ok(format!(r#"{{"stream":{},"entry_id":{},{fields}"#, json!(stream), json!(id)))
}

/// The event; where there is none, the fields and what is wrong.
fn to_json(entry: &StreamEntry) -> Result<String, Failure> {
    let (stream, id) = (json!(entry.stream), json!(entry.id));
    match &entry.event {
        Ok(event) => event_json(&entry.stream, entry.id, event),
        Err(error) => {
            let fields = fields_json(&entry.fields);
            Ok(json!({"stream": stream, "entry_id": id, "error": error.to_string(), "fields": fields})
                .to_string())
        }
    }
}

/// All fields, for programs: pairs, since a name may be there twice.
pub(crate) fn fields_json(fields: &[(Vec<u8>, Vec<u8>)]) -> Value {
    fields.iter().map(|(name, value)| json!([text(name), text(value)])).collect()
}

/// Bytes as they are where they are text, else as hexadecimal digits, so that nothing is lost.
fn text(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => json!({"hex": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()}),
    }
}
