//! Transactions: their requests, and what they mean for the batches.

use super::{InFlight, Sender};
use crate::Request;
use crate::node::Link;
use crate::partition::Pending;
use crate::produce;
use crate::transactions::Transactions;
use bytes::Bytes;
use ottla_accumulator::{DeliveryFailure, FailureKind, Persistence};
use ottla_time::{Time, mutant};
use ottla_transactions::{Protocol, Sequences, State, Target};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The longest backoff of a batch that comes while the markers of the transaction before are being written. Java has it
/// for AddPartitionsToTxn, whose place Produce takes under protocol 2.
pub(super) const CONCURRENT_BACKOFF_MAX: Duration = Duration::from_millis(20);

/// What the sender keeps of the transaction that is open.
#[derive(Debug, Default)]
pub(super) struct TransactionProgress {
    /// Slots of partitions that wait until they take part.
    waiting: BTreeSet<usize>,
    /// When to look at them again, if they wait for the markers of the transaction before.
    held_until: Option<Time>,
    /// Whether what was not sent is dropped already.
    dropped: bool,
    /// Whether the next request waits for a connection, so that time alone changes nothing.
    blocked: bool,
}

impl Sender {
    /// What a broker said of the cluster's features when it became ready: the epoch of its answer (-1 if it has none),
    /// and the level of `transaction.version` (0 if it is off). Without transactions it changes nothing.
    pub fn handle_features(&mut self, epoch: i64, transaction_version: i16) {
        if let Some(transactions) = &self.shared.transactions {
            transactions.lock().handle_features(epoch, transaction_version);
        }
    }

    /// When a request about transactions is due, if that is a question of time.
    pub(super) fn transaction_timeout(&self) -> Option<Time> {
        let transactions = self.shared.transactions.as_ref()?;
        let flushes = self.shared.accumulator.flushes();
        let manager = transactions.lock();
        let drained = manager.wants_drain() && flushes.incomplete() == 0 && !self.is_producing();
        if drained || flushes.has_failure() {
            // A batch was resolved after this turn had looked: there is another to take.
            return Some(Time::ZERO);
        }
        let asks = manager.poll_timeout().filter(|_| !self.transaction.blocked);
        asks.into_iter().chain(self.transaction.held_until).min()
    }

    /// Whether a request about transactions waits for a connection.
    pub(super) fn transaction_blocked(&self) -> bool {
        self.transaction.blocked
    }

    /// Whether a transaction is open, or on its way to its end: a close waits for it.
    pub(super) fn in_transaction(&self) -> bool {
        let transactions = self.shared.transactions.as_ref();
        transactions.is_some_and(|transactions| transactions.lock().state().is_in_transaction())
    }

    /// Tells the manager what became of the batches, and sends what it asks for.
    pub(super) fn turn_transactions(&mut self, now: Time) {
        let Some(transactions) = self.shared.transactions.clone() else {
            return;
        };
        self.transaction.held_until = None;
        for slot in std::mem::take(&mut self.transaction.waiting) {
            self.evaluate(slot, now);
        }
        // First whether the transaction is to end, and only then whether a batch is incomplete: no record comes in once it
        // is to end, so what is found complete then stays so. In the other order another thread can begin, queue and
        // commit in between, and its commit would find nothing that had to be sent.
        let looks_first = mutant!("what is incomplete is asked before whether the transaction ends");
        let before = looks_first.then(|| self.tell_failures(&transactions));
        let ends = transactions.lock().wants_drain();
        let mut incomplete = before.unwrap_or_else(|| self.tell_failures(&transactions));
        let mut manager = transactions.lock();
        if self.closing.is_some() && matches!(manager.state(), State::Open | State::MustAbort) {
            // Legal in both states. As in Java: what nobody committed is aborted.
            let _ = manager.abort();
        }
        let drops = matches!(manager.state(), State::MustAbort | State::Aborting | State::Fatal);
        drop(manager);
        if drops && incomplete && !self.transaction.dropped {
            self.transaction.dropped = true;
            for slot in 0..self.partitions.len() {
                self.look(slot, now);
            }
            incomplete = self.tell_failures(&transactions);
        }
        if ends && (!incomplete || mutant!("commit before all is acked")) {
            self.drain_transaction(&transactions);
        }
        self.send_transaction_request(&transactions, now);
    }

    /// Tells the manager of a batch that failed. Whether a batch is incomplete, as of before that: one that fails counts
    /// as incomplete until its failure can be seen, so a commit cannot miss it (KAFKA-9279).
    fn tell_failures(&self, transactions: &Transactions) -> bool {
        let flushes = self.shared.accumulator.flushes();
        let incomplete = flushes.incomplete() > 0;
        if let Some(failure) = flushes.take_failure() {
            let code = match failure.kind {
                FailureKind::Broker(code) | FailureKind::Neighbours(code) => Some(code),
                _ => None,
            };
            transactions
                .lock()
                .handle_delivery_failed(code, &failure.to_string());
        }
        incomplete
    }

    /// Whether a request is under way that carries batches.
    fn is_producing(&self) -> bool {
        let mut requests = self.in_flight.values();
        requests.any(|request| matches!(request, InFlight::Produce { .. }))
    }

    /// Tells the manager that all batches are resolved, once nothing of the transaction is under way: a batch that was
    /// given up may still be on its way to the log, and must not get there behind the transaction's end.
    fn drain_transaction(&mut self, transactions: &Transactions) {
        if self.is_producing() && !mutant!("abort while a batch is on its way") {
            return;
        }
        let mut manager = transactions.lock();
        let identity = manager.identity();
        let numbered = self
            .partitions
            .iter()
            .filter_map(|state| state.sequences.as_ref());
        let mut current = numbered.filter(|sequences| Some(sequences.identity()) == identity);
        let broken = current.any(Sequences::is_broken);
        manager.handle_drained(broken);
    }

    /// Sends the manager's next request, if it is due and there is a connection for it.
    fn send_transaction_request(&mut self, transactions: &Transactions, now: Time) {
        self.transaction.blocked = false;
        // Each one that cannot be made ends the producer or its transaction, so this ends.
        loop {
            let Some(target) = transactions.lock().poll_target(now) else {
                return;
            };
            let Some(node) = self.node_for(target, transactions, now) else {
                return;
            };
            let Some(state) = self.nodes.get(&node) else {
                return;
            };
            let Some(outgoing) = transactions.lock().take_request(now, |key| state.range(key)) else {
                continue;
            };
            let request = Request {
                id: self.next_request,
                api_key: outgoing.api_key.0,
                api_version: outgoing.api_version,
                flexible: outgoing.flexible,
                body: vec![outgoing.body],
                expects_response: true,
                timeout: self.shared.config.request_timeout,
            };
            self.in_flight.insert(request.id, InFlight::Transaction { node });
            return self.send(node, request);
        }
    }

    /// The node that takes a request for this target now. If there is none, sees to it that there will be.
    fn node_for(&mut self, target: Target, transactions: &Transactions, now: Time) -> Option<i32> {
        let Target::Node(id) = target else {
            let able = self
                .nodes
                .iter()
                .filter(|(_, node)| node.versions().is_some() && now >= node.throttled_until);
            let found = able.min_by_key(|(_, node)| node.in_flight).map(|(&id, _)| id);
            if found.is_none() {
                // Metadata sees to it that there is a connection.
                self.transaction.blocked = true;
                self.metadata.wanted = true;
                self.metadata.paused = false;
            }
            return found;
        };
        let Some(node) = self.nodes.get(&id) else {
            transactions.lock().handle_unreachable(id, now);
            return None;
        };
        match &node.link {
            Link::Ready(_) if now >= node.throttled_until => return Some(id),
            Link::Idle => self.connect(id),
            Link::Ready(_) | Link::Connecting => {}
        }
        self.transaction.blocked = true;
        None
    }

    pub(super) fn handle_transaction_answer(&mut self, node: i32, body: &Bytes, now: Time) {
        let Some(transactions) = self.shared.transactions.clone() else {
            return;
        };
        let mut manager = transactions.lock();
        let throttle_ms = manager.handle_answer(body, now);
        let discovered = manager.take_discovered();
        drop(manager);
        self.throttle(node, throttle_ms, now);
        if let Some(found) = discovered {
            self.learn_node(found.node, &found.host, found.port);
        }
    }

    /// The request ended without an answer. `written` says whether a byte of it may have reached the broker.
    pub(super) fn handle_transaction_failed(&mut self, written: bool, now: Time) {
        let Some(transactions) = &self.shared.transactions else {
            return;
        };
        if written {
            transactions.lock().handle_no_answer(now);
        } else {
            transactions.lock().handle_not_sent(now);
        }
    }

    /// The connection to the node ended, or could not be made; if that is final, no broker takes this client as it is.
    /// True if a request about transactions waits for a connection.
    pub(super) fn transaction_disconnected(
        &mut self,
        node: i32,
        cause: &Arc<str>,
        is_final: bool,
        now: Time,
    ) -> bool {
        let Some(transactions) = &self.shared.transactions else {
            return false;
        };
        let mut manager = transactions.lock();
        manager.note_cause(cause);
        manager.handle_unreachable(node, now);
        if is_final {
            manager.handle_refused(cause);
        }
        manager.poll_timeout().is_some()
    }

    /// Whether the partition's next batch can be sent in the transaction that is open. Drops it if it is not to be sent
    /// any more.
    pub(super) fn is_in_transaction(&mut self, slot: usize, transactions: &Transactions, now: Time) -> bool {
        let mut manager = transactions.lock();
        let state = &mut self.partitions[slot];
        match manager.state() {
            State::Open | State::Committing => {
                self.transaction.dropped = false;
                if !manager.want_partition(state.queue.topic(), state.queue.number()) {
                    self.transaction.waiting.insert(slot);
                    return false;
                }
                if now < manager.held_until() {
                    self.transaction.waiting.insert(slot);
                    self.transaction.held_until = Some(manager.held_until());
                    return false;
                }
                let Some(identity) = manager.identity() else {
                    return false;
                };
                // A new identity comes between two transactions, when nothing is numbered.
                if state.sequences.as_ref().map(Sequences::identity) != Some(identity) {
                    state.sequences = Some(Sequences::new(identity));
                }
                state
                    .sequences
                    .as_ref()
                    .is_some_and(|sequences| !sequences.is_broken())
            }
            State::MustAbort | State::Aborting | State::Fatal => {
                let reason = manager.trouble().map(|trouble| trouble.to_string());
                let renews = manager.can_renew() || manager.state() == State::Fatal;
                drop(manager);
                self.drop_unsent(slot, renews, reason);
                // What was sent before, and cannot be followed by a new epoch, is tried until it is known.
                let state = &self.partitions[slot];
                !state.pending.is_empty()
            }
            State::Uninitialized | State::Initializing | State::Ready | State::Recovering => false,
        }
    }

    /// Fails what was never sent, and what was sent and waits to be sent again if a new epoch can follow the gap.
    fn drop_unsent(&mut self, slot: usize, renews: bool, reason: Option<String>) {
        let state = &mut self.partitions[slot];
        let failure = DeliveryFailure::new(FailureKind::Aborted, Persistence::NotPersisted);
        let failure = match reason {
            Some(reason) => failure.with_detail(reason),
            None => failure,
        };
        let keep = |pending: &Pending| pending.stamp.is_some() && !renews;
        for pending in state.pending.iter().filter(|pending| !keep(pending)) {
            let failure = failure.clone().with_persistence(pending.persistence());
            pending.batch.fail(failure);
            if let (Some(sequences), Some(stamp)) = (&mut state.sequences, &pending.stamp) {
                sequences.give_up(stamp);
            }
        }
        state.pending.retain(keep);
        while let Some(batch) = state.queue.take() {
            batch.fail(failure.clone());
        }
        state.queued = state.queue.inspect(&self.shared.accumulator);
    }

    /// The version of Produce for this node; `None` if it takes no batches of the transaction.
    pub(super) fn produce_version(&self, node: i32) -> Option<i16> {
        let version = self.nodes.get(&node)?.versions()?.produce?;
        let Some(transactions) = &self.shared.transactions else {
            return Some(version);
        };
        match transactions.lock().protocol() {
            Protocol::V1 => Some(version.min(produce::VERSION_ADDED_MAX)),
            Protocol::V2 => (version > produce::VERSION_ADDED_MAX).then_some(version),
        }
    }

    /// Batches go out: from now on the coordinator may know of the transaction.
    pub(super) fn transaction_written(&self) {
        if let Some(transactions) = &self.shared.transactions {
            transactions.lock().handle_written();
        }
    }
}
