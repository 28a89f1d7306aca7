//! Telling brokers the metrics that they subscribe to (KIP-714).

use crate::world::World;
use bytes::Bytes;
use ottla_protocol::messages::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse, PushTelemetryRequest,
    PushTelemetryResponse,
};
use ottla_protocol::wire::{Reader, Uuid};
use ottla_protocol::{ApiKey, ErrorCode, Message};
use ottla_sender::{Request, TelemetryError};
use std::time::Duration;

const ID: Uuid = Uuid::from_halves(1, 2);
const INTERVAL: Duration = Duration::from_secs(10);

/// A world that has just asked what is subscribed to. Nothing else is under way.
fn asking() -> World {
    let mut world = World::new(|config, _| {
        config.telemetry = true;
        config.max_in_flight = 2;
        config.metadata_max_age = Duration::from_secs(100_000);
    });
    world.turn();
    world.answer_metadata(&[1]);
    world
}

fn subscription() -> GetTelemetrySubscriptionsResponse {
    GetTelemetrySubscriptionsResponse {
        client_instance_id: ID,
        subscription_id: 7,
        accepted_compression_types: vec![99, 0],
        push_interval_ms: 10_000,
        telemetry_max_bytes: 1 << 20,
        requested_metrics: vec!["*".to_owned()],
        ..GetTelemetrySubscriptionsResponse::default()
    }
}

fn decode<M: Message>(request: &Request) -> M {
    let body = Bytes::from(request.body.concat());
    M::decode(&mut Reader::from_bytes(&body), request.api_version).expect("decodes")
}

fn answer_subscription(world: &mut World, answer: &GetTelemetrySubscriptionsResponse) -> Uuid {
    let (node, request) = world.next_request(ApiKey::GET_TELEMETRY_SUBSCRIPTIONS);
    world.respond(node, &request, answer);
    decode::<GetTelemetrySubscriptionsRequest>(&request).client_instance_id
}

fn answer_push(world: &mut World, code: ErrorCode) -> PushTelemetryRequest {
    let (node, request) = world.next_request(ApiKey::PUSH_TELEMETRY);
    let answer = PushTelemetryResponse {
        error_code: code.0,
        ..PushTelemetryResponse::default()
    };
    world.respond(node, &request, &answer);
    decode(&request)
}

/// How long it takes until there is another request.
fn wait(world: &mut World) -> Duration {
    let since = world.now();
    world.until_request();
    world.now().since(since)
}

#[test]
fn what_is_subscribed_to_is_pushed_at_its_interval() {
    let mut world = asking();
    assert_eq!(answer_subscription(&mut world, &subscription()), Uuid::ZERO);
    let first = wait(&mut world);
    assert!(
        first >= INTERVAL / 2 && first < INTERVAL * 3 / 2,
        "{first:?} is no jitter"
    );
    let push = answer_push(&mut world, ErrorCode::NONE);
    assert_eq!((push.client_instance_id, push.subscription_id), (ID, 7));
    assert_eq!((push.terminating, push.compression_type), (false, 0));
    let name = b"org.apache.kafka.producer.connection.creation.total";
    assert!(push.metrics.windows(name.len()).any(|window| window == name));
    for _ in 0..3 {
        assert_eq!(wait(&mut world), INTERVAL);
        answer_push(&mut world, ErrorCode::NONE);
    }
}

#[test]
fn nothing_is_pushed_if_nothing_is_wanted() {
    let mut world = asking();
    let nothing = GetTelemetrySubscriptionsResponse {
        requested_metrics: Vec::new(),
        ..subscription()
    };
    answer_subscription(&mut world, &nothing);
    assert_eq!(wait(&mut world), INTERVAL);
    assert_eq!(answer_subscription(&mut world, &nothing), ID, "it keeps its name");
    // An interval that is none is Java's default.
    wait(&mut world);
    let nothing = GetTelemetrySubscriptionsResponse {
        push_interval_ms: 0,
        ..nothing
    };
    answer_subscription(&mut world, &nothing);
    assert_eq!(wait(&mut world), Duration::from_secs(300));
}

#[test]
fn each_refusal_has_its_consequence() {
    let resubscribes_after = |code: ErrorCode| {
        let mut world = asking();
        answer_subscription(&mut world, &subscription());
        world.until_request();
        answer_push(&mut world, code);
        let waited = wait(&mut world);
        assert_eq!(answer_subscription(&mut world, &subscription()), ID);
        waited
    };
    for code in [
        ErrorCode::UNKNOWN_SUBSCRIPTION_ID,
        ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
    ] {
        let waited = resubscribes_after(code);
        assert!(waited < Duration::from_millis(200), "{code}: {waited:?}");
    }
    for code in [
        ErrorCode::TELEMETRY_TOO_LARGE,
        ErrorCode::THROTTLING_QUOTA_EXCEEDED,
    ] {
        assert_eq!(resubscribes_after(code), INTERVAL, "{code}");
    }
    let retriable = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
    assert_eq!(resubscribes_after(retriable), Duration::from_secs(300));
    for code in [
        ErrorCode::INVALID_REQUEST,
        ErrorCode::INVALID_RECORD,
        ErrorCode::UNSUPPORTED_VERSION,
    ] {
        let mut world = asking();
        answer_subscription(&mut world, &subscription());
        world.until_request();
        answer_push(&mut world, code);
        world.run_until(world.now() + Duration::from_secs(10_000));
        assert!(world.requests.is_empty(), "{code} ends it");
    }
}

#[test]
fn a_broker_that_knows_no_subscription_of_its_own_is_asked_ever_more_slowly() {
    let mut world = asking();
    let until = world.now() + Duration::from_secs(60);
    let mut asked = 0;
    let refusal = GetTelemetrySubscriptionsResponse {
        error_code: ErrorCode::UNKNOWN_SUBSCRIPTION_ID.0,
        ..subscription()
    };
    world.run_answering(until, |world| {
        asked += 1;
        answer_subscription(world, &refusal);
    });
    assert!((40..90).contains(&asked), "{asked} requests in a minute");
}

#[test]
fn without_an_answer_it_waits_long() {
    let mut world = asking();
    answer_subscription(&mut world, &subscription());
    world.until_request();
    world.lose(true);
    world.run_answering_metadata(&[1], world.now() + Duration::from_secs(299));
    let waited = Duration::from_secs(299) + wait(&mut world);
    assert_eq!(waited, Duration::from_secs(300));
    world.next_request(ApiKey::GET_TELEMETRY_SUBSCRIPTIONS);
}

#[test]
fn a_close_ends_with_one_last_push_and_waits_shortly() {
    for answers in [true, false] {
        let mut world = asking();
        answer_subscription(&mut world, &subscription());
        let closed_at = world.now();
        let _closing = world.handle.close(Duration::from_secs(30));
        world.turn();
        assert!(!world.finished);
        if answers {
            assert!(answer_push(&mut world, ErrorCode::NONE).terminating);
        } else {
            let at = world.sender.poll_timeout().expect("it does not wait for ever");
            world.run_until(at);
            assert_eq!(at.since(closed_at), Duration::from_secs(1));
        }
        assert!(world.finished, "answers: {answers}");
    }
}

#[test]
fn a_close_without_time_or_subscription_says_nothing() {
    let mut world = asking();
    answer_subscription(&mut world, &subscription());
    let _closing = world.handle.close(Duration::ZERO);
    world.turn();
    assert!(world.finished && world.requests.is_empty());

    let mut world = asking();
    let _closing = world.handle.close(Duration::from_secs(30));
    world.turn();
    assert!(world.finished, "the question is not waited for");
}

#[test]
fn a_close_during_a_push_waits_for_its_answer_first() {
    let mut world = asking();
    answer_subscription(&mut world, &subscription());
    world.until_request();
    let _closing = world.handle.close(Duration::from_secs(30));
    world.turn();
    assert!(!answer_push(&mut world, ErrorCode::NONE).terminating);
    assert!(answer_push(&mut world, ErrorCode::NONE).terminating);
    assert!(world.finished);
}

#[test]
fn the_broker_gives_the_client_its_name() {
    let mut world = asking();
    let handle = world.handle.clone();
    let mut waiting = Box::pin(handle.client_instance_id(Duration::from_secs(5)));
    assert!(World::poll(waiting.as_mut()).is_none());
    answer_subscription(&mut world, &subscription());
    assert_eq!(World::poll(waiting.as_mut()), Some(Ok(ID)));

    let mut world = World::new(|config, _| config.telemetry = true);
    let handle = world.handle.clone();
    let timeout = Duration::from_secs(5);
    let mut waiting = Box::pin(handle.client_instance_id(timeout));
    assert!(World::poll(waiting.as_mut()).is_none());
    world.run_until(world.now() + timeout);
    let waited = TelemetryError::TimedOut { waited: timeout };
    assert_eq!(World::poll(waiting.as_mut()), Some(Err(waited)));

    let world = World::new(|_, _| {});
    let outcome = World::poll(world.handle.client_instance_id(timeout));
    assert_eq!(outcome, Some(Err(TelemetryError::Disabled)));
}

#[test]
fn what_is_larger_than_the_broker_takes_is_not_sent() {
    let mut world = asking();
    let small = GetTelemetrySubscriptionsResponse {
        telemetry_max_bytes: 100,
        ..subscription()
    };
    answer_subscription(&mut world, &small);
    wait(&mut world);
    world.next_request(ApiKey::GET_TELEMETRY_SUBSCRIPTIONS);
}
