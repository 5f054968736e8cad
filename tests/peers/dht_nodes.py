"""A small DHT of libtorrent nodes on loopback, for a client to bootstrap from.

    dht_nodes.py --nodes N [--torrent PATH --data DIR]
        prints `node IP:PORT` a node, and `ready` when every node knows others.
        With a torrent, the last node seeds it, announced to this DHT and nowhere else; `port N` is where it listens,
        and `announced` comes when another node has found it there.
"""

import argparse
import threading
import time

import libtorrent as lt

from common import HOST, on_end_of_input, say, wait_until
from lt_peer import DHT_SETTINGS

def main():
    parser = argparse.ArgumentParser(description="a DHT on loopback")
    parser.add_argument("--nodes", type=int, default=8)
    parser.add_argument("--torrent")
    parser.add_argument("--data")
    arguments = parser.parse_args()
    on_end_of_input()

    nodes = [lt.session(dict(DHT_SETTINGS, listen_interfaces=f"{HOST}:0")) for _ in range(arguments.nodes)]
    ports = [wait_until(node.listen_port, "a node listens") for node in nodes]
    for index, node in enumerate(nodes):
        # The ring, and the first node, so that one lookup reaches everybody.
        for other in {0, (index + 1) % len(nodes)} - {index}:
            node.add_dht_node((HOST, ports[other]))
    for port in ports:
        say("node", f"{HOST}:{port}")

    def known(node):
        node.post_session_stats()
        node.wait_for_alert(200)
        for alert in node.pop_alerts():
            if isinstance(alert, lt.session_stats_alert):
                return alert.values["dht.dht_nodes"]
        return 0

    for node in nodes:
        wait_until(lambda: known(node) >= min(2, len(nodes) - 1), "the nodes find each other")
    say("ready")

    if arguments.torrent:
        params = lt.load_torrent_file(arguments.torrent)
        info_hash = params.info_hashes.v1
        params.save_path = arguments.data
        params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
        torrent = nodes[-1].add_torrent(params)
        wait_until(lambda: torrent.status().is_seeding, "the data is checked")
        say("port", ports[-1])

        def found():
            torrent.force_dht_announce()
            nodes[0].dht_get_peers(info_hash)
            deadline = time.monotonic() + 1
            while time.monotonic() < deadline:
                nodes[0].wait_for_alert(100)
                for alert in nodes[0].pop_alerts():
                    if isinstance(alert, lt.dht_get_peers_reply_alert) and alert.info_hash == info_hash:
                        return (HOST, ports[-1]) in alert.peers()
            return False

        wait_until(found, "the announce is found in the DHT")
        say("announced")
    threading.Event().wait()


if __name__ == "__main__":
    main()
