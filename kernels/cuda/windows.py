"""Windows of tokens through filters on a CUDA device: launches the kernels in windows.cu.

Filters, hashes and windows are those of ``gpurefine.kernels.cpu.windows``, to the bit and in the same order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpurefine.kernels.cuda.device import check_array, kernel, launch

if TYPE_CHECKING:
    import cupy
    import numpy as np

#: Windows of a thread, which follow each other: a bit each in a mask. Many tokens at a time keep a device busy: the
#: 132 multiprocessors of an H100 hold 270,000 threads.
RUN = 32
MACROS = {"RUN": RUN}
#: A word of the filter on a device has so many bits of slots.
LEAST_SLOT_BITS = 4


def count_windows(
    tokens: cupy.ndarray,
    first: int,
    starts: cupy.ndarray,
    document: int,
    length: int,
    top: np.uint64,
    group: int,
    group_bits: int,
    before: cupy.ndarray,
    table: cupy.ndarray,
    slot_bits: int,
) -> int:
    """Count the windows of one group in a filter: see ``kernels.cpu.windows.count_windows``. Waits for the device.

    All arrays are on the device; ``slot_bits`` is 4 or more. ``document`` is not looked at: each thread finds its own.

    Raises
    ------
    ValueError
        if an array is not as described there
    """
    import cupy

    _check(tokens, first, starts, length, slot_bits, table, *([before] if before.size else []))
    passed = cupy.zeros(1, cupy.uint64)
    windows = max(0, tokens.size - length + 1)
    launch(
        kernel("windows", "count_windows", **MACROS), -(-windows // RUN), tokens, first, first, windows, starts,
        starts.size - 1, first + tokens.size, length, _bits(top), group, group_bits, int(before.size > 0),
        before if before.size else table, table, slot_bits, passed,
    )  # fmt: skip
    return int(passed[0])


def emit_windows(
    tokens: cupy.ndarray,
    first: int,
    begin_at: int,
    starts: cupy.ndarray,
    document: int,
    length: int,
    top: np.uint64,
    second_top: np.uint64,
    group: int,
    group_bits: int,
    one: cupy.ndarray,
    two: cupy.ndarray,
    slot_bits: int,
    high_out: cupy.ndarray,
    low_out: cupy.ndarray,
    places: cupy.ndarray,
) -> tuple[int, int]:
    """List the windows of a group that both filters let through: see ``kernels.cpu.windows.emit_windows``.

    All arrays are on the device; ``places`` has room for ``RUN`` or more. Takes 20 bytes for each ``RUN`` windows, and
    waits for the device.

    Raises
    ------
    ValueError
        if an array is not as described there
    """
    import cupy

    _check(tokens, first, starts, length, slot_bits, one, two)
    for name, array, dtype in (("high", high_out, "uint64"), ("low", low_out, "uint64"), ("places", places, "int64")):
        check_array(name, array, dtype)
        if array.size != places.size or array.size < RUN:
            raise ValueError(f"{name} has room for {array.size} windows: as many as places have, and {RUN} at least")
    end = first + tokens.size
    windows = end - length + 1 - begin_at
    if windows <= 0:
        return 0, end
    runs = -(-windows // RUN)
    masks, counts = cupy.empty(runs, cupy.uint32), cupy.empty(runs, cupy.int64)
    launch(
        kernel("windows", "pass_windows", **MACROS), runs, tokens, first, begin_at, windows, starts, starts.size - 1,
        end, length, _bits(top), group, group_bits, one, two, slot_bits, masks, counts,
    )  # fmt: skip
    ends = cupy.cumsum(counts)
    fitting = int((ends <= places.size).sum())
    launch(
        kernel("windows", "list_windows", **MACROS), fitting, tokens, first, begin_at, fitting, length, _bits(top),
        _bits(second_top), masks, ends, high_out, low_out, places,
    )  # fmt: skip
    filled = int(ends[fitting - 1]) if fitting else 0
    return filled, end if fitting == runs else begin_at + fitting * RUN


def _bits(value: np.uint64) -> int:
    """A number of 64 bits as the signed one that a launch takes."""
    return int(value) - (1 << 64) if int(value) >> 63 else int(value)


def _check(
    tokens: cupy.ndarray, first: int, starts: cupy.ndarray, length: int, slot_bits: int, *filters: cupy.ndarray
) -> None:
    check_array("tokens", tokens, "uint16")
    check_array("starts", starts, "int64")
    if slot_bits < LEAST_SLOT_BITS or length < 1:
        raise ValueError(f"filters of 2**{slot_bits} slots and windows of {length}: 2**4 and 1 are the least")
    for each in filters:
        check_array("filter", each, "uint8")
        if each.size != 1 << (slot_bits - 2):
            raise ValueError(f"a filter of 2**{slot_bits} slots has {1 << (slot_bits - 2)} bytes, not {each.size}")
    if tokens.size and (starts.size < 2 or int(starts[-1]) < first + tokens.size):
        raise ValueError(f"starts must reach the last of the tokens {first} .. {first + tokens.size - 1} of the file")
