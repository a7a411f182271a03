"""GPUs are looked for in another process: each thing that can be missing is named with what mends it."""

import os
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import pytest

from gpurefine.devices import (
    MISSING,
    NEEDED_MEMORY,
    Device,
    DeviceReport,
    Facts,
    decode,
    encode,
    extra_for,
    find_devices,
    judge,
)
from gpurefine.probe import driver_cuda

GIB = 1 << 30
GPU_UUID = "GPU-01020304-0506-0708-090a-0b0c0d0e0f10"
H100 = Device(0, "NVIDIA H100 80GB HBM3", (9, 0), 80 * GIB, 79 * GIB)
GOOD = Facts("580.65.06", (13, 0), "cupy-cuda13x 14.2.0", (13, 0), None, None, (H100,), "")

CUPY = """
class CUDARuntimeError(RuntimeError): pass
DEVICES = {devices!r}
at = 0
def runtimeGetVersion(): return 13000
def getDeviceCount():
    if {error!r}: raise CUDARuntimeError({error!r})
    return len(DEVICES)
def setDevice(index):
    global at
    at = index
def getDeviceProperties(index):
    name, major, minor, free, total, uuid = DEVICES[index]
    return dict(name=name, major=major, minor=minor, totalGlobalMem=total, uuid=uuid)
def memGetInfo():
    if DEVICES[at][3] == 0: raise CUDARuntimeError("cudaErrorMemoryAllocation: out of memory")
    return DEVICES[at][3:5]
"""


needs_no_rapids = pytest.mark.skipif(bool(find_spec("cupy") or find_spec("cudf")), reason="CuPy or cuDF is here")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Puts a driver's library, nvidia-smi, CuPy and cuDF in place that say what they are told to."""
    for variable in ("CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def driver(cuda, version="580.65.06"):
        source = f"int cuDriverGetVersion(int *v) {{ *v = {cuda}; return 0; }}"
        target = ["-o", tmp_path / "libcuda.so.1"]
        subprocess.run(["cc", "-shared", "-fPIC", "-xc", "-", *target], input=source, text=True, check=True)
        monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
        program(tmp_path / "nvidia-smi", f"#!/bin/sh\necho {version}\n")
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def cupy(devices=(), error=""):
        write(tmp_path / "cupy/__init__.py", "")
        write(tmp_path / "cupy/cuda/__init__.py", "from . import runtime")
        write(tmp_path / "cupy/cuda/runtime.py", CUPY.format(devices=list(devices), error=error))
        write(tmp_path / "cupy_cuda13x-14.2.0.dist-info/METADATA", "Name: cupy-cuda13x\nVersion: 14.2.0\n")

    def cudf(text=""):
        write(tmp_path / "cudf/__init__.py", text)

    return lambda **parts: [{"driver": driver, "cupy": cupy, "cudf": cudf}[name](**how) for name, how in parts.items()]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))


def program(path: Path, text: str) -> None:
    write(path, text)
    path.chmod(0o755)


def entry(name=b"NVIDIA H100 80GB HBM3", major=9, minor=0, free=79 * GIB, total=80 * GIB, uuid=bytes(range(1, 17))):
    return (name, major, minor, free, total, uuid)


def test_two_devices_that_can_be_used(machine):
    machine(driver={"cuda": 13000}, cupy={"devices": [entry(), entry(uuid=b"\1\2")]}, cudf={"text": "print('hello')"})
    report = find_devices()
    assert report.problem is None and report.cuda == (13, 0)
    first, second = report.devices
    assert first == Device(0, "NVIDIA H100 80GB HBM3", (9, 0), 80 * GIB, 79 * GIB, GPU_UUID)
    assert second.index == 1 and second.uuid is None  # CuPy gave less than the whole of it


@pytest.mark.skipif(driver_cuda() is not None, reason="this machine has a driver")
def test_no_driver(machine):
    machine(cupy={"devices": [entry()]}, cudf={})
    report = find_devices()
    assert report.devices == () and report.cuda is None
    assert "no NVIDIA driver is found" in report.problem and "nvidia-driver-580-server" in report.problem


def test_a_driver_without_its_library():
    problem = judge(Facts(driver="580.65.06"))
    assert "libcuda.so.1 cannot be loaded" in problem and "NVIDIA_DRIVER_CAPABILITIES=compute" in problem


@needs_no_rapids
@pytest.mark.parametrize(("cuda", "extra"), [(12090, "cu12"), (13000, "cu13"), (13020, "cu13")])
def test_cupy_missing_names_the_extra_of_the_driver(machine, cuda, extra):
    machine(driver={"cuda": cuda})
    assert find_devices().problem == f"CuPy is not installed; `pip install 'gpurefine[{extra}]'`"


def test_a_driver_older_than_cupy_needs(machine):
    error = "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"
    machine(driver={"cuda": 12020, "version": "535.161.08"}, cupy={"error": error}, cudf={})
    report = find_devices()
    assert report.cuda == (12, 2)
    for part in ("supports CUDA 12.2", "cupy-cuda13x 14.2.0 needs CUDA 13", "580.65.06 or newer", "gpurefine[cu12]"):
        assert part in report.problem
    if not Path("/proc/driver/nvidia/version").exists():
        assert report.driver == "535.161.08" and "535.161.08" in report.problem


def test_a_driver_that_is_too_old_for_any_extra():
    problem = judge(Facts("470.82.01", (11, 4)))
    assert "driver 470.82.01 supports CUDA 11.4 and gpurefine needs CUDA 12; update it to 525.60.13" in problem
    assert "pip" not in problem


def test_hidden_devices(machine, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    machine(driver={"cuda": 13000}, cupy={"error": "cudaErrorNoDevice: no CUDA-capable device is detected"})
    assert find_devices().problem.startswith("CUDA_VISIBLE_DEVICES='' leaves no GPU visible; `unset")


def test_a_driver_without_a_device(machine):
    machine(driver={"cuda": 13000}, cupy={})
    assert "finds no GPU; see `nvidia-smi -L`" in find_devices().problem


def test_another_error_of_cuda(machine):
    machine(driver={"cuda": 13000}, cupy={"error": "cudaErrorSystemNotReady:\n  not yet"})
    problem = find_devices().problem
    assert "cupy-cuda13x 14.2.0 cannot be used (CUDARuntimeError: cudaErrorSystemNotReady: not yet)" in problem


def test_an_old_device_alone_and_beside_a_new_one(machine, monkeypatch):
    old = entry(b"Tesla P100", 6, 0, 15 * GIB, 16 * GIB)
    machine(driver={"cuda": 12090}, cupy={"devices": [old]}, cudf={"text": "raise SystemExit(9)"})
    assert "GPU 0 (Tesla P100) has compute capability 6.0 and cuDF needs 7.0" in find_devices().problem
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 5")
    machine(cupy={"devices": [old, entry()]}, cudf={"text": ""})
    assert find_devices().problem.endswith("take the others by `export CUDA_VISIBLE_DEVICES=5`")


@needs_no_rapids
def test_cudf_missing_and_broken(machine):
    machine(driver={"cuda": 12090}, cupy={"devices": [entry()]})
    report = find_devices()
    assert report.problem == "cuDF is not installed; `pip install 'gpurefine[cu12]'`" and len(report.devices) == 1
    machine(cudf={"text": "import numpy\nnumpy.row_stack_of_old"})
    assert "cuDF cannot be imported (AttributeError: module 'numpy' has no attribute" in find_devices().problem
    machine(cudf={"text": "import a_part_of_it"})
    assert "ModuleNotFoundError: No module named 'a_part_of_it'" in find_devices().problem


def test_little_free_memory(machine):
    machine(driver={"cuda": 13000}, cupy={"devices": [entry(free=2 * GIB)]}, cudf={})
    assert "has 2.0 of 80.0 GiB free and one partition needs 4.0 GiB" in find_devices().problem
    assert find_devices(needed_memory=2 * GIB).problem is None
    machine(cupy={"devices": [entry(free=0), entry()]})
    assert "has 0.0 of 80.0 GiB free" in find_devices().problem
    assert find_devices().problem.endswith("`export CUDA_VISIBLE_DEVICES=1`")


def test_what_a_partition_needs_is_made_up_of_its_parts():
    assert NEEDED_MEMORY == 4 * GIB
    just_enough = Device(0, "GPU", (7, 0), 8 * GIB, NEEDED_MEMORY)
    assert judge(Facts("580.65.06", (13, 0), "cupy", (13, 0), devices=(just_enough,), cudf_error="")) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import os\nos.abort()", "was killed by signal 6"),
        ("import os\nos._exit(3)", "ended with 3"),
        ("import os\nprint('{}', flush=True)\nos._exit(0)", "ended with 0 (no message)"),
    ],
)
def test_a_library_that_ends_the_process_costs_an_answer_and_no_more(machine, text, said):
    machine(driver={"cuda": 13000}, cupy={"devices": [entry()]}, cudf={"text": text})
    problem = find_devices().problem
    assert said in problem and "-m gpurefine.probe` to see why" in problem


def test_a_library_that_hangs(machine):
    machine(driver={"cuda": 13000}, cupy={"devices": [entry()]}, cudf={"text": "import time\ntime.sleep(60)"})
    assert find_devices(timeout=1).problem == "CUDA did not answer within 1 s; see whether `nvidia-smi` answers"


def test_no_process_to_ask_in(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/python")
    assert find_devices() == DeviceReport((), find_devices().problem)
    assert "no process can be started to look for GPUs" in find_devices().problem


def test_facts_come_whole_through_json():
    assert decode(encode(GOOD)) == GOOD and judge(GOOD) is None
    assert decode(encode(Facts())) == Facts()
    assert judge(Facts(**{**vars(GOOD), "cudf_error": MISSING})).startswith("cuDF is not installed")


def test_the_extra_of_a_driver():
    assert [extra_for(cuda) for cuda in (None, (12, 0), (12, 9), (13, 0), (14, 1))] == [
        "cu13", "cu12", "cu12", "cu13", "cu13",
    ]  # fmt: skip


def test_the_caller_imports_no_cuda_library():
    program = """
import sys
import gpurefine.devices
gpurefine.devices.find_devices()
print([name for name in sys.modules if name.split(".")[0] in {"cupy", "cudf", "rmm", "numba", "pynvml", "dask"}])
"""
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"
