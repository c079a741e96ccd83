//! The survey of a directory: one plan a folder, tools on every text file, decisions on the rest.
//!
//! It follows no symbolic link, leaves the file system of its root never, and opens none of the
//! log's own files. What it cannot read it reports and leaves behind; only the log can stop it, or
//! whoever asks it to.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use planbus::{CorrelationId, EventBus, EventId, PlanId, PlanRun, Tenant};
use serde_json::{Value, json};

use super::{
    executor::{Agent, Executor, Halt, Plan, Stop},
    names,
    own_files::OwnFiles,
    rules::{self, Place, Reason, Verdict},
    tools::{self, Entry},
    totals::{Failure, FileFacts, Totals},
};

/// How many plans and readers run in threads of their own.
const THREADS_MAX: usize = 16;
/// How many threads share the files of one folder.
const READERS_MAX: usize = 8;
/// How many names a decision is told with.
const NAMED_MAX: usize = 3;
/// How many names a decision lists; all are counted.
const NAMES_MAX: usize = 10;
/// The words that `search` looks for.
const WORDS: [&str; 2] = ["TODO", "FIXME"];
/// The agent that holds the survey together, and the one that does the folders.
const LEAD: &str = "survey-lead";
const SURVEYOR: &str = "surveyor";

/// A survey that can be run.
#[derive(Debug)]
pub(crate) struct Survey {
    root: PathBuf,
    /// The file system that it keeps to.
    pub(super) device: u64,
    plan_id: PlanId,
    tenant: Tenant,
    correlation_id: Option<CorrelationId>,
}

/// What a survey found.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) totals: Totals,
    pub(crate) duration: Duration,
}

impl Survey {
    /// A survey of `directory`, under a plan id of its own, so that one log holds many.
    pub(crate) fn of(directory: &Path, tenant: Tenant) -> io::Result<Self> {
        // The real path: below it, without links, every path is real too.
        let root = fs::canonicalize(directory)?;
        let metadata = fs::metadata(&root)?;
        if !metadata.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let plan_id =
            PlanId::try_from(format!("survey-{}", EventId::generate())).map_err(io::Error::other)?;
        Ok(Self { root, device: rules::device(&metadata), plan_id, tenant, correlation_id: None })
    }

    /// Gives its events another correlation id than the root plan's id, which they share with other
    /// plans.
    #[cfg(feature = "server")]
    pub(crate) fn correlated(self, id: Option<CorrelationId>) -> Self {
        Self { correlation_id: id, ..self }
    }

    /// The root plan's id.
    pub(crate) fn plan_id(&self) -> &PlanId {
        &self.plan_id
    }

    /// The directory, by its real path.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Runs the survey and reports it on `bus`; once `stop` is set, every plan that is open ends as
    /// failed with "interrupted".
    pub(crate) fn run(&self, bus: &EventBus, stop: Arc<AtomicBool>) -> Result<Report, Halt> {
        let run = self.begin(bus)?;
        self.go_on(run, bus, Stop { interrupted: stop, ..Stop::default() })
    }

    /// Begins the root plan: when this returns, it is in the log.
    pub(crate) fn begin(&self, bus: &EventBus) -> Result<PlanRun, Halt> {
        let mut plan = bus.plan(&self.plan_id).tenant(&self.tenant).source(LEAD);
        if let Some(id) = &self.correlation_id {
            plan = plan.correlation_id(id.clone());
        }
        Executor::begin(plan, &self.whole(&OwnFiles::default()))
    }

    /// Runs the survey that has begun as `run` to its end.
    pub(crate) fn go_on(&self, run: PlanRun, bus: &EventBus, stop: Stop) -> Result<Report, Halt> {
        let begun = Instant::now();
        let own_files = bus.store().map(|store| OwnFiles::of(store.path())).unwrap_or_default();
        let totals = Executor::new(THREADS_MAX, stop).run(run, self.whole(&own_files))?;
        Ok(Report { totals, duration: begun.elapsed() })
    }

    fn whole<'a>(&'a self, own_files: &'a OwnFiles) -> Folder<'a> {
        Folder { survey: self, own_files, path: PathBuf::new(), depth: 0 }
    }
}

/// The plan for one folder.
struct Folder<'a> {
    survey: &'a Survey,
    own_files: &'a OwnFiles,
    /// The path below the root.
    path: PathBuf,
    depth: usize,
}

impl Plan for Folder<'_> {
    type Output = Totals;

    fn name(&self) -> String {
        self.path.file_name().map_or_else(|| "root".to_owned(), names::plan_name)
    }

    fn goal(&self) -> String {
        match self.depth {
            0 => format!("survey {}", names::escaped(&self.survey.root.to_string_lossy())),
            _ => format!("survey {}", names::shown(&self.path)),
        }
    }

    fn agent(&self) -> Option<&'static str> {
        // Named where the work is handed over; deeper folders stay with the same agent.
        (self.depth == 1).then_some(SURVEYOR)
    }

    fn run(self, agent: &Agent<'_>) -> Result<Totals, Halt> {
        let mut totals = Totals::of_folder();
        let entries = match self.list(agent)? {
            Ok(entries) => entries,
            Err(failure) => {
                totals.add_failure(failure);
                return Ok(totals);
            }
        };
        let Sorted { files, folders, skipped } = self.sort(entries);
        for (reason, names) in skipped {
            totals.add_skipped(reason, names.len() as u64);
            decide_to_skip(agent, reason, &names)?;
        }
        let (read, below) = agent
            .with_subplans(folders, || agent.for_each(&files, READERS_MAX, |file| self.read(agent, file)))?;
        for part in read.into_iter().chain(below) {
            totals.merge(part);
        }
        Ok(totals)
    }

    fn result(totals: &Totals) -> Value {
        totals.to_json()
    }
}

/// A folder's entries by what is to be done with them.
struct Sorted<'a> {
    files: Vec<PathBuf>,
    folders: Vec<Folder<'a>>,
    skipped: BTreeMap<Reason, Vec<String>>,
}

impl<'a> Folder<'a> {
    fn list(&self, agent: &Agent<'_>) -> Result<Result<Vec<Entry>, Failure>, Halt> {
        let shown = names::shown(&self.path);
        let list = || tools::list_dir(&self.survey.root.join(&self.path));
        let listed = agent.tool(
            "list_dir",
            json!({"path": shown}),
            list,
            |entries| json!({"entries": entries.len()}),
        )?;
        Ok(listed.map_err(|error| Failure { path: shown, tool: "list_dir", error: error.to_string() }))
    }

    fn sort(&self, entries: Vec<Entry>) -> Sorted<'a> {
        let own_files = self.own_files.now();
        let is_own_log = |path: &Path, metadata: &fs::Metadata| own_files.contain(path, metadata);
        let place = Place { is_own_log: &is_own_log, depth: self.depth, device: self.survey.device };
        let mut sorted = Sorted { files: Vec::new(), folders: Vec::new(), skipped: BTreeMap::new() };
        for entry in entries {
            let path = self.path.join(&entry.name);
            match place.verdict(&entry, &self.survey.root.join(&path)) {
                Verdict::Read => sorted.files.push(path),
                Verdict::Enter => sorted.folders.push(Folder { path, depth: self.depth + 1, ..*self }),
                Verdict::Skip(reason) => {
                    let name = names::shown(Path::new(&entry.name));
                    sorted.skipped.entry(reason).or_default().push(name);
                }
            }
        }
        sorted
    }

    /// Runs the tools on one file.
    fn read(&self, agent: &Agent<'_>, path: &Path) -> Result<Totals, Halt> {
        let mut totals = Totals::default();
        let shown = names::shown(path);
        let about = || json!({"path": shown});
        let read = || tools::read_file(&self.survey.root.join(path), rules::FILE_MAX_BYTES);
        let text = match agent.tool("read_file", about(), read, |text| json!({"bytes": text.len()}))? {
            Ok(text) => text,
            Err(fault) => {
                totals.add_failure(Failure { path: shown, tool: "read_file", error: fault.to_string() });
                return Ok(totals);
            }
        };
        let lines =
            agent.tool("count", about(), || sure(tools::count(&text)), |lines| json!({"lines": lines}))?;
        let matches = agent.tool(
            "search",
            json!({"path": shown, "words": WORDS}),
            || sure(tools::search(&text, &WORDS)),
            |found| match &found.first {
                Some((line, excerpt)) => json!({"matches": found.count, "line": line, "text": excerpt}),
                None => json!({"matches": found.count}),
            },
        )?;
        let sha256 =
            agent.tool("hash", about(), || sure(tools::hash(&text)), |sha256| json!({"sha256": sha256}))?;
        let (Ok(lines), Ok(matches), Ok(sha256)) = (lines, matches, sha256);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        totals.add_file(FileFacts {
            path: shown,
            language: rules::language(&name),
            lines,
            bytes: text.len() as u64,
            todos: matches.count,
            sha256,
        });
        Ok(totals)
    }
}

/// The answer of a tool that cannot fail.
fn sure<T>(answer: T) -> Result<T, std::convert::Infallible> {
    Ok(answer)
}

fn decide_to_skip(agent: &Agent<'_>, reason: Reason, names: &[String]) -> Result<(), Halt> {
    let what = match names {
        few if few.len() <= NAMED_MAX => few.join(", "),
        many => format!("{} and {} more", many[..NAMED_MAX].join(", "), many.len() - NAMED_MAX),
    };
    let listed = &names[..names.len().min(NAMES_MAX)];
    let fields = json!({"rule": reason.label(), "count": names.len(), "names": listed});
    agent.decide(format!("skip {what}"), reason.why(), fields)
}
