use std::time::Instant;

use super::*;
use crate::discovery::tracker::fake::{HttpTracker, REPLY, gzip, reply_with, request};
use crate::discovery::tracker::{TrackerClient, redact_url};

fn client() -> TrackerClient {
    TrackerClient::direct(&TrackerOptions::default())
}

/// One that keeps strangers' URLs out of nothing.
fn anywhere() -> TrackerClient {
    TrackerClient::direct(&TrackerOptions { ssrf_mitigation: false, ..TrackerOptions::default() })
}

fn quick() -> AnnounceLimits {
    AnnounceLimits {
        completion_timeout: Duration::from_secs(3),
        receive_timeout: Duration::from_millis(500),
        stop_timeout: Duration::from_millis(500),
        max_response: 100_000,
        udp_retry: Duration::from_millis(200),
    }
}

#[test]
fn the_query_is_byte_exact() {
    let mut request = request("http://t.example/announce");
    request.info_hash.0 = *b"\x00\x12 4V.x\x9a\xbc\xde\xf1#Eg-\x89_~%&";
    request.peer_id = *b"-ET0100-+/=?abc12345";
    assert_eq!(
        announce_url(&request),
        "http://t.example/announce?info_hash=%00%12%204V.x%9A%BC%DE%F1%23Eg-%89_~%25%26\
         &peer_id=-ET0100-%2B%2F%3D%3Fabc12345&port=6881&uploaded=1&downloaded=2&left=3&corrupt=4&key=0000BEEF\
         &event=started&numwant=200&compact=1&no_peer_id=1"
    );
    // and stays so in what is sent
    let sent = Url::parse(&announce_url(&request)).expect("a URL");
    assert!(announce_url(&request).ends_with(sent.query().expect("a query")));
    request.event = AnnounceEvent::None;
    request.num_want = -1;
    request.ip = Some("2001:db8::1".to_owned());
    request.tracker_id = Some(b"a b".to_vec());
    assert!(
        announce_url(&request).ends_with("&key=0000BEEF&compact=1&no_peer_id=1&ip=2001%3Adb8%3A%3A1&trackerid=a%20b")
    );
}

#[test]
fn queries_of_the_tracker_are_kept() {
    for (url, begin) in [
        ("http://t/a?passkey=x%2Fy", "http://t/a?passkey=x%2Fy&info_hash="),
        ("http://t/a?", "http://t/a?info_hash="),
        ("http://t/a?x=1&", "http://t/a?x=1&info_hash="),
        ("http://t/a#part", "http://t/a?info_hash="),
        ("http://t", "http://t?info_hash="),
    ] {
        let full = announce_url(&request(url));
        assert!(full.starts_with(begin), "{full}");
    }
}

#[tokio::test]
async fn announces_and_reads_the_reply() {
    let tracker = HttpTracker::start(|_| reply_with("200 OK", "", REPLY)).await;
    let reply = client().announce(&request(&tracker.url("/announce?k=v")), &quick()).await.expect("a reply");
    assert_eq!((reply.interval_s, reply.peers.len()), (1800, 1));
    let seen = tracker.requests();
    assert_eq!(seen.len(), 1);
    let head = &seen[0];
    assert!(head.starts_with("GET /announce?k=v&info_hash="), "{head}");
    let head = head.to_ascii_lowercase();
    assert!(head.contains("\r\nuser-agent: test/1\r\n") && head.contains("\r\naccept-encoding: gzip\r\n"), "{head}");
    assert!(!head.contains("referer"));
}

#[tokio::test]
async fn gzip_is_unpacked_within_the_bound() {
    let small = gzip(REPLY);
    let tracker = HttpTracker::start(move |_| reply_with("200 OK", "Content-Encoding: gzip\r\n", &small)).await;
    let reply = client().announce(&request(&tracker.url("/announce")), &quick()).await.expect("a reply");
    assert_eq!((reply.interval_s, reply.peers.len()), (1800, 1));
    let bomb = gzip(&[0; 1_000_000]);
    let tracker = HttpTracker::start(move |_| reply_with("200 OK", "Content-Encoding: gzip\r\n", &bomb)).await;
    let failure = client().announce(&request(&tracker.url("/announce")), &quick()).await.expect_err("a bomb");
    assert!(failure.message.contains("larger than 100000 bytes"), "{failure:?}");
}

/// Names of codings have no case, and gzip has an old one.
#[tokio::test]
async fn gzip_by_its_other_names() {
    for name in ["x-gzip", "GZIP", "X-GZip", " gzip ", "identity, gzip"] {
        let (head, body) = (format!("Content-Encoding: {name}\r\n"), gzip(REPLY));
        let tracker = HttpTracker::start(move |_| reply_with("200 OK", &head, &body)).await;
        let reply = client().announce(&request(&tracker.url("/announce")), &quick()).await.expect(name);
        assert_eq!((reply.interval_s, reply.peers.len()), (1800, 1), "{name}");
    }
    // Cut short behind the reply, or not gzip at all.
    let cut = gzip(&[REPLY, &[b' '; 5000]].concat());
    let cut = cut[..cut.len() - 6].to_vec();
    let tracker = HttpTracker::start(move |_| reply_with("200 OK", "Content-Encoding: gzip\r\n", &cut)).await;
    client().announce(&request(&tracker.url("/announce")), &quick()).await.expect("a reply");
    let tracker = HttpTracker::start(move |_| reply_with("200 OK", "Content-Encoding: gzip\r\n", REPLY)).await;
    let failure = client().announce(&request(&tracker.url("/announce")), &quick()).await.expect_err("not packed");
    assert!(failure.message.contains("unpacked"), "{failure:?}");
}

/// Many trackers are scripts of somebody's own. What they say is used, as far as it makes sense.
#[tokio::test]
async fn odd_heads_are_no_reason_to_refuse() {
    let many: String = (0..120).map(|i| format!("X-Field-{i}: {i}\r\n")).collect();
    let nearly_too_long = format!("X-Long: {}\r\n", "x".repeat(60_000));
    for head in [
        many.as_str(),
        "X Powered By: x\r\n",
        "Content-Type : text/plain\r\n",
        "X-Folded: a\r\n b\r\n",
        "no colon at all\r\n",
        ": no name\r\n",
        "X-Binary: \u{e9}\r\n",
        "Content-Length: 33\r\n",
        &nearly_too_long,
    ] {
        let own = head.to_owned();
        let tracker = HttpTracker::start(move |_| reply_with("200 OK", &own, REPLY)).await;
        let reply = client().announce(&request(&tracker.url("/announce")), &quick()).await;
        assert!(reply.is_ok(), "{}: {reply:?}", head.get(..30).unwrap_or(head));
    }
    let too_long = format!("X-Long: {}\r\n", "x".repeat(70_000));
    let tracker = HttpTracker::start(move |_| reply_with("200 OK", &too_long, REPLY)).await;
    client().announce(&request(&tracker.url("/announce")), &quick()).await.expect_err("no bound");
}

/// Promised more than there is, or with line ends of its own: all that was needed has come.
#[tokio::test]
async fn a_reply_that_ends_early_is_used() {
    for (head, behind) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"[..], &b""[..]),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n", b""),
        (b"HTTP/1.0 200 OK\n\n", b"\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n21\r\n", b"\r\n"),
    ] {
        let answer = [head, REPLY, behind].concat();
        assert_eq!(REPLY.len(), 0x21, "the length of the chunk");
        let tracker = HttpTracker::start(move |_| answer.clone()).await;
        let reply = client().announce(&request(&tracker.url("/announce")), &quick()).await.expect("a reply");
        assert_eq!((reply.interval_s, reply.peers.len()), (1800, 1));
    }
}

/// Where a body ends must be plain, and a field is text.
#[tokio::test]
async fn heads_that_contradict_themselves_are_refused() {
    for (version, fields, message) in [
        ("1.1", "Content-Length: x\r\n", "content-length"),
        ("1.1", "Content-Length:\r\n", "content-length"),
        ("1.1", "Content-Length: -1\r\n", "content-length"),
        ("1.1", "Content-Length: 0x21\r\n", "content-length"),
        ("1.1", "Content-Length: 18446744073709551616\r\n", "content-length"),
        ("1.1", "Content-Length: 18446744073709551615\r\n", "too large"),
        ("1.1", "Content-Length: 33\r\nContent-Length: 99\r\n", "content-length"),
        ("1.1", "Content-Length: 33, 99\r\n", "content-length"),
        ("1.1", "X-Nothing: a\0b\r\n", "header"),
        ("1.0", "Transfer-Encoding: chunked\r\n", "transfer-encoding"),
    ] {
        let head = format!("HTTP/{version} 200 OK\r\n{fields}\r\n");
        let answer = [head.as_bytes(), REPLY].concat();
        let tracker = HttpTracker::start(move |_| answer.clone()).await;
        let failure = client().announce(&request(&tracker.url("/announce")), &quick()).await.expect_err(fields);
        assert_eq!(failure.operation, Operation::SockRead, "{fields:?}: {failure:?}");
        assert!(failure.message.contains(message), "{fields:?}: {failure:?}");
    }
}

/// What is no body may be as long as it likes: it ends at a bound, not when the time is over.
#[tokio::test]
async fn what_is_endless_and_no_body_ends() {
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (begin, again, message) in [
        ("", "HTTP/1.1 100 Continue\r\n\r\n", "no answer among them"),
        ("", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", "no answer among them"),
        ("", "\r\n", "head is too large"),
        ("HTTP/1.1 200 OK\r\n", "X: y\r\n", "head is too large"),
        ("HTTP/1.1 200 OK\r\n", "x", "head is too large"),
        (CHUNKED, "0", "no end of the answer"),
        (&format!("{CHUNKED}1"), " ", "no end of the answer"),
        (&format!("{CHUNKED}1;"), "x", "extensions"),
        (CHUNKED, "1;abcdefghijklmnopqrstuvwxyz\r\nx\r\n", "extensions"),
        (CHUNKED, "000000000000000000000000000001\r\nx\r\n", "no end of the answer"),
        (&format!("{CHUNKED}0\r\n"), "X: y\r\n", "trailer"),
    ] {
        let tracker = HttpTracker::endless(begin.as_bytes(), again.as_bytes()).await;
        let patience = Duration::from_secs(60);
        let limits = AnnounceLimits { completion_timeout: patience, receive_timeout: patience, ..quick() };
        let failure = client().announce(&request(&tracker.url("/announce")), &limits).await.expect_err("no answer");
        assert!(failure.message.contains(message), "{begin:?} {again:?}: {failure:?}");
    }
    // A few are as they should be.
    let answer = [&b"HTTP/1.1 100 Continue\r\n\r\n".repeat(20)[..], &reply_with("200 OK", "", REPLY)].concat();
    let tracker = HttpTracker::start(move |_| answer.clone()).await;
    client().announce(&request(&tracker.url("/announce")), &quick()).await.expect("a reply");
}

/// A stranger's torrent makes this host ask its own services nothing but announces, however it writes the address, and
/// wherever a redirect leads.
#[tokio::test]
async fn services_of_this_host_are_left_alone() {
    let service = HttpTracker::start(|_| reply_with("200 OK", "", REPLY)).await;
    let of = |host: &str, path: &str| service.url(path).replace("127.0.0.1", host);
    for (host, path) in [
        ("127.0.0.1", "/admin?x=1"),
        ("2130706433", "/admin"),
        ("0x7f.1", "/admin"),
        ("0177.0.0.1", "/"),
        ("localhost", "/admin"),
        ("LOCALHOST", "/x/announce"),
        ("[::ffff:127.0.0.1]", "/admin"),
        ("0.0.0.0", "/admin"),
        ("127.0.0.1", "/announce/../admin"),
        ("127.0.0.1", "/announce/..%2fadmin"),
        ("127.0.0.1", "/announce?info_hash=x"),
    ] {
        let url = of(host, path);
        let failure = client().announce(&request(&url), &quick()).await.expect_err("refused");
        assert_eq!(failure.operation, Operation::Bittorrent, "{url}: {failure:?}");
        assert!(failure.message.contains("ssrf_mitigation"), "{url}: {failure:?}");
    }
    let location = format!("Location: {}\r\n", service.url("/admin?x=1"));
    let redirecting = HttpTracker::start(move |_| reply_with("302 Found", &location, b"")).await;
    let failure = client().announce(&request(&redirecting.url("/announce")), &quick()).await.expect_err("refused");
    assert!(failure.message.contains("ssrf_mitigation"), "{failure:?}");
    assert_eq!((redirecting.requests().len(), service.requests().len()), (1, 0));
    // A tracker of this host is asked, and anything for who wants it so.
    client().announce(&request(&of("localhost", "/announce?passkey=x")), &quick()).await.expect("a reply");
    anywhere().announce(&request(&of("127.0.0.1", "/admin?x=1")), &quick()).await.expect("a reply");
    anywhere().announce(&request(&redirecting.url("/announce")), &quick()).await.expect("a reply");
    assert_eq!(service.requests().len(), 3);
}

#[tokio::test]
async fn a_login_in_the_url_is_used() {
    let tracker = HttpTracker::start(|_| reply_with("200 OK", "", REPLY)).await;
    let url = tracker.url("/announce").replace("http://", "http://me:se%20cret@");
    client().announce(&request(&url), &quick()).await.expect("a reply");
    let head = tracker.requests().remove(0);
    assert!(head.to_ascii_lowercase().contains("\r\nauthorization: basic "), "{head}");
    assert!(head.contains(&data_encoding::BASE64.encode(b"me:se cret")) && !head.contains("se%20cret"), "{head}");
}

#[tokio::test]
async fn other_schemes_are_not_followed() {
    for to in ["ftp://127.0.0.1/announce", "file:///etc/passwd", "http://"] {
        let location = format!("Location: {to}\r\n");
        let tracker = HttpTracker::start(move |_| reply_with("302 Found", &location, b"")).await;
        client().announce(&request(&tracker.url("/announce")), &quick()).await.expect_err(to);
    }
}

#[tokio::test]
async fn refusals_come_with_their_reason() {
    for status in ["200 OK", "403 Forbidden"] {
        let tracker = HttpTracker::start(move |_| {
            reply_with(status, "", b"d14:failure reason23:key 0123456789abcdef no8:retry ini5ee")
        })
        .await;
        let url = tracker.url("/0123456789abcdef/announce");
        let failure = anywhere().announce(&request(&url), &quick()).await.expect_err("refused");
        assert_eq!(failure.failure_reason.as_deref(), Some("key *** no"), "no passkey in messages");
        assert_eq!(failure.message, "the tracker refuses: key *** no");
        assert!(failure.retry_in.is_some());
    }
}

#[tokio::test]
async fn who_is_busy_says_when_to_come_back() {
    let busy = &b"d14:failure reason4:busye"[..];
    let named = &b"d14:failure reason4:busy8:retry ini5ee"[..];
    for (status, after, body, want) in [
        ("503 Service Unavailable", "90", &b"busy"[..], Some(90)),
        ("429 Too Many Requests", " 90 ", busy, Some(90)),
        ("200 OK", "90", named, Some(300)),
        ("503 Service Unavailable", "Wed, 21 Oct 2015 07:28:00 GMT", busy, None),
        ("503 Service Unavailable", "-5", busy, None),
    ] {
        let header = format!("Retry-After: {after}\r\n");
        let tracker = HttpTracker::start(move |_| reply_with(status, &header, body)).await;
        let failure = anywhere().announce(&request(&tracker.url("/announce")), &quick()).await.expect_err("refused");
        let want = want.map(|s| RetryIn::After(Duration::from_secs(s)));
        assert_eq!(failure.retry_in, want, "{status} {after}");
    }
}

#[tokio::test]
async fn error_statuses_and_strange_bodies() {
    for (status, body, want) in [
        ("404 Not Found", &b"<html>nothing here</html>"[..], "HTTP 404 Not Found"),
        ("500 Internal Server Error", REPLY, "HTTP 500 Internal Server Error"),
        ("200 OK", b"", "is empty"),
        ("200 OK", b"<html>log in</html>", "cannot be read"),
        ("200 OK", b"d5:peers6:ab", "cannot be read"),
    ] {
        let tracker = HttpTracker::start(move |_| reply_with(status, "", body)).await;
        let failure = client().announce(&request(&tracker.url("/announce")), &quick()).await.expect_err("no reply");
        assert!(failure.message.contains(want), "{failure:?}");
        assert_eq!(failure.operation, Operation::Bittorrent);
    }
}

#[tokio::test]
async fn redirects_are_followed_a_few_times() {
    let target = HttpTracker::start(|_| reply_with("200 OK", "", REPLY)).await;
    let location = format!("Location: {}\r\n", target.url("/announce/elsewhere?a=b"));
    let first = HttpTracker::start(move |_| reply_with("302 Found", &location, b"")).await;
    client().announce(&request(&first.url("/announce?passkey=secretsecret")), &quick()).await.expect("a reply");
    let head = target.requests().remove(0).to_ascii_lowercase();
    assert!(head.starts_with("get /announce/elsewhere?a=b ") && !head.contains("secretsecret"), "{head}");

    let endless = HttpTracker::start(|_| reply_with("302 Found", "Location: /announce/again\r\n", b"")).await;
    let failure = client().announce(&request(&endless.url("/announce")), &quick()).await.expect_err("a loop");
    assert_eq!(failure.operation, Operation::Bittorrent);
    assert!(endless.requests().len() <= MAX_REDIRECTS + 1);
}

#[tokio::test]
async fn too_large_and_endless_answers_are_cut_off() {
    let big = [b"d5:peers200000:".to_vec(), vec![1; 200_000], b"e".to_vec()].concat();
    let tracker = HttpTracker::start(move |_| reply_with("200 OK", "", &big)).await;
    let failure = client().announce(&request(&tracker.url("/announce")), &quick()).await.expect_err("too large");
    assert!(failure.message.contains("larger than 100000 bytes"), "{failure:?}");
    // without a length, for ever
    let tracker = HttpTracker::endless(b"HTTP/1.1 200 OK\r\n\r\n", b"l").await;
    let failure = client().announce(&request(&tracker.url("/announce")), &quick()).await.expect_err("endless");
    assert!(failure.message.contains("larger than 100000 bytes"), "{failure:?}");
}

#[tokio::test]
async fn slow_and_dead_trackers_time_out() {
    // says nothing at all
    let tracker = HttpTracker::silent(b"").await;
    let begin = Instant::now();
    let limits = AnnounceLimits { completion_timeout: Duration::from_millis(300), ..quick() };
    let failure = client().announce(&request(&tracker.url("/announce")), &limits).await.expect_err("silence");
    assert!(failure.message.contains("no answer within 0.3 s") && failure.os_error != 0, "{failure:?}");
    // The other bound, long before that of the whole.
    let limits = AnnounceLimits { completion_timeout: Duration::from_secs(60), ..quick() };
    let failure = client().announce(&request(&tracker.url("/announce")), &limits).await.expect_err("silence");
    assert!(failure.message.contains("no answer within 0.5 s") && failure.os_error != 0, "{failure:?}");
    // `stopped` has its own, shorter time
    let mut stopped = request(&tracker.url("/announce"));
    stopped.event = AnnounceEvent::Stopped;
    let failure = client().announce(&stopped, &quick()).await.expect_err("silence");
    assert!(failure.message.contains("no answer within 0.5 s"), "{failure:?}");
    // begins, and then says nothing
    let tracker = HttpTracker::silent(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nd8:inter").await;
    let failure = client().announce(&request(&tracker.url("/announce")), &quick()).await.expect_err("silence");
    assert!(failure.message.contains("no answer within 0.5 s"), "{failure:?}");
    assert!(begin.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn broken_answers_are_failures() {
    for bytes in [&b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nd8:inter"[..], b"not http at all\r\n\r\n", b""] {
        let tracker = HttpTracker::raw(bytes).await;
        let failure = client().announce(&request(&tracker.url("/announce")), &quick()).await.expect_err("broken");
        assert_eq!(failure.operation, Operation::SockRead, "{failure:?}");
        assert!(!failure.message.contains("info_hash"), "{failure:?}");
    }
}

#[tokio::test]
async fn where_nobody_listens() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let url = format!("http://127.0.0.1:{port}/0123456789abcdef0123/announce?passkey=topsecret");
    let failure = anywhere().announce(&request(&url), &quick()).await.expect_err("refused");
    assert_eq!(failure.operation, Operation::Connect);
    assert_eq!(failure.os_error, rustix::io::Errno::CONNREFUSED.raw_os_error());
    for secret in ["topsecret", "0123456789abcdef0123"] {
        assert!(!failure.message.contains(secret) && !redact_url(&url).contains(secret));
    }
    let failure =
        client().announce(&request("http://no.such.host.invalid/announce"), &quick()).await.expect_err("no host");
    assert!(matches!(failure.operation, Operation::HostnameLookup | Operation::SockRead), "{failure:?}");
    for url in ["http://", "http://[::1/announce", "http://t:99999/announce"] {
        let failure = client().announce(&request(url), &quick()).await.expect_err("no URL");
        assert_eq!(failure.operation, Operation::ParseAddress, "{url}");
    }
    let failure = client().announce(&request("ftp://t/announce"), &quick()).await.expect_err("no tracker");
    assert_eq!(failure.message, "unsupported tracker protocol");
}

#[tokio::test]
async fn https_is_validated_unless_told_not_to() {
    let tracker = HttpTracker::tls(|_| reply_with("200 OK", "", REPLY)).await;
    let failure = client().announce(&request(&tracker.url("/announce")), &quick()).await.expect_err("self-signed");
    assert_eq!(failure.operation, Operation::SslHandshake, "{failure:?}");
    assert!(tracker.requests().is_empty());
    let trusting = TrackerOptions { validate_https: false, ..TrackerOptions::default() };
    let client = TrackerClient::direct(&trusting);
    let reply = client.announce(&request(&tracker.url("/announce")), &quick()).await.expect("a reply");
    assert_eq!(reply.interval_s, 1800);
    assert!(rustls::crypto::CryptoProvider::get_default().is_none(), "nothing is installed for the process");
}

#[tokio::test]
async fn over_ipv6() {
    if tokio::net::TcpListener::bind("[::1]:0").await.is_err() {
        eprintln!("skipped: no IPv6 loopback here");
        return;
    }
    let tracker = HttpTracker::on("[::1]:0", |_| reply_with("200 OK", "", REPLY)).await;
    client().announce(&request(&tracker.url("/announce")), &quick()).await.expect("a reply");
}
