"""UTF-8 on a device against Python's decoder, document by document."""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gpurefine.kernels.cuda.device import to_device
from gpurefine.kernels.cuda.utf8 import valid_utf8

#: Bytes at all borders of table 3-7, and code points that are the first or last of their length.
EDGES = bytes.fromhex("00417F 80 8F 90 9F A0 BF C0 C1 C2 DF E0 E1 EC ED EE EF F0 F1 F3 F4 F5 F7 F8 FF")
WHOLE = [
    chr(point).encode() for point in (0, 0x41, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF)
]

documents = st.lists(
    st.lists(st.sampled_from(WHOLE) | st.sampled_from(EDGES).map(lambda byte: bytes([byte])), max_size=6).map(b"".join),
    max_size=4,
)


def decodes(document):
    try:
        document.decode()
    except UnicodeDecodeError:
        return False
    return True


def on_a_device(texts, before=b"", behind=b""):
    data = np.frombuffer(before + b"".join(texts) + behind, np.uint8)
    offsets = len(before) + np.cumsum([0, *map(len, texts)])
    return valid_utf8(to_device(data), to_device(offsets.astype(np.int64)))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=documents)
@example(texts=[b"\xc3", b"\xa9"])
@example(texts=[b"", "é".encode(), b""])
def test_what_python_decodes_is_valid(cuda, texts):
    cuda(order="mixed")
    assert on_a_device(texts) == all(map(decodes, texts))
    # bytes around the texts belong to no text
    assert on_a_device(texts, b"\xe2\x82", b"\xac\x80") == all(map(decodes, texts))


def test_every_pair_of_edges_in_a_row(cuda):
    cuda()
    # pairs behind each first byte of a longer sequence, all that are valid at once, and all others one by one
    threes = [bytes([one, two, three]) for one in EDGES for two in EDGES for three in (0x41, 0x7F, 0x80, 0xBF)]
    threes = [each + b"\x80" * (each[0] >= 0xF0) for each in threes]
    assert on_a_device([each for each in threes if decodes(each)])
    wrong = [each for each in threes if not decodes(each)]
    assert len(wrong) > 2000
    for each in wrong[:: len(wrong) // 40]:
        assert not on_a_device(["fine é".encode() * 9, each, "fine é".encode() * 9])


def test_long_texts_are_shared_by_blocks(cuda):
    cuda(order="falling")
    text = ("a" * 30 + "é€\U0001f600") * 2000
    assert on_a_device([text.encode(), text.encode()])
    for place in (0, 31, 40_000, len(text.encode()) - 1):
        broken = bytearray(text.encode())
        broken[place] = 0xFF
        assert not on_a_device([text.encode(), bytes(broken)])


@pytest.mark.parametrize("offsets", [[0, 3, 2], [-1, 2], [0, 5], []])
def test_bad_offsets_are_refused(cuda, offsets):
    cuda()
    with pytest.raises(ValueError, match="offsets"):
        valid_utf8(to_device(np.zeros(4, np.uint8)), to_device(np.array(offsets, np.int64)))
