//! [`PlanTree`]: a plan with its subplans, as `SubplanSpawned` events recorded them.
//!
//! The record may be hostile: plans that spawn each other, or chains of any length. Each plan is
//! visited once, depth and number are bounded, and nothing here recurses.

use std::collections::HashSet;

use serde::Serialize;

use super::{
    inner::Inner,
    summary::{self, PlanSummary},
};
use crate::{
    error::{Error, ErrorKind, Result},
    event::{PlanId, Tenant},
};

/// How many levels a [`PlanTree`] has at most, the plan itself included.
pub const PLAN_TREE_MAX_DEPTH: usize = 256;
/// How many plans a [`PlanTree`] has at most.
pub const PLAN_TREE_MAX_PLANS: usize = 10_000;
/// A tree ends with the plan that brings goals and errors, which have any length, to so many bytes.
const WORDS_MAX_BYTES: usize = 16 << 20;

/// A plan with its subplans.
///
/// A plan stands where it was spawned first, and only there. Subplans of which the log holds no
/// event are left out.
///
/// As JSON it is the plan's object with `is_cut` and `children` beside its fields.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PlanTree {
    /// The plan.
    #[serde(flatten)]
    pub plan: PlanSummary,
    /// Subplans were left out here, because the tree would be deeper than
    /// [`PLAN_TREE_MAX_DEPTH`] or larger than [`PLAN_TREE_MAX_PLANS`], or because the goals and errors
    /// of the others have 16 MiB already.
    pub is_cut: bool,
    /// Its subplans, in the order in which they were spawned.
    pub children: Vec<PlanTree>,
}

/// A plan that is being read, level by level.
struct Node {
    tree: PlanTree,
    parent: Option<usize>,
    depth: usize,
}

/// Reads the tree of a plan.
pub(super) fn read(store: &Inner, tenant: &Tenant, root: PlanId) -> Result<PlanTree> {
    let mut known = HashSet::from([root.clone()]);
    let mut nodes: Vec<Node> = Vec::new();
    // Breadth first, so that of many plans the nearest are kept.
    let mut waiting = std::collections::VecDeque::from([(root.clone(), None, 1)]);
    let mut words_bytes = 0;
    while let Some((plan, parent, depth)) = waiting.pop_front() {
        if words_bytes >= WORDS_MAX_BYTES {
            if let Some(parent) = parent.and_then(|at: usize| nodes.get_mut(at)) {
                parent.tree.is_cut = true;
            }
            continue;
        }
        let Some(found) = summary::read(store, tenant, &plan)? else { continue };
        let words = [&found.summary.goal, &found.summary.error];
        words_bytes += words.into_iter().flatten().map(String::len).sum::<usize>();
        let at = nodes.len();
        let mut is_cut = false;
        for child in found.children {
            if known.contains(&child) {
                continue;
            }
            if depth == PLAN_TREE_MAX_DEPTH || known.len() == PLAN_TREE_MAX_PLANS {
                is_cut = true;
                break;
            }
            known.insert(child.clone());
            waiting.push_back((child, Some(at), depth + 1));
        }
        let tree = PlanTree { plan: found.summary, children: Vec::new(), is_cut };
        nodes.push(Node { tree, parent, depth });
    }
    let missing = || Error::new(ErrorKind::NotFound, format!("the log has no event of the plan {root}"));
    join(nodes).ok_or_else(missing)
}

/// Puts the plans together: each is behind its parent, so from the last to the first.
fn join(mut nodes: Vec<Node>) -> Option<PlanTree> {
    while let Some(mut node) = nodes.pop() {
        debug_assert!(node.depth <= PLAN_TREE_MAX_DEPTH, "deeper plans are not read");
        // They came in from the last to the first.
        node.tree.children.reverse();
        match node.parent.and_then(|parent| nodes.get_mut(parent)) {
            Some(parent) => parent.tree.children.push(node.tree),
            None => return Some(node.tree),
        }
    }
    None
}
