//! The categories of alerts: libtorrent's bits, and two of ours.

pub const ERROR: u64 = 1;
pub const PEER: u64 = 1 << 1;
pub const PORT_MAPPING: u64 = 1 << 2;
pub const STORAGE: u64 = 1 << 3;
pub const TRACKER: u64 = 1 << 4;
pub const CONNECT: u64 = 1 << 5;
pub const STATUS: u64 = 1 << 6;
pub const IP_BLOCK: u64 = 1 << 8;
pub const PERFORMANCE_WARNING: u64 = 1 << 9;
pub const DHT: u64 = 1 << 10;
pub const FILE_PROGRESS: u64 = 1 << 21;
pub const PIECE_PROGRESS: u64 = 1 << 22;
/// Ours: what becomes of readers.
pub const READER: u64 = 1 << 28;
/// Ours: what the memory limit does.
pub const MEMORY: u64 = 1 << 29;

/// What is posted unless the `alert_mask` setting says otherwise.
pub const DEFAULT: u64 = ERROR | STORAGE | TRACKER | STATUS | PERFORMANCE_WARNING | READER;
