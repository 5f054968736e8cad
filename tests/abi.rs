//! The C ABI from outside: the header compiles, says what the library has, and C programs get the answers it promises.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use elementum_torrent::alert::{kind, record, records};
use elementum_torrent::ffi;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn header() -> String {
    fs::read_to_string(root().join("include/elementum_torrent.h")).expect("the header")
}

/// A directory with the shared library under the names that a linker and a loader look for.
fn library() -> PathBuf {
    let exe = std::env::current_exe().expect("the test's own path");
    let name = format!("{}elementum_torrent{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    // `cargo test` leaves it in deps, `cargo build` beside deps: the newer one is the one just built.
    let newest = exe
        .ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join(&name))
        .filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)))
        .max();
    let (_, path) = newest.unwrap_or_else(|| panic!("no {name} near {}", exe.display()));
    let dir = tempdir(&format!("lib-{}", std::process::id()));
    for alias in [name.clone(), format!("{name}.0")] {
        let alias = dir.join(alias);
        if !alias.exists() {
            // Tests run side by side: somebody else may have been quicker.
            let _ = std::os::unix::fs::symlink(&path, &alias);
        }
        assert!(alias.exists());
    }
    dir
}

fn tempdir(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("abi").join(name);
    fs::create_dir_all(&dir).expect("a directory");
    dir
}

fn tool(variable: &str, default: &str) -> Command {
    Command::new(std::env::var_os(variable).unwrap_or_else(|| OsString::from(default)))
}

const WARNINGS: &[&str] = &["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Compiles and links a C program against the library.
fn program(source: &Path, name: &str) -> PathBuf {
    let exe = tempdir("bin").join(name);
    let library = library();
    let mut cc = tool("CC", "cc");
    cc.args(["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-g"]).args(WARNINGS).arg("-I").arg(root().join("include"));
    cc.arg("-I").arg(root().join("tests/c")).arg("-o").arg(&exe).arg(source).arg("-L").arg(&library);
    cc.arg("-lelementum_torrent").arg(format!("-Wl,-rpath,{}", library.display())).arg("-pthread");
    succeed(&mut cc);
    exe
}

/// Longer than any of the programs takes, sanitizers and valgrind aside: what hangs is to be seen.
const PATIENCE: Duration = Duration::from_secs(120);

fn run(name: &str) {
    let exe = program(&root().join(format!("tests/c/{name}.c")), name);
    let mut child = Command::new(exe).spawn().expect("started");
    let end = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().expect("waited for") {
            Some(status) => break status,
            None if Instant::now() < end => std::thread::sleep(Duration::from_millis(20)),
            None => {
                child.kill().expect("killed");
                panic!("{name} hangs");
            }
        }
    };
    assert!(status.success(), "{name}: {status}; what it says is above");
}

/// The header without comments and preprocessor lines.
fn code() -> String {
    let header = header();
    let mut code = String::new();
    let mut rest = header.as_str();
    while let Some(start) = rest.find("/*") {
        code.push_str(&rest[..start]);
        let end = rest[start..].find("*/").expect("a comment's end");
        rest = &rest[start + end + 2..];
    }
    code.push_str(rest);
    code.lines().filter(|l| !l.starts_with('#')).map(|l| l.split("//").next().unwrap_or("").to_owned() + "\n").collect()
}

/// The functions that the header declares.
fn prototypes() -> BTreeSet<String> {
    let code = code();
    let calls = code.match_indices('(').filter_map(|(i, _)| {
        let name = code[..i].rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next()?;
        name.starts_with("et_").then(|| name.to_owned())
    });
    calls.collect()
}

/// The structs of the header and their fields, in order.
fn structs() -> BTreeMap<String, Vec<String>> {
    let code = code();
    let mut structs = BTreeMap::new();
    for definition in code.split("typedef struct ").skip(1) {
        let Some((name, rest)) = definition.split_once(" {") else { continue };
        if name.contains([';', ' ']) {
            continue;
        }
        let body = rest.split('}').next().expect("an end");
        let fields = body.split(';').filter_map(|field| {
            let name = field.split('[').next()?.rsplit([' ', '*', '\n']).next()?.trim();
            (!name.is_empty()).then(|| name.to_owned())
        });
        structs.insert(name.to_owned(), fields.collect());
    }
    structs
}

fn lines(path: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(path)).unwrap_or_default();
    text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned).collect()
}

/// Compares with a file that is in git, or writes it where `ET_UPDATE_ABI` is set.
fn pinned(path: &str, heading: &str, found: &BTreeSet<String>) {
    if std::env::var_os("ET_UPDATE_ABI").is_some() {
        let text: String = found.iter().map(|l| l.clone() + "\n").collect();
        fs::write(root().join(path), format!("# {heading}\n{text}")).expect("written");
    }
    let pinned = lines(path);
    let gone: Vec<_> = pinned.difference(found).collect();
    let new: Vec<_> = found.difference(&pinned).collect();
    assert!(
        gone.is_empty() && new.is_empty(),
        "{path}: gone {gone:#?}, new {new:#?}; where that is meant, ET_UPDATE_ABI=1 cargo test --test abi writes it anew"
    );
}

#[test]
fn header_compiles_alone_twice_in_c_and_cpp() {
    let dir = tempdir("header");
    let source = "#include <elementum_torrent.h>\n#include <elementum_torrent.h>\nint main(void) { return 0; }\n";
    let compilers: [(&str, &str, &[&str], &str); 2] =
        [("CC", "cc", &["c11", "c17"], "header.c"), ("CXX", "c++", &["c++17", "c++20"], "header.cpp")];
    for (variable, default, standards, name) in compilers {
        fs::write(dir.join(name), source).expect("written");
        for standard in standards {
            let mut compiler = tool(variable, default);
            compiler.arg(format!("-std={standard}")).args(WARNINGS).arg("-fsyntax-only");
            succeed(compiler.arg("-I").arg(root().join("include")).arg(dir.join(name)));
        }
    }
}

/// The check above can fail.
#[test]
fn a_warning_is_an_error() {
    let dir = tempdir("warning");
    fs::write(dir.join("warning.c"), "#include <elementum_torrent.h>\nint f(int x) { return 0; }\n").expect("written");
    let mut cc = tool("CC", "cc");
    cc.arg("-std=c11").args(WARNINGS).arg("-fsyntax-only").arg("-I").arg(root().join("include"));
    assert!(!cc.arg(dir.join("warning.c")).output().expect("a compiler").status.success());
}

/// The header's example runs, on loopback: it gets every byte, and while it waits for the metadata it sleeps.
#[test]
fn the_headers_example_streams_and_sleeps() {
    let example: String = header()
        .lines()
        .skip_while(|l| *l != " * EXAMPLE")
        .take_while(|l| *l != " * OWNERSHIP")
        .filter_map(|l| l.strip_prefix(" *     "))
        .map(|l| format!("{l}\n"))
        .collect();
    let around = fs::read_to_string(root().join("tests/c/around_example.inc")).expect("around_example.inc");
    let (before, after) = around.split_once("/* THE EXAMPLE */\n").expect("its place");
    let dir = tempdir("example");
    let source = dir.join("example.c");
    fs::write(&source, format!("{before}{example}{after}")).expect("written");
    succeed(&mut Command::new(program(&source, "header_example")));
}

#[test]
fn the_contract_stands_before_the_first_function() {
    let header = header();
    let first = header.find("et_version(void)").expect("a function");
    for chapter in
        ["WHAT IT IS", "OWNERSHIP", "THREADS", "ERRORS", "BUFFERS", "WAITING", "ALERTS", "LIMITS", "VERSIONS"]
    {
        assert!(header.find(chapter).is_some_and(|at| at < first), "{chapter}");
    }
}

/// The comment on the mask names what comes whatever it says, no less and no more.
#[test]
fn the_alerts_that_no_mask_keeps_out_are_named() {
    let header = header();
    let before = header.split_once("et_status et_session_set_alert_mask(").expect("the function").0;
    let comment = before.rsplit_once("/**").expect("its comment").1;
    let named: BTreeSet<&str> =
        comment.split('`').filter_map(|word| word.strip_prefix("et_")?.strip_suffix("_alert")).collect();
    let always: BTreeSet<&str> = kind::ALL.iter().filter(|k| k.always).map(|k| k.name).collect();
    assert_eq!(named, always, "left: the header, right: what is posted");
}

/// Each prototype has a comment right above it.
#[test]
fn every_function_is_documented() {
    let header = header();
    let header = header.split_once("#ifndef ELEMENTUM_TORRENT_H").expect("the guard").1;
    for name in prototypes() {
        // The name may be in comments too.
        let documented = header
            .match_indices(&format!("{name}("))
            .any(|(at, _)| header[..at].rsplit_once('\n').is_some_and(|(before, _)| before.ends_with(" */")));
        assert!(documented, "{name}");
    }
}

#[test]
fn symbols_are_the_prototypes_are_the_list() {
    let nm = succeed(tool("NM", "nm").args(["-D", "--defined-only"]).arg(library().join("libelementum_torrent.so")));
    let exported: BTreeSet<String> = String::from_utf8(nm.stdout)
        .expect("ASCII")
        .lines()
        .filter_map(|l| l.split_whitespace().nth(2).map(|s| s.split('@').next().unwrap_or(s).to_owned()))
        .collect();
    let prototypes = prototypes();
    assert_eq!(exported, prototypes, "left: nm -D, right: the header");
    pinned("tests/abi/symbols.txt", "Every function of the ABI.", &prototypes);
}

/// Programs ask for the library by the name that the header names.
#[cfg(target_os = "linux")]
#[test]
fn the_soname_is_the_headers() {
    let named = header().split("soname is ").nth(1).and_then(|rest| rest.split(',').next().map(str::to_owned));
    let named = named.expect("the header names it");
    let dynamic = succeed(tool("READELF", "readelf").arg("-d").arg(library().join("libelementum_torrent.so")));
    let dynamic = String::from_utf8_lossy(&dynamic.stdout).into_owned();
    let soname = dynamic.lines().find(|line| line.contains("(SONAME)")).expect("it has one");
    assert!(soname.ends_with(&format!("[{named}]")), "{soname}, not {named}");
}

#[test]
fn misuse_calls_every_function() {
    let source = fs::read_to_string(root().join("tests/c/misuse.c")).expect("misuse.c");
    let check = fs::read_to_string(root().join("tests/c/check.h")).expect("check.h");
    let missing: Vec<_> =
        prototypes().into_iter().filter(|f| !format!("{source}{check}").contains(&format!("{f}("))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The comment right above a function's prototype, in one line.
fn comment(header: &str, name: &str) -> String {
    // The name may be in comments too.
    let mut before = header.match_indices('\n').map(|(at, _)| header.split_at(at));
    let above = before.find_map(|(above, line)| {
        let declares = line[1..].lines().next().is_some_and(|l| !l.starts_with(' ') && l.contains(&format!("{name}(")));
        declares.then_some(above)
    });
    let comment = above.and_then(|above| above.strip_suffix(" */")?.rsplit_once("/**"));
    comment.unwrap_or_else(|| panic!("{name} has no comment")).1.replace("\n *", " ")
}

/// The errors that the header documents beside a function: what its comment says from "Errors:" on, where "as" another
/// function means those of that one.
fn documented(header: &str, name: &str) -> BTreeSet<String> {
    let comment = comment(header, name);
    // "Errors:", or the "errors:" of a list.
    let Some((_, said)) = comment.split_once("rrors: ") else { return BTreeSet::new() };
    let quoted = |text: &str| -> Vec<String> { text.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let (said, never) = said.split_once("but never").unwrap_or((said, ""));
    let mut errors: BTreeSet<String> = quoted(said).into_iter().filter(|word| word.starts_with("ET_ERR_")).collect();
    if let Some((_, others)) = said.split_once("as `et_") {
        errors.extend(documented(header, &quoted(&format!("`et_{others}"))[0]));
    }
    let never = quoted(never);
    errors.retain(|error| !never.contains(error));
    errors
}

/// errors.c provokes the errors that the header documents beside each function: those, and no others.
#[test]
fn every_documented_error_is_provoked() {
    let header = header();
    let pair = |name: &str, error: &str| format!("{name} {error}");
    let expected: BTreeSet<String> = prototypes()
        .iter()
        .flat_map(|name| documented(&header, name).into_iter().map(move |error| pair(name, &error)))
        .collect();
    assert!(expected.len() > 120, "{} errors: the comments are not understood", expected.len());
    let source = fs::read_to_string(root().join("tests/c/errors.c")).expect("errors.c");
    let provoked: BTreeSet<String> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("GETS(")?.split_once(", "))
        .filter_map(|(error, rest)| Some(pair(rest.split([',', ')']).next()?, error)))
        .collect();
    let missing: Vec<_> = expected.difference(&provoked).collect();
    let undocumented: Vec<_> = provoked.difference(&expected).collect();
    assert!(
        missing.is_empty() && undocumented.is_empty(),
        "not provoked {missing:#?}, not documented {undocumented:#?}"
    );
}

/// The check above reads what it is to read.
#[test]
fn documented_errors_are_understood() {
    let header = "/**\n * Gives `x`. Not `ET_ERR_IO`.\n *\n * Errors: `ET_ERR_PARSE`, and\n * `ET_ERR_BUSY`. Any thread.\n */\n\
        et_status et_a(int x);\n/**\n * Like et_a(x). errors: as `et_a`, `ET_ERR_CLOSED`, but never `ET_ERR_BUSY`.\n */\n\
        et_status et_b(void);\n/**\n * None.\n */\net_status et_c(void);\n";
    let of = |name| documented(header, name).into_iter().collect::<Vec<_>>();
    assert_eq!(of("et_a"), ["ET_ERR_BUSY", "ET_ERR_PARSE"]);
    assert_eq!(of("et_b"), ["ET_ERR_CLOSED", "ET_ERR_PARSE"]);
    assert_eq!(of("et_c"), [""; 0]);
}

/// Sizes and offsets as a C compiler sees them: "struct.field offset size".
fn c_layout() -> BTreeSet<String> {
    let mut source = String::from("#include <elementum_torrent.h>\n#include <stdio.h>\nint main(void) {\n");
    for (name, fields) in structs() {
        source += &format!("printf(\"{name} %zu\\n\", sizeof({name}));\n");
        for field in fields {
            source += &format!(
                "printf(\"{name}.{field} %zu %zu\\n\", offsetof({name}, {field}), sizeof((({name} *)0)->{field}));\n"
            );
        }
    }
    // Two tests ask, at once.
    static OUTPUT: OnceLock<Output> = OnceLock::new();
    let output = OUTPUT.get_or_init(|| {
        let path = tempdir("layout").join("layout.c");
        fs::write(&path, source + "return 0; }\n").expect("written");
        succeed(&mut Command::new(program(&path, "layout")))
    });
    str::from_utf8(&output.stdout).expect("ASCII").lines().map(str::to_owned).collect()
}

/// Numbers are never reused: those that a program was built with mean the same in every library that it meets.
#[test]
fn numbers_are_pinned() {
    let constants =
        header().lines().filter_map(|l| Some(l.strip_prefix("#define ")?.trim_end().to_owned())).collect::<Vec<_>>();
    let constants = constants.into_iter().filter(|l| l.starts_with("ET_") && !l.starts_with("ET_VERSION_"));
    let constants: BTreeSet<String> = constants.filter(|l| l.split_whitespace().count() == 2).collect();
    assert!(constants.contains("ET_ERR_CLOSED 20") && constants.len() > 200, "{}", constants.len());
    pinned("tests/abi/constants.txt", "Every constant of the ABI but its version.", &constants);
}

#[cfg(target_pointer_width = "64")]
#[test]
fn layouts_are_pinned() {
    pinned("tests/abi/layout.txt", "struct size; struct.field offset size. For 64-bit targets.", &c_layout());
}

#[cfg(target_pointer_width = "64")]
#[test]
fn structs_have_no_implicit_padding() {
    let layout = c_layout();
    for name in structs().keys() {
        let field = |l: &String| l.strip_prefix(&format!("{name}."))?.split(' ').nth(2)?.parse::<usize>().ok();
        let fields: usize = layout.iter().filter_map(field).sum();
        assert!(layout.contains(&format!("{name} {fields}")), "{name}: its fields have {fields} bytes");
    }
}

/// Rust's and C's idea of every struct agree.
#[test]
fn rust_has_the_same_sizes() {
    macro_rules! sizes {
        ($($module:path: $($name:ident)+;)+) => {
            BTreeMap::from([$($({ use $module as module; (stringify!($name), size_of::<module::$name>()) },)+)+])
        };
    }
    let rust = sizes! {
        ffi: et_str;
        ffi::error: et_error;
        ffi::settings: et_setting_info;
        ffi::session_stats: et_session_stats_info;
        ffi::add_torrent: et_add_torrent_params;
        ffi::alert: et_alert_batch;
        ffi::torrent: et_metadata_info et_torrent_limits;
        ffi::torrent_status: et_torrent_status_info;
        ffi::files: et_file_info;
        ffi::download_queue: et_partial_piece_info;
        ffi::peers: et_peer_info;
        ffi::port_filter: et_port_rule;
        ffi::trackers: et_tracker_info et_tracker_entry et_web_seed_info;
        ffi::storage: et_storage_stats_info et_lookbehind_info;
        ffi::reader: et_reader_options;
        ffi::reader_status: et_reader_status_info;
        ffi::explanation: et_reader_explanation;
        record: et_text et_alert et_info_hashes et_endpoint et_alert_error et_dropped_count;
        records: et_add_torrent_alert et_torrent_removed_alert et_torrent_deleted_alert et_torrent_delete_failed_alert
            et_state_changed_alert et_torrent_paused_alert et_torrent_resumed_alert et_torrent_checked_alert
            et_torrent_finished_alert et_torrent_error_alert et_file_error_alert et_metadata_received_alert
            et_metadata_failed_alert et_file_completed_alert et_piece_finished_alert et_hash_failed_alert
            et_piece_evicted_alert et_peer_connect_alert et_peer_disconnected_alert et_peer_ban_alert
            et_peer_snubbed_alert et_peer_unsnubbed_alert et_peer_blocked_alert et_udp_error_alert et_tracker_announce_alert et_tracker_reply_alert
            et_tracker_warning_alert et_tracker_error_alert et_dht_reply_alert et_dht_bootstrap_alert
            et_listen_succeeded_alert et_listen_failed_alert et_external_ip_alert et_socks5_alert et_performance_alert
            et_reader_ready_alert et_reader_stalled_alert et_prebuffer_progress_alert et_memory_pressure_alert
            et_alerts_dropped_alert;
    };
    let layout = c_layout();
    for (name, size) in &rust {
        assert!(layout.contains(&format!("{name} {size}")), "{name} has {size} bytes in Rust");
    }
    let missing: Vec<_> = structs().into_keys().filter(|name| !rust.contains_key(name.as_str())).collect();
    assert!(missing.is_empty(), "not compared: {missing:?}");
}

#[test]
fn c_stream_example() {
    run("stream_example");
}

/// It is run in the process of a test, which sees what its waits cost.
#[test]
fn the_example_streams_and_sleeps() {
    run("example");
}

#[test]
fn c_misuse() {
    run("misuse");
}

#[test]
fn c_alerts() {
    run("alerts");
}

#[test]
fn c_errors() {
    run("errors");
}

#[test]
fn c_quiet() {
    run("quiet");
}

#[test]
fn c_transfer() {
    run("transfer");
}

#[test]
fn c_trackers() {
    run("trackers");
}

#[test]
fn c_lists() {
    run("lists");
}

#[test]
fn c_threads() {
    run("threads");
}

#[test]
fn memory_keeps_its_limit_in_c() {
    run("memory");
}

#[test]
fn c_contract() {
    run("contract");
}
