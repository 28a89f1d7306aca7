//! Who signs the tokens that brokers believe: keys in a folder, and their public halves as a broker reads them (JWKS).
//!
//! There is no server: a test that wants tokens plays the token endpoint itself, and signs with these keys.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::project;

/// The issuer and the audience that a token has to name.
pub(crate) const ISSUER: &str = "https://issuer.example";
pub(crate) const AUDIENCE: &str = "kafka";

/// The file with the public keys.
pub(crate) const JWKS: &str = "jwks.json";

/// Writes `rsa.pem` and `ec.pem`, which are private keys, and the JWKS, where they are called `rsa` and `ec`.
pub(crate) fn create(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        command.args(arguments.split_whitespace()).current_dir(folder);
        project::output(&mut command)
    };
    openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.pem")?;
    openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.pem")?;
    let modulus = openssl("rsa -in rsa.pem -noout -modulus")?;
    let modulus = modulus.trim().strip_prefix("Modulus=").context("no modulus")?;
    openssl("pkey -in ec.pem -pubout -outform DER -out ec.der")?;
    let point = fs::read(folder.join("ec.der"))?;
    // A public key on P-256 ends with its uncompressed point: 4, and twice 32 bytes.
    let Some((_, [4, point @ ..])) = point.split_at_checked(point.len().saturating_sub(65)) else {
        bail!("openssl wrote another form of a public key");
    };
    let (x, y) = point.split_at(32);
    let modulus = base64_url(&from_hex(modulus)?);
    let (x, y) = (base64_url(x), base64_url(y));
    let keys = serde_json::json!({"keys": [
        // 65537, as openssl chooses it.
        {"kty": "RSA", "kid": "rsa", "use": "sig", "alg": "RS256", "n": modulus, "e": "AQAB"},
        {"kty": "EC", "kid": "ec", "use": "sig", "alg": "ES256", "crv": "P-256", "x": x, "y": y},
    ]});
    fs::write(folder.join(JWKS), keys.to_string())?;
    Ok(())
}

fn from_hex(text: &str) -> anyhow::Result<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?))
        .collect()
}

/// Base64 for URLs, without padding.
fn base64_url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for letter in 0..=chunk.len() {
            let index = bits >> (18 - 6 * letter) & 63;
            text.push(char::from(LETTERS[index as usize]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_for_urls() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg"),
            (b"fo", "Zm8"),
            (b"foo", "Zm9v"),
            (b"\xfb\xff", "-_8"),
        ] {
            assert_eq!(base64_url(bytes), text);
        }
        assert_eq!(from_hex("00fF").expect("hexadecimal"), [0, 255]);
    }
}
