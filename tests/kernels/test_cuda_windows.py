"""Windows of tokens of the CUDA kernels: filters and emitted windows are those of the CPU, to the bit."""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gpurefine import kernels
from gpurefine.kernels.cpu import windows as on_cpu
from gpurefine.kernels.cuda import windows as on_device
from gpurefine.kernels.cuda.device import to_device, to_host

#: Rows of few symbols, so that windows are repeated, and of any.
documents = st.lists(
    st.lists(st.integers(0, 2), max_size=70) | st.lists(st.integers(0, 65535), max_size=70), max_size=8
)


def emitted(side, place, rows, first, last, length, bits, slot_bits, room):
    """Both filters and the windows of each group, of the tokens first .. last - 1 of the rows."""
    starts = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    stream = np.array([token for row in rows for token in row], np.uint16)
    tokens, borders = place(stream[first:last]), place(starts)
    document = max(0, int(np.searchsorted(starts, first, "right")) - 1)
    top, second_top = on_cpu.window_tops(length)
    found = []
    for group in range(1 << bits):
        one, two = (place(np.zeros(1 << slot_bits >> 2, np.uint8)) for _ in range(2))
        common = tokens, first, borders, document, length, top, group, bits
        passed = [side.count_windows(*common, place(np.empty(0, np.uint8)), one, slot_bits)]
        passed.append(side.count_windows(*common, one, two, slot_bits))
        at, end, out = first, first + len(stream[first:last]), []
        while at < end:
            columns = [place(np.zeros(room, dtype)) for dtype in (np.uint64, np.uint64, np.int64)]
            filled, at = side.emit_windows(
                tokens, first, at, borders, document, length, top, second_top, group, bits, one, two, slot_bits,
                *columns,
            )  # fmt: skip
            out += zip(*(to_host(column)[:filled].tolist() for column in columns), strict=True)
        found.append((passed, to_host(one).tolist(), to_host(two).tolist(), out))
    return found


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rows=documents, length=st.integers(1, 40), bits=st.integers(0, 2), slot_bits=st.sampled_from([4, 6, 12]),
    cut=st.integers(0, 30), room=st.sampled_from([32, 45, 1000]), order=st.sampled_from(["rising", "falling", "mixed"]),
)  # fmt: skip
@example(rows=[[7] * 200], length=3, bits=0, slot_bits=4, cut=0, room=32, order="mixed")
@example(rows=[[], [1] * 9, [], [], [1] * 9, []], length=9, bits=0, slot_bits=6, cut=0, room=32, order="falling")
def test_filters_and_windows_are_those_of_the_cpu(cuda, rows, length, bits, slot_bits, cut, room, order):
    cuda(order=order)
    tokens = sum(map(len, rows))
    part = rows, min(cut, tokens), max(min(cut, tokens), tokens - cut // 2), length, bits, slot_bits
    assert emitted(on_device, to_device, *part, room) == emitted(on_cpu, lambda array: array, *part, on_cpu.CHUNK * 2)


def test_many_runs_and_blocks(cuda):
    cuda(order="falling")
    random = np.random.default_rng(5)
    rows = [random.integers(0, 50_000, 900).tolist() for _ in range(30)]
    rows += [rows[3][100:400] + rows[7][:200], [9] * 700]
    part = rows, 0, sum(map(len, rows)), 50, 1, 14
    # by where the arrays are
    found = emitted(kernels, to_device, *part, 300)
    assert found == emitted(kernels, lambda array: array, *part, kernels.WINDOW_CHUNK * 2)
    # 251 and 151 copied windows in both places, and 651 of one token
    assert sum(len(out) for *_, out in found) >= 2 * (251 + 151) + 651


def test_filters_of_another_size_are_refused(cuda):
    cuda()
    tokens, starts = to_device(np.zeros(9, np.uint16)), to_device(np.array([0, 9]))
    table, none = to_device(np.zeros(8, np.uint8)), to_device(np.empty(0, np.uint8))
    top = on_cpu.window_tops(3)[0]
    with pytest.raises(ValueError, match="has 16 bytes, not 8"):
        on_device.count_windows(tokens, 0, starts, 0, 3, top, 0, 0, none, table, 6)
    with pytest.raises(ValueError, match="the least"):
        on_device.count_windows(tokens, 0, starts, 0, 3, top, 0, 0, none, table, 3)
    with pytest.raises(ValueError, match="must reach the last"):
        on_device.count_windows(tokens, 5, starts, 0, 3, top, 0, 0, none, table, 5)
