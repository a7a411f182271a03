"""Which GPUs this machine has and whether gpurefine can use them; if not, what is missing and what mends it.

``find_devices`` asks in a process of its own (``python -m gpurefine.probe``), so that neither CuPy nor cuDF is imported
into the caller, no CUDA context is made there that would disturb workers to come, and a library that crashes or hangs
costs an answer and no more. ``judge`` turns what that process saw into one sentence.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

#: Bytes that a process takes on a device before it holds any text: the CUDA context and the code of our kernels and of
#: cuDF.
CONTEXT_MEMORY = 1 << 30
#: Bytes that a batch of documents on a device is cut to.
BATCH_TEXT = 128 << 20
#: Bytes on the device for each byte of text at a time: the frame with the text and a copy of it (2), and what the
#: kernels work with, of which text statistics take most (some 14 for English), with room for a pool's gaps. Estimated
#: from the kernels' own figures, not measured.
MEMORY_PER_TEXT_BYTE = 24
#: Bytes of free device memory that one partition needs, which is worked on a batch at a time. A batch that needs more
#: is halved and tried again.
NEEDED_MEMORY = CONTEXT_MEMORY + BATCH_TEXT * MEMORY_PER_TEXT_BYTE

#: The least compute capability that cuDF runs on (Volta).
LEAST_CAPABILITY = (7, 0)
#: The least driver for each major version of CUDA, from NVIDIA's table of CUDA 12 and 13 on Linux.
LEAST_DRIVERS = {12: "525.60.13", 13: "580.65.06"}
#: Seconds to wait for the answer: ``import cudf`` takes four of them, and many more from a slow network disk.
TIMEOUT = 90

#: Stands in ``Facts.cudf_error`` for a package that is not there.
MISSING = "missing"


@dataclass(frozen=True)
class Device:
    """A GPU.

    Attributes
    ----------
    index : its number among those that CUDA_VISIBLE_DEVICES leaves visible
    name : such as ``NVIDIA H100 80GB HBM3``
    compute_capability : (major, minor)
    memory, free_memory : bytes, of all and of those that no process had taken when it was asked
    uuid : ``GPU-...`` as nvidia-smi writes it; None if CUDA did not tell
    """

    index: int
    name: str
    compute_capability: tuple[int, int]
    memory: int
    free_memory: int
    uuid: str | None = None


@dataclass(frozen=True)
class DeviceReport:
    """What ``find_devices`` found.

    Attributes
    ----------
    devices : all that are visible, also where there is a problem
    problem : one sentence that names what is missing and the command that mends it; None if all devices can be used
    driver : version of the NVIDIA driver, such as ``580.159.04``; None if unknown
    cuda : the newest CUDA (major, minor) that the driver supports; None without a driver
    """

    devices: tuple[Device, ...]
    problem: str | None
    driver: str | None = None
    cuda: tuple[int, int] | None = None


@dataclass(frozen=True)
class Facts:
    """What a process that imported CuPy and cuDF saw. Fields are None where it did not come to the question.

    Attributes
    ----------
    driver : version of the NVIDIA driver that the kernel or nvidia-smi tells
    cuda : the newest CUDA (major, minor) that the driver's library supports; None if the library cannot be loaded
    cupy : CuPy's package and its version (``cupy-cuda13x 14.2.0``); empty if it is not installed
    cupy_cuda : the CUDA (major, minor) that CuPy was made for
    visible : the value of CUDA_VISIBLE_DEVICES
    error : what CuPy or CUDA said where it failed
    devices : the devices that are visible
    cudf_error : what ``import cudf`` said, ``MISSING``, or nothing where it succeeded
    """

    driver: str | None = None
    cuda: tuple[int, int] | None = None
    cupy: str | None = None
    cupy_cuda: tuple[int, int] | None = None
    visible: str | None = None
    error: str | None = None
    devices: tuple[Device, ...] = ()
    cudf_error: str | None = None


def find_devices(needed_memory: int = NEEDED_MEMORY, timeout: float = TIMEOUT) -> DeviceReport:
    """The GPUs that this process may use, asked for in another process. Never raises.

    Parameters
    ----------
    needed_memory : bytes that must be free on each device; 0 for a process that holds memory there already
    timeout : seconds to wait
    """
    command = [sys.executable, "-P", "-m", "gpurefine.probe"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, errors="replace")
    except subprocess.TimeoutExpired:
        return DeviceReport((), f"CUDA did not answer within {timeout:g} s; see whether `nvidia-smi` answers")
    except OSError as error:
        return DeviceReport((), f"no process can be started to look for GPUs ({error}); free memory or processes")
    try:
        # libraries may print, too: the answer is the last line
        facts = decode(_last_line(done.stdout))
    except (ValueError, TypeError, KeyError):
        ended = f"was killed by signal {-done.returncode}" if done.returncode < 0 else f"ended with {done.returncode}"
        told = _last_line(done.stderr)[:300] or "no message"
        return DeviceReport(
            (), f"the process that looks for GPUs {ended} ({told}); run it by `{' '.join(command)}` to see why"
        )
    return DeviceReport(facts.devices, judge(facts, needed_memory), facts.driver, facts.cuda)


def judge(facts: Facts, needed_memory: int = NEEDED_MEMORY) -> str | None:
    """Why a GPU cannot be used, in one sentence with the command that mends it; None if all visible ones can be."""
    if facts.cuda is None:
        return _no_driver(facts)
    if facts.cuda[0] < min(LEAST_DRIVERS):
        return _old_driver(facts, "gpurefine", min(LEAST_DRIVERS))
    install = f"`pip install 'gpurefine[{extra_for(facts.cuda)}]'`"
    if not facts.cupy:
        return f"CuPy is not installed; {install}"
    error = facts.error or ("" if facts.devices else "cudaErrorNoDevice")
    if "cudaErrorInsufficientDriver" in error:
        return _old_driver(facts, facts.cupy, facts.cupy_cuda[0] if facts.cupy_cuda else max(LEAST_DRIVERS))
    if "cudaErrorNoDevice" in error:
        return _no_device(facts)
    if error:
        return f"{facts.cupy} cannot be used ({error}); see `nvidia-smi`, and install what fits the driver by {install}"
    return (
        _unfit_device(facts, _capability_problem)
        or _unfit_device(facts, lambda device: _memory_problem(device, needed_memory))
        or _cudf_problem(facts, install)
    )


def extra_for(cuda: tuple[int, int] | None) -> str:
    """The extra of gpurefine for the newest CUDA that a driver supports; the newest extra if that is unknown."""
    return "cu13" if cuda is None or cuda >= (13, 0) else "cu12"


def _no_driver(facts: Facts) -> str:
    if facts.driver:
        return (
            f"the machine has NVIDIA driver {facts.driver}, but its library libcuda.so.1 cannot be loaded here; start "
            "the container with `--gpus all -e NVIDIA_DRIVER_CAPABILITIES=compute,utility`, or install the driver's "
            "libraries of the same version"
        )
    newest = LEAST_DRIVERS[max(LEAST_DRIVERS)]
    return (
        "no NVIDIA driver is found (libcuda.so.1 cannot be loaded); on a machine with a GPU install one of version "
        f"{newest} or newer (`{_driver_command(newest)}`), or start the container with `--gpus all`"
    )


def _old_driver(facts: Facts, what: str, cuda: int) -> str:
    supports = f"CUDA {_dotted(facts.cuda)}" if facts.cuda else "an older CUDA"
    least = LEAST_DRIVERS.get(cuda, LEAST_DRIVERS[max(LEAST_DRIVERS)])
    other = ""
    if facts.cuda and facts.cuda[0] in LEAST_DRIVERS and facts.cuda[0] < cuda:
        extra = extra_for(facts.cuda)
        other = f", or take what is made for it: `pip uninstall -y {what.split()[0]}; pip install 'gpurefine[{extra}]'`"
    return (
        f"the NVIDIA driver{f' {facts.driver}' if facts.driver else ''} supports {supports} and {what} needs CUDA "
        f"{cuda}; update it to {least} or newer (`{_driver_command(least)}`){other}"
    )


def _driver_command(version: str) -> str:
    return f"sudo apt install nvidia-driver-{version.partition('.')[0]}-server"


def _no_device(facts: Facts) -> str:
    if facts.visible is not None:
        return (
            f"CUDA_VISIBLE_DEVICES='{facts.visible}' leaves no GPU visible; `unset CUDA_VISIBLE_DEVICES`, or set it to "
            "an index that `nvidia-smi -L` lists"
        )
    return (
        "the NVIDIA driver finds no GPU; see `nvidia-smi -L`, and in a container or batch job ask for one "
        "(`docker run --gpus all`, `sbatch --gpus=1`)"
    )


def _unfit_device(facts: Facts, problem: Callable[[Device], tuple[str, str] | None]) -> str | None:
    """What the first device lacks that has a problem, and what mends it: to leave it out, where others have none."""
    found = [(device, problem(device)) for device in facts.devices]
    fit = [device for device, lacks in found if lacks is None]
    for device, lacks in found:
        if lacks is not None:
            told, mend = lacks
            if fit:
                mend = f"take the others by `export CUDA_VISIBLE_DEVICES={_names(facts, fit)}`"
            return f"GPU {device.index} ({device.name}) {told}; {mend}"
    return None


def _names(facts: Facts, devices: list[Device]) -> str:
    """The value of CUDA_VISIBLE_DEVICES that leaves these visible, out of those that are visible now."""
    given = [name.strip() for name in (facts.visible or "").split(",") if name.strip()]
    return ",".join(given[device.index] if device.index < len(given) else str(device.index) for device in devices)


def _capability_problem(device: Device) -> tuple[str, str] | None:
    if device.compute_capability >= LEAST_CAPABILITY:
        return None
    least = _dotted(LEAST_CAPABILITY)
    return (
        f"has compute capability {_dotted(device.compute_capability)} and cuDF needs {least} or more",
        "take a newer GPU (Volta or later), or run with `--backend cpu`",
    )


def _memory_problem(device: Device, needed: int) -> tuple[str, str] | None:
    if device.free_memory >= needed:
        return None
    return (
        f"has {_gib(device.free_memory)} of {_gib(device.memory)} GiB free and one partition needs {_gib(needed)} GiB",
        "end the processes that `nvidia-smi` lists there, or run with `--backend cpu`",
    )


def _cudf_problem(facts: Facts, install: str) -> str | None:
    if not facts.cudf_error:
        return None
    if facts.cudf_error == MISSING:
        return f"cuDF is not installed; {install}"
    return f"cuDF cannot be imported ({facts.cudf_error}); install it anew: {install}"


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.1f}"


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def encode(facts: Facts) -> str:
    """Facts as a line of JSON."""
    return json.dumps(asdict(facts))


def decode(line: str) -> Facts:
    """Facts from a line of JSON. Raises ValueError, TypeError or KeyError for any other line."""
    found = json.loads(line)
    devices = tuple(
        Device(**{**device, "compute_capability": tuple(device["compute_capability"])}) for device in found["devices"]
    )
    pairs = {name: tuple(found[name]) if found[name] else None for name in ("cuda", "cupy_cuda")}
    return Facts(**{**found, **pairs, "devices": devices})
