//! What `planbus watch` sees: the plans that run, or one with its subplans, from how they stand on.
//!
//! How things stand is read plan by plan, whatever the length of the log; what comes then is followed.
//! Nothing is seen twice, and nothing between the two is missed.

mod frame;
mod keys;
pub(crate) mod lines;
pub(crate) mod picture;
mod screen;

use std::collections::HashMap;

use planbus::{ErrorKind, Event, EventQuery, EventStore, Filter, PlanId, PlanQuery, PlanStatus, PlanSummary};

use crate::{
    cli::Global,
    failure::Failure,
    family::Family,
    follow::{Follow, cut},
    plan_view::preorder,
    store_file::StoreFile,
};

/// How many of the plans that run already are looked at, the newest.
const RUNNING_MAX: usize = 1_000;
/// How many events are read at once.
const PAGE_EVENTS: usize = 1_000;

/// What is said where nobody publishes any more.
const NO_OWNER: &str = "no process has the store open: what runs here waits for one that goes on with it";

/// The events that are watched.
pub(crate) struct Watched<'a> {
    store: EventStore,
    follow: Follow<'a>,
    /// The plan that is watched; `None` for all of the tenant's.
    family: Option<Family>,
    /// Up to where in the log the past of a plan was read; it may be behind the place from which the log
    /// is followed.
    known: HashMap<PlanId, u64>,
    /// The last seq of the past.
    head: u64,
}

impl<'a> Watched<'a> {
    pub(crate) fn begin(
        store: &EventStore,
        file: StoreFile,
        plan: Option<&PlanId>,
        global: &'a Global,
    ) -> Result<Self, Failure> {
        let head = store.head()?;
        let follow = Follow::after(head, Filter::all().tenant(global.tenant()), store, file, global)?;
        let family = plan.map(Family::of);
        Ok(Self { store: store.clone(), follow, family, known: HashMap::new(), head })
    }

    /// Whether an event that was followed is watched, and was not read before.
    fn wants(&mut self, event: &Event) -> bool {
        let is_known = self.known.get(event.plan_id()).is_some_and(|known| event.seq() <= Some(*known));
        self.family.as_mut().is_none_or(|family| family.takes(event)) && !is_known
    }

    /// Whether the plan that is watched has ended; to be asked when all was read that the log holds.
    fn has_ended(&self) -> bool {
        self.family.as_ref().is_some_and(|family| family.end().has_come())
    }

    /// Whether the plan that is watched is in the log.
    pub(crate) fn has_begun(&self) -> bool {
        self.family.as_ref().is_some_and(|family| family.end().has_begun())
    }

    /// How the program ends: as the plan did that was watched.
    pub(crate) fn outcome(&self) -> Result<(), Failure> {
        self.family.as_ref().map_or(Ok(()), |family| family.end().outcome(family.root()))
    }

    /// The plans that run now, the one that began first first, and how many more there are.
    fn running(&self) -> Result<(Vec<PlanSummary>, u64), Failure> {
        let query = || PlanQuery::new().status(PlanStatus::Running);
        let mut plans = self.store.plans(query().limit(RUNNING_MAX))?;
        let is_all = plans.len() < RUNNING_MAX;
        let more =
            if is_all { 0 } else { self.store.count_plans(query())?.saturating_sub(RUNNING_MAX as u64) };
        plans.reverse();
        Ok((plans, more))
    }

    /// Reads how things stand: the events of each plan in their order, plans before their subplans. How
    /// many plans run beside these.
    fn read_past(&mut self, mut take: impl FnMut(&Event)) -> Result<u64, Failure> {
        let (plans, more) = match &self.family {
            None => {
                let (running, more) = self.running()?;
                (running.into_iter().map(|plan| plan.plan_id).collect(), more)
            }
            Some(family) => match self.store.plan_tree(family.root()) {
                Ok(tree) => {
                    (preorder(&tree).into_iter().map(|(_, tree)| tree.plan.plan_id.clone()).collect(), 0)
                }
                Err(error) if error.kind() == ErrorKind::NotFound => (Vec::new(), 0),
                Err(error) => return Err(cut(&error)),
            },
        };
        for plan in plans {
            self.read_plan(&plan, &mut take)?;
        }
        Ok(more)
    }

    fn read_plan(&mut self, plan: &PlanId, take: &mut impl FnMut(&Event)) -> Result<(), Failure> {
        if let Some(family) = &mut self.family {
            family.add([plan.clone()]);
        }
        // Not after seq 0: that would ask for what was pruned too.
        let (mut rest, mut last) = (EventQuery::new().plan(plan).limit(PAGE_EVENTS), 0);
        loop {
            let events = self.store.query(rest.clone()).map_err(|error| cut(&error))?;
            for event in &events {
                if let Some(family) = &mut self.family {
                    family.takes(event);
                }
                take(event);
            }
            last = events.last().and_then(Event::seq).unwrap_or(last);
            if events.len() < PAGE_EVENTS {
                self.known.insert(plan.clone(), last);
                return Ok(());
            }
            rest = rest.after(last);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser;
    use planbus::{DecisionMade, PlanStarted, Retention, SubplanSpawned};

    use super::*;
    use crate::cli::Cli;

    fn decided(plan: &str) -> Event {
        Event::new(plan, DecisionMade::new("go on"))
    }

    #[test]
    fn p6_what_is_committed_while_the_past_is_read_is_seen_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("planbus.db");
        let owner = EventStore::open(&path).expect("a store");
        let save = |event: Event| owner.save(&event).expect("an event");
        save(Event::new("notes", PlanStarted::new("a goal")));
        save(Event::new("other", PlanStarted::new("a goal")));
        let db = path.to_str().expect("UTF-8");
        let cli = Cli::try_parse_from(["planbus", "--db", db, "watch"]).expect("arguments");
        for plan in [None, Some(PlanId::try_from("notes").expect("an id"))] {
            let store = EventStore::open_read_only(&path).expect("the store");
            let mut watched =
                Watched::begin(&store, StoreFile::of(&path), plan.as_ref(), &cli.global).expect("begins");
            // Behind the place from which the log is followed, and before the past is read.
            save(decided("notes"));
            save(Event::new("notes", SubplanSpawned::new("notes/sub")));
            save(Event::new("notes/sub", PlanStarted::new("a goal")));
            let mut seen = Vec::new();
            watched.read_past(|event| seen.extend(event.seq())).expect("reads");
            save(decided("notes/sub"));
            save(decided("other"));
            while let Some(event) = watched.follow.next(Duration::ZERO).expect("follows") {
                seen.extend(event.seq().filter(|_| watched.wants(&event)));
            }
            seen.sort_unstable();
            let log = owner.read_after(0, usize::MAX).expect("the log");
            let is_own = |event: &&Event| plan.is_none() || event.plan_id().as_str().starts_with("notes");
            let wanted: Vec<u64> = log.iter().filter(is_own).filter_map(Event::seq).collect();
            assert_eq!(seen, wanted, "{plan:?}");
        }
    }

    #[test]
    fn the_past_of_a_log_whose_beginning_is_gone_is_what_is_left() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("planbus.db");
        let owner = EventStore::open(&path).expect("a store");
        for plan in ["gone", "notes"] {
            owner.save(&Event::new(plan, PlanStarted::new("a goal"))).expect("an event");
        }
        owner.prune(Retention::keep_last(1)).expect("prunes");
        let cli = Cli::try_parse_from(["planbus", "watch"]).expect("arguments");
        let store = EventStore::open_read_only(&path).expect("the store");
        let mut watched = Watched::begin(&store, StoreFile::of(&path), None, &cli.global).expect("begins");
        let mut seen = Vec::new();
        watched.read_past(|event| seen.extend(event.seq())).expect("reads");
        assert_eq!(seen, [2]);
    }
}
