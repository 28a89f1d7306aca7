//! Prints what AWS's own signer for Rust signs where a client of AWS_MSK_IAM presigns: a line for each case, with tabs
//! between host, region, milliseconds since the Unix epoch, access key id, secret access key, session token (may be empty)
//! and signature. `crates/network/src/sasl/sigv4_vectors.tsv` is what it printed:
//!
//! `cargo run --manifest-path xtask/sigv4/Cargo.toml > crates/network/src/sasl/sigv4_vectors.tsv`

use std::error::Error;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;

/// Host and region; where the host tells no region, it is set.
const BROKERS: [(&str, &str); 4] = [
    ("b-1.demo.abc123.c2.kafka.eu-west-1.amazonaws.com", "eu-west-1"),
    ("boot-x.c1.kafka-serverless.us-east-2.amazonaws.com", "us-east-2"),
    ("b-3.demo.c2.kafka.cn-north-1.amazonaws.com.cn", "cn-north-1"),
    ("kafka.example", "us-gov-west-1"),
];

/// Times at which a part of a date has another length or turns over.
const TIMES_MS: [i64; 4] = [0, 951_782_400_000, 1_767_225_599_999, 1_795_482_123_000];

/// Access key id, secret access key, session token.
const KEYS: [(&str, &str, &str); 3] = [
    ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", ""),
    (
        "ASIAEXAMPLE",
        "secret with spaces, \"quotes\" and \u{e4}",
        "FwoGZXIvYXdzEJr//token+with/special=chars&more",
    ),
    ("ASIA/EXAMPLE+", "k", "~-._ %2F\u{20ac}"),
];

fn main() -> Result<(), Box<dyn Error>> {
    for (host, region) in BROKERS {
        for at_ms in TIMES_MS {
            for (id, secret, token) in KEYS {
                let signature = presign(host, region, at_ms, id, secret, token)?;
                println!("{host}\t{region}\t{at_ms}\t{id}\t{secret}\t{token}\t{signature}");
            }
        }
    }
    Ok(())
}

fn presign(
    host: &str,
    region: &str,
    at_ms: i64,
    id: &str,
    secret: &str,
    token: &str,
) -> Result<String, Box<dyn Error>> {
    let token = Some(token.to_owned()).filter(|token| !token.is_empty());
    let identity = Credentials::new(id, secret, token, None, "oracle").into();
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(Duration::from_secs(900));
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("kafka-cluster")
        .time(UNIX_EPOCH + Duration::from_millis(at_ms.unsigned_abs()))
        .settings(settings)
        .build()?
        .into();
    let uri = format!("https://{host}/?Action=kafka-cluster%3AConnect");
    let request = SignableRequest::new("GET", uri, std::iter::empty(), SignableBody::Bytes(&[]))?;
    let (_, signature) = sign(request, &parameters)?.into_parts();
    Ok(signature)
}
