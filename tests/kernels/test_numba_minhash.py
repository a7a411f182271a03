"""The Numba twin of the CUDA kernel: under the simulator, and in machine code where a compiler is installed."""

import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


def test_the_simulator_gives_the_keys_of_the_cpu():
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "PYTHONWARNINGS": "ignore"}
    program = [sys.executable, FOLDER / "minhash_numba.py"]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["7", "5"]


def test_its_machine_code_is_that_of_the_cuda_c_kernel(tmp_path, monkeypatch):
    """As many multiply-adds and minima an evaluation, no local memory: it would be as fast."""
    try:
        versions = [version(name) for name in ("numba-cuda", "nvidia-nvvm", "nvidia-cuda-nvdisasm")]
        (assembler,) = [str(file.locate()) for file in files("nvidia-cuda-nvcc") if file.name == "ptxas"]
    except PackageNotFoundError as error:
        pytest.skip(
            f"no compiler of Numba kernels (numba-cuda nvidia-nvvm nvidia-cuda-nvcc nvidia-cuda-nvdisasm): {error}"
        )
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.syspath_prepend(str(FOLDER.parents[1] / "benchmarks"))
    import machine_code
    from minhash_numba import SIGNATURE, band_keys_kernel
    from numba import cuda

    from gpurefine.kernels.cuda.minhash import choose_sizes

    sizes = choose_sizes(450, 20)
    kernel = band_keys_kernel(**sizes.macros())
    text, _ = cuda.compile(kernel, SIGNATURE, cc=(9, 0), output="ptx", device=False, abi="numba")
    (tmp_path / "kernel.ptx").write_text(text if isinstance(text, str) else text.decode())
    command = [assembler, "-v", "-arch=sm_90", f"--maxntid={sizes.threads}", "kernel.ptx", "-o", "kernel.cubin"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, (versions, done.stderr)
    assert re.search(r"\b0 bytes stack frame, 0 bytes spill stores", done.stderr), done.stderr
    (function,) = machine_code.read_functions(
        machine_code.disassemble((tmp_path / "kernel.cubin").read_bytes())
    ).values()
    loop = max(machine_code.innermost_loops(function), key=lambda names: machine_code.count(names, "VIMNMX"))
    evaluations = 4 * sizes.per_thread
    assert machine_code.multiply_adds(loop) == evaluations
    assert machine_code.count(loop, "VIMNMX3") == machine_code.count(loop, "VIMNMX") == evaluations // 2
    assert loop.total() <= 1.7 * evaluations
