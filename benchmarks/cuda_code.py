"""What are the CUDA kernels' hot loops made of, and do they stay what they were? Needs no GPU.

    python benchmarks/cuda_code.py [--architecture 90] [--out FILE.md] [--keep FOLDER]

Compiles the kernels for a device and counts the instructions of the machine code. The exit status is 1 when a count is
above its limit, 2 when nothing could be compiled (pip install cuda-bindings nvidia-cuda-nvrtc nvidia-cuda-nvdisasm).

Every kernel has its limits in cuda_limits.py, and none may use local memory: an array that does not fit into registers,
or a spilled one, costs trips to memory. What stands in a loop within the hot one is not counted; what is done seldom
is, so the count is an upper bound.

An evaluation is one hash function on one shingle. For the band keys it takes one multiply-add and half a minimum of
three numbers. A multiprocessor of an H100 begins 64 multiply-adds and 128 instructions of any sort a clock, so where an
evaluation takes less than two instructions, the multiply-adds are the limit.
"""

from __future__ import annotations

import argparse
import functools
import sys
from dataclasses import dataclass
from pathlib import Path

from cuda_limits import KERNELS, KernelLimit
from machine import describe, markdown
from machine_code import (
    Function,
    ToolsMissing,
    compile_kernels,
    compiler_version,
    count,
    disassemble,
    innermost_loops,
    loops,
    multiply_adds,
    read_functions,
)

from gpurefine.kernels.cuda.minhash import choose_sizes
from gpurefine.kernels.cuda.source import compiler_options, kernel_source

#: Shapes of bands and rows, with the most instructions an evaluation may take in each.
SHAPES = {(450, 20): 1.6, (450, 9): 1.7, (20, 13): 1.7, (9, 13): 1.7, (14, 8): 1.7, (1, 10): 1.9}


@dataclass(frozen=True)
class BandKeysCode:
    """The kernel of band keys in machine code.

    Attributes
    ----------
    use : share of the evaluations that are no padding
    registers, shared : of a thread; bytes of a block
    local : instructions of the whole kernel that load or store local memory, and bytes of stack and spills
    issued, multiply_adds, minima_of_three, minima_of_two : instructions an evaluation in the hot loop
    """

    bands: int
    rows: int
    use: float
    registers: int
    shared: int
    local: int
    issued: float
    multiply_adds: float
    minima_of_three: float
    minima_of_two: float

    def above_limits(self, most_issued: float) -> list[str]:
        """A sentence for each limit that does not hold."""
        shape = f"{self.bands} bands of {self.rows} rows"
        limits = {
            "instructions": (self.issued, most_issued),
            "multiply-adds": (self.multiply_adds, 1.0),
            "minima of three": (self.minima_of_three, 0.5),
            "minima of two": (self.minima_of_two, 0.0),
        }
        found = [
            f"{shape}: {value:.3f} {what} an evaluation, more than {most}"
            for what, (value, most) in limits.items()
            if value > most
        ]
        if self.local:
            found.append(f"{shape}: registers do not suffice, local memory is used")
        return found


@dataclass(frozen=True)
class KernelCode:
    """A kernel of cuda_limits.py in machine code.

    Attributes
    ----------
    limit : the kernel, and what it may cost
    registers, shared, local : as of ``BandKeysCode``
    issued : instructions an item in the hot loop
    """

    limit: KernelLimit
    registers: int
    shared: int
    local: int
    issued: float

    def above_limits(self) -> list[str]:
        """A sentence for each limit that does not hold."""
        found = []
        if self.issued > self.limit.most:
            found.append(f"{self.limit}: {self.issued:.2f} instructions an item, more than {self.limit.most}")
        if self.registers > self.limit.registers:
            found.append(f"{self.limit}: {self.registers} registers, more than {self.limit.registers}")
        if self.local:
            found.append(f"{self.limit}: local memory is used ({self.local} instructions and bytes)")
        return found


@functools.lru_cache(maxsize=4)
def _compiled(
    source: str, options: tuple[str, ...], architecture: int
) -> tuple[bytes, str, dict[str, Function], dict[str, dict[str, int]]]:
    """Machine code, its text, its functions and their resources; a file with several kernels is compiled once."""
    cubin, resources = compile_kernels(source, options, architecture)
    text = disassemble(cubin)
    return cubin, text, read_functions(text), resources


def _local(function: Function, resources: dict[str, int]) -> int:
    """Instructions that load or store local memory, and bytes of stack and spills."""
    local = sum(each.name.startswith(("LDL", "STL")) for each in function.instructions)
    return local + resources["stack"] + resources["spills"]


def _keep(folder: Path | None, name: str, cubin: bytes, text: str) -> None:
    """Write machine code, as it is and as text, if there is a folder for it."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.cubin").write_bytes(cubin)
        (folder / f"{name}.sass").write_text(text)


def kernel_code(limit: KernelLimit, architecture: int = 90, keep: Path | None = None) -> KernelCode:
    """Compile a kernel of cuda_limits.py and read its machine code.

    Parameters
    ----------
    limit : the kernel
    architecture, keep : as of ``band_keys_code``

    Raises
    ------
    ValueError
        if the file has no such kernel, or none of its loops has an instruction of the limit's mark
    """
    cubin, text, functions, resources = _compiled(
        kernel_source(limit.file), compiler_options(limit.macros), architecture
    )
    _keep(keep, str(limit).replace(" ", "_").replace("=", ""), cubin, text)
    if limit.function not in resources:
        raise ValueError(f"{limit.file}.cu has no kernel {limit.function}: correct its entry in cuda_limits.py")
    function, used = functions[limit.function], resources[limit.function]
    loop = max(loops(function), key=lambda names: count(names, limit.mark), default={})
    if not count(loop, limit.mark):
        raise ValueError(f"{limit}: no loop has an instruction {limit.mark}*: choose its mark anew")
    return KernelCode(limit, used["registers"], used["shared"], _local(function, used), loop.total() / limit.items)


def band_keys_code(bands: int, rows: int, architecture: int = 90, keep: Path | None = None) -> BandKeysCode:
    """Compile the kernel of band keys for a shape and read its machine code.

    Parameters
    ----------
    bands, rows : the shape
    architecture : compute capability times ten
    keep : folder for the machine code, as it is and as text
    """
    sizes = choose_sizes(bands, rows)
    macros = sizes.macros()
    cubin, text, functions, resources = _compiled(kernel_source("minhash"), compiler_options(macros), architecture)
    _keep(keep, f"band_keys_{bands}x{rows}", cubin, text)
    function, used = functions["band_keys"], resources["band_keys"]
    # of all loops the one with the most minima; unrolling leaves a smaller one beside it
    loop = max(innermost_loops(function), key=lambda names: count(names, "VIMNMX", "IMNMX"))
    evaluations = 4 * macros["PER_THREAD"] * macros["UNROLL"]
    minima_of_three = count(loop, "VIMNMX3")
    return BandKeysCode(
        bands,
        rows,
        sizes.use,
        used["registers"],
        used["shared"],
        _local(function, used),
        loop.total() / evaluations,
        multiply_adds(loop) / evaluations,
        minima_of_three / evaluations,
        (count(loop, "VIMNMX", "IMNMX", "VIADDMNMX") - minima_of_three) / evaluations,
    )


def report(found: list[BandKeysCode], others: list[KernelCode], architecture: int) -> str:
    """The results as Markdown."""
    head = ["bands x rows", "no padding", "registers", "shared", "local", "issued"]
    head += ["multiply-adds", "min of 3", "min of 2"]
    rows = [
        [
            f"{code.bands} x {code.rows}",
            f"{code.use:.1%}",
            str(code.registers),
            f"{code.shared:,}",
            str(code.local),
            *(f"{value:.3f}" for value in (code.issued, code.multiply_adds, code.minima_of_three, code.minima_of_two)),
        ]
        for code in found
    ]
    kernels = [
        [
            str(code.limit),
            str(code.registers),
            f"{code.shared:,}",
            str(code.local),
            f"{code.issued:.2f}",
            f"{code.limit.most:g}",
        ]
        for code in others
    ]
    return "\n".join(
        [
            f"# Machine code of the CUDA kernels for sm_{architecture}, {compiler_version()}",
            "",
            *describe(),
            "",
            "Compiled without a GPU, never run on one.",
            "",
            "## Band keys",
            "Last four columns: instructions an evaluation in the hot loop.",
            "",
            *markdown(head, rows),
            "",
            "## The other kernels",
            "Issued: instructions an item (a byte, a unit, an edge) in the hot loop.",
            "",
            *markdown(["kernel", "registers", "shared", "local", "issued", "limit"], kernels),
        ]
    )


def main() -> int:
    """Compile, print, compare with the limits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architecture", type=int, default=90, help="compute capability times ten")
    parser.add_argument("--out", type=Path, help="write the table to this file")
    parser.add_argument("--keep", type=Path, help="write the machine code to this folder")
    options = parser.parse_args()
    try:
        found = [band_keys_code(*shape, options.architecture, options.keep) for shape in SHAPES]
        others = [kernel_code(limit, options.architecture, options.keep) for limit in KERNELS]
    except ToolsMissing as error:
        print(error, file=sys.stderr)
        return 2
    text = report(found, others, options.architecture)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")
    wrong = [line for code in found for line in code.above_limits(SHAPES[code.bands, code.rows])]
    wrong += [line for code in others for line in code.above_limits()]
    print(*wrong, sep="\n", file=sys.stderr, end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
