"""transmission-daemon as a client (Debian: transmission-daemon).

    transmission_peer.py seed  --torrent PATH --data DIR              prints `port N` when it has checked its data
    transmission_peer.py leech (--torrent PATH | --magnet URI) --data DIR    prints `port N`, `metadata` (magnet), `done`

Transmission counts 127/8 and ::1 among the addresses that no peer can have and never dials them, whoever tells it of them
(`isMartianAddr` in its net.c; no setting changes it). It does accept connections from there. So `--peer` is refused here:
the other side connects.
"""

import base64
import json
import os
import threading
import time
import urllib.error
import urllib.request

from common import HOST, Program, client_arguments, fail, free_port, listens, say, wait_until


class Rpc:
    def __init__(self, port):
        self.url = f"http://{HOST}:{port}/transmission/rpc"
        self.session = ""

    def __call__(self, method, **arguments):
        body = json.dumps({"method": method, "arguments": arguments}).encode()
        for _ in range(2):
            request = urllib.request.Request(self.url, body, {"X-Transmission-Session-Id": self.session})
            try:
                with urllib.request.urlopen(request, timeout=10) as reply:
                    answer = json.load(reply)
            except urllib.error.HTTPError as error:
                # 409 hands out the id that every later request must carry.
                if error.code != 409:
                    raise
                self.session = error.headers["X-Transmission-Session-Id"]
                continue
            if answer["result"] != "success":
                fail(f"{method}: {answer['result']}")
            return answer["arguments"]
        fail("transmission hands out no session id")


ENCRYPTION = {"plain": 0, "usual": 0, "rc4": 2}


def main():
    arguments = client_arguments("transmission-daemon")
    if arguments.peer:
        fail("transmission dials no loopback address: let the other side connect")
    program = Program()
    port = arguments.port or free_port()
    rpc_port = free_port()
    settings = {
        "bind-address-ipv4": HOST,
        "bind-address-ipv6": "::1",
        "cache-size-mb": 4,
        "dht-enabled": False,
        "download-dir": arguments.data,
        "download-queue-enabled": False,
        # 0: plain ones are preferred, 1: encrypted ones, 2: they are required.
        "encryption": ENCRYPTION[arguments.encryption],
        "incomplete-dir-enabled": False,
        "lpd-enabled": False,
        "peer-port": port,
        "pex-enabled": False,
        "port-forwarding-enabled": False,
        "preallocation": 0,
        "ratio-limit-enabled": False,
        "rename-partial-files": True,
        "rpc-authentication-required": False,
        "rpc-bind-address": HOST,
        "rpc-enabled": True,
        "rpc-host-whitelist-enabled": False,
        "rpc-port": rpc_port,
        "rpc-whitelist": HOST,
        "rpc-whitelist-enabled": True,
        "seed-queue-enabled": False,
        "speed-limit-down-enabled": False,
        "speed-limit-up-enabled": False,
        "start-added-torrents": True,
        "preferred_transports": {"tcp": ["tcp"], "utp": ["utp"], "both": ["utp", "tcp"]}[arguments.transport],
        "tcp-enabled": arguments.transport != "utp",
        "utp-enabled": arguments.transport != "tcp",
    }
    with open(program.path("settings.json"), "w") as file:
        json.dump(settings, file)
    program.start(
        "transmission-daemon", "--foreground", "--config-dir", program.directory.name, "--log-error", verbose=arguments.verbose
    )
    wait_until(lambda: listens(rpc_port) and listens(port), "transmission listens")

    rpc = Rpc(rpc_port)
    if arguments.torrent:
        with open(arguments.torrent, "rb") as file:
            added = rpc("torrent-add", metainfo=base64.b64encode(file.read()).decode())
    else:
        added = rpc("torrent-add", filename=arguments.magnet)
    identity = (added.get("torrent-added") or added["torrent-duplicate"])["id"]
    if arguments.tracker:
        rpc("torrent-set", ids=[identity], trackerAdd=arguments.tracker)

    def status():
        fields = ["status", "percentDone", "leftUntilDone", "errorString", "error", "metadataPercentComplete", "recheckProgress"]
        torrent = rpc("torrent-get", ids=[identity], fields=fields)["torrents"][0]
        # 1 and 2 are a tracker's warning and error, which end no torrent; 3 is a local error, which does.
        if torrent["error"] == 3:
            fail(torrent["errorString"])
        return torrent

    STOPPED, CHECKING_SOON, CHECKING, SEEDING = 0, 1, 2, 6
    if arguments.mode == "seed":
        def checked():
            torrent = status()
            return torrent["status"] not in (STOPPED, CHECKING_SOON, CHECKING) and torrent

        if wait_until(checked, "transmission checks its data", 120)["status"] != SEEDING:
            fail("the data is not complete")
        say("port", port)
    else:
        say("port", port)
        said_metadata = not arguments.magnet
        while True:
            torrent = status()
            if torrent["metadataPercentComplete"] == 1 and not said_metadata:
                said_metadata = True
                say("metadata")
            if said_metadata and torrent["status"] == SEEDING and torrent["leftUntilDone"] == 0:
                break
            time.sleep(0.05)
        # Files keep the name FILE.part until they are whole and written.
        wait_until(
            lambda: not [name for _, _, names in os.walk(arguments.data) for name in names if name.endswith(".part")],
            "transmission renames its files",
        )
        say("done")
    threading.Event().wait()


if __name__ == "__main__":
    main()
