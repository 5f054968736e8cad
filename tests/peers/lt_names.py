"""What libtorrent makes of torrent files: one in hex a line in, what it read of it a line out.

A line is `error`, or the name and each file's path, flags, size and symlink target, as JSON.
"""

import json
import sys
import warnings

import libtorrent as lt

warnings.simplefilter("ignore")


def read(data):
    try:
        info = lt.torrent_info(data)
    except RuntimeError:
        return "error"
    files = info.files()
    return json.dumps(
        {
            "name": info.name(),
            "seeds": [seed["url"] for seed in info.web_seeds()],
            "files": [
                [files.file_path(i), files.file_flags(i), files.file_size(i), files.symlink(i) if files.file_flags(i) & 8 else ""]
                for i in range(files.num_files())
            ],
        }
    )


for line in sys.stdin:
    print(read(bytes.fromhex(line.strip())), flush=True)
