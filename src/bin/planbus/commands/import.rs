//! `planbus import FILE...`: recorded agent runs, published through the bus.
//!
//! What it has read when it ends, for whatever reason, is in the log; importing again goes on there.
//! It changes nothing of what a line says.

use std::{
    io::{self, Write},
    path::PathBuf,
    time::{Duration, Instant},
};

use clap::{Args, ValueHint};
use crossbeam_channel::RecvTimeoutError;
use planbus::{Error, ErrorKind, EventBus, EventStore, server::Server};
use serde_json::json;

use super::open_as_owner;
use crate::{
    agent_runtime::units::{counted, duration, number},
    cli::{Form, Global},
    failure::{Exit, Failure},
    interrupt::CtrlC,
    mirroring::Mirroring,
    output::Output,
    progress::{Progress, rate},
    redis::RedisBeside,
    serving::{About, ServeBeside, Serving},
    style::Style,
    table::{Cell, Column, cell, write_below},
    text::escape,
    trace::{self, Census, Chunk, FileCount, Input, Item, Pace, Parsed, Speed},
};

/// The most events of one commit.
const BATCH_EVENTS: usize = 1_000;
/// A batch is committed with the line that brings it to this many bytes.
const BATCH_BYTES: usize = 4 << 20;
/// How many of the files the summary lists.
const FILES_SHOWN_MAX: usize = 20;
/// How long a batch that is not full waits for more lines.
const SETTLE: Duration = Duration::from_millis(5);
/// How long a wait lasts before Ctrl-C is looked at again.
const WAIT: Duration = Duration::from_millis(50);

/// The options of `import`.
#[derive(Args, Debug)]
pub(crate) struct ImportOptions {
    /// The files, in the order in which to import them; - for standard input
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    files: Vec<PathBuf>,

    /// Pass over bad lines, each told on stderr, instead of ending at the first; the exit code is 6
    /// all the same
    #[arg(long)]
    keep_going: bool,

    /// As fast as the log takes it (max), as the lines' own times say (realtime), or so many times
    /// as fast (10x, 0.5x)
    #[arg(long, value_name = "SPEED", default_value = "max")]
    speed: Speed,

    #[command(flatten)]
    redis: RedisBeside,

    #[command(flatten)]
    serve: ServeBeside,
}

/// Runs the command.
pub(crate) fn run(options: &ImportOptions, global: &Global, out: &mut Output) -> Result<(), Failure> {
    let form = out.form_without_tree("import")?;
    // The files first: where one is missing, nothing is imported and no store is made.
    let inputs = options.files.iter().map(|file| Input::find(file)).collect::<Result<Vec<_>, _>>()?;
    options.redis.check()?;
    let door = options.serve.door()?;
    let total: Option<u64> = inputs.iter().map(|input| input.bytes).sum();
    let ctrl_c = CtrlC::listen()?;
    let store = open_as_owner(EventStore::options(), global)?;
    let mut mirroring = Mirroring::start(&options.redis, &store)?;
    let bus = EventBus::builder().store(store.clone()).build()?;
    let serving = Serving::start(door, mirroring.show(Server::builder(&bus)), About::default(), global)?;
    let mut import = Import {
        bus,
        files: inputs.iter().map(|input| FileCount::of(input.name.clone())).collect(),
        keep_going: options.keep_going,
        ctrl_c: ctrl_c.clone(),
        pace: Pace::new(options.speed),
        input: 0,
        batch: Vec::new(),
        batch_bytes: 0,
        read: 0,
        census: Census::default(),
        progress: Progress::new(global, total),
    };
    let done = import.run(inputs, global);
    let (elapsed, census, files) = (import.progress.elapsed(), &import.census, &import.files);
    import.progress.clear();
    match form {
        Form::Json => {
            let mut object = to_json(census, files, elapsed);
            if let Some(mirror) = mirroring.settle(global) {
                object["mirror"] = mirror;
            }
            out.json(&object.to_string())?;
        }
        Form::Table | Form::Tree => {
            write_summary(census, files, elapsed, global, out)?;
            out.flush()?;
            mirroring.settle(global);
        }
    }
    // Where it ended early there is something to be done, and not to be looked at.
    if done.is_ok() {
        out.flush()?;
        serving.go_on(&ctrl_c, global);
    }
    mirroring.end(global)?;
    import.bus.close();
    done.and(import.passed_over()).and(store.close().map_err(Failure::from))
}

/// An import that runs.
struct Import {
    bus: EventBus,
    /// What each of the inputs brought.
    files: Vec<FileCount>,
    keep_going: bool,
    ctrl_c: CtrlC,
    pace: Pace,
    /// The input whose lines come now.
    input: usize,
    batch: Vec<(Item, Parsed)>,
    batch_bytes: usize,
    /// How many bytes of the inputs are done.
    read: u64,
    census: Census,
    progress: Progress,
}

impl Import {
    fn run(&mut self, inputs: Vec<Input>, global: &Global) -> Result<(), Failure> {
        let chunks = trace::read(inputs, global.tenant())?;
        loop {
            let wait = if self.batch.is_empty() { WAIT } else { SETTLE };
            match chunks.recv_timeout(wait) {
                Ok(Ok(Chunk { items, .. })) => items.into_iter().try_for_each(|item| self.take(item))?,
                Ok(Err((input, error))) => {
                    self.commit()?;
                    return Err(Failure::of(
                        Exit::Failed,
                        &format!("read {}", self.files[input].name),
                        &error,
                    ));
                }
                Err(RecvTimeoutError::Timeout) => self.commit()?,
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.look_up()?;
        }
        self.commit()
    }

    /// Fails where bad lines were left out.
    fn passed_over(&self) -> Result<(), Failure> {
        match self.census.bad {
            0 => Ok(()),
            bad => {
                Err(Failure::new(Exit::Unsound, format!("import: {} passed over", counted(bad, "bad line"))))
            }
        }
    }

    /// Takes one line: into the batch, when it is due.
    fn take(&mut self, mut item: Item) -> Result<(), Failure> {
        if std::mem::replace(&mut self.input, item.input) != item.input {
            self.pace.next_file();
        }
        let parsed = match std::mem::replace(&mut item.parsed, Err(String::new())) {
            Ok(parsed) => parsed,
            Err(problem) => {
                if !self.keep_going {
                    self.commit()?;
                }
                return self.refuse(&item, &problem);
            }
        };
        let now = Instant::now();
        let wait = self.pace.wait(parsed.at, now);
        if !wait.is_zero() {
            self.commit()?;
            self.sleep(now + wait)?;
        }
        self.batch_bytes += parsed.bytes;
        self.batch.push((item, parsed));
        if self.batch.len() == BATCH_EVENTS || self.batch_bytes >= BATCH_BYTES {
            self.commit()?;
            self.look_up()?;
        }
        Ok(())
    }

    fn sleep(&mut self, until: Instant) -> Result<(), Failure> {
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            self.look_up()?;
            self.ctrl_c.wait(left.min(WAIT));
        }
        Ok(())
    }

    /// Says how far it is, and ends where Ctrl-C asked for it.
    fn look_up(&mut self) -> Result<(), Failure> {
        self.progress.tell(self.read, self.census.events());
        if !self.ctrl_c.has_come() {
            return Ok(());
        }
        self.commit()?;
        let failure = Failure::new(Exit::Interrupted, "interrupted: what was read so far is in the log");
        Err(failure.hint("import again to go on"))
    }

    /// Publishes what waits.
    fn commit(&mut self) -> Result<(), Failure> {
        self.batch_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        self.publish(&batch)
    }

    /// Publishes lines in one commit; where the bus refuses them, by halves, until the line at fault
    /// stands alone. So all others are in the log, in their order.
    fn publish(&mut self, lines: &[(Item, Parsed)]) -> Result<(), Failure> {
        let published = match lines {
            // An error of one event speaks of no others.
            [(_, parsed)] => self.bus.publish(parsed.event.clone()).map(|published| vec![published]),
            _ => self.bus.publish_all(lines.iter().map(|(_, parsed)| parsed.event.clone())),
        };
        match (published, lines) {
            (Ok(published), _) => {
                for ((item, parsed), published) in lines.iter().zip(published) {
                    self.read = item.offset;
                    self.census.count(&parsed.event, published.duplicate);
                    if self.files[item.input].count(published.duplicate) {
                        let plan = parsed.event.plan_id();
                        self.tell(item, &format!(
                            "is in the log already, while lines before it are new: plan {plan} has another run \
                             there, or the middle of the file was changed since its last import"
                        ));
                    }
                }
                Ok(())
            }
            (Err(error), _) if !is_of_a_line(&error) => {
                Err(Failure::from(error).hint("import again to go on where it ended"))
            }
            (Err(error), [(item, _)]) => self.refuse(item, &trace::problem_of_line(&error)),
            (Err(_), _) => {
                let (first, second) = lines.split_at(lines.len() / 2);
                self.publish(first)?;
                self.publish(second)
            }
        }
    }

    /// Tells of a bad line, and ends the import there unless it is to keep going.
    fn refuse(&mut self, item: &Item, problem: &str) -> Result<(), Failure> {
        self.census.bad += 1;
        self.files[item.input].bad += 1;
        self.read = item.offset;
        self.tell(item, problem);
        if self.keep_going {
            return Ok(());
        }
        let failure =
            Failure::new(Exit::Unsound, "import: ended at a bad line; what stands before it is in the log");
        Err(failure.hint("--keep-going passes over bad lines"))
    }

    /// Says something about a line.
    fn tell(&mut self, item: &Item, what: &str) {
        self.progress.clear();
        let told = format!("{}:{}: {what}", self.files[item.input].name, item.line);
        // Without a stderr there is nobody to tell.
        let _ = writeln!(io::stderr(), "{}", escape(&told));
    }
}

/// Whether the line is at fault, and not the log.
fn is_of_a_line(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::TooLarge | ErrorKind::Conflict)
}

fn to_json(census: &Census, files: &[FileCount], elapsed: Duration) -> serde_json::Value {
    let by_file = files
        .iter()
        .map(|file| json!({"file": file.name, "new": file.new, "known": file.known, "bad": file.bad}));
    json!({
        "files": files.len(), "events": census.events(), "new": census.new, "known": census.known, "bad": census.bad,
        "plans": census.plans(), "plans_without_end": census.plans_without_end(),
        "calls_without_answer": census.calls_without_answer(), "duration_us": elapsed.as_micros() as u64,
        "events_per_second": rate(census.events(), elapsed), "events_by_type": census.by_type(),
        "by_file": by_file.collect::<Vec<_>>(),
    })
}

fn write_summary(
    census: &Census,
    files: &[FileCount],
    elapsed: Duration,
    global: &Global,
    out: &mut Output,
) -> Result<(), Failure> {
    let db = escape(&global.db.to_string_lossy()).into_owned();
    out.line(
        &out.paint(Style::Heading, &format!("Import of {} into {db}", counted(files.len() as u64, "file"))),
    )?;
    out.line(&format!(
        "  {}: {} new, {} known; {}",
        counted(census.events(), "event"),
        number(census.new),
        number(census.known),
        counted(census.bad, "bad line"),
    ))?;
    out.line(&format!(
        "  {}, {} without an end; {} without an answer",
        counted(census.plans(), "plan"),
        number(census.plans_without_end()),
        counted(census.calls_without_answer(), "tool call"),
    ))?;
    let speed = number(rate(census.events(), elapsed));
    out.line(&format!("  {}, {speed} events a second", duration(elapsed)))?;
    if files.len() > 1 {
        write_files(files, out)?;
    }
    if census.events() == 0 {
        return Ok(());
    }
    let mut types: Vec<_> = census.by_type().into_iter().collect();
    types.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let rows: Vec<Vec<Cell>> =
        types.into_iter().map(|(name, count)| vec![cell(number(count)), cell(name)]).collect();
    write_below(&[("EVENTS", Column::Right), ("TYPE", Column::Left)], &rows, out)
}

/// What each file brought: where runs are taken for one another, it shows here.
fn write_files(files: &[FileCount], out: &mut Output) -> Result<(), Failure> {
    let row = |file: &FileCount| {
        let mut row: Vec<Cell> = [file.new, file.known, file.bad].map(|count| cell(number(count))).into();
        row.push(cell(&*file.name));
        row
    };
    let rows: Vec<Vec<Cell>> = files.iter().take(FILES_SHOWN_MAX).map(row).collect();
    let counts = ["NEW", "KNOWN", "BAD"].map(|head| (head, Column::Right));
    write_below(&[&counts[..], &[("FILE", Column::Left)]].concat(), &rows, out)?;
    match files.len() - rows.len() {
        0 => Ok(()),
        more => out.line(&format!("and {more} more; -o json lists all")),
    }
}
