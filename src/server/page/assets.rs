//! The files of the dashboard, as they are in the program.
//!
//! They are what the folder `dashboard` holds, as it is: nothing is built, joined or made smaller.

use std::{collections::BTreeMap, fmt::Write, sync::LazyLock};

use sha2::{Digest, Sha256};

/// The page itself.
pub(super) const INDEX: &str = include_str!("../../../dashboard/index.html");

/// A file of the page.
#[derive(Debug)]
pub(super) struct Asset {
    pub(super) bytes: &'static [u8],
    pub(super) content_type: &'static str,
    /// What tells this file from what a program of another version had in its place.
    pub(super) tag: String,
}

macro_rules! assets {
    ($($path:literal,)*) => {
        &[$(($path, include_bytes!(concat!("../../../dashboard/", $path))),)*]
    };
}

/// All files but the page itself.
const FILES: &[(&str, &[u8])] = assets![
    "api.js",
    "app.js",
    "dead/letter.js",
    "dead/letters.js",
    "dead/list.js",
    "dead/reading.js",
    "dead/replay.js",
    "dead/whole.js",
    "events.js",
    "events/bar.js",
    "events/list.js",
    "events/neighbours.js",
    "events/one.js",
    "events/pair.js",
    "events/panel.js",
    "events/query.js",
    "events/reader.js",
    "events/rows.js",
    "feed.js",
    "health/card.js",
    "health/chart.js",
    "health/charts.js",
    "health/commits.js",
    "health/histogram.js",
    "health/log.js",
    "health/now.js",
    "health/pending.js",
    "health/poll.js",
    "health/rates.js",
    "health/redis.js",
    "health/sentence.js",
    "health/verdict.js",
    "health/view.js",
    "icon.svg",
    "keys.js",
    "live.js",
    "parts/boundary.js",
    "parts/copy.js",
    "parts/dialog.js",
    "parts/encoded.js",
    "parts/exact.js",
    "parts/filters.js",
    "parts/highlight.js",
    "parts/mark.js",
    "parts/notice.js",
    "parts/said.js",
    "parts/server_time.js",
    "parts/side.js",
    "parts/time.js",
    "parts/virtual.js",
    "payload/json.js",
    "payload/rows.js",
    "payload/viewer.js",
    "plans/axis.js",
    "plans/frame.js",
    "plans/head.js",
    "plans/lanes.js",
    "plans/list.js",
    "plans/listing.js",
    "plans/log.js",
    "plans/marks.js",
    "plans/model.js",
    "plans/page.js",
    "plans/paint.js",
    "plans/reader.js",
    "plans/reading.js",
    "plans/rows.js",
    "plans/summary.js",
    "plans/timeline.js",
    "plans/tree.js",
    "plans/words.js",
    "route.js",
    "shell.js",
    "signin.js",
    "store.js",
    "style/base.css",
    "style/events.css",
    "style/health.css",
    "style/list.css",
    "style/payload.css",
    "style/plan.css",
    "style/shell.css",
    "style/timeline.css",
    "style/tokens.css",
    "theme.js",
    "vendor/htm-preact-3.1.1.js",
    "vendor/uplot-1.6.32.css",
    "vendor/uplot-1.6.32.js",
    "worker.js",
];

static ASSETS: LazyLock<BTreeMap<&str, Asset>> =
    LazyLock::new(|| FILES.iter().map(|(path, bytes)| (*path, Asset::new(path, bytes))).collect());

impl Asset {
    fn new(path: &str, bytes: &'static [u8]) -> Self {
        let content_type = match path.rsplit('.').next() {
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "application/octet-stream",
        };
        let mut tag = "\"".to_owned();
        for byte in &Sha256::digest(bytes)[..12] {
            // Writing to a string cannot fail.
            let _ = write!(tag, "{byte:02x}");
        }
        Self { bytes, content_type, tag: tag + "\"" }
    }

    pub(super) fn find(path: &str) -> Option<&'static Self> {
        ASSETS.get(path)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    fn files(folder: &Path, below: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).expect("a folder of the sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                files(&path, below, found);
            } else {
                found.insert(path.strip_prefix(below).expect("below").to_string_lossy().into_owned());
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_served_but_licences_and_the_page_itself() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboard");
        let mut found = BTreeSet::new();
        files(&folder, &folder, &mut found);
        found.retain(|path| !path.contains("LICENSE") && path != "index.html");
        let listed: Vec<_> = FILES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert!(listed.is_sorted(), "in order: {listed:?}");
        assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), found);
        assert!(ASSETS.values().all(|asset| asset.content_type != "application/octet-stream"));
    }

    #[test]
    fn a_file_has_a_tag_of_its_own() {
        let tags: BTreeSet<&str> = ASSETS.values().map(|asset| asset.tag.as_str()).collect();
        assert_eq!(tags.len(), FILES.len());
    }
}
