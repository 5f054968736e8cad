//! The content in Rust and in C is the same, byte for byte: else a benchmark would call right bytes wrong, or wrong ones right.

use std::fs;
use std::path::Path;
use std::process::Command;

use elementum_bench::content::Content;

#[test]
fn c_recognises_what_rust_writes_and_sees_any_wrong_byte() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (program, file) = (directory.join("content_check"), directory.join("content.bin"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("c/content_check.c");
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let options = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o"];
    assert!(Command::new(compiler).args(options).arg(&program).arg(source).status().unwrap().success());
    let check = |seed: u64, cut: usize| {
        let mut command = Command::new(&program);
        command.arg(&file).args([seed.to_string(), cut.to_string()]).status().unwrap().code()
    };

    let mut bytes = Vec::new();
    Content::new(5, (1 << 20) + 3 * 16384 + 77).write_to(&mut bytes).unwrap();
    fs::write(&file, &bytes).unwrap();
    for cut in [1, 7, 16384, 100_000, 1 << 20] {
        assert_eq!(check(5, cut), Some(0), "cut {cut}");
    }
    assert_eq!(check(6, 16384), Some(1));
    for wrong in [0, 7, 8, 16383, 16384, bytes.len() - 1] {
        bytes[wrong] ^= 1;
        fs::write(&file, &bytes).unwrap();
        assert_eq!(check(5, 4096), Some(1), "byte {wrong}");
        bytes[wrong] ^= 1;
    }
}
