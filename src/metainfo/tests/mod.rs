//! Tests of the larger files of `metainfo`.

mod bencode;
mod files;
mod magnet;
mod torrent_file;
