//! GetTelemetrySubscriptions and PushTelemetry: offered only if the cluster wants to know something.

use super::code;
use crate::cluster::Cluster;
use crate::request::{Outcome, RequestContext};
use crate::telemetry::TelemetryPush;
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse, PushTelemetryRequest,
    PushTelemetryResponse,
};
use ottla_protocol::wire::Uuid;

impl Cluster {
    pub(super) fn get_telemetry_subscriptions(
        &mut self,
        context: &RequestContext,
        request: GetTelemetrySubscriptionsRequest,
    ) -> Outcome {
        let error = context.error().unwrap_or(context.told(ErrorCode::NONE));
        let mut response = GetTelemetrySubscriptionsResponse {
            throttle_time_ms: context.throttle_ms(),
            error_code: code(error),
            ..GetTelemetrySubscriptionsResponse::default()
        };
        if let (ErrorCode::NONE, Some(options)) = (error, &self.telemetry.options) {
            response.client_instance_id = if request.client_instance_id.is_zero() {
                Uuid::from_halves(self.random.u64(..), self.random.u64(..))
            } else {
                request.client_instance_id
            };
            response.subscription_id = self.telemetry.subscription_id;
            response.accepted_compression_types = options.accepted_compression_types.clone();
            response.push_interval_ms = options.push_interval_ms;
            response.telemetry_max_bytes = options.bytes_max;
            response.delta_temporality = options.delta_temporality;
            response.requested_metrics = options.requested_metrics.clone();
        }
        context.answer::<GetTelemetrySubscriptionsRequest>(&response)
    }

    pub(super) fn push_telemetry(
        &mut self,
        context: &RequestContext,
        request: PushTelemetryRequest,
    ) -> Outcome {
        let result = context.error().map_or_else(|| self.take_push(request), Err);
        let error = context.told(result.err().unwrap_or(ErrorCode::NONE));
        let response = PushTelemetryResponse {
            throttle_time_ms: context.throttle_ms(),
            error_code: code(error),
            ..PushTelemetryResponse::default()
        };
        context.answer::<PushTelemetryRequest>(&response)
    }

    /// The checks of Kafka's `ClientMetricsManager`, but that of the interval: who tests need not wait.
    fn take_push(&mut self, request: PushTelemetryRequest) -> Result<(), ErrorCode> {
        let Some(options) = &self.telemetry.options else {
            return Err(ErrorCode::UNSUPPORTED_VERSION);
        };
        if request.client_instance_id.is_zero() {
            return Err(ErrorCode::INVALID_REQUEST);
        }
        if request.subscription_id != self.telemetry.subscription_id {
            return Err(ErrorCode::UNKNOWN_SUBSCRIPTION_ID);
        }
        let codec = request.compression_type;
        if codec != 0 && !options.accepted_compression_types.contains(&codec) {
            return Err(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
        }
        if usize::try_from(options.bytes_max).is_ok_and(|max| request.metrics.len() > max) {
            return Err(ErrorCode::TELEMETRY_TOO_LARGE);
        }
        self.telemetry.push(TelemetryPush {
            client_instance_id: request.client_instance_id,
            terminating: request.terminating,
            compression_type: codec,
            metrics: request.metrics,
        });
        Ok(())
    }
}
