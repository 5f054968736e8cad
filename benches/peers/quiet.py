"""What the scripts that measure libtorrent have in common: a session that talks to nobody but the peers it is told of."""

import libtorrent as lt

SETTINGS = {
    "listen_interfaces": "127.0.0.1:0",
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    # The peers speak TCP only, and libtorrent tries uTP first: that cost four seconds before the first byte.
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
}
# Alerts after which there is nothing to measure.
FAULTS = (lt.torrent_error_alert, lt.file_error_alert, lt.hash_failed_alert)


def add_setting_argument(parser):
    parser.add_argument("--setting", action="append", default=[], help="another value, for finding the best ones")


def with_arguments(settings, arguments):
    """The settings, with those of the command line."""
    settings = dict(settings)
    for setting in arguments.setting:
        name, _, value = setting.partition("=")
        settings[name] = value == "true" if value in ("true", "false") else int(value)
    return settings
