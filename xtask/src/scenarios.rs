//! Whether the tests that `docs/scenarios.md` names are there.

use std::fs;

use crate::project;

#[test]
fn each_test_that_the_table_names_is_there() {
    let read = |path: &str| {
        fs::read_to_string(project::root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let table = read("docs/scenarios.md");
    // Every second piece stands between backticks.
    let quoted = table.split('`').skip(1).step_by(2);
    let mut count = 0;
    for (path, name) in quoted.filter_map(|place| place.split_once("::")) {
        let file = read(path);
        assert!(
            file.contains(&format!("fn {name}(")) || file.contains(&format!("\"{name}\"")),
            "{path} has no {name}"
        );
        count += 1;
    }
    assert!(
        count >= 50,
        "only {count} places were found: is the table still one?"
    );
}
