//! Waiting for a future without a runtime: the thread parks, and the future's waker unparks it.

use crate::interrupt::Interrupt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// Polls futures on the thread that made it.
pub(crate) struct Parker {
    waker: Waker,
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Unpark>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Unpark>) {
        self.0.unpark();
    }
}

impl Parker {
    /// For this thread.
    pub(crate) fn new() -> Parker {
        Parker {
            waker: Waker::from(Arc::new(Unpark(thread::current()))),
        }
    }

    /// Looks at a future; this thread is unparked when another look is worth it.
    pub(crate) fn poll<F: Future>(&self, future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&self.waker))
    }

    /// Waits until the future is ready.
    pub(crate) fn wait<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let mut context = Context::from_waker(&self.waker);
        loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(output) => return output,
                Poll::Pending => thread::park(),
            }
        }
    }

    /// Waits until the future is ready or a signal came (`None`); after `patience` it calls `impatient`, once.
    pub(crate) fn wait_unless_interrupted<F: Future>(
        &self,
        future: F,
        interrupt: &Interrupt,
        patience: Duration,
        impatient: impl FnOnce(),
    ) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut context = Context::from_waker(&self.waker);
        let mut impatient = Some(impatient);
        // A patience without end is one of decades.
        let lost_at = Instant::now() + patience.min(Duration::from_secs(1 << 30));
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return Some(output);
            }
            if interrupt.signal().is_some() {
                return None;
            }
            match lost_at.checked_duration_since(Instant::now()) {
                Some(left) if impatient.is_some() && !left.is_zero() => thread::park_timeout(left),
                _ => match impatient.take() {
                    Some(impatient) => impatient(),
                    None => thread::park(),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, poll_fn, ready};

    #[test]
    fn waits_for_what_another_thread_wakes() {
        let parker = Parker::new();
        assert_eq!(parker.wait(ready(7)), 7);
        let mut polls = 0;
        let woken = poll_fn(|context| {
            polls += 1;
            let waker = context.waker().clone();
            // The waker is called from elsewhere, before or after this thread parks.
            thread::spawn(move || waker.wake());
            if polls < 3 {
                Poll::Pending
            } else {
                Poll::Ready(polls)
            }
        });
        assert_eq!(parker.wait(woken), 3);
    }

    #[test]
    fn a_signal_ends_the_wait_and_patience_ends_once() {
        let parker = Parker::new();
        let interrupt = Interrupt::for_this_thread();
        let mut complaints = 0;
        let raise = || {
            complaints += 1;
            interrupt.raise(2);
        };
        let output: Option<()> = parker.wait_unless_interrupted(pending(), &interrupt, Duration::ZERO, raise);
        assert_eq!((output, complaints), (None, 1));
    }
}
