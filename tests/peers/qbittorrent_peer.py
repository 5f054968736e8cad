"""qbittorrent-nox as a client (Debian: qbittorrent-nox).

    qbittorrent_peer.py seed  --torrent PATH --data DIR              prints `port N` when it has checked its data
    qbittorrent_peer.py leech (--torrent PATH | --magnet URI) --data DIR    prints `port N`, `metadata` (magnet), `done`

It is told what to do over the HTTP of its web interface.
"""

import json
import os
import threading
import time
import urllib.parse
import urllib.request

from common import HOST, Program, client_arguments, fail, free_port, listens, say, wait_until

# Its own settings: 0 prefers encrypted connections, 1 wants them, 2 has none.
ENCRYPTION = {"usual": 0, "rc4": 1, "plain": 2}
PROTOCOL = {"both": "Both", "tcp": "TCP", "utp": "UTP"}

SETTINGS = """[LegalNotice]
Accepted=true

[Preferences]
WebUI\\Address={host}
WebUI\\Port={web}
WebUI\\LocalHostAuth=false
WebUI\\CSRFProtection=false
WebUI\\HostHeaderValidation=false

[BitTorrent]
Session\\Port={port}
Session\\InterfaceAddress={host}
Session\\BTProtocol={protocol}
Session\\Encryption={encryption}
Session\\MultiConnectionsPerIp=true
Session\\DHTEnabled=false
Session\\LSDEnabled=false
Session\\PeXEnabled=false
Session\\QueueingSystemEnabled=false
Session\\DefaultSavePath={data}

[Network]
PortForwardingEnabled=false
"""


class Api:
    def __init__(self, port):
        self.url = f"http://{HOST}:{port}/api/v2/"

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as reply:
            return json.load(reply)

    def post(self, path, fields, file=None):
        boundary = "elementum"
        parts = [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
        if file is not None:
            head = 'Content-Disposition: form-data; name="torrents"; filename="t.torrent"\r\nContent-Type: application/x-bittorrent\r\n\r\n'
            parts.append(head.encode() + file)
        body = b"".join(b"--%s\r\n%s\r\n" % (boundary.encode(), part) for part in parts) + b"--%s--\r\n" % boundary.encode()
        request = urllib.request.Request(self.url + path, body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.read()

    def form(self, path, **fields):
        request = urllib.request.Request(self.url + path, urllib.parse.urlencode(fields).encode())
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.read()


def main():
    arguments = client_arguments("qbittorrent-nox")
    if arguments.encryption not in ENCRYPTION:
        fail(f"qBittorrent cannot be set to {arguments.encryption}")
    program = Program()
    port, web = arguments.port or free_port(), free_port()
    os.makedirs(program.path("qBittorrent/config"))
    with open(program.path("qBittorrent/config/qBittorrent.conf"), "w") as file:
        file.write(SETTINGS.format(
            host=HOST, web=web, port=port, protocol=PROTOCOL[arguments.transport],
            encryption=ENCRYPTION[arguments.encryption], data=arguments.data,
        ))
    program.start("qbittorrent-nox", f"--profile={program.directory.name}", verbose=arguments.verbose)
    wait_until(lambda: listens(web), "qBittorrent listens for the web")

    api = Api(web)
    fields = {"savepath": arguments.data, "autoTMM": "false", "contentLayout": "Original", "paused": "false"}
    if arguments.torrent:
        with open(arguments.torrent, "rb") as file:
            added = api.post("torrents/add", fields, file.read())
    else:
        added = api.post("torrents/add", dict(fields, urls=arguments.magnet))
    if added != b"Ok.":
        fail(f"not added: {added}")
    torrent = wait_until(lambda: api.get("torrents/info"), "the torrent is there")[0]
    identity = torrent["hash"]

    def status():
        state = api.get("torrents/info")[0]
        if state["state"] in ("error", "missingFiles"):
            fail(state["state"])
        return state

    def complete(state):
        return state["progress"] == 1 and state["state"] in ("uploading", "stalledUP", "forcedUP")

    if arguments.mode == "seed":
        wait_until(lambda: complete(status()), "qBittorrent checks its data", 60)
    elif arguments.peer:
        api.form("torrents/addPeers", hashes=identity, peers="|".join(arguments.peer))
    say("port", port)
    if arguments.mode == "leech":
        said_metadata = not arguments.magnet
        while True:
            state = status()
            if not said_metadata and state["state"] not in ("metaDL", "forcedMetaDL", "checkingResumeData") and state["size"] > 0:
                said_metadata = True
                say("metadata")
            if said_metadata and complete(state):
                break
            time.sleep(0.05)
        say("done")
    threading.Event().wait()


if __name__ == "__main__":
    main()
