//! Bencoding (BEP 3): a borrowing parser with limits, and an encoder.
//!
//! The parser makes a flat list of tokens over the input, 12 bytes a value, without recursion: a hostile nesting costs
//! neither stack nor more than [`Limits`] allows, and stepping over a value is one addition. [`Value`]s are cheap handles
//! into it.
//!
//! What is lenient, because files in the wild need it and libtorrent takes them too: dictionary keys in any order (of
//! equal keys the first counts), leading zeros and `-0` in integers, leading zeros in string lengths. Integers have no largest
//! value in BEP 3: one beyond 64 bits is a value without a number, which spoils nothing where nobody asks for it. So is one
//! that cannot be read (`ie`, `i1.5e`), where its end is near. What is an error: strings beyond the input, integers without
//! end, keys that are not strings, and nesting or counts beyond the limits.

use std::collections::BTreeMap;

use super::error::ParseError;

/// Between the `i` and the `e` of an integer that is none, bytes. Whoever forgets the `e` does not take much along.
const MAX_UNREADABLE: usize = 64;

/// Bounds for the parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Lists and dictionaries within each other.
    pub depth: usize,
    /// Values, keys included.
    pub tokens: usize,
}

impl Limits {
    /// For torrent files and resume data: libtorrent's defaults.
    pub const FILE: Self = Self { depth: 100, tokens: 3_000_000 };
    /// For what peers and DHT nodes send. As deep as files: what nobody asks for may hold anything.
    pub const MESSAGE: Self = Self { depth: 100, tokens: 20_000 };
}

impl Default for Limits {
    fn default() -> Self {
        Self::FILE
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token {
    /// The value's first byte, which tells its kind.
    start: u32,
    /// Behind the value's last byte.
    end: u32,
    /// Tokens of the value, with all it holds: the next sibling is so many tokens on.
    count: u32,
}

/// A parsed input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document<'a> {
    input: &'a [u8],
    tokens: Vec<Token>,
}

impl<'a> Document<'a> {
    /// Parses an input that is one value and nothing more.
    pub fn parse(input: &'a [u8], limits: Limits) -> Result<Self, ParseError> {
        let (document, rest) = Self::parse_prefix(input, limits)?;
        if rest.is_empty() { Ok(document) } else { Err(error("data after the value", input.len() - rest.len())) }
    }

    /// Parses the value an input begins with, and gives the rest.
    pub fn parse_prefix(input: &'a [u8], limits: Limits) -> Result<(Self, &'a [u8]), ParseError> {
        if u32::try_from(input.len()).is_err() {
            return Err(error("input of 4 GiB or more", 0));
        }
        let (tokens, end) = Parser { input, at: 0, tokens: Vec::new(), open: Vec::new(), limits }.run()?;
        let rest = input.get(end..).unwrap_or_default();
        Ok((Self { input, tokens }, rest))
    }

    pub fn root(&self) -> Value<'_> {
        Value { input: self.input, tokens: &self.tokens }
    }
}

fn error(what: &str, offset: usize) -> ParseError {
    ParseError::new(format!("bencode: {what} at offset {offset}"))
}

struct Parser<'a> {
    input: &'a [u8],
    at: usize,
    tokens: Vec<Token>,
    /// Token numbers of the containers around `at`, and for a dictionary whether a key comes next.
    open: Vec<(usize, Option<Expect>)>,
    limits: Limits,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Key,
    Value,
}

impl Parser<'_> {
    fn run(mut self) -> Result<(Vec<Token>, usize), ParseError> {
        loop {
            let start = self.at;
            let byte = self.peek()?;
            let expect_key = matches!(self.open.last(), Some((_, Some(Expect::Key))));
            match byte {
                b'e' => self.close(start)?,
                b'0'..=b'9' => self.string(start)?,
                _ if expect_key => return Err(error("a dictionary key is not a string", start)),
                b'i' => self.integer(start)?,
                b'l' => {
                    self.open_container(start, None)?;
                    continue;
                }
                b'd' => {
                    self.open_container(start, Some(Expect::Key))?;
                    continue;
                }
                _ => return Err(error("expected a value", start)),
            }
            // A whole value ends here.
            match self.open.last_mut() {
                None => return Ok((self.tokens, self.at)),
                Some((_, Some(expect))) => {
                    *expect = if *expect == Expect::Key { Expect::Value } else { Expect::Key };
                }
                Some((_, None)) => {}
            }
        }
    }

    fn peek(&self) -> Result<u8, ParseError> {
        self.input.get(self.at).copied().ok_or_else(|| error("unexpected end", self.at))
    }

    fn push(&mut self, start: usize, end: usize) -> Result<(), ParseError> {
        if self.tokens.len() >= self.limits.tokens {
            return Err(error("too many values", start));
        }
        // All fit: the input is shorter than 4 GiB.
        self.tokens.push(Token { start: start as u32, end: end as u32, count: 1 });
        Ok(())
    }

    fn open_container(&mut self, start: usize, expect: Option<Expect>) -> Result<(), ParseError> {
        if self.open.len() >= self.limits.depth {
            return Err(error("nested too deep", start));
        }
        self.open.push((self.tokens.len(), expect));
        self.push(start, start)?;
        self.at = start + 1;
        Ok(())
    }

    fn close(&mut self, start: usize) -> Result<(), ParseError> {
        let (index, expect) = self.open.pop().ok_or_else(|| error("unexpected 'e'", start))?;
        if expect == Some(Expect::Value) {
            return Err(error("a dictionary key without a value", start));
        }
        self.at = start + 1;
        let count = self.tokens.len() - index;
        if let Some(token) = self.tokens.get_mut(index) {
            token.end = self.at as u32;
            token.count = count as u32;
        }
        Ok(())
    }

    fn string(&mut self, start: usize) -> Result<(), ParseError> {
        let mut len = 0usize;
        loop {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'0'..=b'9' => {
                    len = len
                        .checked_mul(10)
                        .and_then(|n| n.checked_add(usize::from(byte - b'0')))
                        .filter(|&n| n <= self.input.len())
                        .ok_or_else(|| error("a string longer than the input", start))?;
                }
                b':' => break,
                _ => return Err(error("expected a digit or ':'", self.at - 1)),
            }
        }
        let end = self.at.checked_add(len).filter(|&end| end <= self.input.len());
        let end = end.ok_or_else(|| error("a string longer than the input", start))?;
        self.at = end;
        self.push(start, end)
    }

    /// All digits, however many; else whatever stands before an `e` that is near.
    fn integer(&mut self, start: usize) -> Result<(), ParseError> {
        let text = self.input.get(start + 1..).unwrap_or_default();
        let digits = text.strip_prefix(b"-").unwrap_or(text);
        let digits = digits.iter().take_while(|b| b.is_ascii_digit()).count() + (text.len() - digits.len());
        let near = text.iter().take(MAX_UNREADABLE);
        let len = match text.get(digits) {
            Some(b'e') => digits,
            Some(_) => near.take_while(|&&b| b != b'e').count(),
            None => text.len(),
        };
        match text.get(len) {
            Some(b'e') => {}
            Some(_) => return Err(error("not an integer", start)),
            None => return Err(error("an integer without end", start)),
        }
        self.at = start + 1 + len + 1;
        self.push(start, self.at)
    }
}

/// One value of a [`Document`].
#[derive(Clone, Copy)]
pub struct Value<'d> {
    input: &'d [u8],
    /// This value's token, then those of all it holds (and perhaps more).
    tokens: &'d [Token],
}

impl<'d> Value<'d> {
    fn token(&self) -> Token {
        self.tokens.first().copied().unwrap_or(Token { start: 0, end: 0, count: 0 })
    }

    fn bytes(&self, start: u32, end: u32) -> &'d [u8] {
        self.input.get(start as usize..end as usize).unwrap_or_default()
    }

    fn kind(&self) -> u8 {
        self.input.get(self.token().start as usize).copied().unwrap_or(0)
    }

    /// The bytes the value is encoded in, exactly as they stand in the input.
    pub fn raw(&self) -> &'d [u8] {
        let token = self.token();
        self.bytes(token.start, token.end)
    }

    /// Where [`Self::raw`] begins in the input.
    pub fn offset(&self) -> usize {
        self.token().start as usize
    }

    pub fn is_dict(&self) -> bool {
        self.kind() == b'd'
    }

    pub fn is_list(&self) -> bool {
        self.kind() == b'l'
    }

    /// An integer, however large, and whether it can be read or not.
    pub fn is_int(&self) -> bool {
        self.kind() == b'i'
    }

    /// The number of an integer that has 64 bits.
    pub fn as_int(&self) -> Option<i64> {
        if !self.is_int() {
            return None;
        }
        let token = self.token();
        let text = std::str::from_utf8(self.bytes(token.start + 1, token.end.checked_sub(1)?)).ok()?;
        // Rust would take a plus.
        text.parse().ok().filter(|_| !text.starts_with('+'))
    }

    pub fn as_bytes(&self) -> Option<&'d [u8]> {
        if !self.kind().is_ascii_digit() {
            return None;
        }
        // Behind its length, which ends with the first colon.
        let raw = self.raw();
        raw.get(raw.iter().position(|&b| b == b':')? + 1..)
    }

    /// A string that is UTF-8.
    pub fn as_str(&self) -> Option<&'d str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// A list's items; none for any other kind.
    pub fn items(&self) -> Items<'d> {
        self.children(self.is_list())
    }

    /// A dictionary's entries in the input's order; none for any other kind.
    pub fn entries(&self) -> impl Iterator<Item = (&'d [u8], Value<'d>)> + use<'d> {
        let mut children = self.children(self.is_dict());
        std::iter::from_fn(move || Some((children.next()?.as_bytes()?, children.next()?)))
    }

    fn children(&self, wanted: bool) -> Items<'d> {
        let inside = self.tokens.get(1..self.token().count as usize).filter(|_| wanted);
        Items { input: self.input, tokens: inside.unwrap_or_default() }
    }

    /// The first entry of a dictionary under this key.
    pub fn get(&self, key: &[u8]) -> Option<Value<'d>> {
        self.entries().find(|(k, _)| *k == key).map(|(_, v)| v)
    }

    pub fn get_int(&self, key: &[u8]) -> Option<i64> {
        self.get(key)?.as_int()
    }

    pub fn get_bytes(&self, key: &[u8]) -> Option<&'d [u8]> {
        self.get(key)?.as_bytes()
    }

    pub fn get_str(&self, key: &[u8]) -> Option<&'d str> {
        self.get(key)?.as_str()
    }
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Value({})", self.raw().escape_ascii())
    }
}

/// The items of a list.
#[derive(Clone)]
pub struct Items<'d> {
    input: &'d [u8],
    tokens: &'d [Token],
}

impl<'d> Iterator for Items<'d> {
    type Item = Value<'d>;

    fn next(&mut self) -> Option<Value<'d>> {
        let count = self.tokens.first()?.count as usize;
        let value = Value { input: self.input, tokens: self.tokens };
        self.tokens = self.tokens.get(count..).unwrap_or_default();
        Some(value)
    }
}

/// A value to encode. Dictionaries are sorted by their making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Int(i64),
    Bytes(Vec<u8>),
    List(Vec<Entry>),
    Dict(BTreeMap<Vec<u8>, Entry>),
    /// A value that is encoded already, taken over byte for byte. The caller vouches for it.
    Raw(Vec<u8>),
}

impl Entry {
    /// A dictionary without entries, to [`Self::set`] some.
    pub fn dict() -> Self {
        Self::Dict(BTreeMap::new())
    }

    /// Sets a dictionary's entry; on any other kind it does nothing.
    pub fn set(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Entry>) -> &mut Self {
        if let Self::Dict(entries) = self {
            entries.insert(key.into(), value.into());
        }
        self
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_into(&mut out);
        out
    }

    pub fn encode_into(&self, out: &mut Vec<u8>) {
        match self {
            Self::Int(n) => {
                out.push(b'i');
                out.extend_from_slice(n.to_string().as_bytes());
                out.push(b'e');
            }
            Self::Bytes(bytes) => encode_bytes(bytes, out),
            Self::List(items) => {
                out.push(b'l');
                items.iter().for_each(|item| item.encode_into(out));
                out.push(b'e');
            }
            Self::Dict(entries) => {
                out.push(b'd');
                for (key, value) in entries {
                    encode_bytes(key, out);
                    value.encode_into(out);
                }
                out.push(b'e');
            }
            Self::Raw(bytes) => out.extend_from_slice(bytes),
        }
    }
}

fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(bytes.len().to_string().as_bytes());
    out.push(b':');
    out.extend_from_slice(bytes);
}

/// A copy that can be changed and encoded again. Of equal keys the first counts, as for [`Value::get`].
impl From<Value<'_>> for Entry {
    fn from(value: Value<'_>) -> Self {
        if let Some(n) = value.as_int() {
            Self::Int(n)
        } else if let Some(bytes) = value.as_bytes() {
            Self::Bytes(bytes.to_vec())
        } else if value.is_int() {
            // Beyond 64 bits, or not to be read.
            Self::Raw(value.raw().to_vec())
        } else if value.is_list() {
            Self::List(value.items().map(Self::from).collect())
        } else {
            let mut entries = BTreeMap::new();
            for (key, value) in value.entries() {
                entries.entry(key.to_vec()).or_insert_with(|| Self::from(value));
            }
            Self::Dict(entries)
        }
    }
}

impl From<i64> for Entry {
    fn from(n: i64) -> Self {
        Self::Int(n)
    }
}

impl From<u32> for Entry {
    fn from(n: u32) -> Self {
        Self::Int(n.into())
    }
}

impl From<bool> for Entry {
    fn from(b: bool) -> Self {
        Self::Int(b.into())
    }
}

impl From<&str> for Entry {
    fn from(s: &str) -> Self {
        Self::Bytes(s.as_bytes().to_vec())
    }
}

impl From<String> for Entry {
    fn from(s: String) -> Self {
        Self::Bytes(s.into_bytes())
    }
}

impl From<&[u8]> for Entry {
    fn from(b: &[u8]) -> Self {
        Self::Bytes(b.to_vec())
    }
}

impl From<Vec<u8>> for Entry {
    fn from(b: Vec<u8>) -> Self {
        Self::Bytes(b)
    }
}

impl From<Vec<Entry>> for Entry {
    fn from(items: Vec<Entry>) -> Self {
        Self::List(items)
    }
}
