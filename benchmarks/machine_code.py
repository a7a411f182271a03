"""CUDA C to machine code and what its hot loop is made of, without a GPU or a driver: for cuda_code.py and tests.

The packages that do it: ``cuda-bindings nvidia-cuda-nvrtc`` compile, ``nvidia-cuda-nvdisasm`` reads machine code.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

_INSTRUCTION = re.compile(r"^\s+/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P[0-9T]\s+)?([A-Z][A-Z0-9_.]*)(.*)$")
_LABEL = re.compile(r"^(\.L_\w+):")
_FUNCTION = re.compile(r"^\.text\.([\w$.]+):")
_TARGET = re.compile(r"`\((\.L_\w+)\)|\b(0x[0-9a-f]+)")
_ENTRY = re.compile(r"Compiling entry function '([\w$.]+)'")
_RESOURCES = {
    "registers": re.compile(r"Used (\d+) registers"),
    "shared": re.compile(r"(\d+) bytes smem"),
    "stack": re.compile(r"(\d+) bytes stack frame"),
    "spills": re.compile(r"(\d+) bytes spill stores"),
}


class ToolsMissing(Exception):
    """Nothing can be compiled or read here; the text says what is missing."""


@dataclass(frozen=True)
class Instruction:
    """One instruction: address in bytes, name with its suffixes, operands as text."""

    address: int
    name: str
    operands: str


@dataclass(frozen=True)
class Function:
    """A kernel's machine code: its instructions in their order, and the addresses of labels."""

    instructions: Sequence[Instruction]
    labels: Mapping[str, int]


def compile_kernels(source: str, options: Sequence[str], architecture: int) -> tuple[bytes, dict[str, dict[str, int]]]:
    """Compile CUDA C to machine code as CuPy would on a machine with that device.

    Parameters
    ----------
    source : the text, in one piece
    options : compiler options but for the architecture
    architecture : compute capability times ten, such as 90

    Returns
    -------
    the machine code (a cubin), and for each kernel a thread's registers and bytes of stack and spills (``registers``,
    ``stack``, ``spills``) and a block's bytes of shared memory (``shared``)

    Raises
    ------
    ToolsMissing
        if there is no compiler
    RuntimeError
        if the text does not compile
    """
    try:
        from cuda.bindings import nvrtc

        _, program = nvrtc.nvrtcCreateProgram(source.encode(), b"kernel.cu", 0, [], [])
    except Exception as error:  # the package is missing, or the library behind it: each has an exception of its own
        raise ToolsMissing(f"no compiler (pip install cuda-bindings nvidia-cuda-nvrtc): {error}") from error
    flags = [option.encode() for option in (*options, f"--gpu-architecture=sm_{architecture}", "--ptxas-options=-v")]
    (status,) = nvrtc.nvrtcCompileProgram(program, len(flags), flags)
    log = bytes(nvrtc.nvrtcGetProgramLogSize(program)[1])
    nvrtc.nvrtcGetProgramLog(program, log)
    text = log.decode(errors="replace")
    if int(status):
        raise RuntimeError(text)
    cubin = bytes(nvrtc.nvrtcGetCUBINSize(program)[1])
    nvrtc.nvrtcGetCUBIN(program, cubin)
    return cubin, _resources(text)


def _resources(log: str) -> dict[str, dict[str, int]]:
    """What the compiler's log says of each kernel; 0 where it is silent."""
    _, *pieces = _ENTRY.split(log)
    return {
        name: {what: int(found[1]) if (found := pattern.search(told)) else 0 for what, pattern in _RESOURCES.items()}
        for name, told in zip(pieces[::2], pieces[1::2], strict=True)
    }


def compiler_version() -> str:
    """The version of the compiler that ``compile_kernels`` uses."""
    from cuda.bindings import nvrtc

    _, major, minor = nvrtc.nvrtcVersion()
    return f"NVRTC {major}.{minor}"


def _disassembler() -> str:
    """The path of nvdisasm, from its package or from a toolkit."""
    try:
        installed = [str(file.locate()) for file in files("nvidia-cuda-nvdisasm") or () if file.name == "nvdisasm"]
    except PackageNotFoundError:
        installed = []
    for path in [*installed, shutil.which("nvdisasm")]:
        if path and os.access(path, os.X_OK):
            return path
    raise ToolsMissing("no disassembler (pip install nvidia-cuda-nvdisasm)")


def disassemble(cubin: bytes) -> str:
    """Machine code as text; raises ``ToolsMissing`` without a disassembler."""
    tool = _disassembler()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "kernel.cubin")
        path.write_bytes(cubin)
        return subprocess.run([tool, "-c", path], check=True, capture_output=True, text=True).stdout


def read_functions(text: str) -> dict[str, Function]:
    """The functions of a disassembly by their names."""
    found: dict[str, tuple[list[Instruction], dict[str, int]]] = {}
    current, waiting = None, []
    for line in text.splitlines():
        if match := _FUNCTION.match(line):
            current, waiting = found.setdefault(match[1], ([], {})), []
        elif current is None:
            continue
        elif match := _LABEL.match(line.strip()):
            waiting.append(match[1])
        elif match := _INSTRUCTION.match(line):
            address = int(match[1], 16)
            current[1].update(dict.fromkeys(waiting, address))
            waiting = []
            current[0].append(Instruction(address, match[2], match[3]))
    return {name: Function(*parts) for name, parts in found.items()}


def _loop_ranges(function: Function) -> list[tuple[int, int]]:
    """First and last address of each loop."""
    ranges = set()
    for instruction in function.instructions:
        target = _TARGET.search(instruction.operands) if instruction.name.split(".")[0] == "BRA" else None
        if target:
            begin = function.labels.get(target[1]) if target[1] else int(target[2], 16)
            if begin is not None and begin < instruction.address:
                ranges.add((begin, instruction.address))
    return sorted(ranges)


def loops(function: Function) -> list[Counter[str]]:
    """For each loop how often each instruction stands in it and in no loop within it."""
    ranges = _loop_ranges(function)
    found = []
    for begin, end in ranges:
        inner = [(low, high) for low, high in ranges if begin <= low and high <= end and (low, high) != (begin, end)]
        found.append(
            Counter(
                each.name
                for each in function.instructions
                if begin <= each.address <= end and not any(low <= each.address <= high for low, high in inner)
            )
        )
    return found


def innermost_loops(function: Function) -> list[Counter[str]]:
    """For each loop that holds no other one, how often each instruction stands in it."""
    ranges = _loop_ranges(function)
    return [
        names
        for (begin, end), names in zip(ranges, loops(function), strict=True)
        if not any(begin <= low and high <= end and (low, high) != (begin, end) for low, high in ranges)
    ]


def count(names: Mapping[str, int], *beginnings: str) -> int:
    """How many of the counted instructions have a name with one of these beginnings."""
    return sum(number for name, number in names.items() if name.startswith(beginnings))


def multiply_adds(names: Mapping[str, int]) -> int:
    """Integer multiply-adds, without the moves, additions and shifts that go by the same name."""
    return count(names, "IMAD") - count(names, "IMAD.MOV", "IMAD.IADD", "IMAD.SHL")
