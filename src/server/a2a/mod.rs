//! A2A: plans as tasks of an agent, in versions 1.0 and 0.3.

mod card;
mod doubles;
mod fault;
mod request;
mod shapes;
mod task;
