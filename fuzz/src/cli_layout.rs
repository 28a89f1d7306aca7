//! Layouts of input and templates of output, as `ottla produce -f` and `-o` take them.
//!
//! Input: the length of the text (8 bits), where the input is cut (8 bits), the text, then the input. Whatever is a
//! layout reads on to the end or says what is wrong, in memory that the input bounds; a record that is found in the
//! beginning of the input is the one that is found in all of it.

use ottla_formats::layout::{Found, Layout};
use ottla_formats::template::{Place, Template};

use crate::within;

/// One input.
pub fn run(input: &[u8]) {
    let Some((&[length, cut], rest)) = input.split_first_chunk() else {
        return;
    };
    let (text, bytes) = rest.split_at(usize::from(length).min(rest.len()));
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    template(text);
    match text.parse::<Layout>() {
        Ok(layout) => read(&layout, bytes, usize::from(cut)),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn read(layout: &Layout, mut bytes: &[u8], cut: usize) {
    loop {
        let found = within(256 * (bytes.len() + 64), || layout.read(bytes, true));
        let beginning = &bytes[..cut.min(bytes.len())];
        let early = layout.read(beginning, false);
        match found {
            Ok(Found::Record(fields, used)) => {
                assert!((1..=bytes.len()).contains(&used), "progress");
                match early {
                    Ok(Found::Incomplete) => {}
                    Ok(Found::Record(early, length)) => assert_eq!((early, length), (fields, used)),
                    other => panic!("{other:?}, and in full {fields:?}"),
                }
                bytes = &bytes[used..];
            }
            Ok(Found::End) => {
                assert!(bytes.is_empty());
                return;
            }
            Ok(Found::Incomplete) => panic!("nothing can come any more"),
            Err(error) => {
                assert!(!error.is_empty());
                // What is wrong in the beginning is wrong in full; the other way round more is known.
                assert!(!matches!(early, Ok(Found::Record(..))), "{error}");
                return;
            }
        }
    }
}

fn template(text: &str) {
    let Ok(template) = text.parse::<Template>() else {
        return;
    };
    let mut out = Vec::new();
    let place = Place {
        line: u64::MAX >> 1,
        topic: "topic",
        partition: i32::MIN,
        offset: Some(i64::MIN),
        timestamp_ms: -1,
    };
    template.write(&place, &mut out);
    // The longest number has 20 characters, for two of the template.
    assert!(out.len() <= text.len() * 10);
}
