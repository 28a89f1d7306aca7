//! What stands in front of lines on standard error, in colour where somebody looks.

use std::io::IsTerminal as _;
use std::sync::OnceLock;

/// `error:`, red on a terminal.
pub(crate) fn error() -> &'static str {
    if is_coloured() {
        "\x1b[1;31merror:\x1b[0m"
    } else {
        "error:"
    }
}

/// `warning:`, yellow on a terminal.
pub(crate) fn warning() -> &'static str {
    if is_coloured() {
        "\x1b[1;33mwarning:\x1b[0m"
    } else {
        "warning:"
    }
}

/// Whether standard error is a terminal that nobody wants plain (<https://no-color.org>).
fn is_coloured() -> bool {
    static COLOURED: OnceLock<bool> = OnceLock::new();
    *COLOURED.get_or_init(|| {
        let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        !is_plain && std::io::stderr().is_terminal()
    })
}
