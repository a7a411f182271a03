#!/usr/bin/env bash
# All that needs a GPU, on a machine that has one and no network. Run where it stands, in a checkout:
#
#   benchmarks/gpu.sh [PART...] [--carried DIR] [--sample DIR] [--out DIR] [--dry-run]
#
#   unpack     RAPIDS from --carried (.rapids, made by pack_rapids.sh) into $GPUREFINE_GPU_SITE (/tmp/gpurefine-gpu)
#   check      gpurefine doctor, and the tests that need a device: kernels, dedup, frames, whole runs
#   memcheck, racecheck   the kernels' tests under that tool of compute-sanitizer
#   parity     filters and MinHash on --sample (.gpu-sample, made by gpu_sample.py), GPU against CPU, bit for bit
#   measure    band keys, text kernels, sort-and-run and union-find, the whole dedup
#
# Without a PART all of them, in this order. A part needs what `unpack` left on the machine, or an environment that has
# RAPIDS already. Each step is limited in time, tells its exit status and lets the next one begin; the last line tells
# all of them, and the exit status is 1 if one failed. Results and logs go to --out (benchmarks/results/gpu). With
# --dry-run everything runs on tiny input on the CPU, with stand-ins of CuPy and cuDF: its times say nothing.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
site=${GPUREFINE_GPU_SITE:-/tmp/gpurefine-gpu}
python=${PYTHON:-python3}
carried=$root/.rapids sample=$root/.gpu-sample out=$root/benchmarks/results/gpu
dry=0 parts=()
while (($#)); do
  case $1 in
    --carried) carried=$2; shift ;;
    --sample) sample=$2; shift ;;
    --out) out=$2; shift ;;
    --dry-run) dry=1 ;;
    unpack | check | memcheck | racecheck | parity | measure) parts+=("$1") ;;
    *) echo "gpu.sh: unknown argument '$1'; see the head of this file" >&2; exit 2 ;;
  esac
  shift
done
((${#parts[@]})) || parts=(unpack check memcheck racecheck parity measure)
mkdir -p "$site" "$out"
out=$(cd "$out" && pwd)
statuses=() failed=0

# step NAME SECONDS COMMAND...: what it prints goes to the terminal and to gpu.log
step() {
  local name=$1 limit=$2 began=$SECONDS status
  shift 2
  echo "== $name" | tee -a "$out/gpu.log"
  timeout --kill-after=10 "$limit" "$@" 2>&1 | tee -a "$out/gpu.log"
  status=${PIPESTATUS[0]}
  ((status == 5)) && [[ $name == memcheck* || $name == racecheck* ]] && status=0  # pytest found no test for a device
  echo "== $name: exit status $status after $((SECONDS - began)) s" | tee -a "$out/gpu.log"
  statuses+=("$name=$status")
  ((status == 0)) || failed=1
}

# gpurefine as it is imported, without an installation: kernels/ and configs/ are packages of it.
make_site() {
  rm -rf "$site/python"
  mkdir -p "$site/python/gpurefine"
  ln -s "$root"/gpurefine/* "$root/kernels" "$root/configs" "$site/python/gpurefine/"
  "$python" - "$root/pyproject.toml" "$site/python" <<'PYTHON'
import pathlib, sys, tomllib

project = tomllib.loads(pathlib.Path(sys.argv[1]).read_text())["project"]
folder = pathlib.Path(sys.argv[2], f"gpurefine-{project['version']}.dist-info")
folder.mkdir()
lines = ["Metadata-Version: 2.1", f"Name: gpurefine", f"Version: {project['version']}"]
lines += [f"Requires-Dist: {each}" for each in project["dependencies"]]
(folder / "METADATA").write_text("\n".join(lines) + "\n")
PYTHON
}

# a program of this folder, on the device or on the stand-ins
program() {
  if ((dry)); then echo "$python" "$root/tests/emulation/dry_run.py" "$root/benchmarks/$1"; else echo "$python" "$root/benchmarks/$1"; fi
}

versions() {
  nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv || echo "no nvidia-smi"
  # packages for extraction are missing here and not needed, so what counts is whether there is a usable GPU
  "$python" -m gpurefine doctor
  "$python" -c 'import sys; from gpurefine.devices import find_devices; sys.exit(find_devices().problem)' || [[ $1 == 1 ]]
}

unpack() {
  # what is carried is for the Python of another machine
  ((dry)) || step unpack 120 "$root/benchmarks/unpack_rapids.sh" "$carried" "$site/rapids"
}

check() {
  step versions 120 bash -c "$(declare -f versions); python=$python; versions $dry"
  # not all of tests/: what tests extraction cannot be imported here
  local tests marker=gpu
  mapfile -t tests < <(grep -rlE 'def .*\b(cuda|cudf|cudf_of|here)\b' tests --include='test_*.py' | grep -v ^tests/benchmarks/ | sort)
  ((dry)) && marker="not gpu and not slow" tests=(tests/kernels/test_cuda_minhash.py -k "equal or same")
  step tests 420 "$python" -m pytest -q -p no:cacheprovider -m "$marker" "${tests[@]}"
}

# CuPy's pool would hide what is read behind an array: plain_allocator gives each array memory of its own.
sanitize() {
  local tool=$1 file
  ((dry)) && return
  if ! command -v compute-sanitizer >/dev/null; then
    echo "gpu.sh: no compute-sanitizer on the PATH (it comes with the CUDA toolkit); skipped"
    statuses+=("$tool=skipped")
    return
  fi
  for file in tests/kernels/test_cuda_*.py; do
    step "$tool-$(basename "$file" .py)" 90 compute-sanitizer --tool "$tool" --error-exitcode 9 --launch-timeout 0 \
      "$python" -m pytest -q -x -p no:cacheprovider -p plain_allocator --hypothesis-profile=few -m gpu "$file"
  done
}

memcheck() { sanitize memcheck; }
racecheck() { sanitize racecheck; }

parity() {
  local tables=("$sample"/*.parquet)
  if [[ ! -e ${tables[0]} ]]; then
    echo "gpu.sh: no sample in $sample: make it with benchmarks/gpu_sample.py; skipped"
    statuses+=(parity=skipped)
    return
  fi
  [[ -d $sample/cache ]] && export GPUREFINE_CACHE=$sample/cache
  local less=()
  ((dry)) && less=(--workers 1 --set dedup.minhash.bands=14 --set dedup.minhash.rows=8)
  # shellcheck disable=SC2046  # a program is several words
  step parity 420 $(program gpu_parity.py) "${tables[@]}" "${less[@]}" --out "$out/parity.md"
}

measure() {
  [[ -d $sample/cache ]] && export GPUREFINE_CACHE=$sample/cache
  local keys=(--cudf) text=() links=() whole=()
  if ((dry)); then
    keys=(--documents 2 --shingles 9 --rounds 1 --turns 2 --repeats 1)
    text=(--megabytes 0.01 --rounds 1)
    links=(--keys 500 --edges 500 --rounds 1)
    whole=(--documents 60 --workers 1 --set bands=14 --set rows=8)
  fi
  # shellcheck disable=SC2046
  {
    step band_keys 120 $(program band_keys_device.py) "${keys[@]}" --out "$out/band_keys_device.md"
    step text 150 $(program text_device.py) "${text[@]}" --out "$out/text_device.md"
    step links 90 $(program links_device.py) "${links[@]}" --out "$out/links_device.md"
    step dedup 240 $(program dedup_device.py) "${whole[@]}" --out "$out/dedup_device.md"
  }
}

make_site
# a safe path has no folder that a program happens to lie or start in, so both are named
export PYTHONPATH=$site/python:$site/rapids:$root/benchmarks:$root/tests/emulation PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1
export CUPY_CACHE_DIR=$site/cupy NUMBA_CACHE_DIR=$site/numba
((dry)) && export GPUREFINE_IMITATED_GPUS=1
cd "$root" || exit 2
for part in "${parts[@]}"; do "$part"; done
echo "== $(date -u +%FT%TZ) ${statuses[*]:-nothing ran}" | tee "$out/status.txt"
exit $failed
