#!/usr/bin/env bash
# Runs once, when Gradescope builds the image. Choose Ubuntu 24.04 or newer as its base: the grader needs Python 3.11.
set -euo pipefail

root=${AUTOGRADER_ROOT:-/autograder}
apt-get update -qq
apt-get install -y -qq python3 python3-venv bubblewrap
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "Backdoor Lab needs Python 3.11 or newer, and this image has $(python3 --version): choose a newer base image" >&2
  exit 1
}
python3 -m venv "$root/venv"
"$root/venv/bin/python" -m pip install --quiet --extra-index-url https://download.pytorch.org/whl/cpu \
  --requirement "$root/source/requirements.txt"
