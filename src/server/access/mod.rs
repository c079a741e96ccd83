//! Who may ask a server, for what, and how: what every request passes before a route sees it.
//!
//! In this order: the name by which the server is asked, the page that asks, the target, who asks.
//! Nothing here reads the log, and nothing shows a secret.

mod book;
mod caller;
mod forms;
mod gate;
mod guard;
mod names;
mod options;
mod secret;
mod target;
mod token;

pub use self::token::AccessToken;
pub(super) use self::{
    book::{SESSION_TIME, TICKET_TIME},
    caller::{Caller, Shown},
    gate::Access,
    guard::guard,
    options::AccessOptions,
};
