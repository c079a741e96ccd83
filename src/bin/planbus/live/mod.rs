//! What runs, seen live: one model and one tree, for the demo's few lines and for `watch`.

mod demo;
mod model;
mod node;
pub(crate) mod pane;
mod rows;

pub(crate) use self::{
    demo::Live,
    model::{Model, News},
    rows::{Outline, Pen, spinner},
};
