"""libtorrent as a client, and as the maker of torrents for the other clients.

    lt_peer.py make  --out DIR --name NAME --size BYTES [--files N] [--piece-length BYTES] [--random-seed N] [--private]
                     [--tracker URL]...              writes DIR/NAME (a file, or a directory of N files) and DIR/NAME.torrent
                                                     prints `torrent PATH`, `info-hash HEX`, `magnet URI`
    lt_peer.py seed  --torrent PATH --data DIR ...   prints `port N` when it has checked its data
    lt_peer.py leech (--torrent PATH | --magnet URI) --data DIR --peer IP:PORT ...
                                                     prints `port N`, `metadata` (magnet), `done`; `hash-failed PIECE`
Both take --dht-node IP:PORT (repeated), which turns the DHT on (`dht_nodes.py` is a network to name), --host IP to listen
at (::1 for IPv6), and --upload-limit BYTES_A_SECOND.
"""

import os
import random
import sys
import threading
import time

import libtorrent as lt

from common import HOST, address, client_arguments, fail, on_end_of_input, say

SETTINGS = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    # All peers of a test have one address.
    "allow_multiple_connections_per_ip": True,
    # libtorrent would ask one tracker of a tier only; a test that names several means each.
    "announce_to_all_trackers": True,
    "announce_to_all_tiers": True,
    # Peers come and go quickly in tests; the defaults wait a minute before they dial again.
    "min_reconnect_time": 1,
    "max_failcount": 30,
    "unchoke_interval": 1,
    "alert_mask": lt.alert.category_t.error_notification | lt.alert.category_t.status_notification,
}

# One transport mostly, so that a test says which one it is about.
TRANSPORT = {
    name: {f"enable_{way}_{kind}": name in (kind, "both") for kind in ("tcp", "utp") for way in ("incoming", "outgoing")}
    for name in ("tcp", "utp", "both")
}
ENCRYPTION = {
    "usual": {},
    "plain": {"out_enc_policy": lt.enc_policy.disabled, "in_enc_policy": lt.enc_policy.disabled},
    "handshake": {
        "out_enc_policy": lt.enc_policy.forced,
        "in_enc_policy": lt.enc_policy.forced,
        "allowed_enc_level": lt.enc_level.plaintext,
    },
    "rc4": {
        "out_enc_policy": lt.enc_policy.forced,
        "in_enc_policy": lt.enc_policy.forced,
        "allowed_enc_level": lt.enc_level.rc4,
    },
}

DHT_SETTINGS = dict(
    SETTINGS,
    enable_dht=True,
    # A network whose nodes all have one address breaks every rule that keeps a real one healthy.
    dht_restrict_routing_ips=False,
    dht_restrict_search_ips=False,
    dht_enforce_node_id=False,
    dht_ignore_dark_internet=False,
    dht_prefer_verified_node_ids=False,
    dht_bootstrap_nodes="",
    # 0 would mean that nobody may answer.
    dht_upload_rate_limit=10_000_000,
    dht_block_ratelimit=10_000,
    dht_announce_interval=10,
    alert_mask=SETTINGS["alert_mask"] | lt.alert.category_t.dht_notification | lt.alert.category_t.dht_operation_notification,
)


def make():
    import argparse

    parser = argparse.ArgumentParser(description="makes content and its torrent")
    parser.add_argument("--out", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--size", type=int, required=True, help="bytes in all files together")
    parser.add_argument("--files", type=int, default=1, help="1: a single-file torrent")
    parser.add_argument("--piece-length", type=int, default=256 * 1024)
    parser.add_argument("--random-seed", type=int, default=1)
    parser.add_argument("--private", action="store_true")
    parser.add_argument("--tracker", action="append", default=[])
    arguments = parser.parse_args(sys.argv[2:])

    source = random.Random(arguments.random_seed)
    path = os.path.join(arguments.out, arguments.name)
    names = [path]
    if arguments.files > 1:
        os.makedirs(os.path.join(path, "folder"), exist_ok=True)
        names = [os.path.join(path, "folder" if n % 2 else "", f"file{n}.bin") for n in range(arguments.files)]
    left = arguments.size
    for n, name in enumerate(names):
        # Uneven lengths: file borders should not fall on piece borders.
        length = left if n + 1 == len(names) else min(left, arguments.size // len(names) + 1009 * (n + 1))
        left -= length
        with open(name, "wb") as file:
            while length:
                part = source.randbytes(min(length, 1 << 20))
                file.write(part)
                length -= len(part)

    creator = lt.create_torrent(lt.list_files(path), arguments.piece_length, lt.create_torrent.v1_only)
    creator.set_priv(arguments.private)
    for tracker in arguments.tracker:
        creator.add_tracker(tracker)
    lt.set_piece_hashes(creator, arguments.out)
    torrent = path + ".torrent"
    with open(torrent, "wb") as file:
        file.write(lt.bencode(creator.generate()))
    info = lt.torrent_info(torrent)
    say("torrent", torrent)
    say("info-hash", info.info_hashes().v1)
    say("magnet", lt.make_magnet_uri(info))


def client():
    arguments = client_arguments("libtorrent", libtorrent=True)
    settings = dict(
        DHT_SETTINGS if arguments.dht_node else SETTINGS,
        **ENCRYPTION[arguments.encryption],
        **TRANSPORT[arguments.transport],
    )
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    session = lt.session(dict(settings, listen_interfaces=f"{host}:{arguments.port}", upload_rate_limit=arguments.upload_limit))
    for node in arguments.dht_node:
        session.add_dht_node(address(node))
    if arguments.magnet:
        params = lt.parse_magnet_uri(arguments.magnet)
    else:
        params = lt.load_torrent_file(arguments.torrent)
    params.save_path = arguments.data
    params.trackers = list(params.trackers) + arguments.tracker
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    torrent = session.add_torrent(params)
    on_end_of_input()

    seeding = arguments.mode == "seed"
    if not seeding:
        say("port", session.listen_port())
    for peer in arguments.peer:
        torrent.connect_peer(address(peer))
    said_metadata = not arguments.magnet
    while True:
        session.wait_for_alert(100)
        for alert in session.pop_alerts():
            if arguments.verbose:
                print(alert.message(), file=sys.stderr)
            if isinstance(alert, (lt.listen_failed_alert, lt.torrent_error_alert, lt.metadata_failed_alert)):
                fail(alert.message())
            if isinstance(alert, lt.hash_failed_alert):
                say("hash-failed", alert.piece_index)
        status = torrent.status()
        if status.has_metadata and not said_metadata:
            said_metadata = True
            say("metadata")
        if status.state == lt.torrent_status.seeding:
            break
        if seeding and status.state == lt.torrent_status.downloading:
            fail("the data is not complete")
    if seeding:
        say("port", session.listen_port())
    else:
        # A finished torrent may still be writing: it is done when the files can be read.
        torrent.flush_cache()
        while not any(isinstance(alert, lt.cache_flushed_alert) for alert in session.pop_alerts()):
            time.sleep(0.02)
        say("done")
    threading.Event().wait()


if __name__ == "__main__":
    make() if sys.argv[1:2] == ["make"] else client()
