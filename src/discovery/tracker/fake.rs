//! Trackers for tests, on loopback: honest ones, slow ones, broken ones.

use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;

use super::AnnounceRequest;
use super::announce_slots::Claim;
use crate::alert::AnnounceEvent;
use crate::base::storage_index::StorageIndex;
use crate::metainfo::info_hash::Sha1Hash;

/// An interval of 1800 s and one peer.
pub const REPLY: &[u8] = b"d8:intervali1800e5:peers6:\x01\x02\x03\x04\x05\x06e";

pub fn request(url: &str) -> AnnounceRequest {
    AnnounceRequest {
        url: url.to_owned(),
        info_hash: Sha1Hash([7; 20]),
        peer_id: *b"-ET0100-abcdefghijkl",
        port: 6881,
        uploaded: 1,
        downloaded: 2,
        left: 3,
        corrupt: 4,
        event: AnnounceEvent::Started,
        num_want: 200,
        key: 0xbeef,
        ip: None,
        tracker_id: None,
        user_agent: "test/1".to_owned(),
        turn: Claim {
            torrent: StorageIndex::INVALID,
            waiters: Arc::default(),
            tracker: url.into(),
            first_or_last: true,
            failed: false,
        },
    }
}

pub fn reply_with(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.into_bytes(), body.to_vec()].concat()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("packed");
    encoder.finish().expect("packed")
}

/// Serves until it is dropped.
pub struct HttpTracker {
    addr: SocketAddr,
    scheme: &'static str,
    requests: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Drop for HttpTracker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl HttpTracker {
    async fn serve<F>(
        on: &str,
        tls: bool,
        handle: impl Fn(Box<dyn Stream>, String) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send,
    {
        let listener = TcpListener::bind(on).await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let acceptor = tls.then(acceptor);
        let (seen, handle) = (requests.clone(), Arc::new(handle));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, seen, handle) = (acceptor.clone(), seen.clone(), handle.clone());
                tokio::spawn(async move {
                    let mut stream: Box<dyn Stream> = match acceptor {
                        Some(acceptor) => match acceptor.accept(stream).await {
                            Ok(stream) => Box::new(stream),
                            Err(_) => return,
                        },
                        None => Box::new(stream),
                    };
                    let head = read_head(&mut stream).await;
                    seen.lock().push(head.clone());
                    handle(stream, head).await;
                });
            }
        });
        Self { addr, scheme: if tls { "https" } else { "http" }, requests, task }
    }

    /// Answers with what `reply` makes of a request's head.
    pub async fn on(on: &str, reply: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::answering(on, false, reply).await
    }

    async fn answering(on: &str, tls: bool, reply: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::serve(on, tls, move |mut stream, head| {
            let reply = reply(&head);
            async move {
                let _ = stream.write_all(&reply).await;
                let _ = stream.shutdown().await;
            }
        })
        .await
    }

    pub async fn start(reply: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::on("127.0.0.1:0", reply).await
    }

    /// With a certificate that nobody has reason to trust.
    pub async fn tls(reply: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::answering("127.0.0.1:0", true, reply).await
    }

    /// Sends these bytes and closes.
    pub async fn raw(bytes: &'static [u8]) -> Self {
        Self::start(move |_| bytes.to_vec()).await
    }

    /// Sends these bytes and holds the line.
    pub async fn silent(bytes: &'static [u8]) -> Self {
        Self::serve("127.0.0.1:0", false, move |mut stream, _| async move {
            let _ = stream.write_all(bytes).await;
            std::future::pending::<()>().await;
        })
        .await
    }

    /// Begins like this, and then says the same for ever.
    pub async fn endless(begin: &[u8], again: &[u8]) -> Self {
        let (begin, again) = (begin.to_vec(), again.repeat(4096 / again.len() + 1));
        Self::serve("127.0.0.1:0", false, move |mut stream, _| {
            let (begin, again) = (begin.clone(), again.clone());
            async move {
                let _ = stream.write_all(&begin).await;
                while stream.write_all(&again).await.is_ok() {}
            }
        })
        .await
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.addr)
    }

    /// The heads of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().clone()
    }
}

fn acceptor() -> tokio_rustls::TlsAcceptor {
    let cert = CertificateDer::from_pem_slice(include_bytes!("testdata/cert.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("testdata/key.pem")).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .expect("a certificate");
    tokio_rustls::TlsAcceptor::from(Arc::new(config))
}

/// A UDP tracker: answers a datagram with what `reply` makes of it.
pub struct UdpTracker {
    pub addr: SocketAddr,
    packets: Arc<Mutex<Vec<Vec<u8>>>>,
    task: JoinHandle<()>,
}

impl Drop for UdpTracker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl UdpTracker {
    /// `reply` is told the number of the packet and the packet, and gives the datagrams to send, in order.
    pub async fn on(on: &str, reply: impl Fn(usize, &[u8]) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        let socket = UdpSocket::bind(on).await.expect("a port");
        let addr = socket.local_addr().expect("an address");
        let packets = Arc::new(Mutex::new(Vec::new()));
        let seen = packets.clone();
        let task = tokio::spawn(async move {
            let mut buf = [0; 4096];
            while let Ok((n, from)) = socket.recv_from(&mut buf).await {
                let number = {
                    let mut seen = seen.lock();
                    seen.push(buf[..n].to_vec());
                    seen.len() - 1
                };
                for answer in reply(number, &buf[..n]) {
                    let _ = socket.send_to(&answer, from).await;
                }
            }
        });
        Self { addr, packets, task }
    }

    pub async fn start(reply: impl Fn(usize, &[u8]) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self::on("127.0.0.1:0", reply).await
    }

    pub fn url(&self) -> String {
        format!("udp://{}/announce", self.addr)
    }

    pub fn packets(&self) -> Vec<Vec<u8>> {
        self.packets.lock().clone()
    }
}

/// What an honest UDP tracker answers to a packet: connection id 42, and these peers.
pub fn honest(packet: &[u8], peers: &[u8]) -> Vec<u8> {
    let action = &packet[8..12];
    let tid = &packet[12..16];
    match action {
        [0, 0, 0, 0] => [&[0; 4], tid, &42u64.to_be_bytes()].concat(),
        _ => {
            [&1u32.to_be_bytes(), tid, &1800u32.to_be_bytes(), &7u32.to_be_bytes(), &5u32.to_be_bytes(), peers].concat()
        }
    }
}
