//! The server: follows the log for programs elsewhere, over HTTP.
//!
//! Everything asynchronous stays in this folder: the rest of planbus is synchronous and knows nothing
//! of it. The server reads the log and never holds up whoever writes it.
