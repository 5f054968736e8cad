//! What a torrent's symlinks point to (BEP 47).
//!
//! A target is a path below the torrent's directory. Many writers put it down as the file system has it, relative to the
//! link's own directory; so where the first reading finds nothing, the second counts, as in libtorrent. Either may lead
//! through other links. A link to nothing in the torrent points to itself: it is never followed out of it.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hasher};

use super::layout::FileEntry;

/// Most links that are walked through for one link, and for all of a torrent: each may be as long as a path.
const MAX_HOPS_EACH: usize = 40;
const MAX_HOPS: usize = 10_000;

/// Settles the targets of all symlinks. Until then they are what the torrent says, safe already, without `root`.
pub fn resolve(files: &mut [FileEntry], root: &str) {
    if files.iter().all(|f| f.symlink_target.is_none()) {
        return;
    }
    let tree = Tree::new(files);
    let mut hops = MAX_HOPS;
    for file in files {
        let Some(said) = &file.symlink_target else { continue };
        let directory = file.path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let readings = [join(root, said), join(directory, said)];
        let found = readings.iter().find(|target| tree.has(target));
        let found = found.or_else(|| readings.iter().find(|target| tree.has_through_links(target, &mut hops)));
        file.symlink_target = Some(found.filter(|_| !said.is_empty()).unwrap_or(&file.path).clone());
    }
}

fn join(directory: &str, path: &str) -> String {
    if directory.is_empty() { path.to_owned() } else { format!("{directory}/{path}") }
}

/// All that a link may point to.
struct Tree {
    /// Files and directories, by the hashes of their paths: a deep hostile tree stays small.
    known: HashSet<u64>,
    /// Links, by the hashes of their paths, with what they name as it stands.
    links: HashMap<u64, String>,
}

impl Tree {
    fn new(files: &[FileEntry]) -> Self {
        let mut tree = Self { known: HashSet::new(), links: HashMap::new() };
        for file in files {
            let mut path = Path::default();
            for element in file.path.split('/') {
                path.push(element);
                tree.known.insert(path.hash());
            }
        }
        for file in files {
            if let Some(said) = &file.symlink_target {
                let root = file.path.split('/').next().unwrap_or_default();
                let directory = file.path.rsplit_once('/').map_or("", |(directory, _)| directory);
                let target = [join(root, said), join(directory, said)].into_iter().find(|target| tree.has(target));
                tree.links.extend(target.map(|target| (hash(&file.path), target)));
            }
        }
        tree
    }

    fn has(&self, path: &str) -> bool {
        self.known.contains(&hash(path))
    }

    /// Is there something, once the links on the way are taken for what they name?
    fn has_through_links(&self, path: &str, hops: &mut usize) -> bool {
        let mut at = Path::default();
        let mut ahead: Vec<&str> = path.split('/').rev().collect();
        let mut own = MAX_HOPS_EACH;
        while let Some(element) = ahead.pop() {
            at.push(element);
            if !ahead.is_empty()
                && let Some(target) = self.links.get(&at.hash())
            {
                let (Some(left), Some(own_left)) = (hops.checked_sub(1), own.checked_sub(1)) else { return false };
                (*hops, own) = (left, own_left);
                at = Path::default();
                ahead.extend(target.split('/').rev());
            }
        }
        self.known.contains(&at.hash())
    }
}

/// The hash of a path that grows.
#[derive(Default)]
struct Path(DefaultHasher);

impl Path {
    fn push(&mut self, element: &str) {
        self.0.write(element.as_bytes());
        self.0.write_u8(b'/');
    }

    fn hash(&self) -> u64 {
        self.0.finish()
    }
}

fn hash(path: &str) -> u64 {
    let mut hasher = Path::default();
    path.split('/').for_each(|element| hasher.push(element));
    hasher.hash()
}
