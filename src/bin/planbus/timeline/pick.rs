//! Which rows of a long timeline are shown: those that tell most.
//!
//! Never changes their order, and never shows a row without the plan that it belongs to.

use std::{cmp::Reverse, collections::HashSet};

use super::spans::{Kind, Outcome, Span};

/// How much a row tells: first what went wrong or is open, then plans, decisions, calls, the rest.
const RANKS: usize = 5;

fn rank(span: &Span) -> usize {
    match (span.outcome, span.kind) {
        (Outcome::Failed | Outcome::Open, _) => 0,
        (_, Kind::Plan | Kind::Subplan) => 1,
        (_, Kind::Decision) => 2,
        (_, Kind::Tool) => 3,
        (_, Kind::Event) => 4,
    }
}

/// At most `max` of the rows, the first of which is the plan that was asked for. Of each rank the
/// longest come first, and none takes more than half of the room that is left while a later one
/// needs it.
pub(super) fn pick(spans: &[Span], max: usize) -> Vec<&Span> {
    if spans.len() <= max {
        return spans.iter().collect();
    }
    let mut ranked: [Vec<usize>; RANKS] = Default::default();
    for (at, span) in spans.iter().enumerate().skip(1) {
        ranked[rank(span)].push(at);
    }
    let mut room = max.saturating_sub(1);
    let mut picked = HashSet::from([0]);
    let mut left_over = Vec::new();
    for mut ats in ranked {
        ats.sort_by_key(|at| (Reverse(spans[*at].duration), *at));
        let take = ats.len().min(room.div_ceil(2));
        room -= take;
        left_over.extend(ats.split_off(take));
        picked.extend(ats);
    }
    picked.extend(left_over.into_iter().take(room));
    // A plan stands before what is in it, and its parent before it.
    let mut shown_depth = vec![];
    spans
        .iter()
        .enumerate()
        .filter(|(at, span)| {
            if span.kind == Kind::Plan {
                shown_depth.truncate(span.depth);
                let is_shown = picked.contains(at) && shown_depth.iter().all(|shown| *shown);
                shown_depth.push(is_shown);
                return is_shown;
            }
            picked.contains(at) && shown_depth.iter().take(span.depth + 1).all(|shown| *shown)
        })
        .map(|(_, span)| span)
        .collect()
}
