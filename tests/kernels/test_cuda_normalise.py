"""Normalised text of the CUDA kernels, to the byte that of the CPU's, for texts and for bytes of any kind."""

import cuda_on_host
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpurefine import kernels
from gpurefine.kernels.cuda import normalise
from gpurefine.kernels.cuda.device import to_device
from gpurefine.text.unicode import normalisation_table

#: A launch starts a process, so a test makes few of them, with many documents each.
FEW = settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])

#: What tables make of characters: kept, dropped, blanks, longer, with a blank in the middle and in front.
PIECES = [
    *"aZé각中ªⅫ\u0378\U0001f600\U0001d15eº", " ", "  ", "\u00a0", "\u3000", "\u0301", ".", "-", "\t\n", "\u2026",
    "¨", "\u037a", "\U0001d160", "x" * 9, "é" * 5, " " * 17, "." * 20, "\u0301" * 9,
]  # fmt: skip
#: Bytes that are no UTF-8: single ones, code points cut short, too long or beyond the last.
BROKEN = [
    b"\x80",
    b"\xbf\xbf",
    b"\xc3",
    b"\xe2\x82",
    b"\xf0\x9f\x98",
    b"\xf8\x88\x80\x80",
    b"\xff",
    b"\xf4\xbf\xbf\xbf",
]
BROKEN += [b"\xed\xa0\x80", b"\xc0\x80", b"\xe0\x80\x80\x80"]


def own_table():
    """Replacements that Unicode has none of: blanks at both ends, two together, nothing but blanks, nothing at all."""
    ascii_map = np.arange(128, dtype=np.uint8)
    ascii_map[[9, 10, 46]] = 0x20, 0x20, 0xFF
    place = np.zeros(0x110000, np.uint32)
    replacements = bytearray(3)
    for code, new in enumerate([b" x", b"y ", b"  ", b"", b"a  b", b" ", b"z" * 255, b" " + b"q " * 127]):
        place[[0xE9 + code, 0xAC01 + code, 0x1F600 + code]] = len(replacements)
        replacements += bytes([len(new)]) + new
    place[[0x301, 0x378]] = 1
    place[0xA0] = 2
    return ascii_map, place, np.frombuffer(bytes(replacements), np.uint8)


def tables(name):
    if name == "own":
        return own_table()
    table = normalisation_table(name)
    return table.ascii_map, table.place, table.replacements


def joined(texts, before=b"", behind=b""):
    """Texts as one array and their offsets, which begin behind ``before``."""
    return np.frombuffer(before + b"".join(texts) + behind, np.uint8), np.cumsum([len(before), *map(len, texts)])


def cpu(data, offsets, name="blank"):
    out, out_offsets = np.empty(300 * data.size + 1, np.uint8), np.empty(offsets.size, np.int64)
    size = kernels.normalise_text(data, offsets, *tables(name), out, out_offsets)
    return out[:size].tobytes(), out_offsets.tolist()


def cuda_side(data, offsets, name="blank"):
    out, out_offsets = normalise.normalise_text(*map(to_device, (data, offsets, *tables(name))))
    assert out.dtype == "uint8" and out_offsets.dtype == "int64"
    return out.get().tobytes(), out_offsets.get().tolist()


def assert_same(data, offsets, name="blank"):
    assert cuda_side(data, offsets, name) == cpu(data, offsets, name)


def many_texts(seed, documents=150, longest=400):
    """Documents of pieces, sound and broken, many of them empty or short, some of one piece over and over."""
    generator = np.random.default_rng(seed)
    pieces = [piece.encode() for piece in PIECES] + BROKEN
    texts = []
    for _ in range(documents):
        some = generator.choice(len(pieces), generator.integers(1, 6))
        count = int(longest ** generator.random()) - 1
        texts.append(b"".join(pieces[number] for number in generator.choice(some, count)))
    return texts


@pytest.mark.parametrize("name", ["blank", "delete", "own"])
@pytest.mark.parametrize("order", ["rising", "falling"])
def test_many_texts(cuda, order, name):
    cuda(order=order)
    for seed, before in ((1, b""), (2, b"\xc3"), (3, b"before \xe2\x82")):
        assert_same(*joined(many_texts(seed), before, b"\xac behind"), name)


@pytest.mark.parametrize("name", ["blank", "own"])
def test_many_texts_within_bounds(emulated, programs, name):
    emulated(extra_options=(*cuda_on_host.sanitizers(programs), "-O0"), order="falling")
    assert_same(*joined(many_texts(4)), name)
    assert_same(*joined(many_texts(5), b"13 bytes more", b"\x82 more"), name)


@FEW
@given(texts=st.lists(st.lists(st.sampled_from([*BROKEN, b"a", b" ", b".", "é".encode()]), max_size=30).map(b"".join)))
def test_bytes_of_any_kind(emulated, texts):
    emulated()
    assert_same(*joined(texts), "delete")


def test_random_bytes(cuda):
    cuda(order="falling")
    generator = np.random.default_rng(7)
    # of few kinds leads and continuations meet more often
    for kinds in (np.arange(256), np.array([0x20, 0x82, 0xC3, 0xE2, 0xF0, 0x9F])):
        data = generator.choice(kinds, 20_000).astype(np.uint8)
        assert_same(data, np.sort(np.r_[0, generator.integers(0, data.size, 3000), data.size]))


@pytest.mark.parametrize("shift", [0, 1, 8, *range(12, 18), 4079, 4080, 4081, 4093, 4094, 4095])
def test_an_edge_of_16_bytes_or_a_tile_anywhere_in_a_text(emulated, shift):
    emulated()
    edge = "\U0001f600é각 . é\u0301 中\U0001f600".encode()
    texts = [b"x" * shift, edge, edge[:-1], edge[2:], edge + b" ." * 9 + edge, b"", b" ", edge]
    assert_same(*joined(texts), "delete")
    assert_same(*joined([b"".join(texts)], b" " * (shift % 16)), "blank")


@pytest.mark.parametrize("end", [4094, 4095, 4096, 4097, 4098])
def test_a_document_that_ends_within_a_code_point_near_the_edge_of_a_tile(emulated, end):
    emulated()
    for character in ("😀", "中"):
        whole = character.encode()
        for cut in range(1, len(whole)):
            assert_same(*joined([b"x" * (end - cut) + whole[:cut], whole[cut:] + b"y"]))


@pytest.mark.parametrize("order", ["rising", "falling"])
@pytest.mark.parametrize("filler", [b".", b" ", b"\xcc\x81", b". "])
def test_a_blank_is_carried_over_tiles_in_which_nothing_stays(cuda, filler, order):
    cuda(order=order)
    length = 3 * 4096 // len(filler)
    for text in (b"a %sb", b"a%sb", b"%sb", b"a %s", b"%s"):
        assert_same(*joined([b"one", text % (filler * length), b"two"]), "delete")
    # what follows the blanks begins with 16 bytes, or with a tile
    assert_same(*joined([b"x" * 4096 + filler * (16 // len(filler)) + b"y" + filler * (8192 - 17) + b"z"]), "delete")


def test_a_tile_whose_text_becomes_many_times_as_long(cuda):
    cuda()
    assert_same(*joined(["각".encode() * 3000, "é".encode() * 50]), "blank")
    # 255 bytes of two, over many windows; documents begin in the middle of them
    long = (chr(0xE9 + 6) + chr(0xE9 + 7)).encode()
    assert_same(*joined([long * 3, b"a", b"", long * 1024, long[:3], b" b", long * 2]), "own")


@pytest.mark.parametrize(
    ("multiprocessors", "order"), [(1, "rising"), (1, "falling"), (3, "falling"), (1000, "rising")]
)
def test_any_number_of_multiprocessors(emulated, multiprocessors, order):
    emulated(multiprocessors=multiprocessors, order=order)
    # 16 blocks for a multiprocessor, and more tiles than that; some documents are long
    data, offsets = joined(many_texts(8, documents=400, longest=4000))
    assert data.size > 40 * 4096
    assert_same(data, offsets, "delete")
    assert_same(data, offsets[::20], "delete")


def test_no_documents_no_bytes_and_many_empty_documents(cuda):
    cuda()
    assert_same(*joined([]))
    assert_same(*joined([b""] * 3, b"before"))
    assert_same(*joined([b""] * 1000 + [b"a."] + [b""] * 1000))
    assert_same(*joined([b"a" * 4096]))
    assert_same(*joined([b"a" * 4095, b"b", b""]))


def test_a_view_that_begins_at_any_byte(cuda):
    cuda()
    data, _ = joined(many_texts(9))
    whole = to_device(data)
    arrays = [to_device(table) for table in tables("blank")]
    for begin in (1, 7):
        offsets = np.array([0, 100, data.size - begin])
        out, out_offsets = normalise.normalise_text(whole[begin:], to_device(offsets), *arrays)
        assert (out.get().tobytes(), out_offsets.get().tolist()) == cpu(data[begin:], offsets)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": np.zeros(4, np.int8)}, "data must be one row of uint8"),
        ({"data": np.zeros(8, np.uint8)[::2]}, "without gaps"),
        ({"offsets": np.array([0, 4], np.int32)}, "offsets must be one row of int64"),
        ({"offsets": np.array([0, 5])}, "within the 4 items"),
        ({"offsets": np.array([0, 3, 2])}, "not fall"),
        ({"ascii_map": np.zeros(127, np.uint8)}, "128 ASCII characters"),
        ({"place": np.zeros(0x10FFFF, np.uint32)}, "0x110000 code points"),
        ({"place": np.zeros(0x110000, np.int64)}, "place must be one row of uint32"),
        ({"replacements": np.zeros(3, np.uint16)}, "replacements must be"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(emulated, change, message):
    cupy = emulated()
    arguments = {
        "data": np.zeros(4, np.uint8),
        "offsets": np.array([0, 4]),
        "ascii_map": np.zeros(128, np.uint8),
        "place": np.zeros(0x110000, np.uint32),
        "replacements": np.zeros(3, np.uint8),
    }
    with pytest.raises(ValueError, match=message):
        normalise.normalise_text(**{name: cupy.ndarray(value) for name, value in (arguments | change).items()})
