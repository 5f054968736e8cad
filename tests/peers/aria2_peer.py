"""aria2c as a client (Debian: aria2).

    aria2_peer.py seed  --torrent PATH --data DIR             prints `port N` when it has checked its data
    aria2_peer.py leech (--torrent PATH | --magnet URI) --data DIR --peer IP:PORT ...
                                                              prints `port N`, `metadata` (magnet), `done`

aria2 has no way to be told of a peer, so `--peer` becomes a tracker of ours that knows just these.
"""

import json
import threading
import time
import urllib.request

from common import HOST, Program, client_arguments, fail, free_port, listens, say, wait_until
from mini_tracker import MiniTracker


ENCRYPTION = {
    "usual": [],
    "plain": ["--bt-require-crypto=false"],
    "handshake": ["--bt-require-crypto=true", "--bt-min-crypto-level=plain"],
    "rc4": ["--bt-force-encryption=true"],
}


def main():
    arguments = client_arguments("aria2c")
    program = Program()
    port = arguments.port or free_port()
    rpc_port = free_port()
    trackers = list(arguments.tracker)
    if arguments.peer:
        trackers.append(MiniTracker(arguments.peer).url)
    command = [
        "aria2c",
        "--no-conf=true",
        f"--dir={arguments.data}",
        f"--listen-port={port}",
        f"--interface={HOST}",
        "--enable-rpc=true",
        f"--rpc-listen-port={rpc_port}",
        "--enable-dht=false",
        "--enable-dht6=false",
        "--bt-enable-lpd=false",
        "--enable-peer-exchange=false",
        # 0.0: seed for ever.
        "--seed-ratio=0.0",
        "--check-integrity=true",
        "--allow-overwrite=true",
        "--file-allocation=none",
        "--bt-tracker-interval=2",
        f"--bt-tracker={','.join(trackers)}",
        # Magnets: keep nothing beside the content.
        "--bt-save-metadata=false",
        "--follow-torrent=mem",
        *ENCRYPTION[arguments.encryption],
        "--console-log-level=notice",
        "--summary-interval=0",
        arguments.torrent or arguments.magnet,
    ]
    program.start(*command, verbose=arguments.verbose)
    wait_until(lambda: listens(rpc_port), "aria2 listens")

    def downloads():
        body = [{"methodName": f"aria2.{name}", "params": params} for name, params in
                (("tellActive", []), ("tellWaiting", [0, 10]), ("tellStopped", [0, 10]))]
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "system.multicall", "params": [body]}).encode()
        with urllib.request.urlopen(f"http://{HOST}:{rpc_port}/jsonrpc", body, timeout=10) as reply:
            found = [item for part in json.load(reply)["result"] for item in part[0]]
        for item in found:
            if item["status"] == "error":
                fail(item.get("errorMessage", "aria2 reports an error"))
        # The metadata of a magnet is a download of its own, which the content's follows.
        return [item for item in found if "followedBy" not in item and item.get("bittorrent", {}).get("info")]

    def complete():
        return [item for item in downloads() if item.get("seeder") == "true" and item["completedLength"] == item["totalLength"]]

    if arguments.mode == "seed":
        # aria2 does not say that data is bad: it begins to fetch it. So bad data ends in the time limit.
        wait_until(complete, "aria2 finds its data complete", 60)
        say("port", port)
    else:
        wait_until(lambda: listens(port), "aria2 listens for peers")
        say("port", port)
        if arguments.magnet:
            while not downloads():
                time.sleep(0.05)
            say("metadata")
        while not complete():
            time.sleep(0.05)
        say("done")
    threading.Event().wait()


if __name__ == "__main__":
    main()
