//! Everything without an async runtime.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Waits for any future of this crate on the calling thread, which sleeps meanwhile: sends, deliveries, transactions.
///
/// The producer's own thread does the work, so no runtime is needed. Not to be called in async code, which it would
/// block.
///
/// ```
/// use ottla::{Producer, Record, blocking::wait};
///
/// # fn example() -> Result<(), ottla::Error> {
/// let producer = Producer::builder().bootstrap_servers("127.0.0.1:9092").build()?;
/// let delivery = wait(producer.send(&Record::to("orders").value("{}")))?;
/// println!("{:?}", wait(delivery)?.offset());
/// # Ok(())
/// # }
/// ```
pub fn wait<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        // A wake-up between the poll and this returns at once; a spurious one polls once more.
        thread::park();
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
