//! What InitProducerId and the coordinator refuse.

use super::{Script, compare, unique};
use crate::link::Link;
use crate::session::Session;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{DescribeTransactionsRequest, InitProducerIdRequest};

/// What InitProducerId and the coordinator refuse.
struct Identities {
    id: String,
}

impl Script for Identities {
    fn run<L: Link>(&self, session: &mut Session<L>) {
        session.find_coordinators(1, &[&self.id]);
        session.init(5, Some(&self.id), 60_000, (-1, -1));
        for version in 0..=5 {
            for (id, timeout_ms, identity) in [
                (Some(""), 60_000, (-1, -1)),
                (Some(self.id.as_str()), 0, (-1, -1)),
                (Some(self.id.as_str()), 900_001, (-1, -1)),
                (Some(self.id.as_str()), 60_000, (5, -1)),
                (Some(self.id.as_str()), 60_000, (-1, 5)),
                (Some(self.id.as_str()), 60_000, (1_000_000, 5)),
                (None, -1, (-1, -1)),
                (None, 0, (77, 3)),
            ] {
                let mut request = InitProducerIdRequest {
                    transactional_id: id.map(str::to_owned),
                    transaction_timeout_ms: timeout_ms,
                    ..InitProducerIdRequest::default()
                };
                if version >= 3 {
                    (request.producer_id, request.producer_epoch) = identity;
                } else if identity != (-1, -1) {
                    continue;
                }
                let answer = session.call(&request, version).expect("an answer");
                session.note(format!(
                    "init v{version} {id:?} {timeout_ms} {identity:?} -> {} {}",
                    ErrorCode(answer.error_code),
                    answer.producer_epoch
                ));
            }
        }
        let request = DescribeTransactionsRequest {
            transactional_ids: vec![format!("{}-unknown", self.id)],
            ..DescribeTransactionsRequest::default()
        };
        let answer = session.call(&request, 0).expect("an answer");
        session.note(format!(
            "unknown -> {}",
            ErrorCode(answer.transaction_states[0].error_code)
        ));
        session.end(4, &format!("{}-unknown", self.id), (5, 0), true);
    }
}

#[test]
fn identities() {
    compare(Identities {
        id: unique("identities", 0),
    });
}
