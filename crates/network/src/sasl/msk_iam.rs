//! AWS_MSK_IAM: a presigned request in JSON, as Amazon MSK takes it.
//!
//! The signatures are those of AWS's own signers in Rust (aws-sigv4) and Python (botocore); the mechanism was not tried on
//! AWS.

use super::error::SaslFailure;
use super::sigv4::{ALGORITHM, Request, date_and_time};
use super::{AwsSignature, SaslClient, Step};
use std::fmt::Write as _;
use zeroize::Zeroizing;

/// How long the signature is good for, in seconds.
const EXPIRES_SECONDS: &str = "900";
const SERVICE: &str = "kafka-cluster";
const ACTION: &str = "kafka-cluster:Connect";
const VERSION: &str = "2020_10_22";

/// The client of AWS_MSK_IAM.
#[derive(Debug)]
pub(super) struct MskIam {
    signature: AwsSignature,
    host: String,
    region: String,
}

impl MskIam {
    pub(super) fn new(signature: &AwsSignature, host: &str) -> Result<MskIam, SaslFailure> {
        let region = region_of(host).or(signature.region.as_deref());
        let Some(region) = region.filter(|region| is_region(region)) else {
            return Err(SaslFailure::InvalidCredentials {
                reason: "the AWS region is unknown: the broker's name does not tell it, and none is set",
            });
        };
        Ok(MskIam {
            signature: signature.clone(),
            host: host.to_ascii_lowercase(),
            region: region.to_owned(),
        })
    }
}

impl SaslClient for MskIam {
    fn first(&mut self) -> Zeroizing<Vec<u8>> {
        let keys = &self.signature.credentials;
        let (date, date_time) = date_and_time(self.signature.signed_at_ms);
        let scope = format!("{date}/{}/{SERVICE}/aws4_request", self.region);
        let credential = format!("{}/{scope}", keys.access_key_id);
        let mut query = vec![
            ("Action", ACTION),
            ("X-Amz-Algorithm", ALGORITHM),
            ("X-Amz-Credential", credential.as_str()),
            ("X-Amz-Date", date_time.as_str()),
            ("X-Amz-Expires", EXPIRES_SECONDS),
            ("X-Amz-SignedHeaders", "host"),
        ];
        if let Some(token) = &keys.session_token {
            query.push(("X-Amz-Security-Token", token.reveal()));
        }
        let request = Request {
            host: &self.host,
            query,
            date_time: &date_time,
            scope: &scope,
        };
        let signature = request.sign(keys.secret_access_key.reveal());
        let user_agent = concat!("ottla-", env!("CARGO_PKG_VERSION"));
        let mut fields = vec![
            ("version", VERSION),
            ("host", self.host.as_str()),
            ("user-agent", user_agent),
            ("action", ACTION),
            ("x-amz-algorithm", ALGORITHM),
            ("x-amz-credential", credential.as_str()),
            ("x-amz-date", date_time.as_str()),
            ("x-amz-signedheaders", "host"),
            ("x-amz-expires", EXPIRES_SECONDS),
            ("x-amz-signature", signature.as_str()),
        ];
        if let Some(token) = &keys.session_token {
            fields.push(("x-amz-security-token", token.reveal()));
        }
        Zeroizing::new(json(&fields).into_bytes())
    }

    /// The broker's word is the success of SaslAuthenticate; what it adds is an id for support.
    fn step(&mut self, answer: &[u8]) -> Result<Step, SaslFailure> {
        if answer.is_empty() {
            return Err(SaslFailure::Malformed {
                reason: "AWS_MSK_IAM is answered with nothing",
            });
        }
        Ok(Step::Done)
    }
}

/// The region in a name such as `b-1.demo.abc123.c2.kafka.eu-west-1.amazonaws.com`.
fn region_of(host: &str) -> Option<&str> {
    let mut labels = host.split('.');
    labels.find(|label| matches!(*label, "kafka" | "kafka-serverless"))?;
    let region = labels.next()?;
    (labels.next()? == "amazonaws").then_some(region)
}

fn is_region(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(fits)
}

/// A JSON object of strings.
fn json(fields: &[(&str, &str)]) -> String {
    // Large enough for every escape, so that no smaller copy of a secret is left behind.
    let bytes: usize = fields
        .iter()
        .map(|(name, value)| name.len() + 6 * value.len() + 6)
        .sum();
    let mut text = String::with_capacity(2 + bytes);
    for (index, (name, value)) in fields.iter().enumerate() {
        text.push(if index == 0 { '{' } else { ',' });
        // Writing to a string does not fail.
        let _ = write!(text, "\"{name}\":\"");
        for character in value.chars() {
            match character {
                '"' | '\\' => text.extend(['\\', character]),
                control if control < ' ' => {
                    let _ = write!(text, "\\u{:04x}", u32::from(control));
                }
                other => text.push(other),
            }
        }
        text.push('"');
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::{AwsCredentials, Secret};

    #[test]
    fn regions_stand_in_names() {
        for (host, region) in [
            (
                "b-1.demo.abc123.c2.kafka.eu-west-1.amazonaws.com",
                Some("eu-west-1"),
            ),
            (
                "boot-x.c1.kafka-serverless.us-east-2.amazonaws.com",
                Some("us-east-2"),
            ),
            (
                "b-1.demo.c2.kafka.cn-north-1.amazonaws.com.cn",
                Some("cn-north-1"),
            ),
            ("kafka.example.com", None),
            ("broker", None),
        ] {
            assert_eq!(region_of(host), region, "{host}");
        }
    }

    #[test]
    fn an_unknown_region_is_said() {
        let signature = AwsSignature {
            credentials: AwsCredentials {
                access_key_id: "AKID".to_owned(),
                secret_access_key: Secret::new("canary"),
                session_token: None,
            },
            region: None,
            signed_at_ms: 0,
        };
        let failure = MskIam::new(&signature, "broker").unwrap_err();
        assert!(failure.to_string().contains("region"), "{failure}");
        assert!(
            MskIam::new(
                &AwsSignature {
                    region: Some("eu/west".to_owned()),
                    ..signature
                },
                "broker"
            )
            .is_err()
        );
    }

    /// What botocore 1.44.5 signs (`SigV4QueryAuth`, service kafka-cluster, 900 s) with these keys at this time.
    #[test]
    fn signatures_are_those_of_botocore() {
        let token = "FwoGZXIvYXdzEJr//token+with/special=chars&more";
        for (host, token, expected) in [
            (
                "b-1.demo.abc123.c2.kafka.eu-west-1.amazonaws.com",
                None,
                "cdcb2c1723862f30c6557899906fed0fbed4739c4dff0202f2c18b32cbfdfee4",
            ),
            (
                "boot-x.c1.kafka-serverless.us-east-2.amazonaws.com",
                Some(token),
                "7f54b0e618864d99ed85dbd7ed94a6f01c2786e9e10bd36945c693ac910df22d",
            ),
        ] {
            let signature = AwsSignature {
                credentials: AwsCredentials {
                    access_key_id: "AKIDEXAMPLE".to_owned(),
                    secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
                    session_token: token.map(Secret::new),
                },
                region: None,
                // 2026-11-24 01:02:03 UTC.
                signed_at_ms: 1_795_482_123_000,
            };
            let first = MskIam::new(&signature, host)
                .expect("the name tells the region")
                .first();
            let json = std::str::from_utf8(&first).expect("text");
            assert!(
                json.contains(&format!("\"x-amz-signature\":\"{expected}\"")),
                "{json}"
            );
            assert!(json.contains("\"x-amz-date\":\"20261124T010203Z\""), "{json}");
        }
    }

    /// What aws-sigv4 1.6.4 signs: `xtask/sigv4` made the file.
    #[test]
    fn signatures_are_those_of_aws_sigv4() {
        let vectors = include_str!("sigv4_vectors.tsv");
        for line in vectors.lines() {
            let [host, region, signed_at_ms, id, secret, token, expected] =
                line.split('\t').collect::<Vec<_>>()[..]
            else {
                panic!("not a vector: {line}")
            };
            let signature = AwsSignature {
                credentials: AwsCredentials {
                    access_key_id: id.to_owned(),
                    secret_access_key: Secret::new(secret),
                    session_token: (!token.is_empty()).then(|| Secret::new(token)),
                },
                region: Some(region.to_owned()),
                signed_at_ms: signed_at_ms.parse().expect("a number"),
            };
            let first = MskIam::new(&signature, host).expect("a region").first();
            let json = std::str::from_utf8(&first).expect("text");
            let expected = format!("\"x-amz-signature\":\"{expected}\"");
            assert!(json.contains(&expected), "{line}: {json}");
        }
        assert_eq!(vectors.lines().count(), 48);
    }

    #[test]
    fn json_is_escaped() {
        assert_eq!(
            json(&[("a", "x\"\\\n"), ("b", "ä")]),
            "{\"a\":\"x\\\"\\\\\\u000a\",\"b\":\"ä\"}"
        );
    }
}
