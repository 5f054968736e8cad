//! `rqbit-peer`: librqbit as a client on the command line, with the commands of `tests/peers/README.md`.
//!
//! Prints `port N` when it listens (a seeder: when it has checked its data), `metadata` when a magnet's info has come, `done`
//! when everything is there, and, asked with `--measure`, one JSON line of what that took. It ends when its standard input does.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use elementum_bench::args::Args;
use elementum_bench::usage::Stretch;
use librqbit::{
    AddTorrent, AddTorrentOptions, ConnectionOptions, ListenerMode, ListenerOptions, Session, SessionOptions,
};

const USAGE: &str = "rqbit-peer seed --torrent PATH --data DIR [--peer IP:PORT]... [--port N]
       rqbit-peer leech (--torrent PATH | --magnet URI) --data DIR [--peer IP:PORT]... [--port N] [--trackers] [--measure]";

#[tokio::main]
async fn main() -> ExitCode {
    // A plain thread, not the runtime's reader of the standard input, which would keep the runtime from ending.
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0)
    });
    let mut words = std::env::args().skip(1);
    let mode = words.next().unwrap_or_default();
    let result = match Args::parse_from(words, &["torrent", "magnet", "data", "peer", "port"], &["measure", "trackers"])
    {
        Ok(args) if mode == "seed" || mode == "leech" => run(mode == "seed", &args).await,
        Ok(_) => Err(anyhow!("the first argument is seed or leech")),
        Err(message) => Err(anyhow!(message)),
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

async fn run(seed: bool, args: &Args) -> Result<()> {
    let stretch = Stretch::begin();
    let data = args.required("data").map_err(|message| anyhow!(message))?;
    let port = args.number("port", 0u16).map_err(|message| anyhow!(message))?;
    let peers: Vec<SocketAddr> = args
        .all("peer")
        .iter()
        .map(|peer| peer.parse().with_context(|| format!("--peer {peer}")))
        .collect::<Result<_>>()?;
    let source = match (args.text("magnet"), args.text("torrent")) {
        (Some(magnet), None) => AddTorrent::from_url(magnet.to_owned()),
        (None, Some(path)) => AddTorrent::from_bytes(std::fs::read(path).with_context(|| path.to_owned())?),
        _ => return Err(anyhow!("give one of --torrent and --magnet")),
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
                mode: ListenerMode::TcpOnly,
                listen_addr: (Ipv4Addr::LOCALHOST, port).into(),
                ipv4_only: true,
                ..Default::default()
            }),
            connect: Some(ConnectionOptions { enable_tcp: true, ..Default::default() }),
            ..Default::default()
        },
    )
    .await?;
    let port = session.listen_addr().context("no listen address")?.port();
    if !seed {
        println!("port {port}");
    }
    let options = AddTorrentOptions { overwrite: true, initial_peers: Some(peers), ..Default::default() };
    // A magnet is added when its metadata has come, not before.
    let handle = session.add_torrent(source, Some(options)).await?.into_handle().context("not added")?;
    if args.text("magnet").is_some() {
        println!("metadata");
    }
    handle.wait_until_initialized().await?;
    if seed && !handle.stats().finished {
        return Err(anyhow!("the data is not complete"));
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
