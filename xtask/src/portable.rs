//! `cargo xtask ci portable`: a producer without a C compiler, and one that is linked statically (musl).

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::project;

const MUSL: &str = "x86_64-unknown-linux-musl";

/// Builds with a C compiler that always fails. Where Rust's library for musl is installed the program is built for it,
/// run, and shown to need no dynamic linker; elsewhere the library is built for this machine.
pub(crate) fn run() -> anyhow::Result<()> {
    // A build of its own: a change of the compiler would build everything else anew.
    let target = project::target().join("portable");
    let build = |arguments: &[&str]| {
        let mut cargo = project::cargo();
        for tool in ["CC", "CXX", "AR"] {
            cargo.env(tool, "false");
        }
        cargo
            .arg("build")
            .arg("--quiet")
            .args(arguments)
            .arg("--target-dir")
            .arg(&target);
        project::run(&mut cargo)
    };
    if !has_musl()? {
        eprintln!(
            "SKIPPED: static linking: `rustup target add {MUSL}` has to get Rust's library for musl first"
        );
        let features = "gzip,snappy,lz4,zstd-rust";
        return build(&[
            "--package",
            "ottla",
            "--no-default-features",
            "--features",
            features,
        ]);
    }
    build(&["--package", "ottla-portable", "--target", MUSL])?;
    let program = target.join(MUSL).join("debug/ottla-portable");
    if needs_linker(&program)? {
        bail!("{} is not linked statically", program.display());
    }
    project::run(&mut Command::new(&program))
}

fn has_musl() -> anyhow::Result<bool> {
    let folder = project::output(Command::new("rustc").args(["--print", "target-libdir", "--target", MUSL]))?;
    Ok(Path::new(folder.trim()).is_dir())
}

/// Whether a 64-bit ELF file names a dynamic linker (a program header of the type `PT_INTERP`).
fn needs_linker(program: &Path) -> anyhow::Result<bool> {
    const PT_INTERP: u32 = 3;
    let bytes = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let field = |at: usize, len: usize| {
        let field = bytes.get(at..at + len).context("the file ends early")?;
        // Little endian, as the target is; at most eight bytes.
        Ok::<_, anyhow::Error>(
            field
                .iter()
                .rev()
                .fold(0u64, |number, byte| number << 8 | u64::from(*byte)),
        )
    };
    if bytes.get(..4) != Some(b"\x7fELF") {
        bail!("{} is no program", program.display());
    }
    let (headers, size, count) = (
        field(32, 8)? as usize,
        field(54, 2)? as usize,
        field(56, 2)? as usize,
    );
    for number in 0..count {
        if field(headers + number * size, 4)? == u64::from(PT_INTERP) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This very test is a program with a dynamic linker.
    #[test]
    fn a_dynamic_program_is_told_apart() {
        let program = std::env::current_exe().expect("it runs");
        if cfg!(all(
            target_os = "linux",
            target_env = "gnu",
            target_pointer_width = "64"
        )) {
            assert!(needs_linker(&program).expect("readable"));
        }
        assert!(needs_linker(Path::new(file!())).is_err());
    }
}
