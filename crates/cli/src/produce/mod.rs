//! `ottla produce`: lines and files become records.
//!
//! Three threads, with bounded queues between them: a reader hands over big blocks, the main thread cuts them into
//! records and queues those with the producer, and a reporter awaits the outcomes in the order of the input.

mod arguments;
mod console;
mod feed;
mod format;
mod input;
mod report;
mod trouble;

pub(crate) use arguments::Arguments;

use crate::connection;
use crate::exit::{self, Failure};
use crate::interrupt::{self, Interrupt};
use crate::park::Parker;
use arguments::Source;
use console::Console;
use feed::{Ended, Feed, Queue};
use input::{BLOCKS_WAITING_MAX, Format, Input};
use ottla::Producer;
use report::{CHUNKS_WAITING_MAX, Counters, Reporter};
use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use trouble::Trouble;

/// Sends everything and says what became of it.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (topic_name, sources) = arguments.topic_and_sources()?;
    let builder = arguments.builder()?;
    let (embedded, config) =
        connection::build_with_embedded(&arguments.connection, builder, arguments.quiet)?;
    if arguments.txn_records.is_some() && config.transactional_id().is_none() {
        return Err(Failure::usage("--txn-records needs -X transactional.id=ID"));
    }
    let input_bytes = check_sources(&sources)?;
    let record_bytes_max = config.max_request_size();
    let format = Format {
        lines: arguments.file_is_records(),
        delimiter: arguments.record_delimiter().to_vec(),
        layout: arguments.layout().cloned(),
        record_bytes_max: arguments.input_bytes_max(record_bytes_max),
    };
    let counters = Arc::new(Counters::default());
    let form = arguments.report_form();
    // The user's own lines, or those of the report, are on the terminal already.
    let is_typed = sources.contains(&Source::Stdin) && io::stdin().is_terminal();
    let on_terminal = is_typed || (form.is_some() && io::stdout().is_terminal());
    let console = Console::new(arguments.quiet, input_bytes, on_terminal, &counters);
    Trouble::listen(console.clone());
    let close_timeout = config.delivery_timeout();
    let max_block = config.max_block();
    let producer = Producer::builder()
        .config(config)
        .build()
        .map_err(Failure::delivery)?;
    let typed = format::typed(arguments, &producer)?;

    let (input_sender, inputs) = sync_channel(BLOCKS_WAITING_MAX);
    let (memory_sender, memory) = sync_channel(BLOCKS_WAITING_MAX);
    let on_signal = {
        let inputs = input_sender.clone();
        // Only an idle feed waits for an input, and then there is room.
        move || drop(inputs.try_send(Input::Interrupted))
    };
    let interrupt = Interrupt::listen(on_signal).map_err(|error| start("listen for signals", &error))?;
    // Never joined: it may wait for standard input for ever, and dies with the program.
    spawn("reader", move || {
        input::read(&sources, &format, &input_sender, &memory)
    })?;

    if is_typed {
        console.note("reading from this terminal; Ctrl-D ends the input");
    }
    let (chunk_sender, chunks) = sync_channel(CHUNKS_WAITING_MAX);
    let (used_sender, used) = sync_channel(CHUNKS_WAITING_MAX);
    let out = form.map(|form| (io::stdout(), form, topic_name.as_str()));
    let reporter = Reporter::new(out, Arc::clone(&counters), console.clone(), record_bytes_max);
    let reporter = spawn("reporter", move || reporter.run(&chunks, &used_sender))?;

    let parker = Parker::new();
    let topic = producer.topic(&topic_name);
    let mut feed = Feed::new(
        arguments,
        Queue::new(&producer, typed.as_ref()),
        &topic,
        &interrupt,
        &parker,
        &console,
        &counters,
        max_block,
        chunk_sender,
        used,
    );
    let ended = feed.run(&inputs, &memory_sender);
    // Its end of the queue closes, so that the reporter ends once all outcomes are told.
    drop(feed);
    if interrupt.signal().is_some() {
        console.note("interrupted: waiting for what was sent; interrupt again to give it up");
    }
    parker.wait(producer.flush());
    let written = reporter
        .join()
        .map_err(|_| Failure::delivery("the reporter ended early, which is a defect"))?;
    parker.wait(producer.close(close_timeout));
    console.end();
    let code = summary(&ended, &written, &counters, &interrupt, &console);
    if let Some(embedded) = embedded {
        console.note(&embedded.read_back(&topic_name));
    }
    Ok(code)
}

/// Tells how it ended, and chooses the exit code: a signal before failed records before bad input.
fn summary(
    ended: &Ended,
    written: &io::Result<()>,
    counters: &Counters,
    interrupt: &Interrupt,
    console: &Console,
) -> ExitCode {
    match ended {
        Ended::InputFailed(reason) => console.error(reason),
        Ended::TransactionFailed(reason) => console.error(&format!("the transaction failed: {reason}")),
        Ended::Whole | Ended::GivenUp => {}
    }
    if let Err(error) = written {
        console.error(&format!("cannot write to standard output: {error}"));
    }
    console.summary(counters.acked(), counters.failed());
    ExitCode::from(match (interrupt.signal(), ended) {
        (Some(signal), _) => interrupt::exit_code(signal),
        // What an abort took with it failed by the input.
        (None, Ended::InputFailed(_)) if counters.is_aborting() => exit::INPUT,
        _ if counters.failed() > 0 || written.is_err() => exit::DELIVERY,
        (None, Ended::InputFailed(_)) => exit::INPUT,
        (None, Ended::Whole) => return ExitCode::SUCCESS,
        (None, Ended::GivenUp | Ended::TransactionFailed(_)) => exit::DELIVERY,
    })
}

/// Finds out before the first record is sent that a file is not there; the size of all sources, if it is known.
fn check_sources(sources: &[Source]) -> Result<Option<u64>, Failure> {
    let mut bytes = Some(0_u64);
    for source in sources {
        let file = match source {
            Source::Stdin => io::stdin().as_fd().try_clone_to_owned().map(File::from),
            Source::File(path) => File::open(path),
        };
        let metadata = match (file.and_then(|file| file.metadata()), source) {
            (Ok(metadata), Source::File(path)) if metadata.is_dir() => {
                return Err(Failure::input(format!(
                    "cannot read {}: it is a directory",
                    path.display()
                )));
            }
            (Err(error), Source::File(path)) => {
                return Err(Failure::input(format!("cannot read {}: {error}", path.display())));
            }
            (metadata, _) => metadata.ok().filter(std::fs::Metadata::is_file),
        };
        bytes = bytes
            .zip(metadata)
            .map(|(bytes, metadata)| bytes.saturating_add(metadata.len()));
    }
    Ok(bytes)
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<thread::JoinHandle<T>, Failure> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|error| start("start a thread", &error))
}

fn start(what: &str, error: &io::Error) -> Failure {
    Failure::delivery(format!("cannot {what}: {error}"))
}
