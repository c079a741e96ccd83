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
    /// No tenant, no plan, no type.
    any: SlotList,
    /// No tenant, no plan, and one of the built-in types.
    built_in: [SlotList; EventType::BUILT_IN],
    /// All others, by a hash of scope and type.
    keyed: HashTree<SlotList>,
    /// How many entries there are of each scope and kind of type, so that none is looked for in vain.
    population: [[usize; TYPE_KINDS]; SCOPES],
}

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

/// The level and hash of each scope that an event is in.
#[inline]
fn scopes_of(event: &Event) -> [(usize, u64); SCOPES] {
    let tenant = event.tenant().hash();
    [(0, 0), (1, tenant), (2, tenant.rotate_left(17) ^ event.plan_id().hash())]
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
                0 => change(&mut self.any),
                _ => self.change_keyed(scope, TypeKind::Any, 0, &mut change, by),
            }
        }
        for pattern in &slot.filter.types {
            match pattern.kind() {
                PatternKind::Exact(exact) => match exact.index().filter(|_| scope.0 == 0) {
                    Some(index) => change(&mut self.built_in[index]),
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

    /// Finds the subscriptions that may want the event.
    #[inline]
    pub(super) fn find(&self, event: &Event) -> Found<'_> {
        let built_in = event.event_type().index().map(|index| &self.built_in[index]);
        let typed = built_in.filter(|list| !list.is_empty());
        if !self.keyed.is_empty() {
            return self.find_keyed(event, typed);
        }
        match typed {
            None if self.any.is_empty() => Found::Nobody,
            None => Found::In(&self.any),
            Some(typed) if self.any.is_empty() => Found::In(typed),
            Some(typed) => Found::Several(Lists::of(&self.any, typed)),
        }
    }

    #[inline(never)]
    fn find_keyed<'a>(&'a self, event: &Event, typed: Option<&'a SlotList>) -> Found<'a> {
        let mut lists = Lists::default();
        lists.add(&self.any);
        typed.into_iter().for_each(|list| lists.add(list));
        for scope in scopes_of(event) {
            self.look_up(scope, event.event_type(), &mut lists);
        }
        match (lists.count, lists.few[0]) {
            (0, _) => Found::Nobody,
            (1, Some(only)) => Found::In(only),
            _ => Found::Several(lists),
        }
    }

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

/// Where the subscriptions are that may want an event: those found by plan, tenant or family are
/// candidates only.
pub(super) enum Found<'a> {
    Nobody,
    In(&'a SlotList),
    Several(Lists<'a>),
}

/// Several lists in which an event was found.
#[derive(Default)]
pub(super) struct Lists<'a> {
    few: [Option<&'a SlotList>; INLINE_LISTS],
    count: usize,
    more: Vec<&'a SlotList>,
}

impl<'a> Lists<'a> {
    fn of(one: &'a SlotList, other: &'a SlotList) -> Self {
        Self { few: [Some(one), Some(other), None, None], count: 2, more: Vec::new() }
    }

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

    /// Visits the slots of all lists in the order in which they subscribed, each once.
    pub(super) fn each(self, visit: impl Fn(&Arc<Slot>)) {
        let lists = self.few.into_iter().flatten().chain(self.more);
        let mut cursors: Vec<Cursor<'_>> = lists.map(Cursor::new).collect();
        let mut last = None;
        while let Some(next) =
            cursors.iter_mut().filter(|c| c.peek().is_some()).min_by_key(|c| c.peek().map(|s| s.id))
        {
            if let Some(slot) = next.peek().filter(|slot| last != Some(slot.id)) {
                last = Some(slot.id);
                visit(slot);
            }
            next.advance();
        }
    }
}
