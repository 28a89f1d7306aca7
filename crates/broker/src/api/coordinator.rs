//! FindCoordinator and InitProducerId: what a producer begins with.

use super::code;
use crate::cluster::Cluster;
use crate::request::{Outcome, RequestContext};
use crate::transaction::InitOutcome;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::find_coordinator::{Coordinator, FindCoordinatorResponse};
use ottla_protocol::messages::init_producer_id::InitProducerIdResponse;
use ottla_protocol::messages::{FindCoordinatorRequest, InitProducerIdRequest};
use std::time::Duration;

/// The kinds of keys: a group, and a transactional id.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

impl Cluster {
    pub(super) fn find_coordinator(
        &mut self,
        context: &RequestContext,
        request: FindCoordinatorRequest,
    ) -> Outcome {
        let mut response = FindCoordinatorResponse {
            throttle_time_ms: context.throttle_ms(),
            ..FindCoordinatorResponse::default()
        };
        if context.version >= 4 {
            let find = |key: &String| self.find_one_coordinator(context, request.key_type, key);
            response.coordinators = request.coordinator_keys.iter().map(find).collect();
        } else {
            let found = self.find_one_coordinator(context, request.key_type, &request.key);
            response.error_code = found.error_code;
            response.error_message = found.error_message;
            response.node_id = found.node_id;
            response.host = found.host;
            response.port = found.port;
        }
        context.answer::<FindCoordinatorRequest>(&response)
    }

    fn find_one_coordinator(&self, context: &RequestContext, key_type: i8, key: &str) -> Coordinator {
        let error = if let Some(error) = context.error() {
            Some(error)
        } else if key_type != GROUP && key_type != TRANSACTION {
            Some(ErrorCode::INVALID_REQUEST)
        } else {
            context.strikes.error_after()
        };
        let found = self
            .coordinator_of(key)
            .and_then(|id| Some((id, self.nodes.get(&id)?)));
        match (error, found) {
            (None, Some((id, node))) => Coordinator {
                key: key.to_owned(),
                node_id: id,
                host: node.host.clone(),
                port: node.port,
                ..Coordinator::default()
            },
            (error, _) => Coordinator {
                key: key.to_owned(),
                node_id: -1,
                port: -1,
                error_code: code(error.unwrap_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)),
                ..Coordinator::default()
            },
        }
    }

    pub(super) fn init_producer_id(
        &mut self,
        context: &RequestContext,
        request: InitProducerIdRequest,
    ) -> Outcome {
        let result = match context.error() {
            Some(error) => Err(error),
            None => self.init(context, &request),
        };
        let result = match (result, context.strikes.error_after()) {
            (Ok(_), Some(error)) => Err(error),
            (result, _) => result,
        };
        let response = match result {
            Ok((producer_id, producer_epoch)) => InitProducerIdResponse {
                producer_id,
                producer_epoch,
                throttle_time_ms: context.throttle_ms(),
                ..InitProducerIdResponse::default()
            },
            Err(error) => {
                // Versions that do not know PRODUCER_FENCED are told what they know.
                let old = error == ErrorCode::PRODUCER_FENCED && context.version < 4;
                InitProducerIdResponse {
                    error_code: code(if old {
                        ErrorCode::INVALID_PRODUCER_EPOCH
                    } else {
                        error
                    }),
                    producer_id: -1,
                    producer_epoch: -1,
                    throttle_time_ms: context.throttle_ms(),
                    ..InitProducerIdResponse::default()
                }
            }
        };
        context.answer::<InitProducerIdRequest>(&response)
    }

    fn init(
        &mut self,
        context: &RequestContext,
        request: &InitProducerIdRequest,
    ) -> Result<(i64, i16), ErrorCode> {
        let expected = match (request.producer_id, request.producer_epoch) {
            (-1, -1) => None,
            (-1, _) | (_, -1) => return Err(ErrorCode::INVALID_REQUEST),
            identity => Some(identity),
        };
        let Some(id) = request.transactional_id.as_deref() else {
            // An idempotent producer gets a new id whatever it had.
            let producer_id = self.transactions.allocate_producer_id();
            return Ok((producer_id, self.config.first_producer_epoch));
        };
        if id.is_empty() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        self.check_coordinator(id, context.broker)?;
        if request.enable2_pc {
            return Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
        }
        if request.keep_prepared_txn {
            return Err(ErrorCode::UNSUPPORTED_VERSION);
        }
        let timeout_ms = request.transaction_timeout_ms;
        if timeout_ms <= 0 || timeout_ms > self.config.transaction_max_timeout_ms {
            return Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT);
        }
        let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
        match self.transactions.init(id, timeout, expected)? {
            InitOutcome::Ready { producer_id, epoch } => {
                self.transaction_event(id);
                Ok((producer_id, epoch))
            }
            InitOutcome::Fenced => {
                self.transaction_decided(id);
                Err(ErrorCode::CONCURRENT_TRANSACTIONS)
            }
        }
    }
}
