"""A stand-in for CuPy that runs CUDA C kernels on the CPU (cuda_on_host.hpp): arrays are NumPy's, g++ compiles."""

import ctypes
import functools
import hashlib
import shutil
import struct
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

FOLDER = Path(__file__).parent


@functools.cache
def compiler():
    """The path of g++ with what the programs need; skips the test that asks where it is missing."""
    found = shutil.which("g++")
    if found is None:
        pytest.skip("g++ is not here: kernels in CUDA C cannot be run on the CPU")
    return found


@functools.cache
def sanitizers(folder):
    """Options that end a program at the first access out of bounds, if this compiler has them."""
    options = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    probe = folder / "probe"
    (folder / "probe.cpp").write_text("int main() { return 0; }")
    made = subprocess.run([compiler(), *options, folder / "probe.cpp", "-o", probe], capture_output=True)
    return options if made.returncode == 0 and subprocess.run([probe], capture_output=True).returncode == 0 else ()


def build(folder, source, kernel, options):
    """Compile a kernel's text into a program; the same text and options are compiled once a folder."""
    name = hashlib.sha256(repr((source, kernel, options)).encode()).hexdigest()[:16]
    program = folder / name
    if not program.exists():
        text = f'#include "cuda_on_host.hpp"\n{source}\nint main() {{ return host::run({kernel}); }}\n'
        program.with_suffix(".cpp").write_text(text)
        command = [compiler(), "-O2", "-w", f"-I{FOLDER}", *options, program.with_suffix(".cpp"), "-o", program]
        made = subprocess.run(command, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr[-3000:]
    return program


def run(program, grid, threads, arguments, falling):
    """Run a program on arrays, which may be views, and on whole numbers; what it writes is then in the arrays."""
    pieces = [struct.pack("<5q", *grid, threads, falling, len(arguments))]
    spans = []
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            low, high = np.lib.array_utils.byte_bounds(argument)
            assert low == argument.ctypes.data, "a view that runs backwards"
            spans.append((low, high - low if argument.size else 0))
            pieces += [struct.pack("<q", spans[-1][1]), ctypes.string_at(*spans[-1])]
        else:
            pieces.append(struct.pack("<2q", -1, int(argument)))
    done = subprocess.run([program], input=b"".join(pieces), capture_output=True, timeout=120)
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace")[-3000:])
    place = 0
    for address, length in spans:
        ctypes.memmove(address, done.stdout[place : place + length], length)
        place += length
    assert place == len(done.stdout)


def stand_in(folder, multiprocessors=2, falling=False, extra_options=(), change=lambda text: text):
    """What the launchers use of CuPy, on the CPU.

    Parameters
    ----------
    folder : where programs are kept
    multiprocessors : how many the device says it has
    falling : whether the threads of a block run from the last to the first
    extra_options : for g++, behind those of the launcher
    change : what becomes of a kernel's text before it is compiled
    """

    def raw_kernel(code, name, options):
        program = build(folder, change(code), name, (*options, *extra_options))

        def launch(grid, block, arguments):
            run(program, (*grid, 1)[:2], block[0], arguments, falling)

        return launch

    device = SimpleNamespace(attributes={"MultiProcessorCount": multiprocessors})
    return SimpleNamespace(RawKernel=raw_kernel, int64=np.int64, cuda=SimpleNamespace(Device=lambda: device))
