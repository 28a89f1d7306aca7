//! How the program ends.

use crate::label;
use std::fmt;
use std::io::Write;
use std::process::ExitCode;

/// A delivery or a connection failed.
pub(crate) const DELIVERY: u8 = 1;
/// The flags or the configuration are wrong.
pub(crate) const USAGE: u8 = 2;
/// The input cannot be read, or a record of it cannot be made.
pub(crate) const INPUT: u8 = 3;

/// An error that ends the program: one line for people, and the code for scripts.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    pub(crate) fn usage(message: impl fmt::Display) -> Failure {
        Failure {
            code: USAGE,
            message: message.to_string(),
        }
    }

    pub(crate) fn input(message: impl fmt::Display) -> Failure {
        Failure {
            code: INPUT,
            message: message.to_string(),
        }
    }

    pub(crate) fn delivery(message: impl fmt::Display) -> Failure {
        Failure {
            code: DELIVERY,
            message: message.to_string(),
        }
    }

    /// Says it on standard error; nobody may be listening there.
    pub(crate) fn report(&self) -> ExitCode {
        let _ = writeln!(std::io::stderr(), "{} {}", label::error(), self.message);
        ExitCode::from(self.code)
    }
}
