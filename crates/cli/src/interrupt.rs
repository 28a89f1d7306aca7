//! SIGINT and SIGTERM: the first one ends the input, the second one the program.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread::{self, Thread};
use std::time::Instant;

/// The signal that came, if one did; the thread that made this is unparked when it comes.
#[derive(Debug)]
pub(crate) struct Interrupt {
    /// 0 for none.
    signal: AtomicI32,
    thread: Thread,
}

impl Interrupt {
    /// Nothing came yet.
    pub(crate) fn for_this_thread() -> Interrupt {
        Interrupt {
            signal: AtomicI32::new(0),
            thread: thread::current(),
        }
    }

    /// Listens from now on, and calls `on_first` when the first signal comes.
    pub(crate) fn listen(on_first: impl FnOnce() + Send + 'static) -> io::Result<Arc<Interrupt>> {
        let interrupt = Arc::new(Interrupt::for_this_thread());
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        let raised = Arc::clone(&interrupt);
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let mut on_first = Some(on_first);
            for signal in signals.forever() {
                match on_first.take() {
                    Some(on_first) => {
                        raised.raise(signal);
                        on_first();
                    }
                    // Whoever asks twice does not want to wait for acknowledgements.
                    None => process::exit(128 + signal),
                }
            }
        })?;
        Ok(interrupt)
    }

    /// Notes the signal.
    pub(crate) fn raise(&self, signal: i32) {
        self.signal.store(signal, Ordering::Relaxed);
        self.thread.unpark();
    }

    /// The signal that came. Cheap enough to ask for each record.
    pub(crate) fn signal(&self) -> Option<i32> {
        Some(self.signal.load(Ordering::Relaxed)).filter(|&signal| signal != 0)
    }

    /// Waits until that time, or until a signal comes.
    pub(crate) fn wait_until(&self, time: Instant) {
        while self.signal().is_none() {
            match time.checked_duration_since(Instant::now()) {
                Some(left) if !left.is_zero() => thread::park_timeout(left),
                _ => return,
            }
        }
    }
}

/// The exit code of a program that a signal ended, as shells report it: 130 for SIGINT.
pub(crate) fn exit_code(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}
