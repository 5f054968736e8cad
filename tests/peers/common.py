"""What the scripts that run real clients have in common: their command line, their output, and their end.

Every script prints one fact a line (`port 4711`, `metadata`, `done`, `error ...`), lives until its standard input ends, and
takes its client with it. So a test that dies, however it dies, leaves nothing behind.
"""

import argparse
import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HOST = "127.0.0.1"


def say(*words):
    print(*words, flush=True)


# What must be undone before the process ends.
at_end = []
# Two reasons to end may come at once, in two threads. The second must not cut off what the first one is undoing.
ending = threading.RLock()


def end(status):
    """Ends the process from whichever thread this is, its client and temporary files with it."""
    ending.acquire()
    try:
        while at_end:
            at_end.pop()()
    finally:
        os._exit(status)


def fail(message):
    """Reports in the output that the driver reads, and ends the process."""
    say("error", " ".join(str(message).split()))
    end(1)


def client_arguments(description, libtorrent=False):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("mode", choices=("seed", "leech"))
    parser.add_argument("--torrent", help="path of the .torrent file")
    parser.add_argument("--magnet", help="magnet URI (leech only)")
    parser.add_argument("--data", required=True, help="directory that holds, or gets, the torrent's content")
    parser.add_argument("--peer", action="append", default=[], metavar="IP:PORT", help="peer to connect to")
    parser.add_argument("--tracker", action="append", default=[], metavar="URL", help="tracker to announce to")
    parser.add_argument("--port", type=int, default=0, help="port to listen at; 0: any free one")
    parser.add_argument(
        "--encryption",
        choices=("plain", "usual", "handshake", "rc4"),
        default="usual",
        help="which connections the client makes and takes; handshake: encrypted ones that go on in plain text",
    )
    parser.add_argument(
        "--transport",
        choices=("tcp", "utp", "both"),
        default="tcp",
        help="what connections are made and taken over; not aria2",
    )
    parser.add_argument("--verbose", action="store_true", help="the client's log on the standard error")
    if libtorrent:
        parser.add_argument("--host", default=HOST, metavar="IP", help="address to listen at")
        parser.add_argument("--upload-limit", type=int, default=0, metavar="BYTES_A_SECOND")
        parser.add_argument("--dht-node", action="append", default=[], metavar="IP:PORT", help="turns the DHT on and joins it there")
    arguments = parser.parse_args()
    if bool(arguments.torrent) == bool(arguments.magnet):
        parser.error("give one of --torrent and --magnet")
    return arguments


def address(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


given_ports = []


def free_port():
    """A port that is free for TCP and UDP now, below those that the kernel gives to whoever asks for any: of them one may be
    taken before its user comes. Two of ours begin to look at different places; none is given twice."""
    first = 10_000 + os.getpid() * 17 % 20_000
    for port in range(max([first, *(port + 1 for port in given_ports)]), first + 100):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind((HOST, port))
                udp.bind((HOST, port))
            except OSError:
                continue
            given_ports.append(port)
            return port
    raise OSError("no port is free")


def wait_until(ready, what, seconds=30.0):
    """Polls until `ready()` is true and returns what it returned."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = ready()
        if value:
            return value
        time.sleep(0.05)
    fail(f"gave up after {seconds:g} s: {what}")


def listens(port, kind=socket.SOCK_STREAM):
    """Whether somebody holds the port. Nothing is sent, so that no client sees a strange connection."""
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            # Else connections of before, in TIME_WAIT, look like a listener. With UDP it would share the port instead.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
        return False


def on_end_of_input():
    """Ends the process when its standard input ends or a signal asks for it."""

    def watch():
        while os.read(0, 4096):
            pass
        end(0)

    signal.signal(signal.SIGTERM, lambda *_: end(0))
    signal.signal(signal.SIGINT, lambda *_: end(0))
    threading.Thread(target=watch, daemon=True).start()


def die_with_parent():
    """In a child: asks Linux to end it when its parent ends, for the one end that cannot be caught, SIGKILL."""
    if sys.platform == "linux":
        PR_SET_PDEATHSIG = 1
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Program:
    """A foreign client: a process with a temporary directory for its state, both gone at the end."""

    def __init__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="et-peer-")
        self.process = None
        self.stopping = False
        at_end.append(self.stop)

    def path(self, name):
        return os.path.join(self.directory.name, name)

    def start(self, *command, verbose=False):
        self.log = open(self.path("client.log"), "w+b")
        # Its own HOME, so that a client reads and writes nothing of the user's.
        environment = dict(os.environ, HOME=self.directory.name, XDG_CONFIG_HOME=self.directory.name)
        output = sys.stderr if verbose else self.log
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                cwd=self.directory.name,
                preexec_fn=die_with_parent,
            )
        except FileNotFoundError:
            fail(f"{command[0]} is not installed: run `make deps`")
        on_end_of_input()
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        """A client that ends by itself is a failure, told with the end of its log."""
        status = self.process.wait()
        if self.stopping:
            return
        self.log.seek(0)
        tail = self.log.read()[-600:].decode(errors="replace")
        fail(f"the client ended with status {status}: {tail}")

    def stop(self):
        self.stopping = True
        if self.process:
            self.process.kill()
            self.process.wait()
        self.directory.cleanup()
