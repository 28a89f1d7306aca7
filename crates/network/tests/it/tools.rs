//! keytool and openssl, in a folder of their own.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

pub(crate) struct Tools {
    folder: TempDir,
}

/// `None`, said loudly, where a tool is missing, and never with `CI` set.
pub(crate) fn tools() -> Option<Tools> {
    for (program, flag) in [("keytool", "-help"), ("openssl", "version")] {
        let there = Command::new(program)
            .arg(flag)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if there.is_err() {
            assert!(
                std::env::var_os("CI").is_none(),
                "with CI set, {program} must be there"
            );
            println!("SKIPPED: there is no {program}");
            return None;
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    Some(Tools { folder })
}

impl Tools {
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn read(&self, file: &str) -> Vec<u8> {
        fs::read(self.folder().join(file)).expect(file)
    }

    pub(crate) fn keytool(&self, arguments: &str) {
        self.run("keytool", arguments);
    }

    pub(crate) fn openssl(&self, arguments: &str) {
        self.run("openssl", arguments);
    }

    /// `name.key` and `name.crt` of an authority.
    pub(crate) fn authority(&self, name: &str) {
        self.openssl(&format!(
            "req -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.crt -days 30 -subj /CN={name}"
        ));
    }

    /// `name.key` and `name.crt`, signed by an authority; without extensions it becomes X.509 version 1.
    pub(crate) fn certificate(&self, name: &str, authority: &str, key: &str, extensions: &str, days: i32) {
        self.openssl(&format!(
            "req -new -newkey {key} -nodes -keyout {name}.key -out {name}.csr -subj /CN=localhost"
        ));
        let mut sign = format!(
            "x509 -req -in {name}.csr -out {name}.crt -CA {authority}.crt -CAkey {authority}.key -CAcreateserial -days \
             {days}"
        );
        if !extensions.is_empty() {
            fs::write(self.folder().join("extensions"), format!("{extensions}\n")).expect("a file");
            sign.push_str(" -extfile extensions");
        }
        self.openssl(&sign);
    }

    fn run(&self, program: &str, arguments: &str) {
        let output = Command::new(program)
            .args(arguments.split_whitespace())
            .current_dir(self.folder())
            .stdin(Stdio::null())
            .output()
            .expect(program);
        assert!(
            output.status.success(),
            "{program} {arguments}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
