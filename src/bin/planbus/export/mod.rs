//! The log as other programs take it: what is exported, in which form, and to where.
//!
//! Reads in pages through the public API, and keeps none of them. Never changes a value: what is
//! exported is what was published.

mod form;
mod select;
mod target;

pub(crate) use self::{
    form::Format,
    select::{Choice, Selection},
    target::Target,
};
