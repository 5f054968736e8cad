//! The settings that do something: one row each, from which the typed fields, the defaults, the checks and the
//! descriptions all follow.
//!
//! Names and meanings are libtorrent's where it has the setting. Where a default differs, the row says so: a library that
//! plays while it downloads, out of bounded memory, wants other defaults than one that keeps files for years.

use std::collections::BTreeMap;

use super::check::Check;
use super::descriptor::Descriptor;
use super::value::{Field, Stored, Value};

macro_rules! field_type {
    (Int) => {
        i64
    };
    (Bool) => {
        bool
    };
    (Str) => {
        String
    };
}

macro_rules! is_live {
    (live) => {
        true
    };
    (start) => {
        false
    };
}

macro_rules! settings {
    ($($name:ident: $kind:ident($default:expr), $check:expr, $when:ident, $doc:expr;)+) => {
        /// The settings of one session.
        ///
        /// Each field is one setting that does something; `ignored` holds what was set of the rest, so that it reads back.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Settings {
            $(#[doc = $doc] pub $name: field_type!($kind),)+
            /// Settings of libtorrent that are accepted and do nothing here, where they were set.
            pub ignored: BTreeMap<&'static str, Stored>,
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($name: Field::of_default(Value::$kind($default)),)+ ignored: BTreeMap::new() }
            }
        }

        /// One row a setting that does something, in the order of the table.
        pub(super) const EFFECTIVE: &[Descriptor] = &[$(Descriptor {
            name: stringify!($name),
            default: Value::$kind($default),
            check: $check,
            doc: $doc,
            live: is_live!($when),
            effective: true,
        },)+];

        impl Settings {
            pub(super) fn field(&self, name: &str) -> Option<Value<'_>> {
                match name {
                    $(stringify!($name) => Some(self.$name.value()),)+
                    _ => None,
                }
            }

            /// The value is of the row's kind and has passed its check.
            pub(super) fn store_field(&mut self, name: &str, value: Value<'_>) {
                match name {
                    $(stringify!($name) => self.$name.store(value),)+
                    _ => {}
                }
            }
        }
    };
}

const SECONDS_A_DAY: i64 = 86_400;
/// Rates and sizes fit into the 32-bit fields of the engine.
const MAX_U32: i64 = u32::MAX as i64;

settings! {
    // who and where we are
    listen_interfaces: Str("0.0.0.0:6881,[::]:6881"), Check::ListenInterfaces, live,
        "Comma-separated address:port, [v6]:port, [v6%device]:port or device:port to listen on, by TCP and UDP; port 0: any; empty: nowhere. A device: each of its addresses. `l` behind the port: for the local network, told to nobody. (`s`, SSL, is refused.)";
    outgoing_interfaces: Str(""), Check::OutgoingInterfaces, live,
        "Comma-separated addresses and devices that all goes out by, in turn; empty: any. While none of them is there, nothing does, and no name is looked up. To this host itself all may go. (libtorrent: TCP alone.)";
    enable_ip_notifier: Bool(true), Check::Any, live,
        "Follow the addresses of this host: sockets are opened and closed as they come and go, and what failed is tried anew when there is a new way out.";
    user_agent: Str(concat!("libelementum_torrent/", env!("CARGO_PKG_VERSION"))), Check::Text(128), live,
        "User-Agent of HTTP trackers, and the client version told to peers where handshake_client_version is empty.";
    peer_fingerprint: Str("-EL0100-"), Check::Fingerprint, live,
        "First bytes of the peer ids of torrents that are added later, at most 20; the rest is random. Each torrent has its own.";
    handshake_client_version: Str(""), Check::Text(128), live,
        "Client name and version told to peers in the extension handshake; empty: user_agent.";
    anonymous_mode: Bool(false), Check::Any, live,
        "Tell nobody which client this is, nor announce_ip. New torrents have peer ids without fingerprint, peers hear no client version, trackers a user agent that many have; private trackers get fingerprint and user agent all the same. Hides no address.";
    announce_ip: Str(""), Check::IpOrEmpty, live,
        "Our own address, told to trackers; empty: they take the one they see.";
    announce_port: Int(0), Check::Range(0, 65_535), live,
        "The port told to trackers, the DHT and new peers; 0: the one we listen on. Where none is, trackers are told 1, since many refuse 0. (libtorrent: not to peers.)";

    // connections
    enable_incoming_tcp: Bool(true), Check::Any, live,
        "Accept TCP connections; off: no TCP port is listened on, and connections that are there stay.";
    enable_outgoing_tcp: Bool(true), Check::Any, live,
        "Dial TCP connections.";
    enable_incoming_utp: Bool(true), Check::Any, live,
        "Accept uTP connections (BEP 29), on the UDP port of the same number as TCP's. With enable_outgoing_utp off as well that socket is closed, and its connections end.";
    enable_outgoing_utp: Bool(true), Check::Any, live,
        "Dial uTP connections: to a peer that does not answer by TCP within 250 ms, or first where a peer was met by uTP.";
    connections_limit: Int(200), Check::Range(2, 65_535), live,
        "Most connections of the session, dials too. An eighth is kept for dials; who was not greeted yet is not counted. Where all are taken and a read waits, peers of no use, whichever torrent has them, give way. If it is lowered, those of least use go.";
    max_connections_per_torrent: Int(100), Check::Range(1, 65_535), live,
        "Most connections of one torrent that has no limit of its own. If it is lowered, peers of least use go. (Not libtorrent's: there it is a torrent's alone.)";
    connection_speed: Int(200), Check::Range(1, 10_000), live,
        "Most dials a second. (libtorrent: 30.)";
    torrent_connect_boost: Int(30), Check::Range(0, 1000), live,
        "Dials made at once for a new torrent, beyond connection_speed.";
    out_enc_policy: Int(1), Check::Range(0, 2), live,
        "Encryption of connections that we make (MSE). 0: forced; 1: enabled, peers are dialled in plain and encrypted, and what works is kept to; 2: none.";
    in_enc_policy: Int(1), Check::Range(0, 2), live,
        "Encryption of connections that come in. 0: forced, others are closed; 1: enabled; 2: none, encrypted ones are closed.";
    allowed_enc_level: Int(3), Check::Range(1, 3), live,
        "How an encrypted connection may go on after its handshake. 1: in plain text; 2: RC4; 3: either.";
    prefer_rc4: Bool(false), Check::Any, live,
        "Where a peer that comes in leaves the choice, take RC4, not plain text.";
    peer_connect_timeout: Int(15), Check::Range(1, 3600), live,
        "Seconds until a dial is given up.";
    handshake_timeout: Int(10), Check::Range(1, 3600), live,
        "Seconds a peer may take for its handshake.";
    peer_timeout: Int(120), Check::Range(5, SECONDS_A_DAY), live,
        "Seconds without a byte after which a peer is dropped.";
    inactivity_timeout: Int(600), Check::Range(5, SECONDS_A_DAY), live,
        "Seconds without mutual interest after which a peer may be dropped, where connections are short.";
    peer_turnover: Int(4), Check::Range(0, 100), live,
        "Percent of a torrent's peers, the worst, that make way for others at each peer_turnover_interval; none that brings 32 KiB a second. 0: no one.";
    peer_turnover_interval: Int(300), Check::Range(1, SECONDS_A_DAY), live,
        "Seconds between such turnovers.";
    peer_turnover_cutoff: Int(90), Check::Range(0, 100), live,
        "Percent of a torrent's connections that must be taken for a turnover.";
    request_timeout: Int(60), Check::Range(1, 3600), live,
        "Seconds an unchoked peer may leave requests unanswered before it counts as snubbed.";
    max_peerlist_size: Int(3000), Check::Range(1, 1_000_000), live,
        "Most known peers of a torrent.";
    max_failcount: Int(3), Check::Range(1, 100), live,
        "Failed dials in a row after which a peer rests for ten minutes each time, unless it is named again, a read waits or the \
         program named it.";
    min_reconnect_time: Int(60), Check::Range(0, SECONDS_A_DAY), live,
        "Seconds until a peer is dialled again, times the failures so far; 0 is as 1. One that the program named is dialled again \
         after 1, 2, 4 s and so on, up to this.";
    close_redundant_connections: Bool(false), Check::Any, live,
        "Drop a peer when neither side has what the other wants. (libtorrent: on. With eviction it will be wanted again.)";
    allow_multiple_connections_per_ip: Bool(false), Check::Any, live,
        "Allow more than one peer of a torrent at one address.";
    no_connect_privileged_ports: Bool(false), Check::Any, live,
        "Never dial ports below 1024.";

    // sockets
    max_retry_port_bind: Int(10), Check::Range(0, 1000), live,
        "Where a port of listen_interfaces is taken, so many of the next ones are tried.";
    listen_queue_size: Int(128), Check::Range(1, 65_535), live,
        "Connections that may wait to be accepted, of sockets that are opened later. (libtorrent: 5.)";
    outgoing_port: Int(0), Check::Range(0, 65_535), live,
        "First local port of TCP connections that we make to peers; 0: any. Each goes to one address once. Not through a proxy.";
    num_outgoing_ports: Int(0), Check::Range(0, 65_535), live,
        "So many ports more, taken in turn.";
    peer_dscp: Int(4), Check::Range(0, 63), live,
        "DSCP (RFC 2474) of what is sent to peers by TCP, not through a proxy, of sockets that are opened later.";
    recv_socket_buffer_size: Int(0), Check::Range(0, 1 << 30), live,
        "Bytes of the system's receive buffer of a peer's TCP socket that is opened later; 0: as the system has it, which mostly grows with need.";
    send_socket_buffer_size: Int(0), Check::Range(0, 1 << 30), live,
        "The same of its send buffer.";

    // the way out
    proxy_type: Int(0), Check::ProxyType, live,
        "0: no proxy; 1: SOCKS4, with names as in 4a; 2: SOCKS5; 3: SOCKS5 with user name and password; 4: HTTP (CONNECT); 5: HTTP with both. By SOCKS5 goes UDP, too. What it is to carry and cannot (UDP otherwise, with peers the DHT) does not go out.";
    proxy_hostname: Str(""), Check::Text(253), live,
        "Name or address of the proxy. An address is not looked up in the DNS. Without one the proxy does not work: the alert socks5 tells so at once.";
    proxy_port: Int(0), Check::Range(0, 65_535), live,
        "Its port. With 0 the proxy does not work: the alert socks5 tells so at once.";
    proxy_username: Str(""), Check::Text(255), live,
        "User name for proxy_type 1, 3 and 5. proxy_type 3 does not work without one, and without a password: the alert socks5 tells so at once.";
    proxy_password: Str(""), Check::Text(255), live,
        "Password for proxy_type 3 and 5. It is part of the saved state, as it is.";
    proxy_peer_connections: Bool(true), Check::Any, live,
        "Dial peers and ask DHT nodes through the proxy, and listen for none. uTP and the DHT go by SOCKS5 alone.";
    proxy_tracker_connections: Bool(true), Check::Any, live,
        "Ask trackers through the proxy; those of UDP by SOCKS5 alone.";
    proxy_hostnames: Bool(true), Check::Any, live,
        "Let the proxy look names up, of what goes through it. Off: they are looked up here.";
    force_proxy: Bool(false), Check::Any, live,
        "Nothing goes out but through the proxy, names included; without a proxy nothing at all. (libtorrent before 2.0; since then it is always so.)";

    // requests
    request_queue_time: Int(1), Check::Range(1, 60), live,
        "Seconds of a peer's rate to keep asked for while nobody plays; players only keep the way full. (libtorrent: 3.)";
    max_out_request_queue: Int(500), Check::Range(2, 100_000), live,
        "Most unanswered requests to one peer.";
    max_allowed_in_request_queue: Int(2000), Check::Range(1, 100_000), live,
        "Most unanswered requests of one peer; further ones are rejected.";
    strict_end_game_mode: Bool(true), Check::Any, live,
        "Ask a second peer for a block only when nothing else is left to ask for.";
    allowed_fast_set_size: Int(5), Check::Range(0, 100), live,
        "Pieces a choked peer may ask for (BEP 6).";

    // choking and rates
    unchoke_slots_limit: Int(8), Check::Range(-1, 65_535), live,
        "Peers we upload to at once; -1: no limit.";
    unchoke_interval: Int(15), Check::Range(1, 3600), live,
        "Seconds between choices of whom to upload to.";
    optimistic_unchoke_interval: Int(30), Check::Range(1, 3600), live,
        "Seconds between tries of a new peer.";
    upload_rate_limit: Int(0), Check::Range(0, MAX_U32), live,
        "Bytes a second sent to peers, whole session; 0: no limit.";
    download_rate_limit: Int(0), Check::Range(0, MAX_U32), live,
        "Bytes a second taken from peers, whole session; 0: no limit.";
    send_buffer_watermark: Int(512_000), Check::Range(16_384, 1 << 30), live,
        "Bytes waiting to be sent to a peer, above which no further blocks are queued for it. All uploads \
         together hold an eighth of `memory_limit` at most.";

    // trackers
    announce_to_all_trackers: Bool(true), Check::Any, live,
        "Announce to every tracker of a tier at once. (libtorrent: off. It is the quickest way to peers.)";
    announce_to_all_tiers: Bool(true), Check::Any, live,
        "Announce to every tier at once. (libtorrent: off.)";
    min_announce_interval: Int(300), Check::Range(1, SECONDS_A_DAY), live,
        "Least seconds between two announces. With nobody to ask, a read announces sooner, but keeps to the tracker's min interval for a minute (UDP: to its interval) and to its retry time for an hour; who waits for metadata keeps to all of it over HTTP.";
    num_want: Int(200), Check::Range(0, 65_535), live,
        "Peers asked for in an announce.";
    tracker_completion_timeout: Int(30), Check::Range(1, 3600), live,
        "Seconds until an announce is given up.";
    tracker_receive_timeout: Int(10), Check::Range(1, 3600), live,
        "Seconds without a byte of the reply until an announce over HTTP is given up.";
    stop_tracker_timeout: Int(5), Check::Range(0, 600), live,
        "Seconds that closing a session waits for the trackers' answers; 0: none are told.";
    tracker_backoff: Int(250), Check::Range(0, 100_000), live,
        "Percent by which the wait after a failed announce grows.";
    max_http_recv_buffer_size: Int(4 * 1024 * 1024), Check::Range(16_384, 1 << 30), live,
        "Bytes, above which an HTTP reply is refused.";
    max_concurrent_http_announces: Int(50), Check::Range(1, 10_000), live,
        "Announces under way at once by HTTP; further ones wait for their turn: where a read waits first, then where metadata does, and first and last announces. An eighth is for waiting reads alone. UDP has 1000 places of its own.";
    validate_https_trackers: Bool(true), Check::Any, live,
        "Check the certificates of HTTPS trackers.";
    ssrf_mitigation: Bool(true), Check::Any, live,
        "Keep strangers' URLs from this host's services: there only trackers' paths that begin with /announce are fetched, and redirects lead no nearer.";

    // DHT and peer exchange
    enable_dht: Bool(true), Check::Any, live,
        "Take part in the DHT (BEP 5, 32, 33, 42, 43), by the UDP sockets of listen_interfaces, which uTP and UDP trackers use, too.";
    dht_bootstrap_nodes: Str(
        "dht.libtorrent.org:25401,router.bittorrent.com:6881,router.utorrent.com:6881,dht.transmissionbt.com:6881"
    ), Check::HostPorts, live,
        "Comma-separated host:port pairs to enter the DHT by. (libtorrent: the first of ours alone.)";
    dht_announce_interval: Int(900), Check::Range(10, SECONDS_A_DAY), live,
        "Seconds from one search of a torrent in the DHT, which announces it, to the next. After the first one it is 5, 15 and 40 seconds.";
    dht_search_branching: Int(5), Check::Range(1, 100), live,
        "Nodes that a DHT lookup asks at once.";
    dht_upload_rate_limit: Int(8000), Check::Range(0, 1 << 30), live,
        "Bytes a second that the DHT sends: beyond it no queries are answered. Our own count, and are sent all the same.";
    dht_block_ratelimit: Int(5), Check::Range(0, 1 << 30), live,
        "Queries a second that the DHT answers of one address, over ten seconds; who asks more is not answered for five minutes. Not of this host.";
    dht_read_only: Bool(false), Check::Any, live,
        "Answer no DHT queries, and ask to be in nobody's table (BEP 43). Through a proxy, and where nobody listens, it is so in any case.";
    dht_enforce_node_id: Bool(false), Check::Any, live,
        "Have nothing to do with DHT nodes whose id is not one of their address (BEP 42).";
    dht_restrict_routing_ips: Bool(true), Check::Any, live,
        "Keep one DHT node an address (IPv6: a /64), and in each bucket one a network (IPv4: a /24). Not of this host.";
    dht_restrict_search_ips: Bool(true), Check::Any, live,
        "Ask one DHT node an address (IPv6: a /64) in a lookup. Not of this host.";
    dht_max_torrents: Int(2000), Check::Range(0, 100_000), live,
        "Torrents that the DHT keeps peers of, for others; of all together 20,000 peers.";
    dht_max_peers: Int(500), Check::Range(0, 10_000), live,
        "Peers of one torrent that the DHT keeps, for others.";
    enable_pex: Bool(true), Check::Any, live,
        "Exchange peers with peers (ut_pex), except for private torrents. (Not libtorrent's: there it is a plugin.)";
    max_pex_peers: Int(50), Check::Range(0, 1000), live,
        "Most peers taken from one peer's exchange, and sent in one.";

    // torrents
    max_metadata_size: Int(3 * 1024 * 1024 * 10), Check::Range(16_384, 1 << 30), live,
        "Bytes of the largest metadata taken from peers. While it comes, a magnet may hold three times as many (peers may disagree), beside memory_limit.";
    max_piece_count: Int(0x20_0000), Check::Range(1, 0x200_0000), live,
        "Most pieces of a torrent whose metadata comes from peers.";

    // memory, threads, storage: ours
    memory_limit: Int(64 * 1024 * 1024), Check::Range(256 * 1024, 1 << 46), live,
        "Bytes of payload in memory, whole session: in flight, stored, being read, sent or written. Never exceeded. Counted in whole blocks of 16 KiB.";
    storage: Str("memory"), Check::OneOf(&["memory", "disk"]), live,
        "Where the pieces of torrents live that do not say it themselves: memory or disk.";
    reader_lookbehind_percent: Int(15), Check::Range(0, 90), live,
        "Share of a reader's memory kept behind its position.";
    send_dont_have: Bool(true), Check::Any, live,
        "Tell peers that know lt_donthave of pieces in memory, and of their eviction; off: nobody hears of such pieces.";
    worker_threads: Int(0), Check::Range(0, 64), start,
        "Threads for sockets and hashing; 0: as many as there are cores, at most 4.";
    max_blocking_threads: Int(8), Check::Range(1, 512), start,
        "Most threads for disk and name lookups.";

    // alerts
    alert_mask: Int(crate::alert::category::DEFAULT as i64), Check::Range(-1, MAX_U32), live,
        "Categories of alerts to post, as bits; -1: all. Those of torrents that come and go, of a failed listen and of lost alerts come in any case. (libtorrent: errors only.)";
    alert_queue_size: Int(2000), Check::Range(1, 10_000_000), live,
        "Alerts that may wait; urgent ones up to four times as many.";
}
