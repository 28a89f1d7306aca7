//! Every committed input through its target, without libFuzzer; and what is not in a corpus because it is nothing.

use std::fs;
use std::path::Path;

// One test: memory is counted for the whole process.
#[test]
fn every_committed_input_holds() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, run) in ottla_fuzz::TARGETS {
        for input in [&[][..], &[0], &[0xff; 64], &[0; 256]] {
            run(input);
        }
        let folder = corpora.join(name);
        let mut files: Vec<_> = fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| entry.expect("a file of the checkout").path())
            .collect();
        files.sort();
        assert!(!files.is_empty(), "{name} has no corpus");
        for file in files {
            println!("{}", file.display());
            run(&fs::read(&file).expect("a file of the checkout"));
        }
    }
}
