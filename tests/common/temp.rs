//! Temporary directories, and comparing what was put into them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A directory that is gone when this is.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Not only the process id: a test in a container may find directories that a former process with its id left.
        loop {
            let name = format!("et-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
            let path = std::env::temp_dir().join(name);
            match fs::create_dir(&path) {
                Ok(()) => return Self(path),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A directory in it, made if it is not there.
    pub fn dir(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // A client that was just killed may still write its last file; the second try finds it.
        if fs::remove_dir_all(&self.0).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(200));
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// All files under `root`, relative and sorted.
pub fn files_under(root: &Path) -> Vec<PathBuf> {
    let (mut files, mut pending) = (Vec::new(), vec![root.to_owned()]);
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            files.push(path.strip_prefix(root).unwrap().to_owned());
        }
    }
    files.sort();
    files
}

/// Panics unless the two files or directories hold the same files with the same bytes.
pub fn assert_same(expected: &Path, got: &Path) {
    assert_eq!(files_under(expected), files_under(got), "files of {} and {}", expected.display(), got.display());
    for file in files_under(expected) {
        // A single file's path relative to itself is empty, and joining that would append a slash.
        let of = |root: &Path| if file.as_os_str().is_empty() { root.to_owned() } else { root.join(&file) };
        let (a, b) = (fs::read(of(expected)).unwrap(), fs::read(of(got)).unwrap());
        let differs = a.iter().zip(&b).position(|(a, b)| a != b);
        assert!(a.len() == b.len() && differs.is_none(), "{} differs at {differs:?}", of(got).display());
    }
}
