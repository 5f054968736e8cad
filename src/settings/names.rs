//! All settings by their names.

use super::descriptor::Descriptor;
use super::{ignored, table};
use crate::base::error::{Error, Result, Status};

const COUNT: usize = table::EFFECTIVE.len() + ignored::IGNORED.len();

static DESCRIPTORS: [Descriptor; COUNT] = {
    let mut all = [table::EFFECTIVE[0]; COUNT];
    let mut i = 0;
    while i < COUNT {
        all[i] =
            if i < table::EFFECTIVE.len() { table::EFFECTIVE[i] } else { ignored::IGNORED[i - table::EFFECTIVE.len()] };
        i += 1;
    }
    all
};

/// Every setting: first those that do something, then the rest.
pub fn descriptors() -> &'static [Descriptor] {
    &DESCRIPTORS
}

/// The setting of that name; `UnknownSetting` with the nearest name otherwise.
pub fn descriptor(name: &str) -> Result<&'static Descriptor> {
    descriptors().iter().find(|d| d.name == name).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> Error {
    let shown: String = name.chars().take(64).collect();
    let message = match nearest(name) {
        Some(nearest) => format!("there is no setting {shown:?}; the nearest name is {nearest:?}"),
        None => format!("there is no setting {shown:?}"),
    };
    Error::new(Status::UnknownSetting, message)
}

/// The known name at the least edit distance, unless even that is another word altogether.
fn nearest(name: &str) -> Option<&'static str> {
    if name.len() > 64 {
        return None;
    }
    let (distance, known) = descriptors().iter().map(|d| (edit_distance(name, d.name), d.name)).min()?;
    (distance <= (name.len() / 2).max(2)).then_some(known)
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b = b.as_bytes();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, above) in b.iter().zip(row.iter_mut().skip(1)) {
            let cost = diagonal + usize::from(x != *y);
            diagonal = *above;
            left = cost.min(diagonal + 1).min(left + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edit_distances() {
        for (a, b, d) in [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("abc", "abc", 0), ("flaw", "lawn", 2)]
        {
            assert_eq!((edit_distance(a, b), edit_distance(b, a)), (d, d), "{a} {b}");
        }
    }
}
