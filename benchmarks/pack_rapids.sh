#!/usr/bin/env bash
# Pack cuDF, dask-cuDF, dask-cuda and what else gpurefine needs for a machine with an NVIDIA GPU and without network, as
# one small archive: machine code for one architecture only, no headers, no tests.
#
#   benchmarks/pack_rapids.sh [FOLDER]      default .rapids (ignored by git); some minutes and 2 GB of memory
#
# There, unpack_rapids.sh unpacks it and gpu.sh runs everything. That machine needs x86-64, CPython 3.12 and, for CUDA
# 13: numpy, pandas, pyarrow, numba, numba-cuda, cupy-cuda13x, cuda-bindings, cuda-core, NVRTC, nvJitLink, and of pure
# Python: click, cloudpickle, fsspec, idna, jinja2, msgpack, packaging, psutil, PyYAML, regex, rich, toolz, typer,
# typing-extensions, xxhash, pytest, hypothesis. EXTRA="pandas==3.0.6 ..." packs more, ARCH is the architecture (90).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:-.rapids}"
out=$(cd "${1:-.rapids}" && pwd)
arch=${ARCH:-90}
python=${PYTHON:-python3}

rapids="cudf-cu13==26.10.2 libcudf-cu13==26.10.2 pylibcudf-cu13==26.10.2 dask-cudf-cu13==26.10.2 dask-cuda==26.10.0
  rmm-cu13==26.10.0 librmm-cu13==26.10.0 libkvikio-cu13==26.10.0 rapids-logger==0.3.0 rapids-dask-dependency==26.10.0
  nvidia-libnvcomp-cu13==5.3.0.16 nvtx==0.2.17 cachetools==8.0.1"
dask="dask==2026.7.1 distributed==2026.7.1 zict==3.0.0 tblib==3.2.2 tornado==6.6.1 sortedcontainers==2.4.0
  locket==1.0.0 partd==1.4.2"
ours="pydantic==2.14.3 pydantic-core==2.50.4 annotated-types==0.8.0 typing-inspection==0.4.5
  brotli==1.2.1 chardet==7.7.0 tld==0.13.2 zstandard==0.25.0"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# for the other machine's Python, whatever runs here
platforms=()
for glibc in 28 27 24 17 12 5; do platforms+=(--platform "manylinux_2_${glibc}_x86_64"); done
platforms+=(--platform manylinux2014_x86_64 --platform manylinux1_x86_64)
# shellcheck disable=SC2086  # lists of words
"$python" -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
  "${platforms[@]}" -d "$work/wheels" $rapids $dask $ours ${EXTRA:-}

# .dist-info stays: Dask finds cuDF as a backend by it
mkdir "$work/tree"
for wheel in "$work"/wheels/*.whl; do "$python" -m zipfile -e "$wheel" "$work/tree"; done

cd "$work/tree"
rm -rf {libcudf,librmm,libkvikio,rapids_logger}/include nvidia/libnvcomp/{include,bin} lib64 include ./*.data \
  zstandard/_cffi*
find . -type d \( -name tests -o -name cmake -o -name __pycache__ \) -prune -exec rm -rf {} +
find . -type f \( -name '*.pxd' -o -name '*.pyx' -o -name '*.a' -o -name '*.cuh' \) -delete
find . -type f \( -name '*.so' -o -name '*.so.*' \) -exec "$python" "$here/prune_fatbin.py" --arch "$arch" {} +
find . -name '*.so' -size -20M -exec strip --strip-debug {} + 2>/dev/null || true

# What .pth files do in an installation does not happen on PYTHONPATH; and numba-cuda up to 0.30 asks NumPy for
# row_stack, which NumPy 2.5 dropped.
cat > sitecustomize.py <<'PYTHON'
try:
    import numpy

    if not hasattr(numpy, "row_stack"):
        numpy.row_stack = numpy.vstack
    import rapids_dask_dependency
except ImportError:
    pass
PYTHON

cd "$work"
tar --sort=name --owner=0 --group=0 --mtime=@0 -cf rapids.tar -C tree .
xz -T1 --x86 --lzma2=preset=9e,dict=192MiB rapids.tar
mv rapids.tar.xz "$out/rapids.tar.xz"
cd "$out"
sha256sum rapids.tar.xz > SHA256SUMS
ls -l "$out"
