//! Input and output formats: kcat's JSON, rpk's layouts, templates, completions and manual pages.

use crate::support::{Broker, kcat, run, send};

/// Lines in the order of partitions and offsets, without the topic's name.
fn sorted(dump: &[u8], topic: &str) -> Vec<Vec<u8>> {
    let name = format!("{{\"topic\":\"{topic}\",");
    let mut lines: Vec<Vec<u8>> = dump
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| {
            line.strip_prefix(name.as_bytes())
                .expect("the topic comes first")
                .to_vec()
        })
        .collect();
    lines.sort();
    lines
}

/// What kcat dumped goes into another topic, and what kcat dumps of that is the same: keys, values, headers, nulls,
/// timestamps, partitions, offsets, and bytes that are not UTF-8.
#[test]
fn a_dump_of_kcat_is_loaded_again() {
    let broker = Broker::start();
    let mut input = Vec::new();
    let odd: &[&[u8]] = &[
        br#"{"key":null,"payload":"a","ts":1700000000000,"partition":2}"#,
        br#"{"key":"","payload":"","ts":1700000000001,"partition":2}"#,
        br#"{"key":"k","payload":null,"ts":1700000000002,"partition":3,"headers":["h","v","n",null,"h","","\u00e9","\u0000\u001f"]}"#,
        b"{\"key\":\"\xff\xfe\",\"payload\":\"\xc3\\\"\\\\\\/\x80\",\"ts\":1,\"partition\":0,\"headers\":[\"b\",\"\xff\"]}",
        "{\"key\":\"\\ud83d\\ude00é\",\"payload\":\"\\u2028\\n\\t\\u007f\",\"partition\":1}".as_bytes(),
    ];
    for line in odd {
        input.extend_from_slice(line);
        input.push(b'\n');
    }
    for number in 0..2_000 {
        let line = format!(
            "{{\"key\":\"{}\",\"payload\":\"value {number}\",\"ts\":{},\"partition\":{}}}\n",
            number % 37,
            1_700_000_000_000_i64 + number,
            number % 5
        );
        input.extend_from_slice(line.as_bytes());
    }
    send(
        &broker,
        &["-t", "a", "--input", "json", "--keep-partition"],
        &input,
    )
    .ends(0, "2005 sent, 0 failed");
    let Some(dump) = kcat(&broker, "a") else { return };
    send(
        &broker,
        &["-t", "b", "--input", "json", "--keep-partition"],
        &dump,
    )
    .ends(0, "2005 sent, 0 failed");
    let reloaded = kcat(&broker, "b").expect("kcat was there");
    let (first, second) = (sorted(&dump, "a"), sorted(&reloaded, "b"));
    assert_eq!((first.len(), second.len()), (2_005, 2_005));
    for (first, second) in first.iter().zip(&second) {
        assert_eq!(first, second, "{}", String::from_utf8_lossy(first));
    }
    let text = String::from_utf8_lossy(&reloaded);
    for part in [
        "\"ts\":1700000000000,",
        "\"headers\":[\"h\",\"v\",\"n\",null,\"h\",\"\",\"é\"",
        "\"key\":null,\"payload\":\"a\"",
        "\"key\":\"k\",\"payload\":null",
        "\"key\":\"\",\"payload\":\"\"",
    ] {
        assert!(text.contains(part), "{part} is missing in {text:.2000}");
    }
    assert!(
        reloaded.windows(2).any(|bytes| bytes == b"\xff\xfe"),
        "bytes stay what they are"
    );

    // Without --keep-partition, keys decide.
    send(&broker, &["-t", "c", "--input", "json", "-p", "4"], &dump).ends(0, "2005 sent, 0 failed");
    let all_in_4 = kcat(&broker, "c").expect("kcat was there");
    assert!(
        sorted(&all_in_4, "c")
            .iter()
            .all(|line| line.starts_with(b"\"partition\":4,"))
    );
}

#[test]
fn a_line_that_is_no_envelope_ends_with_3_after_what_came_before_it() {
    let flags = [
        "produce", "-b", "embedded", "-t", "t", "--input", "json", "--output", "json",
    ];
    let ran = run(
        &flags,
        "{\"payload\":\"a\"}\n\n{\"payload\":\"b\"}\n{\"paylod\":\"c\"}\n{\"payload\":\"d\"}\n",
    );
    let lines = ran
        .ends(3, "error: line 4: there is no \"payload\"")
        .ends(3, "2 sent, 0 failed")
        .json();
    assert_eq!(
        (lines.len(), &lines[0]["line"], &lines[1]["line"]),
        (2, &1.into(), &3.into())
    );
    run(
        &["produce", "-b", "a:1", "-t", "t", "--input", "json", "-K", ":"],
        "",
    )
    .ends(2, "-K and -f do not go with it");
    run(&["produce", "-b", "a:1", "-t", "t", "--keep-partition"], "").ends(2, "--input json");
}

#[test]
fn layouts_shape_records() {
    let broker = Broker::start();
    let with = |flags: &[&str], input: &[u8]| {
        send(&broker, &[&["-t", "t"], flags].concat(), input).ends(0, " 0 failed");
    };
    with(
        &["-f", "%k %p %d %H %h{%k=%v;}%v\\n"],
        b"key 0 1700000000000 2 h=v;g=;value one\n 0 5 0 x\n",
    );
    with(
        &["-p", "0", "-f", "%K{big16}%k%V{big16}%v"],
        b"\0\x01k\0\x02\0\xff",
    );
    with(
        &["-p", "0", "-Z", "-k", "fixed", "-f", "%k{hex}:%v{base64}\n"],
        b"6b:\n:aGk=",
    );
    let Some(dump) = kcat(&broker, "t") else { return };
    let text = String::from_utf8_lossy(&dump);
    let shown: Vec<&str> = text
        .lines()
        .map(|line| &line[line.find("\"ts\":").expect("a timestamp")..])
        .collect();
    assert_eq!(shown.len(), 5, "{text}");
    assert!(
        shown[0].starts_with("\"ts\":1700000000000,")
            && shown[0]
                .ends_with("\"headers\":[\"h\",\"v\",\"g\",\"\"],\"key\":\"key\",\"payload\":\"value one\"}"),
        "{text}"
    );
    assert!(shown[1].ends_with("\"key\":null,\"payload\":\"x\"}"), "{text}");
    assert!(
        shown[2].ends_with("\"key\":\"k\",\"payload\":\"\\u0000\u{fffd}\"}"),
        "{text}"
    );
    assert!(shown[3].ends_with("\"key\":\"k\",\"payload\":null}"), "{text}");
    assert!(
        shown[4].ends_with("\"key\":\"fixed\",\"payload\":\"hi\"}"),
        "{text}"
    );
}

#[test]
fn input_that_does_not_fit_its_layout_ends_with_3() {
    let flags = ["produce", "-b", "embedded", "-t", "t", "-f", "%k %v\n"];
    run(&flags, "a b\nc")
        .ends(3, "error: record 2: the input ends in the middle of a record")
        .ends(3, "1 sent");
    run(&["produce", "-b", "a:1", "-t", "t", "-f", "%k%v"], "").ends(2, "needs text behind it");
    run(&["produce", "-b", "a:1", "-t", "t", "-f", "%v", "-D", ";"], "").ends(2, "cannot be used with");
}

#[test]
fn templates_tell_where_records_are() {
    let flags = [
        "produce",
        "-b",
        "embedded",
        "-t",
        "t",
        "-p",
        "1",
        "--timestamp",
        "5",
    ];
    let ran = run(
        &[flags.as_slice(), &["-o", "%i: %t-%p@%o %d\\n"]].concat(),
        "a\nb\n",
    );
    assert_eq!(ran.ends(0, "2 sent").stdout, "1: t-1@0 5\n2: t-1@1 5\n");
    run(&[flags.as_slice(), &["-o", "%v"]].concat(), "").ends(2, "not kept");
    run(
        &[flags.as_slice(), &["-o", "%p", "--output", "json"]].concat(),
        "",
    )
    .ends(2, "cannot be used with");
}

#[test]
fn shells_and_man_know_the_flags() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell], "");
        assert!(script.ends(0, "").stdout.contains("keep-partition"), "{shell}");
    }
    run(&["completions", "csh"], "").ends(2, "bash");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("man1");
    run(&["man", path.to_str().expect("UTF-8")], "").ends(0, "");
    for page in [
        "ottla.1",
        "ottla-produce.1",
        "ottla-perf.1",
        "ottla-config-dump.1",
    ] {
        let text = std::fs::read_to_string(path.join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
    }
    assert!(run(&["man"], "").ends(0, "").stdout.contains(".TH ottla 1"));
}
