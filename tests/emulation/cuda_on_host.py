"""Compiles CUDA C kernels with g++ and runs them on the CPU (cuda_on_host.hpp), on NumPy's arrays."""

import ctypes
import functools
import hashlib
import importlib.util
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent
_KERNEL = re.compile(r'extern "C" __global__ void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\(')
ORDERS = ("rising", "falling", "mixed")


@functools.cache
def compiler():
    """The beginning of a command that compiles C++: g++, or the clang in the package ziglang; else the test skips."""
    found = shutil.which("g++")
    if found is not None:
        return (found,)
    if importlib.util.find_spec("ziglang") is not None:
        # zig has habits of its own: traps for undefined behaviour, and no section is kept that only its bounds name
        return sys.executable, "-m", "ziglang", "c++", "-fno-sanitize=undefined", "-Wl,--no-gc-sections"
    pytest.skip("no compiler (g++, or pip install ziglang): kernels in CUDA C cannot be run on the CPU")


@functools.cache
def sanitizers(folder):
    """Options that end a program at the first access out of bounds, if this compiler has them."""
    if len(compiler()) > 1:  # zig takes them and leaves them out
        return ()
    options = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    probe = folder / "probe"
    (folder / "probe.cpp").write_text("int main() { return 0; }")
    made = subprocess.run([*compiler(), *options, folder / "probe.cpp", "-o", probe], capture_output=True)
    return options if made.returncode == 0 and subprocess.run([probe], capture_output=True).returncode == 0 else ()


def build(folder, source, options):
    """Compile a text with kernels into a program; the same text and options are compiled once a folder."""
    name = hashlib.sha256(repr((source, options)).encode()).hexdigest()[:16]
    program = folder / name
    if not program.exists():
        cases = "".join(
            f'    if (name == "{kernel}") return host::run({kernel});\n' for kernel in _kernels(source, options)
        )
        main = f"int main(int, char** words) {{\n    const std::string name = words[1];\n{cases}    return 4;\n}}\n"
        program.with_suffix(".cpp").write_text(f'#include "cuda_on_host.hpp"\n{source}\n{main}')
        command = [*compiler(), "-O1", "-w", f"-I{FOLDER}", *options, program.with_suffix(".cpp"), "-o", program]
        made = subprocess.run(command, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr[-3000:]
    return program


def _kernels(source, options):
    """Names of the kernels that these macros leave of a text."""
    command = [*compiler(), "-E", "-P", "-x", "c++", *options, "-"]
    left = subprocess.run(command, input=source, capture_output=True, text=True, check=True).stdout
    return _KERNEL.findall(left)


def run(program, kernel, grid, threads, arguments, order="rising"):
    """Run a kernel of a program on arrays, which may be views, and on whole numbers; results are then in the arrays."""
    pieces = [struct.pack("<5q", *grid, threads, ORDERS.index(order), len(arguments))]
    spans = []
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            low, high = np.lib.array_utils.byte_bounds(argument)
            assert low == argument.ctypes.data, "a view that runs backwards"
            spans.append((low, high - low if argument.size else 0))
            pieces += [struct.pack("<q", spans[-1][1]), ctypes.string_at(*spans[-1])]
        else:
            pieces.append(struct.pack("<2q", -1, int(argument)))
    done = subprocess.run([program, kernel], input=b"".join(pieces), capture_output=True, timeout=120)
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace")[-3000:])
    place = 0
    for address, length in spans:
        ctypes.memmove(address, done.stdout[place : place + length], length)
        place += length
    assert place == len(done.stdout)
