//! tests/promises.md lists what the header promises and the test of each promise. Here it is kept from naming tests that are
//! not there, and from passing over a function.

use std::collections::BTreeSet;
use std::path::Path;

/// The heading of what has no test: its rows name none.
const WITHOUT: &str = "## Without a test yet";

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

/// A function of the name that is run as a test: `#[test]` in Rust, `Test...` or `Example...` in Go, in C one that is called.
fn has_test(path: &str, name: &str) -> bool {
    let Some(text) = read(path) else { return false };
    let lines: Vec<&str> = text.lines().collect();
    match path.rsplit('.').next() {
        Some("rs") => lines.iter().enumerate().any(|(i, line)| {
            line.trim_start().starts_with(&format!("fn {name}("))
                && lines[i.saturating_sub(4)..i].iter().any(|line| line.trim() == "#[test]")
        }),
        Some("go") => {
            (name.starts_with("Test") || name.starts_with("Example"))
                && lines.iter().any(|line| line.starts_with(&format!("func {name}(")))
        }
        Some("c") => {
            let (defined, called): (Vec<&str>, Vec<&str>) = lines
                .iter()
                .filter(|line| line.split(|c: char| c != '_' && !c.is_alphanumeric()).any(|word| word == name))
                .partition(|line| line.starts_with("static "));
            defined.iter().any(|line| line.contains(&format!("{name}("))) && !called.is_empty()
        }
        _ => false,
    }
}

/// What is wrong with a list of promises.
fn faults(list: &str, functions: &BTreeSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut without = false;
    for (i, line) in list.lines().enumerate() {
        without |= line == WITHOUT;
        if !line.starts_with('|')
            || line.starts_with("|--")
            || line == "| promise | test |"
            || line == "| of | promise |"
        {
            continue;
        }
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [promise, tests] = cells[..] else {
            faults.push(format!("line {}: a row has two cells", i + 1));
            continue;
        };
        if promise.is_empty() || tests.is_empty() {
            faults.push(format!("line {}: an empty cell", i + 1));
        } else if !without {
            for test in tests.split(", ") {
                let named = test
                    .strip_prefix('`')
                    .and_then(|test| test.strip_suffix('`'))
                    .and_then(|test| test.split_once("::"));
                if !named.is_some_and(|(path, name)| has_test(path, name)) {
                    faults.push(format!("line {}: there is no test {test}", i + 1));
                }
            }
        }
    }
    let words: BTreeSet<&str> = list.split(|c: char| c != '_' && !c.is_alphanumeric()).collect();
    faults.extend(
        functions.iter().filter(|name| !words.contains(name.as_str())).map(|name| format!("nothing is said of {name}")),
    );
    faults
}

/// The functions of the header.
fn functions() -> BTreeSet<String> {
    let header = read("include/elementum_torrent.h").unwrap();
    let declared = header.lines().filter(|line| !line.starts_with([' ', '/', '#']) && !line.starts_with("typedef"));
    declared
        .filter_map(|line| line.split_once('('))
        .filter_map(|(before, _)| before.rsplit([' ', '*']).next())
        .filter(|name| name.starts_with("et_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_promise_names_tests_that_exist() {
    let functions = functions();
    let listed = read("tests/abi/symbols.txt").unwrap();
    let listed: BTreeSet<String> = listed.lines().filter(|line| line.starts_with("et_")).map(str::to_owned).collect();
    assert_eq!(functions, listed);
    let list = read("tests/promises.md").unwrap();
    let faults = faults(&list, &functions);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    // The list is what it is taken for: a table of rows, and a last chapter.
    assert!(list.lines().filter(|line| line.starts_with("| ")).count() > functions.len());
    assert_eq!(list.lines().rfind(|line| line.starts_with("## ")), Some(WITHOUT));
}

/// The check finds what is planted.
#[test]
fn what_is_missing_is_found() {
    let functions = BTreeSet::from(["et_version".to_owned()]);
    let good = "### et_version\n| promise | test |\n|---|---|\n| x | `tests/promises.rs::what_is_missing_is_found`, `tests/c/contract.c::own_limits` |\n\
        | y | `go-binding/session_test.go::TestSettingsAndState` |\n";
    assert_eq!(faults(good, &functions), [""; 0]);
    for (from, to) in [
        // No such test, no test, no such file.
        ("what_is_missing_is_found", "what_is_missing_is_fund"),
        ("what_is_missing_is_found", "faults"),
        ("tests/promises.rs", "tests/promise.rs"),
        ("own_limits", "own_limit"),
        ("TestSettingsAndState", "TestSettings"),
        ("TestSettingsAndState", "open"),
        ("`go-binding", "go-binding"),
        ("`go-binding/session_test.go::TestSettingsAndState`", ""),
        ("| y | ", "| y | z | "),
        ("et_version", "et_versions"),
    ] {
        let planted = good.replace(from, to);
        assert_ne!(planted, good);
        assert_eq!(faults(&planted, &functions).len(), 1, "{from} became {to}");
    }
    // Behind the last heading nothing has to be named.
    assert_eq!(
        faults(&format!("{good}{WITHOUT}\n| of | promise |\n|---|---|\n| et_version | z |\n"), &functions),
        [""; 0]
    );
}
