//! One gigabyte from one peer through a service's HTTP stream: `elementum-stream` beside anacrolix/torrent's reader behind
//! `http.ServeContent`, and rqbit's server.
//!
//! The clock runs from the request that makes a server begin (ours: the one that adds the torrent) to the stream's last byte. What the
//! server's process used meanwhile is asked of the kernel; the client is this process, which compares every byte.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use elementum_bench::content::Content;
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use crate::Plan;
use crate::go::{go_build, service_program, stage};
use crate::program::Program;
use crate::results::{Figure, Results};
use crate::rounds::{Client, ratio, take_turns, with_written_data};
use crate::seeders::{CONTENT_SEED, Seeder, torrent};

const ANACROLIX: &str = "anacrolix/torrent 1.59, http.ServeContent, to tmpfs";
const RQBIT: &str = "rqbit 9.1's server, to tmpfs";

const WALL_VS_ANACROLIX: Figure = Figure::new("http.wall_vs_anacrolix", 0.25, "ratio", ANACROLIX);
const CPU_VS_ANACROLIX: Figure = Figure::new("http.cpu_vs_anacrolix", 0.2, "ratio", ANACROLIX);
const WALL_VS_RQBIT: Figure = Figure::stated("http.wall_vs_rqbit", "ratio", RQBIT);
const CPU_VS_RQBIT: Figure = Figure::new("http.cpu_vs_rqbit", 0.25, "ratio", RQBIT);

const PIECE_LENGTH: u64 = 1 << 20;
/// Nobody who streams is silent for so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest head of an answer that is read.
const MOST_HEAD: u64 = 64 << 10;

/// Seconds.
struct Took {
    wall: f64,
    cpu: f64,
}

pub fn measure(plan: &Plan, results: &mut Results) {
    let figures = [&WALL_VS_ANACROLIX, &CPU_VS_ANACROLIX, &WALL_VS_RQBIT, &CPU_VS_RQBIT];
    if !figures.iter().any(|figure| results.wants(figure)) {
        return;
    }
    let seeder = match Seeder::plain(plan, PIECE_LENGTH, false) {
        Ok(seeder) => seeder,
        Err(reason) => return figures.iter().for_each(|figure| results.skip(figure, &reason)),
    };
    let peer = &seeder.address.to_string();
    // Built before the first round: a build would run beside the others' warm-up.
    let service = service_program(plan);
    let anacrolix = go_build(plan, "anacrolix", Path::new("benches/go/anacrolix"), ".", |go| go);
    let clients = [
        Client { name: "ours", wanted: true, run: &|_| ours(plan, service.clone()?, peer) },
        Client {
            name: "anacrolix",
            wanted: results.wants(&WALL_VS_ANACROLIX) || results.wants(&CPU_VS_ANACROLIX),
            run: &|_| theirs(plan, "anacrolix", &mut Command::new(anacrolix.clone()?), peer, ["/start", "/stream"]),
        },
        Client {
            name: "rqbit",
            wanted: results.wants(&WALL_VS_RQBIT) || results.wants(&CPU_VS_RQBIT),
            run: &|_| {
                let mut command = Command::new(plan.target.join("release/rqbit-peer"));
                let paths = ["/torrents/0/start", "/torrents/0/stream/0"];
                theirs(plan, "rqbit", command.arg("serve"), peer, paths)
            },
        },
    ];
    let [ours, anacrolix, rqbit] = take_turns(0..=plan.pairs, &clients, |name, round, took: &Took| {
        eprintln!("round {round:2} {name:10} {:6.2} s wall {:6.2} s CPU over HTTP", took.wall, took.cpu);
    });
    ratio(results, &WALL_VS_ANACROLIX, &ours, &anacrolix, |took| Ok(took.wall));
    ratio(results, &CPU_VS_ANACROLIX, &ours, &anacrolix, |took| Ok(took.cpu));
    ratio(results, &WALL_VS_RQBIT, &ours, &rqbit, |took| Ok(took.wall));
    ratio(results, &CPU_VS_RQBIT, &ours, &rqbit, |took| Ok(took.cpu));
}

fn ours(plan: &Plan, service: PathBuf, peer: &str) -> Result<Took, String> {
    let mut command = Command::new(service);
    command.env("LD_LIBRARY_PATH", stage(plan));
    command.args(["-listen", "127.0.0.1:0", "-peer-listen", "127.0.0.1:0", "-allow-private-urls"]);
    for name in ["enable_dht", "enable_lsd", "enable_upnp", "enable_natpmp"] {
        command.args(["-set", &format!("{name}=false")]);
    }
    let program = Program::start("elementum-stream", &mut command)?;
    let server = Server { address: program.listens_on_page()?, program };
    // The service takes peers beside an address, not beside a file.
    let from = lend(fs::read(torrent(plan)).map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
    let add = serde_json::json!({ "url": format!("http://{from}/content.torrent"), "peers": [peer] }).to_string();
    server.stream(plan, |server| {
        let added = request(server.address, "POST", "/api/v1/torrents", &add)?.text()?;
        let added: serde_json::Value = serde_json::from_str(&added).map_err(|error| error.to_string())?;
        let index = added["index"].as_str().map(str::to_owned).unwrap_or_else(|| added["index"].to_string());
        Ok(format!("/stream/{index}/0"))
    })
}

/// A server that knows the torrent already, is told to begin by a request to the first path, and streams on the second.
fn theirs(
    plan: &Plan,
    name: &str,
    command: &mut Command,
    peer: &str,
    [start, stream]: [&str; 2],
) -> Result<Took, String> {
    with_written_data(plan, |data| {
        command.arg("--torrent").arg(torrent(plan)).args(["--peer", peer]).arg("--data").arg(data);
        let program = Program::start(name, command)?;
        let server = Server { address: SocketAddr::from(([127, 0, 0, 1], program.port()?)), program };
        server.stream(plan, |server| {
            request(server.address, "POST", start, "")?.text()?;
            Ok(stream.to_owned())
        })
    })
}

struct Server {
    address: SocketAddr,
    program: Program,
}

impl Server {
    /// Lets the server begin, reads the stream to its end, and compares it.
    fn stream(&self, plan: &Plan, begin: impl FnOnce(&Self) -> Result<String, String>) -> Result<Took, String> {
        let content = Content::new(CONTENT_SEED, plan.size);
        let mut buffer = vec![1; 256 << 10];
        let (began, used) = (Instant::now(), self.cpu()?);
        let path = begin(self)?;
        let mut answer = request(self.address, "GET", &path, "")?;
        if answer.length != Some(plan.size) {
            return Err(format!("the stream has {:?} bytes, not {}", answer.length, plan.size));
        }
        let mut offset = 0;
        while offset < plan.size {
            let got = answer.body.read(&mut buffer).map_err(|error| format!("after {offset} bytes: {error}"))?;
            if got == 0 || !content.matches(offset, &buffer[..got]) {
                return Err(format!("wrong or no bytes after {offset}"));
            }
            offset += got as u64;
        }
        Ok(Took { wall: began.elapsed().as_secs_f64(), cpu: self.cpu()? - used })
    }

    /// User and system time of the server's process so far, of all its threads.
    fn cpu(&self) -> Result<f64, String> {
        let process = Pid::from_raw(self.program.id().try_into().map_err(|_| "no such process")?);
        let time = clock_getcpuclockid(process).and_then(clock_gettime).map_err(|error| error.to_string())?;
        Ok(time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9)
    }
}

/// An answer whose status is one of success.
struct Answer {
    length: Option<u64>,
    body: BufReader<TcpStream>,
}

impl Answer {
    fn text(self) -> Result<String, String> {
        let mut text = String::new();
        self.body.take(self.length.unwrap_or(1 << 20)).read_to_string(&mut text).map_err(|error| error.to_string())?;
        Ok(text)
    }
}

/// As much of HTTP as the three servers need: one request a connection, which says that it is the last.
fn request(server: SocketAddr, method: &str, path: &str, json: &str) -> Result<Answer, String> {
    let connect = || -> io::Result<BufReader<TcpStream>> {
        let mut stream = TcpStream::connect(server)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n");
        let body = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}", json.len());
        stream.write_all((head + &body).as_bytes())?;
        // Reads of a large buffer pass this one by.
        Ok(BufReader::new(stream))
    };
    let mut body = connect().map_err(|error| format!("{method} {path}: {error}"))?;
    let (mut status, mut length) = (String::new(), None);
    let mut head = (&mut body).take(MOST_HEAD);
    head.read_line(&mut status).map_err(|error| format!("{method} {path}: {error}"))?;
    loop {
        let mut line = String::new();
        head.read_line(&mut line).map_err(|error| format!("{method} {path}: {error}"))?;
        match line.trim().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().ok(),
            Some(_) => {}
            None if line.trim().is_empty() => break,
            None => return Err(format!("{method} {path}: no header: {}", line.trim())),
        }
    }
    if status.split(' ').nth(1).is_some_and(|code| code.starts_with('2')) {
        return Ok(Answer { length, body });
    }
    let mut said = String::new();
    let _ = body.take(1024).read_to_string(&mut said);
    Err(format!("{method} {path}: {} {said}", status.trim()))
}

/// Gives bytes to the first who asks, over HTTP, whatever he asks for.
fn lend(bytes: Vec<u8>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || -> io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        let mut asked = BufReader::new(stream.try_clone()?).take(MOST_HEAD);
        let mut line = String::new();
        while asked.read_line(&mut line)? > 0 && !line.trim().is_empty() {
            line.clear();
        }
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-bittorrent\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            bytes.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(&bytes)
    });
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_a_refusal_is_told() {
        let address = lend(b"d4:infoe".to_vec()).unwrap();
        let answer = request(address, "GET", "/x", "").unwrap();
        assert_eq!(answer.length, Some(8));
        assert_eq!(answer.text().unwrap(), "d4:infoe");

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 4096];
            assert!(stream.read(&mut asked).unwrap() > 0);
            stream.write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nlate").unwrap();
        });
        let refusal = request(address, "GET", "/x", "").err().unwrap();
        assert!(refusal.contains("503") && refusal.contains("late"), "{refusal}");
        server.join().unwrap();
    }
}
