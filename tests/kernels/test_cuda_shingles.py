"""Units and shingle hashes of the CUDA kernels, to the bit those of the CPU's."""

import cuda_on_host
import numpy as np
import pytest

from gpurefine import kernels
from gpurefine.kernels.cpu import shingles as cpu
from gpurefine.kernels.cuda import shingles
from gpurefine.kernels.cuda.device import to_device
from gpurefine.text.characters import character_classes

ORDERS = ["rising", "falling", "mixed"]
CHARACTERS = [
    *"ab.é中\U0001f600\U0010ffff\0",
    " ",
    "\n",
    "\u00a0",
    "\u2003",
    "\u3000",
    "\x1c",
    "\x85",
    " " * 33,
    "x" * 40,
]


def texts_of(seed, documents=200, longest=300):
    """Documents of few different characters each; many are short, some empty."""
    generator = np.random.default_rng(seed)
    texts = []
    for _ in range(documents):
        some = generator.choice(len(CHARACTERS), generator.integers(1, 6))
        count = int(longest ** generator.random()) - 1
        texts.append("".join(CHARACTERS[number] for number in generator.choice(some, count)).encode())
    return texts


def joined(texts, before=b"", behind=b""):
    """Texts as one array and their offsets, which begin behind ``before``."""
    return np.frombuffer(before + b"".join(texts) + behind, np.uint8), np.cumsum([len(before), *map(len, texts)])


def checked(programs):
    """Options for programs that end at an access out of bounds; there are many kernels, so they are compiled fast."""
    return (*cuda_on_host.sanitizers(programs), "-O0")


def both_sides(name, *arguments):
    """What the CPU gives, and what the device gives."""
    moved = [to_device(each) if isinstance(each, np.ndarray) else each for each in arguments]
    units, starts = getattr(shingles, name)(*moved)
    return getattr(cpu, name)(*arguments), (units.get(), starts.get())


def assert_same(name, *arguments):
    expected, found = both_sides(name, *arguments)
    for one, other in zip(expected, found, strict=True):
        assert one.dtype == other.dtype and np.array_equal(one, other)


def assert_same_units(data, offsets):
    assert_same("word_units", data, offsets, character_classes())
    assert_same("character_units", data, offsets)


@pytest.mark.parametrize("order", ORDERS)
def test_units_of_many_texts(cuda, order):
    cuda(order=order)
    for seed, before in ((1, b""), (2, b"a"), (3, "ebény és fa 31 bytes lorem ips".encode()), (4, b" " * 77)):
        assert_same_units(*joined(texts_of(seed), before, b"more text"))


def test_units_within_bounds(emulated, programs):
    emulated(extra_options=checked(programs))
    assert_same_units(*joined(texts_of(5)))
    assert_same_units(*joined(texts_of(6), b"before"))


@pytest.mark.parametrize("length", [28, 30, 31, 32, 33, 64])
def test_the_end_anywhere_among_32_bytes(emulated, length):
    emulated()
    for end in (b"", b" ", "\u3000".encode(), "\u3000é".encode()):
        assert_same_units(*joined([b"x" * length + end, end, end + b"y"]))
        assert_same_units(*joined([b"a" + b" " * length + end]))


def test_long_words(cuda):
    cuda()
    assert_same_units(*joined([b"x" * 5000, b"", "é".encode() * 3000 + b" y", b"z" * 31]))


def test_no_texts_and_texts_without_units(cuda):
    cuda()
    for texts in ([], [b""], [b""] * 300, [b" " * 100, b"\n"], [b""] * 100 + [b"a"] + [b""] * 100):
        assert_same_units(*joined(texts))
        assert_same_units(*joined(texts, b"before"))


def test_a_view_that_begins_at_any_byte(cuda):
    cuda()
    data, _ = joined(texts_of(8))
    whole = to_device(data)
    for begin in (1, 16, 31):
        inner = np.array([5, 60, 61, data.size - begin])
        starts = shingles.character_units(whole[begin:], to_device(inner))[1].get()
        beginnings = (data[begin:] & 0xC0) != 0x80
        assert starts.tolist() == [int(beginnings[5:end].sum()) for end in inner]


def test_bytes_that_are_no_utf_8_do_no_harm(emulated, programs):
    emulated(extra_options=checked(programs))
    generator = np.random.default_rng(9)
    for size in (1, 2, 33, 4000):
        data = generator.choice(np.array([0x20, 0x41, 0x80, 0xC3, 0xE3, 0xF0, 0xFF], np.uint8), size)
        offsets = np.sort(np.r_[0, generator.integers(0, size, 5), size])
        for name, *tables in (("word_units", to_device(character_classes())), ("character_units",)):
            units, starts = getattr(shingles, name)(to_device(data), to_device(offsets), *tables)
            assert units.size == int(starts[-1]) <= size and bool((starts[1:] >= starts[:-1]).all())


LENGTHS = [0, 1, 4, 5, 6, 0, 0, 300, 2, 7, 5000, 0, 1, 1, 2048, 0]


@pytest.mark.parametrize("order", ["rising", "falling"])
@pytest.mark.parametrize("dtype", [np.uint16, np.uint32, np.uint64])
def test_shingles(cuda, dtype, order):
    cuda(order=order)
    offsets = np.cumsum([3, *LENGTHS * 2], dtype=np.int64)
    units = np.random.default_rng(3).integers(0, np.iinfo(dtype).max, offsets[-1] + 5, dtype, endpoint=True)
    for n in (1, 2, 5, 7, 100, 6000):
        assert_same("shingle_hashes", units, offsets, n)


@pytest.mark.parametrize("multiprocessors", [1, 1000])
def test_many_short_texts(emulated, programs, multiprocessors):
    emulated(multiprocessors=multiprocessors, extra_options=checked(programs))
    generator = np.random.default_rng(4)
    offsets = np.cumsum(np.r_[0, generator.integers(0, 4, 30_000) * generator.integers(0, 9, 30_000)])
    units = generator.integers(0, 50257, offsets[-1], np.uint16)
    for n in (1, 3):
        assert_same("shingle_hashes", units, offsets, n)
    assert_same("shingle_hashes", units, offsets[:1], 5)
    assert_same("shingle_hashes", units, np.zeros(4000, np.int64), 5)


@pytest.mark.parametrize("barrier", [0, 1])
def test_each_barrier_is_needed(emulated, barrier):
    """The emulation would notice a missing one."""

    def without(text):
        pieces = text.split("__syncthreads();")
        assert len(pieces) == 3
        pieces[barrier : barrier + 2] = [pieces[barrier] + pieces[barrier + 1]]
        return "__syncthreads();".join(pieces)

    offsets = np.arange(0, 200_001, 20)
    units = np.random.default_rng(5).integers(0, 50257, offsets[-1], np.uint16)
    expected, _ = kernels.shingle_hashes(units, offsets, 5)
    found = []
    for order in ("rising", "falling"):
        emulated(change=without, order=order, multiprocessors=1)
        try:
            hashes, _ = shingles.shingle_hashes(to_device(units), to_device(offsets), 5)
            found.append(np.array_equal(hashes.get(), expected))
        except RuntimeError:  # rubbish for a document: an access beyond all bounds
            found.append(False)
    assert not all(found)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("word_units", (np.zeros(4, np.int8), np.array([0, 4]), np.zeros(0x110000, np.uint8)), "data must be"),
        ("word_units", (np.zeros(4, np.uint8), np.array([0, 4]), np.zeros(128, np.uint8)), "0x110000 code points"),
        ("character_units", (np.zeros(4, np.uint8), np.array([0, 5])), "within the 4 items"),
        ("character_units", (np.zeros(8, np.uint8)[::2], np.array([0, 4])), "without gaps"),
        ("shingle_hashes", (np.zeros(4, np.uint8), np.array([0, 4]), 5), "uint16, uint32 or uint64, not uint8"),
        ("shingle_hashes", (np.zeros(4, np.int32), np.array([0, 4]), 5), "not int32"),
        ("shingle_hashes", (np.zeros(4, np.uint16), np.array([0, 4, 3]), 5), "not fall"),
        ("shingle_hashes", (np.zeros(4, np.uint16), np.array([0, 4]), 0), "take at least 1"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(emulated, name, arguments, message):
    cupy = emulated()
    moved = [cupy.ndarray(each) if isinstance(each, np.ndarray) else each for each in arguments]
    with pytest.raises(ValueError, match=message):
        getattr(shingles, name)(*moved)
