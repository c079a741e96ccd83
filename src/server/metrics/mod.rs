//! What Prometheus scrapes: the figures of the bus, the store, the server and Redis, as OpenMetrics
//! text.
//!
//! Figures are asked for at the moment of a scrape and kept nowhere, but for those of Redis, which are
//! kept for seconds. A scrape never fails for what it finds: where the store or Redis cannot be read,
//! that is what it says.

mod page;
#[cfg(feature = "redis")]
mod redis;
mod scrape;

pub(super) use self::scrape::Scrape;

/// The type of the page.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
