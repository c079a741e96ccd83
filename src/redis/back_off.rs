//! stub
use std::time::Duration;
#[derive(Debug)]
pub(crate) struct BackOff(Duration);
impl BackOff {
    pub(crate) fn new() -> Self {
        Self(Duration::from_millis(50))
    }
    pub(crate) fn next_delay(&mut self) -> Duration {
        self.0 = (self.0 * 2).min(Duration::from_secs(2));
        self.0
    }
    pub(crate) fn reset(&mut self) {
        self.0 = Duration::from_millis(50)
    }
}
