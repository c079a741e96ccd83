//! Growth: how what planbus costs grows with everything that grows. See docs/performance.md.

mod clients;
mod log;
mod memory;
mod payload;
pub(crate) mod plot;
mod publishers;
mod streams;
mod subscribers;

use std::{fs, io, path::Path};

use serde_json::json;

use self::plot::Plot;
use crate::chart;

/// By how much `--quick` cuts sizes.
const QUICK_CUT: u64 = 100;

/// What is measured under a name.
type Part = (&'static str, fn(Extent<'_>) -> Vec<Plot>);

const PARTS: &[Part] = &[
    // The first: what others gave back would be taken again, and not be seen.
    ("memory", memory::run),
    ("subscribers", subscribers::run),
    ("publishers", publishers::run),
    ("log", log::run),
    ("payload", payload::run),
    ("streams", streams::run),
    ("clients", clients::run),
];

/// How far growth is followed, and where there is a disk for it.
#[derive(Clone, Copy)]
pub(crate) struct Extent<'a> {
    is_quick: bool,
    out: &'a Path,
}

impl Extent<'_> {
    /// A folder that is removed again: where the figures are written, since a system's folder for what
    /// is temporary may be no disk.
    fn folder(self) -> tempfile::TempDir {
        tempfile::tempdir_in(self.out).expect("a folder")
    }

    /// The powers of ten from one of them to another, the last one cut when it must be quick.
    fn decades(self, from: u64, to: u64) -> Vec<u64> {
        let to = if self.is_quick { (to / QUICK_CUT).max(from * 10) } else { to };
        std::iter::successors(Some(from), |n| Some(n * 10)).take_while(|n| *n <= to).collect()
    }

    /// How often something is done, cut when it must be quick.
    fn times(self, times: u64) -> u64 {
        if self.is_quick { (times / QUICK_CUT).max(1) } else { times }
    }

    /// How many interleaved rounds medians are of.
    fn rounds(self) -> usize {
        if self.is_quick { 3 } else { 9 }
    }
}

/// What can be followed by itself.
pub(crate) fn names() -> Vec<&'static str> {
    PARTS.iter().map(|(name, _)| *name).collect()
}

/// Follows the growth of these (of all where none is named), prints it as tables, and writes it to a
/// folder as JSON and a chart a plot.
pub(crate) fn run(wanted: &[String], is_quick: bool, out: &Path) -> io::Result<()> {
    fs::create_dir_all(out)?;
    let mut plots = Vec::new();
    for (name, measure) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|part| part == name) {
            // What was left out for want of a program has no series.
            for plot in measure(Extent { is_quick, out }).into_iter().filter(|plot| !plot.series.is_empty()) {
                plot.print();
                fs::write(out.join(format!("growth-{}.svg", plot.name)), chart::plot_svg(&plot)?)?;
                plots.push(plot);
            }
        }
    }
    let told = json!({"quick": is_quick, "plots": plots});
    fs::write(out.join("growth.json"), serde_json::to_string_pretty(&told)?)
}
