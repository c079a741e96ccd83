//! The events of an export, one after the other in the order of the log.
//!
//! Whoever is overtaken by retention is told: no event is left out in silence. What is committed
//! after the export began is not part of it.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use planbus::{
    Error, Event, EventBus, EventQuery, EventStore, Filter, PlanId, PlanTree, Result, Start, Tail, Timestamp,
    TypePattern,
};

use crate::plan_view::preorder;

/// How many events of each plan are read at once where the events of several are merged.
const PAGE_EVENTS: usize = 32;

/// Which events to export.
#[derive(Debug)]
pub(crate) struct Choice<'a> {
    pub(crate) plan: Option<&'a PlanId>,
    /// With the plan's subplans.
    pub(crate) subplans: Option<&'a PlanTree>,
    pub(crate) types: &'a [TypePattern],
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
    pub(crate) after: Option<u64>,
}

/// The events that were chosen, up to the end that the log had.
pub(crate) struct Selection {
    source: Source,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    head: u64,
}

enum Source {
    Tail {
        tail: Box<Tail>,
        /// Closes its tails when it is dropped.
        _bus: EventBus,
    },
    Merge(Box<Merge>),
}

impl Selection {
    /// The events that a choice is of, in a store's tenant.
    ///
    /// # Errors
    /// `Pruned` when events after `after` are no longer in the log.
    pub(crate) fn new(store: &EventStore, choice: &Choice<'_>) -> Result<Self> {
        let head = store.head()?;
        let source = match choice.subplans {
            Some(tree) => {
                let plans = preorder(tree).into_iter().map(|(_, tree)| tree.plan.plan_id.clone()).collect();
                Source::Merge(Box::new(Merge::new(store.clone(), plans, choice, head)?))
            }
            None => {
                let mut filter = Filter::all().tenant(store.tenant());
                if !choice.types.is_empty() {
                    filter = filter.types(choice.types.iter().cloned());
                }
                if let Some(plan) = choice.plan {
                    filter = filter.plan(plan);
                }
                let start = choice.after.map_or(Start::Beginning, Start::After);
                let bus = EventBus::builder().store(store.clone()).build()?;
                let tail = bus.tail(filter, start)?;
                Source::Tail { tail: Box::new(tail), _bus: bus }
            }
        };
        Ok(Self { source, since: choice.since, until: choice.until, head })
    }

    /// The next event; `None` after the last.
    ///
    /// # Errors
    /// `Pruned` when events that were to come are no longer in the log.
    pub(crate) fn next(&mut self) -> Result<Option<Event>> {
        loop {
            let next = match &mut self.source {
                // With no time to wait, none means that everything was read.
                Source::Tail { tail, .. } => tail.next_timeout(Duration::ZERO)?,
                Source::Merge(merge) => merge.next()?,
            };
            let Some(event) = next.filter(|event| event.seq() <= Some(self.head)) else { return Ok(None) };
            let at = event.timestamp();
            if self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until) {
                return Ok(Some(event));
            }
        }
    }
}

/// The events of several plans in the order of the log; holds a page of each.
struct Merge {
    store: EventStore,
    query: EventQuery,
    /// What was read of each plan, by the seq of its next event.
    waiting: BTreeMap<u64, (PlanId, VecDeque<Event>)>,
    /// The plan whose page has ended, at this seq: read on before the next event, not before this
    /// one is handed out.
    exhausted: Option<(PlanId, u64)>,
}

impl Merge {
    fn new(store: EventStore, plans: Vec<PlanId>, choice: &Choice<'_>, head: u64) -> Result<Self> {
        let mut query = EventQuery::new().before(head + 1).limit(PAGE_EVENTS);
        if !choice.types.is_empty() {
            query = query.types(choice.types.iter().cloned());
        }
        let begin = match choice.after {
            Some(after) => after,
            None => {
                let first = store.query(EventQuery::new().limit(1))?;
                first.first().and_then(Event::seq).map_or(0, |seq| seq - 1)
            }
        };
        let mut merge = Self { store, query, waiting: BTreeMap::new(), exhausted: None };
        for plan in plans {
            merge.read(plan, begin)?;
        }
        merge.check(begin)?;
        Ok(merge)
    }

    fn next(&mut self) -> Result<Option<Event>> {
        if let Some((plan, seq)) = self.exhausted.take() {
            self.read(plan, seq)?;
            self.check(seq)?;
        }
        let Some((seq, (plan, mut events))) = self.waiting.pop_first() else { return Ok(None) };
        let event = events.pop_front();
        match events.front().and_then(Event::seq) {
            Some(next) => drop(self.waiting.insert(next, (plan, events))),
            None => self.exhausted = Some((plan, seq)),
        }
        Ok(event)
    }

    /// Reads a plan's next page.
    fn read(&mut self, plan: PlanId, after: u64) -> Result<()> {
        let events: VecDeque<Event> = self.store.query(self.query.clone().plan(&plan).after(after))?.into();
        if let Some(next) = events.front().and_then(Event::seq) {
            self.waiting.insert(next, (plan, events));
        }
        Ok(())
    }

    /// Whether what was read after a seq is all that was there: nothing behind it is gone yet.
    fn check(&self, after: u64) -> Result<(), Error> {
        self.store.read_after(after, 1).map(drop)
    }
}
