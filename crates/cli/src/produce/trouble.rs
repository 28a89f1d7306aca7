//! What the producer says of its connections, as lines on standard error: who waits wants to know for what.

use super::console::Console;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Takes the warnings about connections, and tells each broker's trouble when it is another one than before.
pub(super) struct Trouble {
    console: Console,
    /// What was told last, by broker.
    told: Mutex<BTreeMap<i64, String>>,
}

impl Trouble {
    /// Listens from now on, for the rest of the process.
    pub(super) fn listen(console: Console) {
        let trouble = Trouble {
            console,
            told: Mutex::default(),
        };
        // It fails only if somebody listens already, and then that one is told.
        let _ = tracing::subscriber::set_global_default(trouble);
    }
}

impl Subscriber for Trouble {
    /// No spans: records cost nothing here.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == "ottla" && *metadata.level() <= Level::WARN
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (Some(node), Some(error)) = (fields.node, fields.error) else {
            return;
        };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.get(&node) != Some(&error) {
            self.console.warning(&error);
            told.insert(node, error);
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What an event about a connection has.
#[derive(Default)]
struct Fields {
    node: Option<i64>,
    error: Option<String>,
}

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        if field.name() == "node" {
            self.node = Some(value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "error" {
            self.error = Some(format!("{value:?}"));
        }
    }
}
