//! Command lines: `--name value` pairs and flags, nothing else.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::str::FromStr;

/// The options of a command line. Every program names what it takes, so that a misspelt option is an error.
pub struct Args {
    values: BTreeMap<String, Vec<String>>,
}

impl Args {
    /// Reads the process's arguments; `valued` options take a value and may repeat, `flags` take none.
    pub fn parse(valued: &[&str], flags: &[&str]) -> Result<Self, String> {
        Self::parse_from(std::env::args().skip(1), valued, flags)
    }

    pub fn parse_from(args: impl IntoIterator<Item = String>, valued: &[&str], flags: &[&str]) -> Result<Self, String> {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let name = arg.strip_prefix("--").unwrap_or("");
            if flags.contains(&name) {
                values.entry(name.to_owned()).or_default();
            } else if valued.contains(&name) {
                let value = args.next().ok_or_else(|| format!("--{name} needs a value"))?;
                values.entry(name.to_owned()).or_default().push(value);
            } else {
                let known: Vec<String> = valued.iter().chain(flags).map(|name| format!("--{name}")).collect();
                return Err(format!("unknown argument {arg:?}; known: {}", known.join(" ")));
            }
        }
        Ok(Self { values })
    }

    pub fn flag(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.last().map(String::as_str)
    }

    pub fn all(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }

    pub fn required(&self, name: &str) -> Result<&str, String> {
        self.text(name).ok_or_else(|| format!("--{name} is required"))
    }

    pub fn number<T: FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        match self.text(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| format!("--{name} {text}: not a number in range")),
        }
    }
}

/// How a program ends: with what it found out, a line or nothing, or with what went wrong and its usage.
pub fn end(name: &str, usage: &str, outcome: Result<String, String>) -> ExitCode {
    match outcome {
        Ok(line) => {
            if !line.is_empty() {
                println!("{line}");
            }
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("{name}: {message}\n{usage}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse_from(line.split_whitespace().map(str::to_owned), &["size", "peer"], &["quiet"])
    }

    #[test]
    fn values_repeat_and_flags_stand_alone() {
        let args = parse("--peer a --quiet --peer b --size 12").unwrap();
        assert_eq!(args.all("peer"), ["a", "b"]);
        assert!(args.flag("quiet"));
        assert_eq!(args.number("size", 0u64), Ok(12));
        assert_eq!(args.number("peer", 3u64), Err("--peer b: not a number in range".to_owned()));
    }

    #[test]
    fn unknown_and_incomplete_options_are_refused() {
        assert!(parse("--sise 1").is_err_and(|message| message.contains("--size")));
        assert!(parse("stray").is_err());
        assert!(parse("--size").is_err());
        assert!(parse("").unwrap().required("size").is_err());
    }
}
