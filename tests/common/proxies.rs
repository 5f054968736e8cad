//! Real proxies: microsocks, dante, tinyproxy. Each goes out from an address of loopback that is its own, by which a test sees who came through it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use elementum_torrent::settings::Settings;

use super::ours;
use super::temp::TempDir;

pub const USER: &str = "somebody";
pub const PASSWORD: &str = "p:ss w0rd";

/// A program that speaks a protocol of proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Microsocks,
    Dante,
    Tinyproxy,
}

/// libtorrent's numbers.
pub const SOCKS4: i64 = 1;
pub const SOCKS5: i64 = 2;
pub const SOCKS5_PASSWORD: i64 = 3;
pub const HTTP: i64 = 4;
pub const HTTP_PASSWORD: i64 = 5;

/// A proxy that runs.
pub struct Proxy {
    program: Program,
    password: bool,
    pub address: SocketAddr,
    /// Where its connections come from.
    pub goes_out_from: IpAddr,
    child: Option<Child>,
    dir: TempDir,
}

impl Proxy {
    pub fn start(program: Program, password: bool) -> Self {
        let mut proxy = Self::stopped(program, password);
        proxy.run();
        proxy
    }

    /// One that is started later: nobody listens at its address.
    pub fn stopped(program: Program, password: bool) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        let last = 10 + program as u8;
        let goes_out_from = Ipv4Addr::new(127, 0, 0, last).into();
        Self { program, password, address, goes_out_from, child: None, dir: TempDir::new() }
    }

    pub fn run(&mut self) {
        let (port, from) = (self.address.port(), self.goes_out_from);
        let file = self.dir.dir("proxy").join("conf");
        let mut command = match self.program {
            Program::Microsocks => {
                let mut command = Command::new("microsocks");
                command.args(["-i", "127.0.0.1", "-p", &port.to_string(), "-b", &from.to_string()]);
                if self.password {
                    command.args(["-u", USER, "-P", PASSWORD]);
                }
                command
            }
            Program::Dante => {
                let conf = format!(
                    "internal: 127.0.0.1 port = {port}\nexternal: {from}\nclientmethod: none\nsocksmethod: none\n\
                     client pass {{ from: 0/0 to: 0/0 }}\nsocks pass {{ from: 0/0 to: 0/0 }}\n"
                );
                fs::write(&file, conf).unwrap();
                let mut command = Command::new("/usr/sbin/danted");
                command.arg("-f").arg(&file);
                command
            }
            Program::Tinyproxy => {
                let login = if self.password { format!("BasicAuth {USER} {PASSWORD}\n") } else { String::new() };
                let login = login.replace(PASSWORD, HTTP_SAFE_PASSWORD);
                let conf = format!("Port {port}\nListen 127.0.0.1\nBind {from}\nTimeout 600\nMaxClients 100\n{login}");
                fs::write(&file, conf).unwrap();
                let mut command = Command::new("tinyproxy");
                command.arg("-d").arg("-c").arg(&file);
                command
            }
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        self.child = Some(command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}: run `make deps`")));
        let address = self.address;
        ours::until("the proxy listens", || TcpStream::connect(address).is_ok());
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Some have children, who hold the connections.
            let group = format!("-{}", child.id());
            let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
            let _ = child.wait();
        }
    }

    /// Has the session use it.
    pub fn set(&self, settings: &mut Settings, kind: i64) {
        settings.set_int("proxy_type", kind).unwrap();
        settings.set_str("proxy_hostname", &self.address.ip().to_string()).unwrap();
        settings.set_int("proxy_port", i64::from(self.address.port())).unwrap();
        settings.set_str("proxy_username", USER).unwrap();
        settings.set_str("proxy_password", self.password()).unwrap();
    }

    /// tinyproxy's file has words.
    pub fn password(&self) -> &'static str {
        if self.program == Program::Tinyproxy { HTTP_SAFE_PASSWORD } else { PASSWORD }
    }
}

const HTTP_SAFE_PASSWORD: &str = "pssw0rd";

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop();
    }
}
