#!/usr/bin/env bash
# Unpack what pack_rapids.sh packed, once, and say which versions are there.
#
#   benchmarks/unpack_rapids.sh FOLDER TARGET          then: export PYTHONPATH=TARGET
set -euo pipefail
from=$1 target=$2
python=${PYTHON:-python3}
[[ -e $target/.whole ]] && exit 0
(cd "$from" && sha256sum --check --quiet SHA256SUMS)
mkdir -p "$target"
# Python reads the archive, since there may be no xz program
"$python" -c '
import lzma, sys, tarfile
with lzma.open(sys.argv[1]) as packed, tarfile.open(fileobj=packed, mode="r|") as archive:
    archive.extractall(sys.argv[2], filter="fully_trusted")
' "$from/rapids.tar.xz" "$target"
touch "$target/.whole"
