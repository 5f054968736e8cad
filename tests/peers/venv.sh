#!/usr/bin/env bash
# Makes .venv with the Python packages of tests/requirements.txt, and makes it anew when that file has changed.
set -euo pipefail
cd "$(dirname "$0")/../.."

wanted=tests/requirements.txt
cmp -s "$wanted" .venv/requirements.txt && exit 0
echo "installing $(tr '\n' ' ' < "$wanted")into .venv"
rm -rf .venv
"${PYTHON:-python3}" -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check -r "$wanted"
.venv/bin/python -c 'import libtorrent'
# Last, so that an attempt that failed is made again.
cp "$wanted" .venv/requirements.txt
