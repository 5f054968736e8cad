//! `rqbit-peer`: librqbit as a client on the command line, with the commands of `tests/peers/README.md`.
//!
//! Prints `port N` when it listens (a seeder: when it has checked its data), `metadata` when a magnet's info has come, `done`
//! when everything is there, and, asked with `--measure`, one JSON line of what that took. It ends when its standard input does.
//!
//! `rqbit-peer stream` is the client of the streaming benchmark, like `benches/peers/libtorrent_stream.py`: it reads the start
//! of the torrent's one file, then at each of the `--seeks`, or plays it at the `--bitrate` as `benches/c/play.c` does; it prints one
//! JSON line of how long it waited, and ends.
//!
//! `rqbit-peer serve` is rqbit's HTTP server with one torrent, paused: it prints `port N` of the server when it has looked at what is there.
//! `POST /torrents/0/start` makes it begin, `GET /torrents/0/stream/0` is the file.

use std::fs::File;
use std::io::SeekFrom;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::FileExt;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use elementum_bench::args::Args;
use elementum_bench::usage::Stretch;
use librqbit::http_api::HttpApi;
use librqbit::{
    AddTorrent, AddTorrentOptions, Api, ConnectionOptions, ListenerMode, ListenerOptions, Session, SessionOptions,
};
use librqbit_dualstack_sockets::{BindOpts, TcpListener};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeek, AsyncSeekExt};

const USAGE: &str = "rqbit-peer seed --torrent PATH --data DIR [--peer IP:PORT]... [--port N] [--transport tcp|utp|both]
       rqbit-peer leech (--torrent PATH | --magnet URI) --data DIR [--peer IP:PORT]... [--port N] [--transport tcp|utp|both] [--trackers] [--measure]
       rqbit-peer serve --torrent PATH --data DIR [--peer IP:PORT]...
       rqbit-peer stream --torrent PATH --data DIR --content PATH [--peer IP:PORT]... 
              ([--seeks OFFSET,...] [--length BYTES] | --bitrate BYTES_A_SECOND --seconds N)";

const VALUED: &[&str] =
    &["torrent", "magnet", "data", "peer", "port", "transport", "content", "seeks", "length", "bitrate", "seconds"];

/// A player of `benches/c/play.c`: bytes, and how long it may still fill up.
const CHUNK: usize = 256 << 10;
const SETTLES: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> ExitCode {
    // In one build with the library reqwest has a TLS that wants to be told whose. An error says that it was told before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut words = std::env::args().skip(1);
    let mode = words.next().unwrap_or_default();
    let result = match (mode.as_str(), Args::parse_from(words, VALUED, &["measure", "trackers"])) {
        (_, Err(message)) => Err(anyhow!(message)),
        ("stream", Ok(args)) => stream(&args).await,
        ("serve", Ok(args)) => {
            end_with_standard_input();
            serve(&args).await
        }
        ("seed" | "leech", Ok(args)) => {
            end_with_standard_input();
            run(mode == "seed", &args).await
        }
        _ => Err(anyhow!("the first argument is seed, leech, stream or serve")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error {error:#}");
            eprintln!("{USAGE}");
            ExitCode::FAILURE
        }
    }
}

fn end_with_standard_input() {
    // A plain thread, not the runtime's reader of the standard input, which would keep the runtime from ending.
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0)
    });
}

async fn run(seed: bool, args: &Args) -> Result<()> {
    let data = args.required("data").map_err(|message| anyhow!(message))?;
    let peers = peers(args)?;
    let source = match (args.text("magnet"), args.text("torrent")) {
        (Some(magnet), None) => AddTorrent::from_url(magnet.to_owned()),
        (None, Some(path)) => AddTorrent::from_bytes(std::fs::read(path).with_context(|| path.to_owned())?),
        _ => return Err(anyhow!("give one of --torrent and --magnet")),
    };

    let session = session(data, args).await?;
    let port = session.listen_addr().context("no listen address")?.port();
    if !seed {
        println!("port {port}");
    }
    // What is there before is looked at first. That is no part of what is measured, so it is begun afterwards.
    let paused = args.flag("measure");
    let options = AddTorrentOptions { overwrite: true, initial_peers: Some(peers), paused, ..Default::default() };
    // A magnet is added when its metadata has come, not before.
    let handle = session.add_torrent(source, Some(options)).await?.into_handle().context("not added")?;
    if args.text("magnet").is_some() {
        println!("metadata");
    }
    handle.wait_until_initialized().await?;
    if seed && !handle.stats().finished {
        return Err(anyhow!("the data is not complete"));
    }
    let stretch = Stretch::begin();
    if paused {
        session.unpause(&handle).await?;
    }
    handle.wait_until_completed().await?;
    if seed {
        println!("port {port}");
    } else {
        println!("done");
        if args.flag("measure") {
            println!("{}", stretch.end().json("librqbit"));
        }
    }
    std::future::pending::<Result<()>>().await
}

fn peers(args: &Args) -> Result<Vec<SocketAddr>> {
    args.all("peer").iter().map(|peer| peer.parse().with_context(|| format!("--peer {peer}"))).collect()
}

/// Alone but for the peers that it is told of.
async fn session(data: &str, args: &Args) -> Result<Arc<Session>> {
    let port = args.number("port", 0u16).map_err(|message| anyhow!(message))?;
    let (mode, enable_tcp) = match args.text("transport").unwrap_or("tcp") {
        "tcp" => (ListenerMode::TcpOnly, true),
        "utp" => (ListenerMode::UtpOnly, false),
        "both" => (ListenerMode::TcpAndUtp, true),
        other => return Err(anyhow!("--transport {other}")),
    };
    let session = Session::new_with_opts(
        data.into(),
        SessionOptions {
            dht: None,
            persistence: None,
            disable_trackers: !args.flag("trackers"),
            disable_local_service_discovery: true,
            ipv4_only: true,
            listen: Some(ListenerOptions {
                mode,
                listen_addr: (Ipv4Addr::LOCALHOST, port).into(),
                ipv4_only: true,
                ..Default::default()
            }),
            connect: Some(ConnectionOptions { enable_tcp, ..Default::default() }),
            ..Default::default()
        },
    )
    .await?;
    Ok(session)
}

/// The server of rqbit, which is told by a request when to begin.
async fn serve(args: &Args) -> Result<()> {
    let required = |name| args.required(name).map_err(|message| anyhow!(message));
    let path = required("torrent")?;
    let source = AddTorrent::from_bytes(std::fs::read(path).with_context(|| path.to_owned())?);
    let session = session(required("data")?, args).await?;
    let options =
        AddTorrentOptions { overwrite: true, paused: true, initial_peers: Some(peers(args)?), ..Default::default() };
    let handle = session.add_torrent(source, Some(options)).await?.into_handle().context("not added")?;
    handle.wait_until_initialized().await?;
    ensure!(handle.id() == 0, "the torrent is not the first one");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = TcpListener::bind_tcp(address, BindOpts::default())?;
    println!("port {}", listener.bind_addr().port());
    HttpApi::new(Api::new(session, None, None), None).make_http_api_and_run(listener, None).await
}

/// Reads as a player does, and prints how long it waited. The clock starts when the torrent is added, and again at each seek.
async fn stream(args: &Args) -> Result<()> {
    let required = |name| args.required(name).map_err(|message| anyhow!(message));
    let number = |name, default| args.number(name, default).map_err(|message| anyhow!(message));
    let (path, content) = (required("torrent")?, required("content")?);
    let seeks: Vec<u64> = match args.text("seeks").unwrap_or_default() {
        "" => Vec::new(),
        list => list.split(',').map(str::parse).collect::<Result<_, _>>().with_context(|| format!("--seeks {list}"))?,
    };
    let (length, bitrate, seconds) = (number("length", 1 << 20)?, number("bitrate", 0)?, number("seconds", 40)?);
    let source = AddTorrent::from_bytes(std::fs::read(path).with_context(|| path.to_owned())?);
    let truth = File::open(content).with_context(|| content.to_owned())?;
    let options = AddTorrentOptions { overwrite: true, initial_peers: Some(peers(args)?), ..Default::default() };
    let session = session(required("data")?, args).await?;

    let began = Instant::now();
    let handle = session.add_torrent(source, Some(options)).await?.into_handle().context("not added")?;
    let mut stream = handle.clone().stream(0).await?;
    let mut result = if bitrate > 0 {
        let length = (bitrate * seconds).min(truth.metadata()?.len() as usize);
        play(&mut stream, &truth, bitrate, length, began).await?
    } else {
        seek(&mut stream, &truth, seeks, length, began).await?
    };
    let payload = handle.stats().live.context("not live")?.snapshot.fetched_bytes;
    result["peer"] = json!("librqbit");
    result["payload"] = json!(payload);
    println!("{result}");
    // The session's tasks need not end before the process does.
    std::process::exit(0)
}

/// Reads at the start and at each seek. What was read is compared when all reads are done.
async fn seek(
    stream: &mut (impl AsyncRead + AsyncSeek + Unpin),
    truth: &File,
    seeks: Vec<u64>,
    length: usize,
    began: Instant,
) -> Result<Value> {
    let mut reads = vec![(0, read(stream, length).await?)];
    let first_ms = milliseconds(began);
    let mut seek_ms = Vec::with_capacity(seeks.len());
    for offset in seeks {
        let began = Instant::now();
        stream.seek(SeekFrom::Start(offset)).await?;
        reads.push((offset, read(stream, length).await?));
        seek_ms.push(milliseconds(began));
    }
    for (offset, data) in reads {
        compare(truth, offset, length, &data)?;
    }
    Ok(json!({ "first_ms": first_ms, "seek_ms": seek_ms }))
}

async fn play(
    stream: &mut (impl AsyncRead + Unpin),
    truth: &File,
    bitrate: usize,
    length: usize,
    began: Instant,
) -> Result<Value> {
    let lasts = Duration::from_secs_f64(CHUNK as f64 / bitrate as f64);
    let (mut first, mut stalls, mut stalled, mut ends) = (None, 0, Duration::ZERO, began);
    for offset in (0..length / CHUNK).map(|n| (n * CHUNK) as u64) {
        let data = read(stream, CHUNK).await?;
        compare(truth, offset, CHUNK, &data)?;
        let now = Instant::now();
        first.get_or_insert(milliseconds(began));
        let late = now.saturating_duration_since(ends.max(began + SETTLES));
        if !late.is_zero() {
            stalls += 1;
            stalled += late;
        }
        let begins = now.max(ends);
        ends = begins + lasts;
        tokio::time::sleep_until(begins.into()).await;
    }
    Ok(json!({ "first_ms": first, "stalls": stalls, "stall_ms": stalled.as_secs_f64() * 1000.0 }))
}

fn compare(truth: &File, offset: u64, length: usize, data: &[u8]) -> Result<()> {
    let size = truth.metadata()?.len();
    let mut expected = vec![0; length.min(size.saturating_sub(offset) as usize)];
    truth.read_exact_at(&mut expected, offset)?;
    ensure!(data.len() == expected.len(), "{} bytes at {offset}, not {}", data.len(), expected.len());
    if let Some(wrong) = data.iter().zip(&expected).position(|(got, want)| got != want) {
        return Err(anyhow!("wrong byte at {}", offset + wrong as u64));
    }
    Ok(())
}

/// Up to `length` bytes from where the stream stands: fewer at the end of the file.
async fn read(stream: &mut (impl AsyncRead + Unpin), length: usize) -> Result<Vec<u8>> {
    let mut data = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match stream.read(&mut data[filled..]).await? {
            0 => break,
            count => filled += count,
        }
    }
    data.truncate(filled);
    Ok(data)
}

fn milliseconds(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1000.0
}
