//! Which brokers want to be left alone, and for how long: they say it in the answer of any request.

use crate::wire::End;
use bytes::Bytes;
use ottla_protocol::messages::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, EndTxnResponse, FindCoordinatorResponse,
    InitProducerIdResponse, MetadataResponse, ProduceResponse, TxnOffsetCommitResponse,
};
use ottla_protocol::wire::Reader;
use ottla_protocol::{ApiKey, Message};
use ottla_sender::Request;
use ottla_time::Time;
use std::collections::BTreeMap;
use std::time::Duration;

/// What the wire shows of it.
#[derive(Debug, Default)]
pub(crate) struct Throttles {
    /// The requests in flight: where, and what will be the form of the answer.
    asked: BTreeMap<u64, (i32, ApiKey, i16)>,
    /// Until when a broker wants nothing.
    until: BTreeMap<i32, Time>,
}

impl Throttles {
    /// A request goes out.
    pub(crate) fn sent(&mut self, now: Time, node: i32, request: &Request) -> Result<(), String> {
        if let Some(&until) = self.until.get(&node)
            && now < until
        {
            return Err(format!(
                "a request to broker {node}, which wants none before {until}"
            ));
        }
        let form = (node, ApiKey(request.api_key), request.api_version);
        self.asked.insert(request.id, form);
        Ok(())
    }

    /// A request ended: which broker wants to be left alone from now on, and for how long, if its answer says so.
    pub(crate) fn ended(&mut self, now: Time, id: u64, end: &End<'_>) -> Option<(i32, Duration)> {
        let (node, key, version) = self.asked.remove(&id)?;
        let End::Answered(body) = end else { return None };
        let by = Duration::from_millis(throttle_ms(key, version, body)?);
        let until = self.until.entry(node).or_default();
        *until = (*until).max(now + by);
        Some((node, by))
    }

    /// A broker was killed: the one that comes back in its place knows nothing of what it asked for.
    pub(crate) fn died(&mut self, node: i32) {
        self.until.remove(&node);
    }
}

/// The throttle time of an answer, if there is one.
fn throttle_ms(key: ApiKey, version: i16, body: &Bytes) -> Option<u64> {
    let mut reader = Reader::from_bytes(body);
    macro_rules! read {
        ($answer:ty) => {
            <$answer>::decode(&mut reader, version)
                .ok()?
                .throttle_time_ms
        };
    }
    let ms = match key {
        ApiKey::PRODUCE => read!(ProduceResponse),
        ApiKey::METADATA => read!(MetadataResponse),
        ApiKey::FIND_COORDINATOR => read!(FindCoordinatorResponse),
        ApiKey::INIT_PRODUCER_ID => read!(InitProducerIdResponse),
        ApiKey::ADD_PARTITIONS_TO_TXN => read!(AddPartitionsToTxnResponse),
        ApiKey::ADD_OFFSETS_TO_TXN => read!(AddOffsetsToTxnResponse),
        ApiKey::TXN_OFFSET_COMMIT => read!(TxnOffsetCommitResponse),
        ApiKey::END_TXN => read!(EndTxnResponse),
        _ => 0,
    };
    u64::try_from(ms).ok().filter(|&ms| ms > 0)
}
