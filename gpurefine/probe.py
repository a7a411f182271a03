"""What a process sees of driver, CuPy, cuDF and GPUs: ``python -m gpurefine.probe`` prints it as a line of JSON.

It is the child of ``devices.find_devices`` and stops at the first thing that rules a GPU out. An import alone tells
nothing: CuPy and cuDF import without a driver and fail at the first call.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import re
import subprocess
import uuid
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gpurefine.devices import LEAST_CAPABILITY, MISSING, Device, Facts, encode


def ask() -> Facts:
    """What this process sees. It imports CuPy and cuDF and makes a CUDA context on each device, so call it in a process
    of its own.
    """
    facts = Facts(
        driver=driver_version(),
        cuda=driver_cuda(),
        cupy=distribution("cupy"),
        visible=os.environ.get("CUDA_VISIBLE_DEVICES"),
    )
    if facts.cuda is None or not facts.cupy:
        return facts
    try:
        from cupy.cuda import runtime

        facts = replace(facts, cupy_cuda=_version(runtime.runtimeGetVersion()))
        facts = replace(facts, devices=tuple(_device(runtime, i) for i in range(runtime.getDeviceCount())))
    except Exception as error:  # CuPy has exceptions of its own, and a broken library any
        return replace(facts, error=_one_line(error))
    if any(device.compute_capability >= LEAST_CAPABILITY for device in facts.devices):
        facts = replace(facts, cudf_error=_import_error("cudf"))
    return facts


def _device(runtime: Any, index: int) -> Device:
    """What CUDA tells of a device; making its context can fail where other processes took all of its memory."""
    properties = runtime.getDeviceProperties(index)
    try:
        runtime.setDevice(index)
        free, total = runtime.memGetInfo()
    except Exception as error:
        if "cudaErrorMemoryAllocation" not in str(error):
            raise
        free, total = 0, properties["totalGlobalMem"]
    return Device(
        index=index,
        name=properties["name"].decode(errors="replace"),
        compute_capability=(int(properties["major"]), int(properties["minor"])),
        memory=int(total),
        free_memory=int(free),
        uuid=_uuid(properties.get("uuid")),
    )


def _uuid(number: object) -> str | None:
    """A UUID as nvidia-smi writes it. CuPy's bytes may end at a zero byte: then they say too little."""
    if not isinstance(number, bytes) or len(number) != 16:
        return None
    return f"GPU-{uuid.UUID(bytes=number)}"


def driver_version() -> str | None:
    """Version of the NVIDIA driver, from the kernel module or else from nvidia-smi; None if neither tells."""
    with suppress(OSError):
        text = Path("/proc/driver/nvidia/version").read_text(errors="replace")
        if match := re.search(r"\b\d{3,}\.\d+(?:\.\d+)?\b", text):
            return match[0]
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        match = re.match(r"\d{3,}\.\d+(?:\.\d+)?", done.stdout)
        if done.returncode == 0 and match:
            return match[0]
    return None


def driver_cuda() -> tuple[int, int] | None:
    """The newest CUDA (major, minor) that the driver supports; None if its library is not there. Makes no context."""
    number = ctypes.c_int()
    with suppress(OSError, AttributeError):
        if ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(number)) == 0 and number.value:
            return _version(number.value)
    return None


def distribution(module: str) -> str:
    """Name and version of the installed package that brings a module; empty if there is none.

    CuPy, cuDF and others are named by the CUDA that they are made for, such as ``cupy-cuda13x``.
    """
    for name in (f"{module}-cuda13x", f"{module}-cuda12x", f"{module}-cu13", f"{module}-cu12", module):
        with suppress(importlib.metadata.PackageNotFoundError):
            return f"{name} {importlib.metadata.version(name)}"
    return module if find_spec(module) else ""


def _import_error(module: str) -> str:
    try:
        __import__(module)
    except ModuleNotFoundError as error:
        return MISSING if error.name == module else _one_line(error)
    except Exception as error:  # a library that lacks a driver or a part has exceptions of its own
        return _one_line(error)
    return ""


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


def _version(number: int) -> tuple[int, int]:
    """CUDA writes 13.0 as 13000."""
    return number // 1000, number % 1000 // 10


if __name__ == "__main__":
    print(encode(ask()))
