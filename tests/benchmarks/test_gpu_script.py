"""The script for a machine with a GPU: how it imports the checkout, goes on behind a failure, and tells."""

import hashlib
import io
import lzma
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu.sh"


@pytest.fixture
def script(tmp_path):
    def run(*arguments, timeout=60):
        environment = {
            **os.environ,
            "GPUREFINE_GPU_SITE": str(tmp_path / "site"),
            "PYTHON": sys.executable,
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        }
        return subprocess.run(
            [SCRIPT, *arguments, "--out", str(tmp_path / "out")],
            env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip

    return run


def test_it_goes_on_behind_a_failure_and_tells_all(script, tmp_path):
    done = script("unpack", "parity", "memcheck", "--carried", str(tmp_path / "nothing"), "--sample", str(tmp_path))
    assert done.returncode == 1
    status = (tmp_path / "out" / "status.txt").read_text()
    assert "unpack=1 parity=skipped memcheck" in status
    assert "== unpack: exit status 1" in (tmp_path / "out" / "gpu.log").read_text()


def test_an_unknown_part_is_refused(script):
    done = script("everything")
    assert done.returncode == 2 and "unknown argument 'everything'" in done.stderr


def test_packed_files_are_checked_and_unpacked_once(script, tmp_path):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        entry = tarfile.TarInfo("fine.py")
        entry.size = 4
        archive.addfile(entry, io.BytesIO(b"A=1\n"))
    packed = lzma.compress(content.getvalue())
    carried = tmp_path / "carried"
    carried.mkdir()
    (carried / "rapids.tar.xz").write_bytes(packed)
    (carried / "SHA256SUMS").write_text(f"{'0' * 64}  rapids.tar.xz\n")
    assert script("unpack", "--carried", str(carried)).returncode == 1
    assert not (tmp_path / "site" / "rapids" / "fine.py").exists()
    (carried / "SHA256SUMS").write_text(f"{hashlib.sha256(packed).hexdigest()}  rapids.tar.xz\n")
    for _ in range(2):
        assert script("unpack", "--carried", str(carried)).returncode == 0
    assert (tmp_path / "site" / "rapids" / "fine.py").read_text() == "A=1\n"


def test_the_checkout_is_imported_without_an_installation(script, tmp_path):
    script("parity", "--sample", str(tmp_path))
    program = """
import gpurefine, gpurefine.configs, gpurefine.kernels.cuda.source as source
print(gpurefine.__version__, source.__file__)
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site" / "python")}, capture_output=True, text=True,
    )  # fmt: skip
    version, path = done.stdout.split()
    assert version == "0.1.0" and path.startswith(str(tmp_path / "site"))


@pytest.mark.slow
def test_a_dry_run_of_all_that_measures(script, tmp_path):
    done = script("check", "measure", "--dry-run", timeout=600)
    assert done.returncode == 0, done.stdout
    status = (tmp_path / "out" / "status.txt").read_text()
    assert status.split()[-6:] == ["versions=0", "tests=0", "band_keys=0", "text=0", "links=0", "dedup=0"]
