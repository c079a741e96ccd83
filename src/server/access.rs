//! [`Caller`]: who asks, and what it may see.

use crate::event::Tenant;

use super::problem::Problem;

/// Who asks.
#[derive(Clone, Debug, Default)]
pub(super) struct Caller {}

impl Caller {
    /// Whose events the caller is sent: those of the tenant that it asks for, if it may see them.
    pub(super) fn tenant(&self, asked: Option<Tenant>) -> Result<Tenant, Problem> {
        Ok(asked.unwrap_or_default())
    }

    /// Waits until the caller may see nothing more.
    pub(super) async fn ended(&self) {
        std::future::pending().await
    }
}
