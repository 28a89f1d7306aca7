//! Stores as keytool and openssl make them.

use crate::tools::{Tools, tools};
use ottla_network::stores::{Store, StoreError, StoreForm};

const KEYTOOL: [(&str, StoreForm, &str); 2] = [
    ("JKS", StoreForm::Jks, "old.jks"),
    ("PKCS12", StoreForm::Pkcs12, "new.p12"),
];

fn read(
    tools: &Tools,
    form: StoreForm,
    file: &str,
    password: Option<&str>,
    key: Option<&str>,
) -> Result<Store, StoreError> {
    Store::read(form, &tools.read(file), password, key)
}

fn counts(store: &Store) -> (usize, usize) {
    (store.trusted.len(), store.identities.len())
}

#[test]
fn keytools_stores_open_with_their_passwords_only() {
    let Some(tools) = tools() else { return };
    for (name, form, file) in KEYTOOL {
        let store = |rest: &str| format!("{rest} -keystore {file} -storetype {name} -storepass secret");
        tools.keytool(&store(
            "-genkeypair -alias me -keyalg RSA -keysize 2048 -dname CN=me",
        ));
        tools.keytool(&store(
            "-genkeypair -alias ec -keyalg EC -groupname secp256r1 -dname CN=ec",
        ));
        let opened = read(&tools, form, file, Some("secret"), None).expect(name);
        assert_eq!(counts(&opened), (2, 2), "{name}");
        assert!(!format!("{opened:?}").contains("key"), "a key shows");
        for wrong in ["Secret", "", "sécret"] {
            let error = read(&tools, form, file, Some(wrong), None).unwrap_err();
            assert_eq!(error, StoreError::WrongPassword, "{name} {wrong:?}");
        }
        // The form is read off the bytes, as Java does; PEM is another matter.
        assert!(read(&tools, StoreForm::Jks, file, Some("secret"), None).is_ok());
        assert!(matches!(
            read(&tools, StoreForm::Pem, file, None, None),
            Err(StoreError::OtherForm { .. })
        ));
        let whole = tools.read(file);
        for length in (0..whole.len()).step_by(97) {
            assert!(Store::read(form, &whole[..length], Some("secret"), None).is_err());
        }
    }
    let without = read(&tools, StoreForm::Jks, "old.jks", None, None).expect("unchecked, as in Java");
    assert_eq!(counts(&without), (2, 0), "and without its keys");
    assert_eq!(
        read(&tools, StoreForm::Pkcs12, "new.p12", None, None).unwrap_err(),
        StoreError::MissingPassword
    );
    assert_eq!(
        read(
            &tools,
            StoreForm::Pkcs12,
            "new.p12",
            Some("secret"),
            Some("other")
        )
        .unwrap_err(),
        StoreError::KeyPasswordDiffers
    );
}

#[test]
fn a_key_in_jks_may_have_its_own_password() {
    let Some(tools) = tools() else { return };
    tools.keytool(
        "-genkeypair -alias me -keyalg RSA -keysize 2048 -dname CN=me -keystore a.jks -storetype JKS -storepass \
         secret -keypass another",
    );
    let open = |key| read(&tools, StoreForm::Jks, "a.jks", Some("secret"), key);
    assert_eq!(open(None).unwrap_err(), StoreError::WrongKeyPassword);
    assert_eq!(open(Some("other")).unwrap_err(), StoreError::WrongKeyPassword);
    assert_eq!(counts(&open(Some("another")).unwrap()), (1, 1));
    tools.keytool(
        "-genkeypair -alias me -keyalg RSA -keysize 2048 -dname CN=me -keystore a.jceks -storetype JCEKS -storepass \
         secret -keypass secret",
    );
    let error = read(&tools, StoreForm::Jks, "a.jceks", Some("secret"), None).unwrap_err();
    assert!(error.to_string().contains("-deststoretype PKCS12"), "{error}");
}

#[test]
fn openssls_stores_and_keys_open_in_their_old_forms_too() {
    let Some(tools) = tools() else { return };
    tools.authority("ca");
    tools.certificate("me", "ca", "rsa:2048", "subjectAltName=DNS:localhost", 30);
    for (file, how) in [
        ("modern.p12", ""),
        (
            "old.p12",
            "-keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1",
        ),
    ] {
        tools.openssl(&format!(
            "pkcs12 -export -in me.crt -inkey me.key -certfile ca.crt -name me -out {file} -passout pass:secret {how}"
        ));
        let store = read(&tools, StoreForm::Pkcs12, file, Some("secret"), None).expect(file);
        assert_eq!(counts(&store), (1, 1), "{file}");
        assert_eq!(store.identities[0].chain.len(), 2, "the authority follows");
    }
    tools.openssl("pkcs12 -export -nokeys -in ca.crt -out trust.p12 -passout pass:secret");
    let store = read(&tools, StoreForm::Pkcs12, "trust.p12", Some("secret"), None).expect("without keys");
    assert_eq!(counts(&store), (1, 0));

    let plain = tools.read("me.key");
    let certificates = tools.read("me.crt");
    let expected = Store::read(
        StoreForm::Pem,
        &[plain, certificates.clone()].concat(),
        None,
        None,
    )
    .unwrap();
    for how in [
        "-v2 aes-256-cbc",
        "-v2 aes-128-cbc -v2prf hmacWithSHA256",
        "-scrypt",
        "-v1 PBE-SHA1-3DES",
    ] {
        tools.openssl(&format!(
            "pkcs8 -topk8 -in me.key -out me.enc -passout pass:secret {how}"
        ));
        let text = [tools.read("me.enc"), certificates.clone()].concat();
        let store = Store::read(StoreForm::Pem, &text, None, Some("secret")).expect(how);
        assert_eq!(
            store.identities[0].key.secret_der(),
            expected.identities[0].key.secret_der(),
            "{how}"
        );
        let wrong = Store::read(StoreForm::Pem, &text, None, Some("wrong")).unwrap_err();
        assert_eq!(wrong, StoreError::WrongKeyPassword, "{how}");
    }
}
