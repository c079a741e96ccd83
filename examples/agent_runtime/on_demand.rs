//! [`OnDemand`]: surveys that clients of a server ask for, each a plan on a thread of its own.
//!
//! Surveys folders of one directory alone, by the rules of the survey itself: no client leads it out of
//! there, nor to what a survey passes over. How a survey went is in the log, and nowhere else.

use std::{
    collections::HashMap,
    fmt, fs,
    path::{Component, Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use parking_lot::{Condvar, Mutex};
use planbus::{
    Error, ErrorKind, EventBus, PlanId, Result, Tenant,
    server::{PlanExecutor, PlanRequest},
};

use super::{
    executor::{STACK_BYTES, Stop},
    names,
    own_files::OwnFiles,
    rules::{Place, Verdict},
    survey::Survey,
    tools::Entry,
};

/// How many surveys run at a time for clients.
const SURVEYS_MAX: usize = 4;
/// The most bytes of a folder's path, as systems have it.
const PATH_MAX_BYTES: usize = 4_096;

/// Surveys on demand. When this is dropped, those that run end as interrupted, and are waited for.
pub(crate) struct OnDemand {
    surveyor: Surveyor,
}

impl OnDemand {
    /// Surveys of the directory of `survey` and of folders in it, all of which end once `stop` is set.
    pub(crate) fn below(survey: &Survey, bus: &EventBus, stop: Arc<AtomicBool>) -> Self {
        Self {
            surveyor: Surveyor(Arc::new(Shared {
                bus: bus.clone(),
                directory: survey.root().to_owned(),
                device: survey.device,
                stop,
                running: Mutex::default(),
                ended: Condvar::new(),
            })),
        }
    }

    /// What takes clients' messages.
    pub(crate) fn executor(&self) -> impl PlanExecutor + use<> {
        Surveyor(Arc::clone(&self.surveyor.0))
    }
}

impl Drop for OnDemand {
    fn drop(&mut self) {
        let shared = &self.surveyor.0;
        let mut running = shared.running.lock();
        shared.stop.store(true, Ordering::Relaxed);
        while !running.is_empty() {
            shared.ended.wait(&mut running);
        }
    }
}

/// Takes clients' messages: `survey FOLDER`, or the folder alone.
struct Surveyor(Arc<Shared>);

struct Shared {
    bus: EventBus,
    directory: PathBuf,
    device: u64,
    stop: Arc<AtomicBool>,
    /// The surveys that run, and how each is cancelled.
    running: Mutex<HashMap<(Tenant, PlanId), Arc<AtomicBool>>>,
    /// A survey ended.
    ended: Condvar,
}

impl PlanExecutor for Surveyor {
    fn start(&self, request: PlanRequest) -> Result<PlanId> {
        let shared = &self.0;
        let folder = shared.folder(&request.text)?;
        let survey = Survey::of(&folder, request.tenant.clone())
            .map_err(|cause| Error::new(ErrorKind::InvalidInput, format!("survey the folder: {cause}")))?
            .correlated(request.context_id);
        let stop = Stop { interrupted: Arc::clone(&shared.stop), ..Stop::default() };
        let turn = Turn::take(shared, (request.tenant, survey.plan_id().clone()), &stop)?;
        let run = survey.begin(&shared.bus).map_err(|halt| unavailable(halt.to_string()))?;
        let plan_id = run.id().clone();
        let work = move || {
            // The log tells how it went.
            let _ = survey.go_on(run, &turn.shared.bus, stop);
            drop(turn);
        };
        let thread = thread::Builder::new().name("survey".to_owned()).stack_size(STACK_BYTES).spawn(work);
        // Where there is none the run is dropped, and the plan ends as failed.
        thread.map_err(|cause| unavailable(format!("no thread for a survey: {cause}")))?;
        Ok(plan_id)
    }

    fn cancel(&self, tenant: &Tenant, plan: &PlanId) -> Result<()> {
        match self.0.running.lock().get(&(tenant.clone(), plan.clone())) {
            Some(cancelled) => cancelled.store(true, Ordering::Relaxed),
            None => return Err(Error::new(ErrorKind::NotFound, format!("{plan}: no survey of a message"))),
        }
        Ok(())
    }
}

impl Shared {
    /// The folder that a message names; each folder on the way there must be one that a survey enters.
    fn folder(&self, message: &str) -> Result<PathBuf> {
        let refused = |problem: String| Err(Error::new(ErrorKind::InvalidInput, problem));
        let message = message.trim();
        let asked = match message.split_once(char::is_whitespace) {
            Some((word, folder)) if word.eq_ignore_ascii_case("survey") => folder.trim_start(),
            None if message.eq_ignore_ascii_case("survey") => ".",
            _ => message,
        };
        if asked.is_empty() || asked.len() > PATH_MAX_BYTES {
            return refused("the message must be `survey FOLDER`; `survey .` surveys all".to_owned());
        }
        let own_files = self.bus.store().map(|store| OwnFiles::of(store.path())).unwrap_or_default();
        let own_files = own_files.now();
        let is_own_log = |path: &Path, metadata: &fs::Metadata| own_files.contain(path, metadata);
        let mut folder = self.directory.clone();
        for (depth, part) in Path::new(asked).components().enumerate() {
            let name = match part {
                Component::CurDir => continue,
                Component::Normal(name) => name,
                _ => return refused("the folder must be named from the served one, without `..`".to_owned()),
            };
            folder.push(name);
            let entry = Entry { name: name.to_owned(), metadata: fs::symlink_metadata(&folder).ok() };
            let place = Place { is_own_log: &is_own_log, depth, device: self.device };
            let name = names::escaped(&name.to_string_lossy());
            match place.verdict(&entry, &folder) {
                Verdict::Enter => {}
                Verdict::Read => return refused(format!("{name} is a file, no folder")),
                Verdict::Skip(reason) => return refused(format!("{name} is not surveyed: {}", reason.why())),
            }
        }
        Ok(folder)
    }
}

/// A survey's place among those that run, given back when dropped.
struct Turn {
    shared: Arc<Shared>,
    key: (Tenant, PlanId),
}

impl Turn {
    fn take(shared: &Arc<Shared>, key: (Tenant, PlanId), stop: &Stop) -> Result<Self> {
        let mut running = shared.running.lock();
        if shared.stop.load(Ordering::Relaxed) {
            return Err(unavailable("the program ends".to_owned()));
        }
        if running.len() >= SURVEYS_MAX {
            return Err(unavailable(format!(
                "{SURVEYS_MAX} surveys run already: try again when one has ended"
            )));
        }
        running.insert(key.clone(), Arc::clone(&stop.cancelled));
        Ok(Self { shared: Arc::clone(shared), key })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.shared.running.lock().remove(&self.key);
        self.shared.ended.notify_all();
    }
}

fn unavailable(problem: String) -> Error {
    Error::new(ErrorKind::Unavailable, problem)
}

impl fmt::Debug for OnDemand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnDemand").field("directory", &self.surveyor.0.directory).finish_non_exhaustive()
    }
}
