//! Tracker URLs in messages: private trackers put a user's key into the path or the query, and messages end up in logs.

/// Stands for what is hidden.
const HIDDEN: &str = "***";
/// Path elements up to this length, of letters only, are words and no keys.
const MAX_WORD: usize = 16;
/// Shorter than this is no key, whatever it consists of.
const MIN_SECRET: usize = 5;

/// A URL's parts, as far as they matter here; no decoding, no checks.
struct Parts<'a> {
    scheme: &'a str,
    userinfo: Option<&'a str>,
    /// With the port.
    host: &'a str,
    path: &'a str,
    query: Option<&'a str>,
}

fn split(url: &str) -> Option<Parts<'_>> {
    let (scheme, rest) = url.split_once("://")?;
    let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let (userinfo, host) =
        authority.rsplit_once('@').map_or((None, authority), |(userinfo, host)| (Some(userinfo), host));
    Some(Parts { scheme, userinfo, host, path, query })
}

/// May everybody see this path element?
fn is_word(element: &str) -> bool {
    let plain = element.bytes().all(|b| b.is_ascii_alphabetic() || b"._-".contains(&b));
    let short = element.len() < MIN_SECRET && element.bytes().all(|b| b.is_ascii_alphanumeric());
    (plain && element.len() <= MAX_WORD) || short
}

/// A URL fit for messages: scheme, host and port, plain words of the path such as `announce`, and the names of the query's
/// parameters. User, password, fragment, values, and path elements that may be keys are hidden.
pub fn redact_url(url: &str) -> String {
    let Some(parts) = split(url) else { return HIDDEN.to_owned() };
    let mut out = format!("{}://{}", parts.scheme, parts.host);
    let path: Vec<&str> = parts.path.split('/').map(|e| if is_word(e) { e } else { HIDDEN }).collect();
    out.push_str(&path.join("/"));
    if let Some(query) = parts.query {
        let hide = |pair: &str| match pair.split_once('=') {
            Some((name, _)) if is_word(name) => format!("{name}={HIDDEN}"),
            _ if pair.is_empty() => String::new(),
            _ => HIDDEN.to_owned(),
        };
        let query: Vec<String> = query.split('&').map(hide).collect();
        out.push('?');
        out.push_str(&query.join("&"));
    }
    out
}

/// Hides a URL, and each secret part of it, where a text repeats them.
pub fn scrub(text: &str, url: &str) -> String {
    let Some(parts) = split(url) else { return text.to_owned() };
    let mut secrets: Vec<&str> = parts.path.split('/').filter(|e| !is_word(e)).collect();
    for pair in parts.query.unwrap_or_default().split('&') {
        let value = pair.split_once('=').map_or(pair, |(_, value)| value);
        if value.len() >= MIN_SECRET {
            secrets.push(value);
        }
    }
    if let Some(userinfo) = parts.userinfo {
        secrets.extend(userinfo.split(':').chain([userinfo]).filter(|s| s.len() >= MIN_SECRET));
    }
    // Long ones first: one may hold another.
    secrets.sort_by_key(|s| std::cmp::Reverse(s.len()));
    let mut text = text.replace(url, &redact_url(url));
    for secret in secrets {
        text = text.replace(secret, HIDDEN);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn urls_lose_their_secrets() {
        let cases = [
            ("http://t.example/announce", "http://t.example/announce"),
            ("udp://t.example:6969/announce", "udp://t.example:6969/announce"),
            ("udp://t.example:6969", "udp://t.example:6969"),
            ("http://[2001:db8::1]:80/announce.php", "http://[2001:db8::1]:80/announce.php"),
            ("https://t.example/KEY/announce", "https://t.example/***/announce"),
            ("https://t.example:443/KEY", "https://t.example:443/***"),
            ("https://t.example/a/b/announce.php?passkey=KEY", "https://t.example/a/b/announce.php?passkey=***"),
            ("https://t.example/?uid=7&KEY", "https://t.example/?uid=***&***"),
            ("https://t.example?KEY=1", "https://t.example?***"),
            ("https://user:KEY@t.example/announce", "https://t.example/announce"),
            ("https://a@b@t.example/announce", "https://t.example/announce"),
            ("https://t.example/announce#KEY", "https://t.example/announce"),
            ("https://t.example/p%61ss/announce", "https://t.example/***/announce"),
            ("https://t.example/abcdefghijklmnopqrstuvwxyz/announce", "https://t.example/***/announce"),
            ("KEY", "***"),
            ("", "***"),
        ];
        for (url, want) in cases {
            assert_eq!(redact_url(&url.replace("KEY", KEY)), want, "{url}");
        }
    }

    #[test]
    fn texts_lose_a_urls_secrets() {
        let url = format!("https://me:secret@t.example/{KEY}/announce?uid=123456&x=1");
        for text in [
            format!("unregistered passkey {KEY}"),
            format!("cannot reach {url}"),
            "user me:secret, uid 123456".to_owned(),
        ] {
            let scrubbed = scrub(&text, &url);
            for secret in [KEY, "secret", "123456"] {
                assert!(!scrubbed.contains(secret), "{scrubbed}");
            }
        }
        assert_eq!(scrub("HTTP 404 at announce", &url), "HTTP 404 at announce");
        assert_eq!(scrub("plain", "no url"), "plain");
    }
}
