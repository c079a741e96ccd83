//! What the tests of secrets share: all that is said through `tracing`, to look for secrets in.

use std::{
    fmt::Write,
    sync::{Arc, Mutex},
};

use tracing::{
    Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// Everything that is said through `tracing`, of every crate, level and thread; an event is a line.
#[derive(Clone, Default)]
pub(crate) struct Said(Arc<Mutex<String>>);

impl Said {
    /// Adds what is said elsewhere.
    pub(crate) fn push(&self, text: std::fmt::Arguments<'_>) {
        self.0.lock().expect("not poisoned").write_fmt(text).expect("a string takes all");
    }

    pub(crate) fn text(&self) -> String {
        self.0.lock().expect("not poisoned").clone()
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.push(format_args!(" {field}={value:?}"));
        // The long form of a value may say more.
        let long = format!("{value:#?}");
        if long != format!("{value:?}") {
            self.push(format_args!(" {}", long.replace('\n', " ")));
        }
    }
}

impl Subscriber for Said {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        attributes.record(&mut self.clone());
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        self.push(format_args!("{}:", event.metadata().target()));
        event.record(&mut self.clone());
        self.push(format_args!("\n"));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
