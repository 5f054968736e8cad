//! Text that leaves the library for a log: no control characters, no secrets.

use std::borrow::Cow;

/// What stands for the part of a URL that is not shown.
const HIDDEN: &str = "/…";

/// The text without control characters (each becomes a space), and without what may be secret in URLs: user and password,
/// and everything behind the host, where trackers keep passkeys.
pub fn sanitise(text: &str) -> Cow<'_, str> {
    if !text.contains("://") && !text.contains(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + 3);
        clean.push_str(before);
        let end = url.find(is_end_of_url).unwrap_or(url.len());
        let (url, after) = url.split_at(end);
        push_authority(&mut clean, url);
        rest = after;
    }
    clean.push_str(rest);
    Cow::Owned(if clean.contains(is_unprintable) { clean.replace(is_unprintable, " ") } else { clean })
}

/// The longest start of `text` that has at most `max` bytes and ends between characters.
pub fn cut(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

fn push_authority(clean: &mut String, url: &str) {
    let end = url.find(['/', '?', '#']).unwrap_or(url.len());
    let (authority, path) = url.split_at(end);
    clean.push_str(authority.rsplit_once('@').map_or(authority, |(_, host)| host));
    if !matches!(path, "" | "/" | "/announce" | "/scrape") {
        clean.push_str(HIDDEN);
    } else {
        clean.push_str(path);
    }
}

fn is_end_of_url(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '<' | '>' | '`')
}

/// Control characters, and the invisible ones that change how a line is shown.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_hidden() {
        for (text, clean) in [
            ("tracker http://t.example:80/0123abc/announce?passkey=1 is down", "tracker http://t.example:80/… is down"),
            ("\"udp://t.example:6969/announce\"", "\"udp://t.example:6969/announce\""),
            ("socks5://me:secret@proxy:1080", "socks5://proxy:1080"),
            ("https://a/?x=1 and http://b?y", "https://a/… and http://b/…"),
            ("a\r\nb\u{7f}c\u{202e}d", "a  b c d"),
            ("plain", "plain"),
            ("://", "://"),
        ] {
            assert_eq!(sanitise(text), clean);
        }
    }

    #[test]
    fn cuts() {
        for (text, max, cut_text) in
            [("abc", 5, "abc"), ("abc", 2, "ab"), ("aé", 2, "a"), ("aé", 3, "aé"), ("é", 0, ""), ("", 0, "")]
        {
            assert_eq!(cut(text, max), cut_text);
        }
    }

    proptest! {
        #[test]
        fn never_a_control_character(text in any::<String>()) {
            prop_assert!(!sanitise(&text).chars().any(char::is_control));
        }

        #[test]
        fn never_a_path(host in "[a-z]{1,9}", secret in "[0-9a-f]{20}") {
            let text = format!("error: http://{host}/{secret}/announce");
            prop_assert!(!sanitise(&text).contains(&secret));
        }
    }
}
