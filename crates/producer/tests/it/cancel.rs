//! Every future of the producer, dropped at each place where it waits: what its method says of that is what is in the log.

use crate::support::{TOPIC, cluster, producer};
use futures_util::{SinkExt as _, StreamExt as _, stream};
use ottla::blocking::wait;
use ottla::serialization::builtin::{BytesSerializer, StringSerializer};
use ottla::serialization::{Output, Payload, Preparation, Readiness, SerializeError, Serializer, Target};
use ottla::{GroupMetadata, GroupOffset, Producer, Record, TypedProducer, TypedRecord};
use ottla_broker::TestCluster;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

type BoxFuture<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// One way to send, by its name.
type Way = (&'static str, for<'a> fn(&'a Producer) -> BoxFuture<'a>);

/// Wakes the thread that polls, and leaves a mark for it.
struct Woken {
    is: AtomicBool,
    thread: Thread,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.is.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// Polls the future so many times, each time after it was woken, and drops it; `None` if it had not ended by then.
fn poll_times<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let woken = Arc::new(Woken {
        is: AtomicBool::new(true),
        thread: thread::current(),
    });
    let waker = Waker::from(Arc::clone(&woken));
    for _ in 0..times {
        while !woken.is.swap(false, Ordering::SeqCst) {
            thread::park();
        }
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
    }
    None
}

/// Runs `case` with 0, 1, 2, … polls until it says that its future ended by itself, and returns how many that took: more
/// than one, if it waited at all.
fn at_every_await(mut case: impl FnMut(usize) -> bool) -> usize {
    (0..1_000).find(|polls| case(*polls)).expect("it ends")
}

/// What is there in partition 0.
fn values(cluster: &TestCluster) -> Vec<String> {
    let records = cluster.records(TOPIC, 0).into_iter();
    let values = records.map(|record| record.value.expect("a value").to_vec());
    values
        .map(|value| String::from_utf8(value).expect("text"))
        .collect()
}

fn record() -> Record<'static> {
    Record::to(TOPIC).partition(0).value("x")
}

/// A serializer that has to be asked twice before it is ready.
struct Slow(Arc<AtomicUsize>);

impl Serializer<str> for Slow {
    fn prepare(&self, _: &Target<'_>, _: Option<&str>) -> Result<Readiness, SerializeError> {
        let asked = Arc::clone(&self.0);
        if asked.load(Ordering::SeqCst) >= 2 {
            return Ok(Readiness::Ready);
        }
        Ok(Readiness::Pending(Preparation::new(poll_fn(move |cx| {
            if asked.fetch_add(1, Ordering::SeqCst) >= 2 {
                return Poll::Ready(Ok(()));
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }))))
    }

    fn serialize(
        &self,
        target: &Target<'_>,
        value: Option<&str>,
        output: &mut Output<'_>,
    ) -> Result<Payload, SerializeError> {
        StringSerializer::default().serialize(target, value, output)
    }
}

/// All that queue one record.
const WAYS: [Way; 4] = [
    ("send", |producer| {
        Box::pin(async { drop(producer.send(&record()).await.expect("queued")) })
    }),
    ("send_with", |producer| {
        Box::pin(async { producer.send_with(&record(), |_| ()).await.expect("queued") })
    }),
    ("send_to", |producer| {
        let handler = Arc::new(|_: u64, _: Result<ottla::RecordMetadata, ottla::Error>| ());
        Box::pin(async { producer.send_to(&record(), handler, 1).await.expect("queued") })
    }),
    ("TypedProducer::send", |producer| {
        let slow = Slow(Arc::default());
        let typed = TypedProducer::<[u8], str>::new(producer.clone(), BytesSerializer, slow);
        Box::pin(async move {
            let record = TypedRecord::to(TOPIC).value("x").partition(0);
            drop(typed.send(&record).await.expect("queued"));
        })
    }),
];

/// Nothing is queued by a send that is dropped before it is ready, whether it waits for a schema or for metadata.
#[test]
fn sends_that_wait_to_know_more() {
    for (name, send) in WAYS {
        let polls = at_every_await(|polls| {
            let cluster = cluster(1);
            let producer = producer(&cluster, &[]);
            let is_done = poll_times(polls, send(&producer)).is_some();
            wait(producer.close(Duration::from_secs(30)));
            assert_eq!(
                values(&cluster).len(),
                usize::from(is_done),
                "{name}, {polls} polls"
            );
            is_done
        });
        assert!(polls > 1, "{name} did not wait");
    }
}

/// The same for memory that comes free only when the broker answers again.
#[test]
fn sends_that_wait_for_memory() {
    for (name, send) in &WAYS[..3] {
        let polls = at_every_await(|polls| {
            let cluster = cluster(1);
            let settings = [("buffer.memory", "20000"), ("batch.size", "1000")];
            let producer = producer(&cluster, &settings);
            wait(producer.partitions_for(TOPIC)).expect("known");
            // The cluster stands still until this is dropped.
            let guard = cluster.cluster();
            let value = "x".repeat(100);
            let mut count = 0;
            let full = loop {
                match producer.try_send(&Record::to(TOPIC).partition(0).value(&value)) {
                    Ok(delivery) => drop(delivery),
                    Err(error) => break error,
                }
                count += 1;
            };
            assert!(full.would_wait() && count > 10, "{count}: {full}");
            let mut sending = send(&producer);
            assert!(poll_times(polls.min(1), &mut sending).is_none(), "{name}");
            drop(guard);
            let is_done = poll_times(polls.saturating_sub(1), sending).is_some();
            wait(producer.close(Duration::from_secs(30)));
            let found = values(&cluster).len();
            assert_eq!(found, count + usize::from(is_done), "{name}, {polls} polls");
            is_done
        });
        assert!(polls > 1, "{name}");
    }
}

/// What `send_all`, a stream and a sink had queued is sent, in order; nothing else is.
#[test]
fn many_records() {
    const COUNT: usize = 20;
    const MANY: [Way; 3] = [
        ("send_all", |producer| {
            Box::pin(async {
                let outcomes = producer.send_all(numbered()).await;
                assert!(outcomes.iter().all(Result::is_ok));
            })
        }),
        ("send_stream", |producer| {
            let mut outcomes = producer.send_stream(stream::iter(numbered()));
            Box::pin(async move {
                while let Some(outcome) = outcomes.next().await {
                    outcome.expect("acked");
                }
            })
        }),
        ("sink", |producer| {
            let mut sink = producer.sink();
            Box::pin(async move {
                for record in numbered() {
                    sink.send(record).await.expect("acked");
                }
                sink.close().await.expect("closed");
            })
        }),
    ];
    fn numbered() -> impl Iterator<Item = Record<'static>> {
        (0..COUNT).map(|number| Record::to(TOPIC).partition(0).value(format!("{number:03000}")))
    }
    for (name, send) in MANY {
        let polls = at_every_await(|polls| {
            let cluster = cluster(1);
            // Room for some of them.
            let producer = producer(&cluster, &[("buffer.memory", "20000"), ("batch.size", "1000")]);
            let is_done = poll_times(polls, send(&producer)).is_some();
            wait(producer.close(Duration::from_secs(30)));
            let found = values(&cluster);
            let expected: Vec<_> = (0..found.len()).map(|number| format!("{number:03000}")).collect();
            assert_eq!(found, expected, "{name}, {polls} polls");
            assert!(!is_done || found.len() == COUNT, "{name}: {}", found.len());
            is_done
        });
        assert!(polls > 2, "{name}: {polls}");
    }
}

/// A delivery that nobody awaits any more is one all the same.
#[test]
fn deliveries_flushes_and_questions() {
    let polls = at_every_await(|polls| {
        let cluster = cluster(1);
        let producer = producer(&cluster, &[]);
        let mut delivery = wait(producer.send(&record())).expect("queued");
        let is_done = poll_times(polls, &mut delivery).is_some();
        drop(delivery);
        let _ = poll_times(polls, producer.flush());
        drop(poll_times(polls, producer.partitions_for("else")));
        drop(poll_times(
            polls,
            producer.partition_count(&producer.topic("else")),
        ));
        drop(poll_times(
            polls,
            producer.client_instance_id(Duration::from_millis(1)),
        ));
        let _ = poll_times(polls, producer.close(Duration::from_secs(30)));
        // The close stands, however early its future was dropped.
        assert!(wait(producer.send(&record())).expect_err("closed").is_closed());
        wait(producer.close(Duration::from_secs(30)));
        assert_eq!(values(&cluster).len(), 1, "{polls} polls");
        is_done
    });
    assert!(polls > 1);
}

fn transactional() -> (TestCluster, Producer) {
    let cluster = cluster(1);
    let producer = producer(&cluster, &[("transactional.id", "t")]);
    (cluster, producer)
}

fn committed(cluster: &TestCluster) -> usize {
    cluster.committed_records(TOPIC, 0).len()
}

/// One more transaction goes as it should: nothing was left behind.
#[track_caller]
fn check_goes_on(cluster: &TestCluster, producer: &Producer, committed_before: usize) {
    let transaction = wait(producer.begin()).expect("begun");
    drop(wait(transaction.send(&record())).expect("queued"));
    wait(transaction.commit()).expect("committed");
    assert_eq!(committed(cluster), committed_before + 1);
    wait(producer.close(Duration::from_secs(30)));
}

#[test]
fn beginning_a_transaction() {
    let polls = at_every_await(|polls| {
        let (cluster, producer) = transactional();
        let is_done = poll_times(polls, producer.init_transactions()).is_some();
        if !is_done {
            wait(producer.init_transactions()).expect("the same call");
        }
        check_goes_on(&cluster, &producer, 0);
        is_done
    });
    assert!(polls > 1);
    let polls = at_every_await(|polls| {
        let (cluster, producer) = transactional();
        let begun = poll_times(polls, producer.begin());
        let is_done = begun.is_some();
        // A guard that is dropped aborts; without one there is nothing to abort.
        drop(begun);
        check_goes_on(&cluster, &producer, 0);
        is_done
    });
    assert!(polls > 1);
    // It waits for the abort before it.
    let polls = at_every_await(|polls| {
        let (cluster, producer) = transactional();
        let transaction = wait(producer.begin()).expect("begun");
        drop(wait(transaction.send(&record())).expect("queued"));
        wait(producer.flush());
        drop(transaction);
        let is_done = poll_times(polls, producer.begin_transaction()).is_some();
        if is_done {
            wait(producer.abort_transaction()).expect("it was begun");
        }
        check_goes_on(&cluster, &producer, 0);
        is_done
    });
    assert!(polls > 1);
}

#[test]
fn committing_a_transaction() {
    let open = |producer: &Producer| {
        let transaction = wait(producer.begin()).expect("begun");
        drop(wait(transaction.send(&record())).expect("queued"));
        transaction
    };
    let polls = at_every_await(|polls| {
        let (cluster, producer) = transactional();
        wait(producer.init_transactions()).expect("initialised");
        wait(producer.begin_transaction()).expect("begun");
        drop(wait(producer.send(&record())).expect("queued"));
        let is_done = poll_times(polls, producer.commit_transaction()).is_some();
        if !is_done {
            wait(producer.commit_transaction()).expect("the same commit");
        }
        assert_eq!(committed(&cluster), 1, "{polls} polls");
        check_goes_on(&cluster, &producer, 1);
        is_done
    });
    assert!(polls > 1);
    // By its guard.
    let polls = at_every_await(|polls| {
        let (cluster, producer) = transactional();
        let is_done = poll_times(polls, open(&producer).commit()).is_some();
        if polls > 0 && !is_done {
            let error = wait(producer.begin()).expect_err("its outcome has to be learnt first");
            assert!(error.to_string().contains("commit"), "{error}");
            wait(producer.commit_transaction()).expect("the same commit");
        }
        check_goes_on(&cluster, &producer, usize::from(polls > 0));
        is_done
    });
    assert!(polls > 1);
}

#[test]
fn aborting_a_transaction() {
    let polls = at_every_await(|polls| {
        let (cluster, producer) = transactional();
        let transaction = wait(producer.begin()).expect("begun");
        drop(wait(transaction.send(&record())).expect("queued"));
        wait(producer.flush());
        let is_done = poll_times(polls, transaction.abort()).is_some();
        check_goes_on(&cluster, &producer, 0);
        is_done
    });
    assert!(polls > 1);
}

#[test]
fn sending_in_a_transaction() {
    let polls = at_every_await(|polls| {
        let (cluster, producer) = transactional();
        let transaction = wait(producer.begin()).expect("begun");
        // The topic is not known yet.
        let is_done = poll_times(polls, transaction.send(&record())).is_some();
        let is_told = poll_times(polls, transaction.send_with(&record(), |_| ())).is_some();
        let sent = usize::from(is_done) + usize::from(is_told);
        wait(transaction.commit()).expect("committed");
        assert_eq!(committed(&cluster), sent, "{polls} polls");
        wait(producer.close(Duration::from_secs(30)));
        is_done
    });
    assert!(polls > 1);
    let polls = at_every_await(|polls| {
        let (cluster, producer) = transactional();
        let transaction = wait(producer.begin()).expect("begun");
        let offsets = vec![GroupOffset::new(TOPIC, 0, 12)];
        let sent = transaction.send_offsets(offsets, GroupMetadata::new("g"));
        let is_done = poll_times(polls, sent).is_some();
        wait(transaction.commit()).expect("committed");
        let found = cluster.cluster().committed_offset("g", TOPIC, 0);
        assert_eq!(found, (polls > 0).then_some(12), "{polls} polls");
        is_done
    });
    assert!(polls > 1);
}
