//! What a server answers a GET (RFC 9112), taken as far as it makes sense. Pure.
//!
//! Many trackers are scripts of somebody's own, and libtorrent uses what they say; so of the head only what is needed here is
//! looked at, and a field that says nothing of use counts as not there. All that is no body has a bound: fields, interim answers,
//! and the frames of chunks, which may be a few times of what they frame.

use super::FetchError;
use crate::error::Operation;

/// Most bytes that come before a body; around it as many more, and [`FRAMES`] for each of its bytes.
const MAX_HEAD: usize = 64 * 1024;
const FRAMES: usize = 8;
/// Most characters of a reason that are kept.
const MAX_REASON: usize = 64;

/// The head, as far as it is of interest.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    pub reason: String,
    location: Option<String>,
    pub gzip: bool,
    length: Option<u64>,
    chunked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expect {
    Status,
    Field,
    /// So much of the body, or of a chunk.
    Body(u64),
    /// Until the connection ends.
    Rest,
    ChunkSize,
    ChunkEnd,
    Nothing,
}

/// Takes in an answer as it comes, in whatever parts.
#[derive(Debug)]
pub struct Answer {
    head: Head,
    expect: Expect,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// Bytes that are no body.
    around: usize,
    body: Vec<u8>,
    max_body: usize,
}

impl Answer {
    pub fn new(max_body: usize) -> Self {
        let (head, expect) = (Head::default(), Expect::Status);
        Self { head, expect, line: Vec::new(), around: 0, body: Vec::new(), max_body }
    }

    /// The head, once it is whole.
    pub fn head(&self) -> Option<&Head> {
        (!matches!(self.expect, Expect::Status | Expect::Field)).then_some(&self.head)
    }

    pub fn is_whole(&self) -> bool {
        self.expect == Expect::Nothing
    }

    /// The connection ended: is something missing?
    pub fn ended(&self) -> Result<(), FetchError> {
        match self.expect {
            Expect::Nothing | Expect::Rest => Ok(()),
            Expect::Status | Expect::Field => Err(failed("the connection ended before an answer")),
            _ => Err(failed("the connection ended before all of the answer came")),
        }
    }

    pub fn into_parts(self) -> (Head, Vec<u8>) {
        (self.head, self.body)
    }

    /// Takes in what came next. What follows the answer is left alone.
    pub fn take(&mut self, mut bytes: &[u8]) -> Result<(), FetchError> {
        while !bytes.is_empty() && !self.is_whole() {
            match self.expect {
                Expect::Body(left) => {
                    let now = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    let (part, rest) = bytes.split_at(now);
                    self.keep(part)?;
                    bytes = rest;
                    self.expect = match left - now as u64 {
                        0 if self.head.chunked => Expect::ChunkEnd,
                        0 => Expect::Nothing,
                        left => Expect::Body(left),
                    };
                }
                Expect::Rest => {
                    self.keep(bytes)?;
                    return Ok(());
                }
                _ => {
                    let end = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |at| at + 1);
                    let (part, rest) = bytes.split_at(end);
                    self.around += end;
                    self.check_bound()?;
                    self.line.extend_from_slice(part);
                    bytes = rest;
                    if self.line.ends_with(b"\n") {
                        let line = std::mem::take(&mut self.line);
                        self.take_line(line.trim_ascii_end())?;
                    }
                }
            }
        }
        Ok(())
    }

    fn keep(&mut self, part: &[u8]) -> Result<(), FetchError> {
        if self.body.len() + part.len() > self.max_body {
            return Err(too_large(self.max_body));
        }
        self.body.extend_from_slice(part);
        Ok(())
    }

    fn check_bound(&self) -> Result<(), FetchError> {
        if self.head().is_none() && self.around > MAX_HEAD {
            return Err(failed(&format!("more than {MAX_HEAD} bytes, and no answer among them")));
        }
        if self.around > 2 * MAX_HEAD + FRAMES * self.body.len() {
            return Err(failed("more around the answer than in it"));
        }
        Ok(())
    }

    fn take_line(&mut self, line: &[u8]) -> Result<(), FetchError> {
        match self.expect {
            // Left over from something before.
            Expect::Status if line.is_empty() => {}
            Expect::Status => {
                self.head = status(line)?;
                self.expect = Expect::Field;
            }
            Expect::Field if line.is_empty() => {
                self.expect = match &self.head {
                    // Interim: the answer is still to come.
                    Head { status: 100 | 102..=199, .. } => Expect::Status,
                    Head { chunked: true, .. } => Expect::ChunkSize,
                    Head { length: Some(0), .. } | Head { status: 101 | 204 | 304, length: None, .. } => {
                        Expect::Nothing
                    }
                    Head { length: Some(length), .. } => Expect::Body(*length),
                    _ => Expect::Rest,
                };
            }
            Expect::Field => self.head.take_field(line),
            Expect::ChunkSize => {
                // What follows the last chunk is of no interest.
                self.expect = match chunk_size(line)? {
                    0 => Expect::Nothing,
                    size => Expect::Body(size),
                };
            }
            Expect::ChunkEnd if line.is_empty() => self.expect = Expect::ChunkSize,
            _ => return Err(failed("a chunk is longer than it says")),
        }
        Ok(())
    }
}

impl Head {
    /// Where the answer sends us, if it does.
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref().filter(|_| (300..400).contains(&self.status))
    }

    /// Takes in a field; what is none is passed over, as is the second line of one.
    fn take_field(&mut self, line: &[u8]) {
        let Some(colon) = line.iter().position(|b| *b == b':') else { return };
        let (name, value) = line.split_at(colon);
        let value = String::from_utf8_lossy(value.get(1..).unwrap_or_default());
        let value = value.trim();
        let mut words = value.split(',').map(|word| word.split(';').next().unwrap_or_default().trim());
        match name.trim_ascii().to_ascii_lowercase().as_slice() {
            b"location" => self.location = Some(value.to_owned()).filter(|to| !to.is_empty()),
            // One that cannot be is not there.
            b"content-length" => self.length = words.next().and_then(|word| word.parse().ok()).or(self.length),
            b"transfer-encoding" => self.chunked |= words.any(|word| word.eq_ignore_ascii_case("chunked")),
            // Codings' names are not told apart by case, and gzip has an old one (RFC 9110).
            b"content-encoding" => {
                self.gzip |= words.any(|word| ["gzip", "x-gzip"].iter().any(|name| word.eq_ignore_ascii_case(name)));
            }
            _ => {}
        }
    }
}

fn status(line: &[u8]) -> Result<Head, FetchError> {
    let text = String::from_utf8_lossy(line);
    let (version, rest) = text.split_once(' ').unwrap_or((&text, ""));
    let (code, reason) = rest.trim_start().split_once(' ').unwrap_or((rest.trim_start(), ""));
    let code = code.parse().ok().filter(|code| (100..1000).contains(code));
    let Some(status) = code.filter(|_| version.starts_with("HTTP/")) else {
        return Err(failed("this is no answer of HTTP"));
    };
    let reason = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_REASON).collect::<String>();
    Ok(Head { status, reason: reason.trim().to_owned(), ..Head::default() })
}

fn chunk_size(line: &[u8]) -> Result<u64, FetchError> {
    let digits = line.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    let text = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'));
    text.and_then(|text| u64::from_str_radix(text, 16).ok())
        .ok_or_else(|| failed("a chunk does not say how long it is"))
}

fn failed(what: &str) -> FetchError {
    FetchError::new(Operation::SockRead, what)
}

pub fn too_large(max: usize) -> FetchError {
    failed(&format!("the answer is larger than {max} bytes"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OK: &str = "HTTP/1.1 200 OK\r\n";

    fn read(bytes: &[u8]) -> Result<(Head, Vec<u8>), FetchError> {
        let mut answer = Answer::new(1000);
        answer.take(bytes)?;
        answer.ended()?;
        Ok(answer.into_parts())
    }

    fn body(text: &str) -> Result<String, String> {
        read(text.as_bytes()).map(|(_, body)| String::from_utf8(body).expect("ASCII")).map_err(|e| e.message)
    }

    #[test]
    fn heads() {
        for (line, status, reason) in [
            ("HTTP/1.1 200 OK", 200, "OK"),
            ("HTTP/1.0 404 Not  Found ", 404, "Not  Found"),
            ("HTTP/1.1 200", 200, ""),
            ("HTTP/1.1  503 a\x07b", 503, "a b"),
            ("HTTP/2 999 X", 999, "X"),
        ] {
            let (head, _) = read(format!("\r\n{line}\r\n\r\n").as_bytes()).expect(line);
            assert_eq!((head.status, head.reason.as_str()), (status, reason), "{line}");
        }
        for line in ["", "x", "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 OK", "HTTP/1.1 20x", "HTTP/1.1 99", "HTTP/1.1 1000"] {
            assert!(read(format!("{line}\r\n\r\n").as_bytes()).is_err(), "{line}");
        }
        for line in ["ICY 200 OK", "HTTP/1.1 -200", "HTTP/1.1 4294967496 x", "\0\0\0", "<html>"] {
            assert!(read(format!("{line}\r\n\r\n").as_bytes()).is_err(), "{line}");
        }
        let (head, _) = read(b"HTTP/1.1 302 x\nLOCATION :  /a b \nLocation-X: /c\n /d\n\n").expect("a redirect");
        assert_eq!(head.location(), Some("/a b"));
    }

    /// A length that cannot be is not there; of several the last counts; chunks go before lengths.
    #[test]
    fn lengths() {
        for (fields, want) in [
            ("", "12345"),
            ("Content-Length: 3\r\n", "123"),
            ("content-length:3\r\n", "123"),
            ("Content-Length : 0003 \r\n", "123"),
            ("Content-Length: +3\r\n", "123"),
            ("Content-Length: 3;x\r\n", "123"),
            ("Content-Length: 3, 3\r\n", "123"),
            ("Content-Length: 5\r\nContent-Length: 3\r\n", "123"),
            ("Content-Length: 3\r\nContent-Length: x\r\n", "123"),
            ("Content-Length: 0\r\n", ""),
            ("Content-Length: -0\r\n", "12345"),
            ("Content-Length: -1\r\n", "12345"),
            ("Content-Length: 0x3\r\n", "12345"),
            ("Content-Length: abc\r\n", "12345"),
            ("Content-Length:\r\n", "12345"),
            ("Content-Length: 18446744073709551616\r\n", "12345"),
            ("Transfer-Encoding: identity\r\n", "12345"),
        ] {
            assert_eq!(body(&format!("{OK}{fields}\r\n12345")).as_deref(), Ok(want), "{fields}");
        }
        for length in ["6", "18446744073709551615", "9223372036854775807"] {
            let text = format!("{OK}Content-Length: {length}\r\n\r\n12345");
            let mut answer = Answer::new(1000);
            answer.take(text.as_bytes()).expect("a beginning");
            assert!(answer.ended().is_err());
            assert_eq!(answer.into_parts().1, b"12345", "what came is there");
        }
        assert_eq!(body("HTTP/1.1 204 x\r\n\r\n12").as_deref(), Ok(""));
        assert_eq!(body("HTTP/1.1 204 x\r\nContent-Length: 2\r\n\r\n12").as_deref(), Ok("12"));
    }

    #[test]
    fn chunks() {
        for (fields, chunks, want) in [
            ("Transfer-Encoding: chunked", "3\r\n123\r\n0a\r\n0123456789\r\n0\r\n\r\n", "1230123456789"),
            ("transfer-encoding: gzip, Chunked", "3;a=b\r\n123\r\n0\r\n", "123"),
            ("Content-Length: 1\r\nTransfer-Encoding: chunked", " 3 \n123\n00000000000000000000\n", "123"),
            ("Transfer-Encoding: chunked", "0\r\nX: trailer\r\n\r\n", ""),
        ] {
            assert_eq!(body(&format!("{OK}{fields}\r\n\r\n{chunks}")).as_deref(), Ok(want), "{chunks}");
            assert_eq!(body(&format!("HTTP/1.0 200 OK\r\n{fields}\r\n\r\n{chunks}")).as_deref(), Ok(want), "{chunks}");
        }
        for chunks in
            ["", "3\r\n12", "3\r\n123", "3\r\n1234\r\n", "x\r\n", "\r\n", "-3\r\n", "+3\r\n123\r\n0\r\n", "0x3\r\n"]
        {
            assert!(body(&format!("{OK}Transfer-Encoding: chunked\r\n\r\n{chunks}")).is_err(), "{chunks}");
        }
        let huge = body(&format!("{OK}Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n"));
        assert!(huge.is_err_and(|e| e.contains("how long")));
    }

    #[test]
    fn gzip_has_several_names() {
        for (value, gzip) in [
            ("gzip", true),
            ("X-GZip", true),
            ("identity, GZIP ", true),
            ("gzip;q=1", true),
            ("", false),
            ("identity", false),
            ("deflate", false),
            ("gzipped", false),
        ] {
            let (head, _) = read(format!("{OK}Content-Encoding: {value}\r\n\r\n").as_bytes()).expect(value);
            assert_eq!(head.gzip, gzip, "{value}");
        }
    }

    /// Interim answers are passed over, with what their fields say.
    #[test]
    fn interim_answers() {
        let early =
            "HTTP/1.1 103 Early Hints\r\nLocation: /x\r\nContent-Length: 3\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
        let (head, body) = read(format!("{early}{OK}\r\n12345").as_bytes()).expect("an answer");
        assert_eq!((head.location(), body), (None, b"12345".to_vec()));
        assert_eq!(read(early.as_bytes()).expect_err("nothing else").message, "the connection ended before an answer");
        assert_eq!(read(b"HTTP/1.1 101 x\r\n\r\n").expect("no interim answer").0.status, 101);
    }

    /// Whatever is said again and again, it ends after a few hundred KiB.
    #[test]
    fn all_that_is_no_body_has_a_bound() {
        let chunked = format!("{OK}Transfer-Encoding: chunked\r\n\r\n");
        for (begin, again) in [
            ("", "\r\n"),
            ("", "x"),
            (OK, "X: y\r\n"),
            (OK, "x"),
            ("", "HTTP/1.1 100 Continue\r\n\r\n"),
            (&chunked, "0"),
            (&format!("{chunked}1"), " "),
            (&format!("{chunked}1;"), "x"),
            (&chunked, "1;abcdefgh\r\nx\r\n"),
            (&chunked, "1\r\nx\r\n"),
            (&format!("{OK}Content-Length: 18446744073709551615\r\n\r\n"), "x"),
            (&format!("{OK}\r\n"), "x"),
        ] {
            let mut answer = Answer::new(10_000);
            answer.take(begin.as_bytes()).expect("a beginning");
            let again = again.repeat(1000);
            let rounds = (0..1000).take_while(|_| answer.take(again.as_bytes()).is_ok()).count();
            assert!(rounds * again.len() < 400_000, "{begin:?} {again:.20?}: {rounds}");
            assert!(!answer.is_whole() && answer.line.len() <= 2 * MAX_HEAD);
        }
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same(
            text in "(HTTP/1.1 (100|200|302) x\r\n(Content-Length: [0-9]{1,2}\r\n|Transfer-Encoding: chunked\r\n|x\r\n){0,2}\r\n){1,2}([0-9a]\r\n|x|\r\n){0,20}",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(text.len() + 1)).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let mut answer = Answer::new(30);
            let outcome = cuts.windows(2).try_for_each(|pair| answer.take(&text.as_bytes()[pair[0]..pair[1]]));
            let mut whole = Answer::new(30);
            prop_assert_eq!(outcome.is_ok(), whole.take(text.as_bytes()).is_ok());
            if outcome.is_ok() {
                prop_assert_eq!((answer.ended(), answer.into_parts()), (whole.ended(), whole.into_parts()));
            }
        }

        #[test]
        fn any_bytes_end_well(bytes in prop::collection::vec(any::<u8>(), 0..300), after_status in any::<bool>()) {
            let mut answer = Answer::new(100);
            if after_status {
                answer.take(OK.as_bytes()).expect("a status line");
            }
            let _ = answer.take(&bytes);
            prop_assert!(answer.into_parts().1.len() <= 100);
        }
    }
}
