//! Certificates, keys and stores for brokers and clients, made by `openssl` and `keytool`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::project;

/// The names under which clients reach the brokers.
const HERE: &str = "subjectAltName=DNS:localhost,IP:127.0.0.1";

/// A folder with an authority, a broker's and a client's certificate, and the stores that hold them.
#[derive(Debug, Clone)]
pub(crate) struct Stores {
    folder: PathBuf,
}

impl Stores {
    /// Opens all stores, and the keys in them but for those with a password of their own.
    pub(crate) const PASSWORD: &'static str = "store-secret";

    /// Opens the client's key in `client.jks` and `client.pem`.
    pub(crate) const KEY_PASSWORD: &'static str = "key-secret";

    /// Makes them in `folder`.
    pub(crate) fn create(folder: &Path) -> anyhow::Result<Stores> {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let stores = Stores {
            folder: folder.to_path_buf(),
        };
        stores.authority("ca", "Ottla-test-authority")?;
        stores.certificate("broker", HERE)?;
        stores.certificate("client", "extendedKeyUsage=clientAuth")?;
        stores.pem()?;
        stores.odd()?;
        stores.keytool()?;
        Ok(stores)
    }

    /// The path of one file.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    /// The text of one file.
    pub(crate) fn read(&self, name: &str) -> anyhow::Result<String> {
        let path = self.folder.join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// `name.pem`, which signs, and its key.
    fn authority(&self, name: &str, subject: &str) -> anyhow::Result<()> {
        self.openssl(&format!(
            "req -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.pem -days 3650 -subj /CN={subject} \
             -addext keyUsage=critical,keyCertSign"
        ))
    }

    /// A key and its certificate, signed by the authority.
    fn certificate(&self, name: &str, extension: &str) -> anyhow::Result<()> {
        self.openssl(&format!(
            "req -new -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"
        ))?;
        self.sign(name, name, "ca", extension, 3650)?;
        let password = Self::PASSWORD;
        self.openssl(&format!(
            "pkcs12 -export -in {name}.crt -inkey {name}.key -certfile ca.pem -name {name} -out {name}.p12 \
             -passout pass:{password}"
        ))
    }

    /// `name.crt`: a certificate for the key of `whose`.
    fn sign(
        &self,
        name: &str,
        whose: &str,
        authority: &str,
        extension: &str,
        days: i32,
    ) -> anyhow::Result<()> {
        fs::write(
            self.folder.join("extensions"),
            format!("basicConstraints=CA:FALSE\n{extension}\n"),
        )?;
        self.openssl(&format!(
            "x509 -req -in {whose}.csr -out {name}.crt -CA {authority}.pem -CAkey {authority}.key -CAcreateserial \
             -days {days} -extfile extensions"
        ))
    }

    /// What nobody should believe, and what only some can read: an authority that signed nothing here, a broker's
    /// certificates that have expired or name another host, a client's of the wrong authority, and the client's key in
    /// forms of their own.
    fn odd(&self) -> anyhow::Result<()> {
        let (store, key) = (Self::PASSWORD, Self::KEY_PASSWORD);
        self.authority("foreign", "Somebody-else")?;
        self.sign("expired", "broker", "ca", HERE, -1)?;
        self.sign(
            "misnamed",
            "broker",
            "ca",
            "subjectAltName=DNS:elsewhere.example",
            3650,
        )?;
        self.sign(
            "foreign-client",
            "client",
            "foreign",
            "extendedKeyUsage=clientAuth",
            3650,
        )?;
        for (name, whose) in [
            ("expired", "broker"),
            ("misnamed", "broker"),
            ("foreign-client", "client"),
        ] {
            self.openssl(&format!(
                "pkcs12 -export -in {name}.crt -inkey {whose}.key -name {name} -out {name}.p12 -passout pass:{store}"
            ))?;
        }
        // As older programs of openssl and Java wrote them.
        self.openssl(&format!(
            "pkcs12 -export -in client.crt -inkey client.key -certfile ca.pem -name client -out client-old.p12 \
             -passout pass:{store} -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1"
        ))?;
        // As newer ones do.
        self.openssl(&format!(
            "pkcs8 -topk8 -in client.key -v2 aes-256-cbc -out client.pbes2.key -passout pass:{key}"
        ))?;
        let newer = [self.read("client.pbes2.key")?, self.read("client.crt")?];
        fs::write(self.folder.join("client-pbes2.pem"), newer.concat())?;
        Ok(())
    }

    /// `client.pem`: an encrypted key and its chain, as KIP-651 wants them in one file. Java 17 decrypts no newer form
    /// of PKCS#8 than PBE-SHA1-3DES ("PBES2 SecretKeyFactory not available").
    fn pem(&self) -> anyhow::Result<()> {
        let password = Self::KEY_PASSWORD;
        self.openssl(&format!(
            "pkcs8 -topk8 -in client.key -v1 PBE-SHA1-3DES -out client.key.pem -passout pass:{password}"
        ))?;
        let parts = [
            self.read("client.key.pem")?,
            self.read("client.crt")?,
            self.read("ca.pem")?,
        ];
        fs::write(self.folder.join("client.pem"), parts.concat())?;
        Ok(())
    }

    /// The stores that Java's own tool makes: trust in both forms, and the client's key in the old one.
    fn keytool(&self) -> anyhow::Result<()> {
        let (store, key) = (Self::PASSWORD, Self::KEY_PASSWORD);
        // It adds to a store that an earlier cluster left.
        for file in ["trust.jks", "trust.p12", "client.jks"] {
            match fs::remove_file(self.folder.join(file)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        for (form, file) in [("JKS", "trust.jks"), ("PKCS12", "trust.p12")] {
            self.run(
                "keytool",
                &format!(
                    "-importcert -noprompt -alias authority -file ca.pem -keystore {file} -storetype {form} \
                     -storepass {store}"
                ),
            )?;
        }
        self.run(
            "keytool",
            &format!(
                "-importkeystore -noprompt -srckeystore client.p12 -srcstoretype PKCS12 -srcstorepass {store} \
                 -srcalias client -destkeystore client.jks -deststoretype JKS -deststorepass {store} \
                 -destkeypass {key}"
            ),
        )
    }

    fn openssl(&self, arguments: &str) -> anyhow::Result<()> {
        self.run("openssl", arguments)
    }

    /// Runs a program in the folder; no argument holds white space.
    fn run(&self, program: &str, arguments: &str) -> anyhow::Result<()> {
        let mut command = Command::new(program);
        command
            .args(arguments.split_whitespace())
            .current_dir(&self.folder);
        project::output(&mut command).map(drop)
    }
}
