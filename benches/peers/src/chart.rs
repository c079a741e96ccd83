//! What was measured, as SVG: how cost grows, and the table as dots.
//!
//! Draws figures and never takes any. The background is opaque and light, so that a chart reads the same
//! on a dark page.

mod canvas;
mod growth;
mod table;

pub(crate) use self::{growth::plot_svg, table::table_svg};
