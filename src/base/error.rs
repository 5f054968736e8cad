//! What went wrong, in one type: a status of the C ABI, the operation that failed, and a line for people.

use std::fmt;

/// The outcome of a call, numbered as the C ABI numbers it. Numbers are gapped and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Status {
    Ok = 0,
    InvalidArgument = 10,
    NullPointer = 11,
    Closed = 20,
    InvalidStorageIndex = 21,
    NotFound = 22,
    DuplicateTorrent = 23,
    NoMetadata = 24,
    BufferTooSmall = 30,
    WouldBlock = 31,
    TimedOut = 32,
    Interrupted = 33,
    EndOfFile = 34,
    Busy = 35,
    Parse = 40,
    UnknownSetting = 41,
    Io = 50,
    Network = 51,
    OutOfMemory = 52,
    Unsupported = 60,
    Panic = 90,
}

/// What was being done when an error came up: libtorrent's `operation_t`, same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(i32)]
pub enum Operation {
    #[default]
    Unknown = 0,
    Bittorrent = 1,
    FileWrite = 7,
    FileRead = 8,
    File = 9,
    SockWrite = 10,
    SockRead = 11,
    SockOpen = 12,
    SockBind = 13,
    Encryption = 15,
    Connect = 16,
    SslHandshake = 17,
    SockListen = 19,
    SockAccept = 21,
    ParseAddress = 22,
    FileStat = 24,
    FileFallocate = 26,
    FileRemove = 28,
    FileRename = 29,
    FileOpen = 30,
    Mkdir = 31,
    CheckResume = 32,
    Exception = 33,
    HostnameLookup = 38,
    Handshake = 40,
    SockOption = 41,
    FileTruncate = 46,
}

/// An error as every layer above the wire hands it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub status: Status,
    pub operation: Operation,
    /// The operating system's error number, 0 where there is none.
    pub os_error: i32,
    pub message: String,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, operation: Operation::Unknown, os_error: 0, message: message.into() }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Status::InvalidArgument, message)
    }

    pub fn no_metadata() -> Self {
        Self::new(Status::NoMetadata, "the metadata is not here yet")
    }

    pub fn closed() -> Self {
        Self::new(Status::Closed, "the session is closed")
    }

    pub fn io(operation: Operation, error: &std::io::Error, what: impl fmt::Display) -> Self {
        Self {
            status: Status::Io,
            operation,
            os_error: error.raw_os_error().unwrap_or(0),
            message: format!("{what}: {error}"),
        }
    }

    /// As `io`, of a socket or a name.
    pub fn network(operation: Operation, error: &std::io::Error, what: impl fmt::Display) -> Self {
        Self { status: Status::Network, ..Self::io(operation, error, what) }
    }

    pub fn with_operation(mut self, operation: Operation) -> Self {
        self.operation = operation;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
