"""libtorrent's side of a streaming benchmark: reads the start of a file, then seeks in it, and says how long each took.

    libtorrent_stream.py --torrent PATH --peer IP:PORT [--peer IP:PORT]... --data DIR --content PATH
                         [--seeks OFFSET,OFFSET...] [--length BYTES] [--setting NAME=VALUE]...

The torrent has one file. Prints one JSON line. The clock starts after the session is made, when the torrent is added, and
again at each seek; it stops when the bytes are here. They are compared with those of --content when all reads are done.

It does what libtorrent's documentation says of streaming: piece deadlines for a window that starts at the reader, cleared
and set anew when the reader seeks. All other pieces are not wanted, so that nothing else fills the link.
"""

import argparse
import json
import os
import time

import libtorrent as lt

import quiet

# What a player has fetched behind the bytes that it waits for, in bytes and at least in pieces.
READ_AHEAD = 16 << 20
LEAST_AHEAD = 2
# Milliseconds from one piece's deadline to the next one's. Of 0 to 1000 none made a difference that could be measured.
DEADLINE_STEP = 100
# Seconds; a read that takes longer is a failure, not a measurement.
PATIENCE = 120

# The defaults, but for discovery and for what would measure something else than streaming.
SETTINGS = {
    **quiet.SETTINGS,
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

    def __init__(self, session, torrent, info):
        self.session = session
        self.torrent = torrent
        self.size = info.total_size()
        self.piece_length = info.piece_length()
        self.num_pieces = info.num_pieces()
        self.window = range(0)

    def read(self, offset, length):
        """The pieces that hold the range, as bytes objects, of which nothing has been copied or cut off yet."""
        first = offset // self.piece_length
        needed = range(first, (min(offset + length, self.size) - 1) // self.piece_length + 1)
        ahead = max(READ_AHEAD // self.piece_length, LEAST_AHEAD)
        left, self.window = self.window, range(first, min(needed.stop + ahead, self.num_pieces))

        self.torrent.clear_piece_deadlines()
        # A deadline raises its piece from "not wanted" to the highest priority.
        for piece in self.window:
            flags = lt.torrent_handle.alert_when_available if piece in needed else 0
            self.torrent.set_piece_deadline(piece, (piece - first) * DEADLINE_STEP, flags)
        # Without its deadline a piece is still wanted. This comes last: peers of whom nothing is wanted, if only for a
        # moment, are not asked again before libtorrent's next tick, up to a second later.
        self.torrent.prioritize_pieces([(piece, 0) for piece in left if piece not in self.window])
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
    player = Player(session, torrent, info)
    reads, took = [], []
    for offset in offsets:
        reads.append(player.read(offset, arguments.length))
        now = time.perf_counter()
        took.append((now - began) * 1000)
        began = now

    payload = payload_received(session)
    with open(arguments.content, "rb") as content:
        for offset, pieces in zip(offsets, reads):
            compare(content, offset, arguments.length, pieces, info.piece_length())
    result = {"peer": "libtorrent", "first_ms": took[0], "seek_ms": took[1:], "payload": payload}
    print(json.dumps(result), flush=True)
    # The session's own end would wait for its peers and its disk.
    os._exit(0)


if __name__ == "__main__":
    main()
