//! [`Registry`]: the index from an event to the subscriptions that may want it.
//!
//! It is a persistent structure: a copy costs a few reference counts, and a change copies the path
//! to what it touches. The index finds candidates; the filter has the last word. What a publish
//! costs does not grow with the subscriptions that do not match.

use std::sync::Arc;

use super::{
    hash_tree::HashTree,
    slot::{Slot, SubscriptionId},
    slot_list::{Cursor, SlotList},
};
use crate::{
    event::{Event, EventType, hash_of},
    filter::{CompiledFilter, PatternKind, Scope, TypePattern},
};

/// The subscriptions of a bus, found by type, tenant and plan.
#[derive(Clone, Default)]
pub(super) struct Registry {
    /// No tenant and no plan: by built-in type, and those of no type.
    lists: [SlotList; LISTS],
    /// All others, by a hash of scope and type.
    keyed: HashTree<SlotList>,
    /// How many entries there are of each scope and kind of type, so that none is looked for in vain.
    population: [[usize; TYPE_KINDS]; SCOPES],
}

/// A list for each built-in type, and one for those that want all.
pub(super) const LISTS: usize = EventType::BUILT_IN + 1;
const ANY: usize = EventType::BUILT_IN;

const SCOPES: usize = 3;
const TYPE_KINDS: usize = 3;

/// How an entry names its types.
#[derive(Clone, Copy)]
enum TypeKind {
    Any,
    Exact,
    Family,
}

/// An odd constant that spreads small numbers over 64 bits (2^64 over the golden ratio).
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Where an entry with this scope and type is found.
#[inline]
fn key(scope: (usize, u64), kind: TypeKind, type_hash: u64) -> u64 {
    let (level, scope) = scope;
    let mixed = scope.wrapping_add(level as u64).wrapping_mul(SPREAD).rotate_left(23);
    (mixed ^ type_hash.wrapping_add((kind as u64) << 32)).wrapping_mul(SPREAD).rotate_left(32)
}

/// The scope of this level that an event is in, by its hash.
#[inline]
fn scope_around(event: &Event, level: usize) -> (usize, u64) {
    let hash = match level {
        0 => 0,
        1 => event.tenant().hash(),
        _ => event.tenant().hash().rotate_left(17) ^ event.plan_id().hash(),
    };
    (level, hash)
}

fn scope_of(scope: &Scope) -> (usize, u64) {
    match scope {
        Scope::Everything => (0, 0),
        Scope::Tenant(tenant) => (1, tenant.hash()),
        Scope::Plan(tenant, plan) => (2, tenant.hash().rotate_left(17) ^ plan.hash()),
    }
}

/// Whether the index finds a filter for exactly the events that it matches: no scope, no custom
/// type (those are found by a hash), nothing that no index helps with.
pub(super) fn is_exact(filter: &CompiledFilter) -> bool {
    let indexed = |pattern: &TypePattern| matches!(pattern.kind(), PatternKind::Exact(exact) if exact.index().is_some());
    filter.scope == Scope::Everything && filter.is_scope_and_type_only() && filter.types.iter().all(indexed)
}

impl Registry {
    pub(super) fn insert(&mut self, slot: &Arc<Slot>) {
        self.each_place(slot, |list| list.push(Arc::clone(slot)), 1);
    }

    pub(super) fn remove(&mut self, slot: &Arc<Slot>) {
        let id: SubscriptionId = slot.id;
        self.each_place(slot, |list| list.remove(id), -1);
    }

    /// Changes every list that the slot stands in: one for each of its types.
    fn each_place(&mut self, slot: &Slot, mut change: impl FnMut(&mut SlotList), by: isize) {
        let scope = scope_of(&slot.filter.scope);
        if slot.filter.types.is_empty() {
            match scope.0 {
                0 => change(&mut self.lists[ANY]),
                _ => self.change_keyed(scope, TypeKind::Any, 0, &mut change, by),
            }
        }
        for pattern in &slot.filter.types {
            match pattern.kind() {
                PatternKind::Exact(exact) => match exact.index().filter(|_| scope.0 == 0) {
                    Some(index) => change(&mut self.lists[index]),
                    None => self.change_keyed(scope, TypeKind::Exact, exact.hash(), &mut change, by),
                },
                PatternKind::Family(prefix) => {
                    self.change_keyed(scope, TypeKind::Family, hash_of(prefix), &mut change, by);
                }
            }
        }
    }

    fn change_keyed(
        &mut self,
        scope: (usize, u64),
        kind: TypeKind,
        type_hash: u64,
        change: &mut impl FnMut(&mut SlotList),
        by: isize,
    ) {
        let key = key(scope, kind, type_hash);
        self.keyed.update(key, |list| {
            change(list);
            list.is_empty()
        });
        let population = &mut self.population[scope.0][kind as usize];
        *population = population.saturating_add_signed(by);
    }

    /// Finds the subscriptions of an event where its type alone says which they are.
    #[inline]
    pub(super) fn find(&self, event: &Event) -> Found {
        let built_in = event.event_type().index();
        let typed = built_in.filter(|&index| !self.lists[index].is_empty());
        match typed {
            _ if !self.keyed.is_empty() => Found::ByKey,
            None if self.lists[ANY].is_empty() => Found::Nobody,
            None => Found::In(ANY),
            Some(typed) if self.lists[ANY].is_empty() => Found::In(typed),
            Some(_) => Found::ByKey,
        }
    }

    #[inline]
    pub(super) fn list(&self, list: usize) -> &SlotList {
        &self.lists[list]
    }

    /// Finds all the lists in which subscriptions stand that may want the event.
    pub(super) fn find_by_key(&self, event: &Event) -> Lists<'_> {
        let mut lists = Lists::default();
        lists.add(&self.lists[ANY]);
        event.event_type().index().into_iter().for_each(|index| lists.add(&self.lists[index]));
        for (level, kinds) in self.population.iter().enumerate() {
            if *kinds != [0; TYPE_KINDS] {
                self.look_up(scope_around(event, level), event.event_type(), &mut lists);
            }
        }
        lists
    }

    #[inline]
    fn look_up<'a>(&'a self, scope: (usize, u64), event_type: &EventType, found: &mut Lists<'a>) {
        let [any, exact, family] = self.population[scope.0];
        let mut add = |kind, type_hash| {
            if let Some(list) = self.keyed.get(key(scope, kind, type_hash)) {
                found.add(list);
            }
        };
        if any > 0 {
            add(TypeKind::Any, 0);
        }
        if exact > 0 {
            add(TypeKind::Exact, event_type.hash());
        }
        if family > 0 {
            let name = event_type.as_str();
            name.match_indices('.').for_each(|(dot, _)| add(TypeKind::Family, hash_of(&name[..=dot])));
        }
    }
}

/// How many lists are merged without an allocation.
const INLINE_LISTS: usize = 4;

/// Where an event's subscriptions are.
pub(super) enum Found {
    Nobody,
    /// In one list, by its place.
    In(usize),
    /// In several lists, or wherever [`Registry::find_by_key`] says.
    ByKey,
}

/// The lists in which an event was found: by plan, tenant and family it finds candidates only.
#[derive(Default)]
pub(super) struct Lists<'a> {
    few: [Option<&'a SlotList>; INLINE_LISTS],
    count: usize,
    more: Vec<&'a SlotList>,
}

impl<'a> Lists<'a> {
    #[inline]
    fn add(&mut self, list: &'a SlotList) {
        if list.is_empty() {
            return;
        }
        match self.few.get_mut(self.count) {
            Some(place) => *place = Some(list),
            None => self.more.push(list),
        }
        self.count += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The list, where it is the only one.
    pub(super) fn only(&self) -> Option<&'a SlotList> {
        self.few[0].filter(|_| self.count == 1)
    }

    /// Visits the slots of all lists in the order in which they subscribed, each once.
    pub(super) fn each(&self, visit: impl Fn(&Arc<Slot>)) {
        let mut few = self.few.map(|list| list.map_or_else(Cursor::default, Cursor::new));
        let mut more: Vec<Cursor<'_>> = self.more.iter().copied().map(Cursor::new).collect();
        let mut last = None;
        loop {
            let cursors = few.iter_mut().chain(&mut more).filter(|cursor| cursor.peek().is_some());
            let Some(next) = cursors.min_by_key(|cursor| cursor.peek().map(|slot| slot.id)) else { break };
            if let Some(slot) = next.peek().filter(|slot| last != Some(slot.id)) {
                last = Some(slot.id);
                visit(slot);
            }
            next.advance();
        }
    }
}
