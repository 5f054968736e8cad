"""opentracker on loopback, HTTP and UDP at one port (Debian: opentracker).

    opentracker.py --info-hash HEX... [--port N]     prints `http URL`, `udp URL` and `port N` when it answers

Debian builds it with a whitelist, so it serves just the torrents that are named. Started by root it changes its root to its
working directory and becomes `nobody`: the directory must be open to that user, and the whitelist's path is relative.
"""

import argparse
import os
import socket
import threading

from common import HOST, Program, free_port, listens, say, wait_until


def main():
    parser = argparse.ArgumentParser(description="opentracker")
    parser.add_argument("--info-hash", action="append", required=True, help="hex info-hash of a torrent to serve")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    port = arguments.port or free_port()
    program = Program()
    os.chmod(program.directory.name, 0o755)
    with open(program.path("whitelist"), "w") as file:
        file.writelines(f"{info_hash.lower()}\n" for info_hash in arguments.info_hash)
    program.start(
        "opentracker", "-i", HOST, "-p", str(port), "-P", str(port), "-d", program.directory.name, "-w", "whitelist",
        verbose=arguments.verbose,
    )
    wait_until(lambda: listens(port) and listens(port, socket.SOCK_DGRAM), "opentracker listens")
    say("http", f"http://{HOST}:{port}/announce")
    say("udp", f"udp://{HOST}:{port}/announce")
    say("port", port)
    threading.Event().wait()


if __name__ == "__main__":
    main()
