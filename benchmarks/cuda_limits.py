"""What each CUDA kernel may cost in machine code for sm_90: data for cuda_code.py, which explains it, and for its test.

A limit stands a little above what the kernel takes today, so that a change that makes it dearer is seen. The band keys
are not here: their loop is held to exact counts in cuda_code.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gpurefine.kernels.cuda import gpt2, linekeys, normalise, shingles, stats, windows


@dataclass(frozen=True)
class KernelLimit:
    """A kernel with what it may cost.

    Attributes
    ----------
    file : its file in kernels/cuda, without the ending
    function : its name there
    mark : what instructions of the hot loop begin with: it is the loop with most of these, not counting those in a loop
        within it. ``LDG`` are loads from global memory, ``LDS`` from shared memory, ``ATOM`` and ``RED`` atomics
    items : what one turn of the hot loop deals with (bytes, units, edges), after unrolling
    most : instructions an item in the hot loop
    registers : of a thread
    macros : value of each macro that the launcher gives
    """

    file: str
    function: str
    mark: str
    items: float
    most: float
    registers: int
    macros: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        sizes = " ".join(f"{name}={value}" for name, value in self.macros.items())
        return f"{self.file}.{self.function}" + (f" {sizes}" if sizes else "")


KERNELS: list[KernelLimit] = [
    # a thread a byte; the second one with the running sum of its tile, which has the most loads from shared memory
    KernelLimit("stats", "count_items", "LDG.E.U8", items=1, most=240, registers=40, macros=stats.MACROS),
    KernelLimit("stats", "text_statistics", "LDS", items=1, most=440, registers=64, macros=stats.MACROS),
    # a thread an edge: the walk to the roots is two loops inside, the CAS stands outside both
    KernelLimit("components", "unite_edges", "ATOM", items=1, most=42, registers=24),
    KernelLimit("components", "shorten", "LD", items=1, most=36, registers=24),
    KernelLimit("components", "flatten", "LD", items=1, most=22, registers=24),
    # a thread a place in the order of the keys, with the search for the first of its run; a thread four keys
    KernelLimit("collisions", "link_runs", "LD", items=1, most=120, registers=32),
    KernelLimit("collisions", "take_share", "LDG", items=4, most=34, registers=40),
    # a thread a byte; of ASCII, which is most of text, a tenth of these instructions
    KernelLimit("utf8", "check_bytes", "LDG", items=1, most=132, registers=16),
    KernelLimit("utf8", "check_borders", "LDG", items=1, most=30, registers=16),
    # a step of halving; a byte, with all that it can become, counted and then written; a tile
    KernelLimit("normalise", "find_documents", "LDG", items=1, most=20, registers=32, macros=normalise.MACROS),
    KernelLimit("normalise", "count_normalised", "LDS.S8", items=1, most=130, registers=40, macros=normalise.MACROS),
    KernelLimit("normalise", "write_normalised", "LDS.S8", items=1, most=172, registers=40, macros=normalise.MACROS),
    KernelLimit("normalise", "carry_states", "STG", items=1, most=38, registers=24, macros=normalise.MACROS),
    # an offset, twice (four a turn); a byte, twice, sixteen of which are read at once; a word of up to seven bytes,
    # listed and hashed; a byte of which a thread makes a code point
    KernelLimit("shingles", "mark_edges", "RED", items=1, most=19, registers=24),
    KernelLimit("shingles", "count_before", "POPC", items=4, most=28, registers=40),
    KernelLimit("shingles", "mark_words", "LDG.E.U8", items=16, most=11.5, registers=40),
    KernelLimit("shingles", "mark_characters", "LDG.E.128", items=16, most=4.2, registers=40),
    KernelLimit("shingles", "list_words", "FLO", items=1, most=15, registers=32),
    KernelLimit("shingles", "hash_words", "LDG", items=1, most=360, registers=48),
    KernelLimit("shingles", "list_characters", "LDG", items=1, most=156, registers=40),
    # a document (four a turn); a unit (four a turn), or a shingle beside what is done for each four of its units
    KernelLimit("shingles", "count_shingles", "STG", items=4, most=26, registers=40),
    KernelLimit("shingles", "hash_shingles", "LDG.E.U16", items=4, most=9.5, registers=40, macros=shingles.macros(2)),
    KernelLimit(
        "shingles", "hash_shingles", "LDG.E.CONSTANT", items=4, most=9.5, registers=40, macros=shingles.macros(4)
    ),
    KernelLimit("shingles", "hash_shingles", "STG", items=1, most=84, registers=40, macros=shingles.macros(8)),
    # a thread a byte, most of it for what is not ASCII and for contractions; a thread the marks of 16 items
    KernelLimit("pretokens", "mark_pretokens", "LDG.E.U8", items=1, most=440, registers=32, macros=gpt2.MARKING),
    KernelLimit("pretokens", "mark_new", "LDG", items=1, most=40, registers=32, macros=gpt2.MARKING),
    KernelLimit("pretokens", "write_marked", "LDS", items=16, most=11, registers=32, macros=gpt2.MARKING),
    # a thread a pre-token: what stands outside the loops over its bytes, and the loop over slots of the table
    KernelLimit("gpt2", "look_up", "LDG.E.U8", items=1, most=305, registers=32, macros=gpt2.SHARING),
    KernelLimit("gpt2", "look_up", "ATOM", items=1, most=60, registers=32, macros=gpt2.SHARING),
    KernelLimit("gpt2", "write_tokens", "LDG.E.64", items=1, most=46, registers=24, macros=gpt2.SHARING),
    KernelLimit("gpt2", "write_long", "LDG.E.U16", items=16, most=3, registers=32, macros=gpt2.SHARING),
    # a merge, but for the loop that looks for the best pair
    KernelLimit("shortpieces", "encode_short", "LDS", items=1, most=98, registers=36, macros=gpt2.SHORT),
    KernelLimit("longpieces", "encode_long", "VIMNMX", items=1, most=126, registers=56, macros=gpt2.MEDIUM),
    KernelLimit("longpieces", "encode_long", "VIMNMX", items=1, most=136, registers=40, macros=gpt2.LONG),
    # a window, of the run that a thread takes; the first one of a run is hashed in a loop inside
    KernelLimit("windows", "count_windows", "LDG", items=1, most=190, registers=40, macros=windows.MACROS),
    KernelLimit("windows", "pass_windows", "LDG", items=1, most=185, registers=32, macros=windows.MACROS),
    KernelLimit("windows", "list_windows", "STG", items=1, most=108, registers=32, macros=windows.MACROS),
    # a byte; a byte of a block that is hashed; a character that goes into it, most of it for what is not ASCII
    KernelLimit("linekeys", "mark_newlines", "LDG.E.128", items=32, most=5.5, registers=32),
    KernelLimit("linekeys", "line_keys", "SHF.L.W", items=64, most=13, registers=56, macros=linekeys.macros(md5=False)),
    KernelLimit("linekeys", "line_keys", "LEA.HI", items=64, most=7, registers=48, macros=linekeys.macros(md5=True)),
    KernelLimit("linekeys", "line_keys", "BSSY", items=1, most=180, registers=56, macros=linekeys.macros(md5=False)),
]
