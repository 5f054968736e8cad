//! Swarms behind the link emulator: 8 MB/s in all, a round trip of 30 ms, libtorrent seeding.

use std::time::{Duration, Instant};

use elementum_bench::link::{Road, Shape, TcpLink, UdpLink};

use crate::Plan;
use crate::seeders::Seeder;

/// Bytes a second of all links together.
pub const RATE: u64 = 8_000_000;
pub const ROUND_TRIP: Duration = Duration::from_millis(30);
/// The emulator's rate may be off by so much, of 1.
const INACCURACY: f64 = 0.01;
const TRIES: u32 = 5;

/// Seeders behind links that share one road.
pub struct Swarm {
    links: Vec<Link>,
    _seeders: Vec<Seeder>,
}

enum Link {
    Tcp(TcpLink),
    Udp(UdpLink),
}

impl Swarm {
    /// A libtorrent seeder behind a link of each shape, which gets the delay.
    pub fn start(plan: &Plan, piece_length: u64, shapes: &[Shape]) -> Result<Self, String> {
        check_emulator()?;
        // It writes the files, and is not asked for anything.
        Seeder::plain(plan, piece_length, true)?;
        let (down, up) = (Road::new(RATE), Road::new(RATE));
        let seeders = shapes.iter().map(|_| Seeder::libtorrent(plan)).collect::<Result<Vec<_>, _>>()?;
        let links = seeders.iter().zip(shapes).map(|(seeder, shape)| {
            TcpLink::open(seeder.address, Shape { delay: ROUND_TRIP / 2, ..*shape }, &down, &up).map(Link::Tcp)
        });
        Ok(Self { links: links.collect::<Result<_, _>>().map_err(|error| error.to_string())?, _seeders: seeders })
    }

    /// A seeder that is met by uTP only, behind a link of that shape, which gets the delay.
    pub fn by_utp(seeder: Seeder, shape: Shape) -> Result<Self, String> {
        check_emulator()?;
        let (down, up) = (Road::new(RATE), Road::new(RATE));
        let link = UdpLink::open(seeder.address, Shape { delay: ROUND_TRIP / 2, ..shape }, &down, &up);
        Ok(Self { links: vec![link.map(Link::Udp).map_err(|error| error.to_string())?], _seeders: vec![seeder] })
    }

    pub fn addresses(&self) -> impl Iterator<Item = String> + '_ {
        self.links.iter().map(|link| match link {
            Link::Tcp(link) => link.address().to_string(),
            Link::Udp(link) => link.address().to_string(),
        })
    }
}

/// No figure comes from a machine that is too busy to emulate the link.
pub fn check_emulator() -> Result<(), String> {
    let mut off = f64::NAN;
    for _ in 0..TRIES {
        off = inaccuracy()?;
        eprintln!("the emulator's rate is off by {:.2} %", off * 100.0);
        if off.abs() <= INACCURACY {
            return Ok(());
        }
    }
    Err(format!("the emulator's rate was off by {:.1} %: the machine is too busy", off * 100.0))
}

/// How much faster the emulator is than its rate, of 1: two seconds' worth of bytes through a link.
fn inaccuracy() -> Result<f64, String> {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    let bytes = RATE as usize * 2;
    let transfer = || -> std::io::Result<Duration> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (down, up) = (Road::new(RATE), Road::new(RATE));
        let link = TcpLink::open(listener.local_addr()?, Shape::default(), &down, &up)?;
        let mut client = TcpStream::connect(link.address())?;
        let mut server = listener.accept()?.0;
        std::thread::spawn(move || server.write_all(&vec![7; bytes]));
        client.read_exact(&mut [0])?;
        let began = Instant::now();
        client.read_exact(&mut vec![0; bytes - 1])?;
        Ok(began.elapsed())
    };
    let took = transfer().map_err(|error| error.to_string())?;
    Ok(bytes as f64 / took.as_secs_f64() / RATE as f64 - 1.0)
}
