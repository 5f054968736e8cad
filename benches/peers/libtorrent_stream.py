"""libtorrent's side of a streaming benchmark: reads the start of a file, then seeks in it, and says how long each took; or plays it,
and says how long it stood still.

    libtorrent_stream.py --torrent PATH --peer IP:PORT [--peer IP:PORT]... --data DIR --content PATH
                         ([--seeks OFFSET,OFFSET...] [--length BYTES] | --bitrate BYTES_A_SECOND --seconds N)
                         [--ahead priorities | deadlines] [--setting NAME=VALUE]...

The torrent has one file. Prints one JSON line. The clock starts after the session is made, when the torrent is added, and
again at each seek; it stops when the bytes are here. They are compared with those of --content. How playing goes is told in
benches/c/play.c.

libtorrent is driven in one of two ways. What the reader waits for has piece deadlines in both, cleared when it seeks; nothing outside
its window is wanted. `deadlines`, as libtorrent's documentation says: what comes next, 4 MiB, has later ones. `priorities`: what
comes next, 16 MiB, has the lowest priority, so that peers have something to send meanwhile; of all ways that were tried this one
seeks best among those that play without standing still.
"""

import argparse
import json
import os
import time

import libtorrent as lt

import quiet

# What a player has fetched behind the bytes that it waits for. With deadlines for more, seeks take four times as long; with the
# priority for less, it stands still where a peer of the swarm falls silent.
READ_AHEAD = {"deadlines": 4 << 20, "priorities": 16 << 20}
LEAST_AHEAD = 2
# Milliseconds from one piece's deadline to the next one's. Of 0 to 1000 none made a difference that could be measured.
DEADLINE_STEP = 100
# A player of benches/c/play.c: bytes, and seconds during which it may still fill up.
CHUNK = 256 << 10
SETTLES = 5
# Seconds; a read that takes longer is a failure, not a measurement.
PATIENCE = 120

# The defaults, but for discovery, for what would measure something else than streaming, and for the queue.
SETTINGS = {
    **quiet.SETTINGS,
    # Instead of 3 s: seeks with four seeders are a fifth quicker, the others as quick, and playing as smooth.
    "request_queue_time": 1,
    "allow_multiple_connections_per_ip": True,
    # With its window complete libtorrent takes the torrent for finished. It would drop all seeds, and not dial for a minute.
    "close_redundant_connections": False,
    "alert_mask": int(
        lt.alert.category_t.status_notification
        | lt.alert.category_t.error_notification
        | lt.alert.category_t.storage_notification
    ),
}


class Player:
    """A reader of the torrent's one file, who wants the pieces ahead of him and no others."""

    def __init__(self, session, torrent, info, way):
        self.session = session
        self.torrent = torrent
        self.size = info.total_size()
        self.piece_length = info.piece_length()
        self.num_pieces = info.num_pieces()
        self.way = way
        self.window = range(0)

    def seek(self):
        self.torrent.clear_piece_deadlines()

    def read(self, offset, length):
        """The pieces that hold the range, as bytes objects, of which nothing has been copied or cut off yet."""
        first = offset // self.piece_length
        needed = range(first, (min(offset + length, self.size) - 1) // self.piece_length + 1)
        ahead = max(READ_AHEAD[self.way] // self.piece_length, LEAST_AHEAD)
        left, self.window = self.window, range(first, min(needed.stop + ahead, self.num_pieces))
        # A deadline raises its piece from "not wanted" to the highest priority.
        for piece in needed if self.way == "priorities" else self.window:
            self.torrent.set_piece_deadline(piece, (piece - first) * DEADLINE_STEP, lt.torrent_handle.alert_when_available)
        # Without its deadline a piece is still wanted. This comes last: peers of whom nothing is wanted, if only for a
        # moment, are not asked again before libtorrent's next tick, up to a second later.
        rest = self.window if self.way == "priorities" else ()
        entered = [(piece, 1) for piece in rest if piece not in needed and piece not in left]
        self.torrent.prioritize_pieces(entered + [(piece, 0) for piece in left if piece not in self.window])
        return self.wait_for(needed)

    def wait_for(self, needed):
        data = {}
        give_up = time.perf_counter() + PATIENCE
        while len(data) < len(needed):
            if time.perf_counter() > give_up:
                raise SystemExit(f"waited {PATIENCE} s for pieces {needed.start} to {needed.stop - 1}, have {sorted(data)}")
            self.session.wait_for_alert(1000)
            for alert in self.session.pop_alerts():
                if isinstance(alert, quiet.FAULTS):
                    raise SystemExit(alert.message())
                if isinstance(alert, lt.read_piece_alert) and alert.piece in needed:
                    if alert.error.value():
                        raise SystemExit(alert.message())
                    data[alert.piece] = alert.buffer
        return [data[piece] for piece in needed]


def payload_received(session):
    """Exact, unlike the torrent's own count, which is up to a second old."""
    session.post_session_stats()
    while True:
        session.wait_for_alert(1000)
        for alert in session.pop_alerts():
            if isinstance(alert, lt.session_stats_alert):
                return alert.values["net.recv_payload_bytes"]


def play(player, content, bitrate, length, began):
    """Seconds to the first chunk, how often playing stood still, and for how many seconds in all."""
    first, stalls, stalled, ends = 0, 0, 0, began
    for offset in range(0, length - length % CHUNK, CHUNK):
        compare(content, offset, CHUNK, player.read(offset, CHUNK), player.piece_length)
        now = time.perf_counter()
        first = first or now - began
        late = now - max(ends, began + SETTLES)
        if late > 0:
            stalls += 1
            stalled += late
        begins = max(now, ends)
        ends = begins + CHUNK / bitrate
        time.sleep(max(begins - time.perf_counter(), 0))
    return first, stalls, stalled


def compare(content, offset, length, pieces, piece_length):
    content.seek(offset)
    expected = content.read(length)
    skip = offset % piece_length
    data = b"".join(pieces)[skip:skip + length]
    if data == expected:
        return
    if len(data) != len(expected):
        raise SystemExit(f"{len(data)} bytes at {offset}, not {len(expected)}")
    wrong = next(n for n, (got, want) in enumerate(zip(data, expected)) if got != want)
    raise SystemExit(f"wrong byte at {offset + wrong}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--torrent", required=True)
    parser.add_argument("--peer", action="append", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--content", required=True, help="the file as it should be")
    parser.add_argument("--seeks", default="", help="byte offsets")
    parser.add_argument("--length", type=int, default=1 << 20, help="bytes to read at the start and at each seek")
    parser.add_argument("--bitrate", type=int, help="play so many bytes a second, and do not seek")
    parser.add_argument("--seconds", type=int, default=40, help="how much to play")
    parser.add_argument("--ahead", choices=READ_AHEAD, default="priorities")
    quiet.add_setting_argument(parser)
    arguments = parser.parse_args()
    settings = quiet.with_arguments(SETTINGS, arguments)

    params = lt.load_torrent_file(arguments.torrent)
    info = params.ti
    offsets = [0] + [int(offset) for offset in arguments.seeks.split(",") if offset]
    if arguments.length <= 0 or not all(0 <= offset < info.total_size() for offset in offsets):
        raise SystemExit("--length and --seeks must lie inside the file")
    params.save_path = arguments.data
    params.trackers = []
    params.peers = [(host, int(port)) for host, _, port in (peer.rpartition(":") for peer in arguments.peer)]
    params.piece_priorities = [0] * info.num_pieces()
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    params.flags |= lt.torrent_flags.disable_dht | lt.torrent_flags.disable_lsd | lt.torrent_flags.disable_pex
    session = lt.session(settings)

    began = time.perf_counter()
    torrent = session.add_torrent(params)
    player = Player(session, torrent, info, arguments.ahead)
    with open(arguments.content, "rb") as content:
        if arguments.bitrate:
            length = min(arguments.bitrate * arguments.seconds, info.total_size())
            first, stalls, stalled = play(player, content, arguments.bitrate, length, began)
            result = {"first_ms": first * 1000, "stalls": stalls, "stall_ms": stalled * 1000}
        else:
            reads, took = [], []
            for offset in offsets:
                player.seek()
                reads.append(player.read(offset, arguments.length))
                now = time.perf_counter()
                took.append((now - began) * 1000)
                began = now
            for offset, pieces in zip(offsets, reads):
                compare(content, offset, arguments.length, pieces, info.piece_length())
            result = {"first_ms": took[0], "seek_ms": took[1:]}
    print(json.dumps({"peer": "libtorrent", **result, "payload": payload_received(session)}), flush=True)
    # The session's own end would wait for its peers and its disk.
    os._exit(0)


if __name__ == "__main__":
    main()
