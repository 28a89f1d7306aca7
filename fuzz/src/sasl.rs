//! A peer that says anything while a client authenticates, and that does not know the password.
//!
//! The mechanisms alone get any answers. Then a connection gets them in frames with the right correlation ids: requests
//! end once each, no secret shows, and by SCRAM nobody gets past a client without the password.

use std::time::Duration;

use arbitrary::{Arbitrary as _, Result, Unstructured};
use bytes::Bytes;
use ottla_network::sasl::{
    BearerToken, Credentials, Mechanism, PasswordCredentials, SaslConfig, Step, client,
};
use ottla_network::{
    Endpoint, IoAction, IoFailure, Network, NetworkConfig, NetworkEvent, OutgoingRequest, Segments,
};
use ottla_time::Time;

use crate::within;

const SECRET: &str = "canary";
const NODE: i32 = 1;

/// One input: what [`Unstructured`] makes of it.
pub fn run(input: &[u8]) {
    within(512 * 1024 + 256 * input.len(), || {
        // Too short an input is none.
        let _ = mechanism_alone(&mut Unstructured::new(input));
        let _ = connection(&mut Unstructured::new(input));
    });
}

fn chosen(input: &mut Unstructured<'_>) -> Result<(Mechanism, Credentials)> {
    let mechanism = *input.choose(&[
        Mechanism::ScramSha256,
        Mechanism::ScramSha512,
        Mechanism::Plain,
        Mechanism::OauthBearer,
    ])?;
    let credentials = match mechanism {
        Mechanism::OauthBearer => Credentials::Token(BearerToken::new(SECRET).expect("a token")),
        _ => Credentials::Password(PasswordCredentials::new("alice", SECRET)),
    };
    Ok((mechanism, credentials))
}

fn is_scram(mechanism: Mechanism) -> bool {
    matches!(mechanism, Mechanism::ScramSha256 | Mechanism::ScramSha512)
}

fn bytes<'a>(input: &mut Unstructured<'a>) -> Result<&'a [u8]> {
    let length = usize::from(u8::arbitrary(input)?);
    input.bytes(length.min(input.len()))
}

fn mechanism_alone(input: &mut Unstructured<'_>) -> Result<()> {
    let (mechanism, credentials) = chosen(input)?;
    let mut client = client(mechanism, &credentials, "broker", "nonce").expect("good credentials");
    client.first();
    for _ in 0..4 {
        match client.step(bytes(input)?) {
            Ok(Step::Done) => assert!(!is_scram(mechanism), "the peer does not know the password"),
            Ok(Step::Send(_)) => {}
            Err(failure) => assert!(!format!("{failure} {failure:?}").contains(SECRET)),
        }
        assert!(!format!("{client:?}").contains(SECRET));
    }
    Ok(())
}

fn connection(input: &mut Unstructured<'_>) -> Result<()> {
    let (mechanism, credentials) = chosen(input)?;
    let mut config = NetworkConfig::default();
    config.sasl = Some(SaslConfig::new(mechanism, [7; 32]).with_credentials(credentials));
    let mut network = Network::new(config, 7).expect("good settings");
    let (mut now, mut taken, mut ended, mut due) = (Time::from_millis(1), 0_u64, 0_u64, Vec::new());
    network.connect(NODE, Endpoint::new("broker", 9092), now);
    let mut connection = None;
    while !input.is_empty() {
        while let Some(action) = network.poll_io() {
            assert!(!format!("{action:?}").contains(SECRET));
            let id = action.connection();
            connection = Some(id);
            match action {
                IoAction::Resolve { .. } => {
                    network.handle_resolved(id, Ok(vec![([127, 0, 0, 1], 9092).into()]), now);
                }
                IoAction::Dial { .. } => network.handle_connected(id, now),
                IoAction::Write { header, body, .. } => {
                    // A message without header is answered without one.
                    due.push(header.get(8..12).map(Bytes::copy_from_slice));
                    network.handle_written(id, header.len() + body.bytes_total(), now);
                }
                _ => due.clear(),
            }
        }
        while let Some(event) = network.poll_event() {
            match event {
                NetworkEvent::Ready { .. } => assert!(!is_scram(mechanism), "nobody proved the password"),
                NetworkEvent::Response { .. } | NetworkEvent::Failed { .. } => ended += 1,
                NetworkEvent::Disconnected { error, .. } => {
                    assert!(!format!("{error} {error:?}").contains(SECRET));
                }
                _ => {}
            }
        }
        let Some(id) = connection else { break };
        match input.int_in_range(0..=7)? {
            0 => {
                now += Duration::from_millis(u64::from(u16::arbitrary(input)?));
                network.handle_timeout(now);
            }
            1 => network.handle_closed(id, IoFailure::end_of_stream(), now),
            2 => network.connect(NODE, Endpoint::new("broker", 9092), now),
            3 => {
                let request = OutgoingRequest {
                    id: taken,
                    api_key: 3,
                    api_version: 8,
                    flexible: false,
                    body: Segments::from(Bytes::from_static(b"x")),
                    expects_response: true,
                    timeout: Duration::from_secs(30),
                };
                taken += u64::from(network.send(NODE, request, now).is_ok());
            }
            _ if due.is_empty() => {}
            _ => {
                let id_bytes = due.remove(0).unwrap_or_default();
                let body = bytes(input)?;
                let mut frame = ((id_bytes.len() + body.len()) as u32).to_be_bytes().to_vec();
                frame.extend_from_slice(&id_bytes);
                frame.extend_from_slice(body);
                network.handle_read(id, frame.into(), now);
            }
        }
    }
    network.remove(NODE, now);
    while let Some(event) = network.poll_event() {
        ended += u64::from(matches!(
            event,
            NetworkEvent::Response { .. } | NetworkEvent::Failed { .. }
        ));
    }
    assert_eq!(taken, ended, "every request ends once");
    Ok(())
}
