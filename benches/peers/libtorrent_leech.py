"""libtorrent's side of a download benchmark: fetches one torrent from one peer to a directory, and says what that took.

    libtorrent_leech.py --torrent PATH --peer IP:PORT --data DIR [--setting NAME=VALUE]...

Prints one JSON line. The clock and the process's CPU time start after the imports and before the session is made, and stop
when libtorrent says that the torrent is finished. The driver compares the file with the source afterwards.
"""

import argparse
import json
import resource
import time

import libtorrent as lt

import quiet

# libtorrent as fast as it gets here: nothing on that the benchmark does not use.
SETTINGS = {
    **quiet.SETTINGS,
    "in_enc_policy": int(lt.enc_policy.disabled),
    "out_enc_policy": int(lt.enc_policy.disabled),
    "alert_mask": int(lt.alert.category_t.status_notification | lt.alert.category_t.error_notification),
    # Ten threads for two cores only take turns. Of queue depths, buffer sizes and write modes none beat the defaults here.
    "aio_threads": 2,
    # A file that is there, which the driver has written with other bytes, is not hashed before it is fetched.
    "no_recheck_incomplete_resume": True,
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--torrent", required=True)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--data", required=True)
    quiet.add_setting_argument(parser)
    arguments = parser.parse_args()
    settings = quiet.with_arguments(SETTINGS, arguments)
    host, _, port = arguments.peer.rpartition(":")

    used_before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    session = lt.session(settings)
    params = lt.load_torrent_file(arguments.torrent)
    params.save_path = arguments.data
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    torrent = session.add_torrent(params)
    torrent.connect_peer((host, int(port)))
    finished = False
    while not finished:
        session.wait_for_alert(1000)
        for alert in session.pop_alerts():
            if isinstance(alert, (*quiet.FAULTS, lt.peer_disconnected_alert)):
                raise SystemExit(alert.message())
            finished = finished or isinstance(alert, lt.torrent_finished_alert)
    wall = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({
        "peer": "libtorrent " + lt.version,
        "wall": wall,
        "user": used.ru_utime - used_before.ru_utime,
        "sys": used.ru_stime - used_before.ru_stime,
        "verify_cpu": 0.0,
        "rss_peak_kib": used.ru_maxrss,
    }))


if __name__ == "__main__":
    main()
