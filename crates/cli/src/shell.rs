//! `ottla completions` and `ottla man`: what a shell and `man` know of the program, made from its flags.

use crate::arguments::Program;
use crate::exit::Failure;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// For which shell.
#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// The shell; `ottla completions bash > /etc/bash_completion.d/ottla` keeps it
    #[arg(value_enum)]
    shell: Shell,
}

/// To where.
#[derive(Args, Debug)]
pub(crate) struct Man {
    /// A folder that gets a page for each command; without it the program's page goes to standard output
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

pub(crate) fn completions(arguments: &Completions) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Program::command(), "ottla", &mut script);
    print(&script)
}

pub(crate) fn man(arguments: &Man) -> Result<ExitCode, Failure> {
    let Some(folder) = &arguments.folder else {
        let mut page = Vec::new();
        // Writing to memory cannot fail.
        let _ = clap_mangen::Man::new(Program::command()).render(&mut page);
        return print(&page);
    };
    fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Program::command(), folder))
        .map_err(|error| {
            Failure::delivery(format!(
                "cannot write manual pages to {}: {error}",
                folder.display()
            ))
        })?;
    Ok(ExitCode::SUCCESS)
}

/// A reader that has gone away is no error.
fn print(text: &[u8]) -> Result<ExitCode, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::delivery(format!(
            "cannot write to standard output: {error}"
        ))),
        _ => Ok(ExitCode::SUCCESS),
    }
}
