//! The link emulator against its own figures: nothing lost or changed, never faster than its rate, never sooner than its delay.
//! How near it comes to them is measured and told by `make bench-stream`, since other work on the machine makes it late.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use elementum_bench::link::{Pauses, Road, Shape, TcpLink, UdpLink};

const DELAY: Duration = Duration::from_millis(20);
const SHAPE: Shape = Shape { delay: DELAY, rate: 0, loss_ppm: 0, pauses: None, fills_queue: false };

/// A server that answers one byte with `bytes` of them.
fn answering(bytes: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let data: Vec<u8> = (0..bytes).map(|i| (i % 251) as u8).collect();
                stream.read_exact(&mut [0]).and_then(|()| stream.write_all(&data))
            });
        }
    });
    address
}

/// Asks, and reads the answer to its end. The time to the first byte, and to the last.
fn ask(link: &TcpLink, bytes: usize) -> (Duration, Duration) {
    let mut stream = TcpStream::connect(link.address()).expect("the link");
    let began = Instant::now();
    stream.write_all(&[1]).expect("asked");
    let mut first = [0];
    stream.read_exact(&mut first).expect("an answer");
    let to_first = began.elapsed();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("all of it");
    let to_last = began.elapsed();
    assert!(rest.len() + 1 == bytes && rest.iter().enumerate().all(|(i, b)| *b == ((i + 1) % 251) as u8));
    (to_first, to_last)
}

#[test]
fn tcp_is_never_sooner_than_its_delay_and_never_faster_than_its_rate() {
    let bytes = 1 << 20;
    let (down, up) = (Road::new(8_000_000), Road::new(8_000_000));
    let link = TcpLink::open(answering(bytes), SHAPE, &down, &up).expect("a link");
    let (first, last) = ask(&link, bytes);
    assert!(first >= DELAY * 2, "{first:?}");
    assert!(last >= DELAY * 2 + Duration::from_secs_f64(bytes as f64 / 8e6), "{last:?}");
}

#[test]
fn links_share_a_road_and_a_slow_link_is_slow_alone() {
    let bytes = 1 << 19;
    let (down, up) = (Road::new(8_000_000), Road::new(8_000_000));
    let server = answering(bytes);
    let fast = TcpLink::open(server, SHAPE, &down, &up).expect("a link");
    let slow = TcpLink::open(server, Shape { rate: 1_000_000, ..SHAPE }, &down, &up).expect("a link");
    let other = TcpLink::open(server, SHAPE, &down, &up).expect("a link");
    let (both, alone) = thread::scope(|scope| {
        let beside = scope.spawn(|| ask(&other, bytes).1);
        let slow = scope.spawn(|| ask(&slow, bytes).1);
        let both = ask(&fast, bytes).1.max(beside.join().expect("the other"));
        (both, slow.join().expect("the slow one"))
    });
    assert!(both >= Duration::from_secs_f64(2.0 * bytes as f64 / 8e6), "two at once: {both:?}");
    assert!(alone >= Duration::from_secs_f64(bytes as f64 / 1e6), "the slow one: {alone:?}");
}

#[test]
fn two_that_fill_the_queue_share_the_road_and_lose_nothing() {
    let (bytes, filling) = (3 << 20, Shape { fills_queue: true, ..SHAPE });
    let (down, up) = (Road::new(8_000_000), Road::new(8_000_000));
    let server = answering(bytes);
    let links = [(); 2].map(|()| TcpLink::open(server, filling, &down, &up).expect("a link"));
    let took = thread::scope(|scope| {
        links.each_ref().map(|link| scope.spawn(|| ask(link, bytes).1)).map(|t| t.join().expect("all"))
    });
    let both = took[0].max(took[1]);
    assert!(both >= Duration::from_secs_f64(2.0 * bytes as f64 / 8e6), "{both:?}");
}

#[test]
fn a_link_that_pauses_is_silent_by_its_schedule_and_loses_nothing() {
    // An eighth of a second's worth goes through before the pause, and the rest after it.
    let (bytes, rate) = (1 << 19, 2_000_000);
    let pauses = Pauses { open: Duration::from_millis(125), shut: Duration::from_millis(600) };
    let road = Road::new(rate);
    let link = TcpLink::open(answering(bytes), Shape { pauses: Some(pauses), ..SHAPE }, &road, &Road::new(rate));
    let began = Instant::now();
    ask(&link.expect("a link"), bytes);
    assert!(began.elapsed() >= pauses.open + pauses.shut, "{:?}", began.elapsed());
}

#[test]
fn a_link_that_goes_cuts_its_connections() {
    let road = Road::new(1_000_000);
    let link = TcpLink::open(answering(1 << 20), SHAPE, &road, &road).expect("a link");
    let mut stream = TcpStream::connect(link.address()).expect("the link");
    stream.write_all(&[1]).expect("asked");
    stream.read_exact(&mut [0]).expect("it began");
    drop(link);
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.len() < 1 << 20);
}

/// Datagrams there and back through a link: how many of `sent` came, none changed, none sooner than the delay.
fn echoed(sent: u32, loss_ppm: u32) -> u32 {
    let server = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = server.local_addr().expect("an address");
    thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((n, from)) = server.recv_from(&mut buffer) {
            let _ = server.send_to(&buffer[..n], from);
        }
    });
    let road = Road::new(50_000_000);
    let link = UdpLink::open(address, Shape { loss_ppm, ..SHAPE }, &road, &road).expect("a link");
    let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
    client.connect(link.address()).expect("the link");
    client.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    let began = Instant::now();
    thread::scope(|scope| {
        let counting = scope.spawn(|| {
            let (mut came, mut buffer) = (0, [0; 1500]);
            while let Ok(n) = client.recv(&mut buffer) {
                assert!(n == 4 && began.elapsed() >= DELAY * 2);
                came += 1;
            }
            came
        });
        for i in 0..sent {
            client.send(&i.to_be_bytes()).expect("sent");
            // A socket's buffer holds some hundred.
            if i % 50 == 0 {
                thread::sleep(Duration::from_millis(5));
            }
        }
        counting.join().expect("counted")
    })
}

#[test]
fn udp_loses_what_it_is_told_to_and_nothing_else() {
    assert_eq!(echoed(1000, 0), 1000);
    // A tenth each way: 81 of 100 come back.
    let came = echoed(2000, 100_000);
    assert!((1540..1700).contains(&came), "{came}");
}
