"""Text statistics of the CUDA kernels, number for number the CPU's: their own text on the CPU, and on a device."""

from pathlib import Path

import cuda_on_host
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import gpurefine.demo
from gpurefine.frames import string_column, text_buffers
from gpurefine.kernels import FIELDS, word_hashes
from gpurefine.kernels.cpu import stats as cpu
from gpurefine.kernels.cuda import stats
from gpurefine.kernels.cuda.device import to_device
from gpurefine.text.characters import classes_with_bullets

STOP_WORDS = ["the", "be", "to", "of", "and", "that", "have", "with", "für"]
CLASSES = classes_with_bullets(("•", "-"))
SHARED_FIXTURE = {"suppress_health_check": [HealthCheck.function_scoped_fixture], "deadline": None}

#: Pages of many scripts, with lists, refrains and oddities.
PAGES = [path.read_text("utf-8") for path in sorted((Path(gpurefine.demo.__file__).parent / "texts").glob("*.txt"))]

#: Tiles of the text have 128 bytes, so pieces end before, at and behind their borders.
EDGES = [
    "", "\n", "\n\n", "\n\n\na", "a", "a\n", "a\n\n", "a\n\n\n\n", "\n" * 300, " " * 300, "\u3000" * 90, "#" * 200,
    "-", "• x", "a b", "a b c d", "a b c d e", "a a a a a", "a b c d e f g h i j", "a " * 130,
    "ab\r\ncd\r\n\r\nab\r\ncd\r\n", "x y z w x y q r z w s t u v", "ab c d e f x a bc d e f",
    "the the be of\n\nfür to", "Ab\u2028ab\u2029ab \x85 ab", "." * 129, "." * 383 + "\n" + ". " * 200,
    "...\n…\n. . .\n....\n. . . .\n. .. . .", "…" * 50, "a. . ....\n. . . x. . .",
    "é" * 63 + "\n" + "é" * 64 + "\n" + "é" * 65, "日本語\u3000日本語\n" * 30, "\U0001f600 \U0001f600\n" * 40,
    "e\u0301 \u0301", "x" * 127 + " y", "x" * 128 + "\ny", "x" * 200 + " " + "x" * 200, "x" * 3000, "a\n" * 200,
    "a\n\n" * 100, "\t \n" * 100, "one line of no end, " * 60, "  lead\n  lead\n\u3000lead…\u3000\n-\n - \n",
    "w " * 127 + "w", "v w " * 100 + "z",
]  # fmt: skip

# few different pieces, so that everything repeats; all kinds of white space, marks, scripts, and combining marks
PIECES = st.sampled_from(
    [
        *"aabbcAé1٣#.-•…日本ア", *STOP_WORDS, "word", "ab", "ba", "e\u0301", "\u0301", "नि", "\U0001f600", "\U00020000",
        "$", "\u200d", "\ue000", "\u0378", "\x00", "...", ". . .", ". .", "#tag", "x" * 40, "y" * 200, *"     \n\n\t\r",
        "\n\n", "\n\n\n", "\r\n", "\x0b", "\x0c", "\x1c", "\x1f", "\x85", "\xa0", "\u2003", "\u2028", "\u3000",
    ]
)  # fmt: skip
TEXTS = (
    st.lists(PIECES, max_size=120).map("".join)
    | st.lists(st.sampled_from(["a", "b", "ab", " ", " ", "\n"]), max_size=250).map("".join)
    | st.text(max_size=40)
)


def buffers(texts):
    return tuple(np.array(array) for array in text_buffers(string_column(texts)))


def counted(data, offsets, stop_words=STOP_WORDS, **options):
    """The rows by the kernels on the device, and by the CPU's."""
    hashes = word_hashes(*buffers(stop_words))
    on_device = stats.text_statistics(*map(to_device, (data, offsets, CLASSES, hashes)), **options)
    return on_device.get(), cpu.text_statistics(data, offsets, CLASSES, hashes)


def check(texts, **options):
    """Compare, and tell the field and the text of the first difference."""
    found, expected = counted(*buffers(texts), **options)
    assert found.dtype == expected.dtype and found.shape == expected.shape
    for row, column in np.argwhere(found != expected)[:1]:
        assert (FIELDS[column], texts[row], found[row, column]) == (FIELDS[column], texts[row], expected[row, column])


@pytest.fixture
def recounted(monkeypatch):
    """Numbers of documents of each call in which documents were left to the CPU."""
    calls, count = [], cpu.text_statistics

    def noted(data, offsets, *rest):
        calls.append(offsets.size - 1)
        return count(data, offsets, *rest)

    # the comparison takes what it finds in ``cpu``, so it is noted too: the last of each pair
    monkeypatch.setattr(cpu, "text_statistics", noted)
    return calls


@pytest.mark.parametrize("order", ["rising", "falling"])
def test_pages_and_edges(cuda, order, recounted):
    cuda(order=order)
    check(PAGES + EDGES)
    assert recounted == [len(PAGES + EDGES)]  # none was left to the CPU


@pytest.mark.parametrize("multiprocessors", [1, 200])
def test_within_bounds_on_any_number_of_multiprocessors(emulated, programs, multiprocessors):
    emulated(extra_options=cuda_on_host.sanitizers(programs), multiprocessors=multiprocessors)
    check(PAGES[10:] + EDGES)


@pytest.mark.parametrize("text", [PAGES[-1][:700], "a " * 9 + "b", "a\n" * 90, "\n", "", "é" * 61, "a b c d e " * 3])
def test_a_document_keeps_within_its_working_memory(emulated, programs, text):
    emulated(extra_options=cuda_on_host.sanitizers(programs))
    check([text])


@settings(max_examples=60, **SHARED_FIXTURE)
@given(texts=st.lists(TEXTS, max_size=12), falling=st.booleans())
@example(texts=[". . . . . ......", "...\n…\n. . .\n....", "# \n..\n.\n. . ."], falling=False)
def test_any_texts(cuda, texts, falling):
    cuda(order="falling" if falling else "rising")
    check(texts)


def repetitive_text(seed):
    """Words with copies of passages at every distance: most are found by one prefix, many overlap."""
    generator = np.random.default_rng(seed)
    vocabulary = [f"word{number}" for number in range(3 + 9 * (seed % 5))] + list("abcdefg")
    words = generator.choice(vocabulary, generator.integers(200, 900))
    for _ in range(15):
        length, source, target = generator.integers(5, 30), *generator.integers(0, words.size - 60, 2)
        words[target : target + length] = words[source : source + length]
    return " ".join(words)


@pytest.mark.parametrize("order", ["rising", "falling"])
def test_long_texts_with_repeats(cuda, order):
    cuda(order=order)
    check([repetitive_text(seed) for seed in range(12)] + ["a b c d e f g " * 100, "the " * 1000])


def test_a_batch_in_the_middle_of_the_buffers(cuda):
    cuda()
    data, offsets = buffers(EDGES)
    whole = counted(data, offsets)[1]
    found, expected = counted(data, offsets[7:20])
    assert np.array_equal(found, expected) and np.array_equal(found, whole[7:19])


def test_no_documents_and_no_text(cuda):
    cuda()
    check([])
    check([""] * 3)


def test_stop_words_are_different_ones_of_many(cuda):
    cuda()
    many = [f"s{number}" for number in range(700)]
    text = " ".join(many[:400] * 2 + ["S1", "s", "s700"])
    found, expected = counted(*buffers([text, "s5", "", "x"]), stop_words=many)
    assert found[:, FIELDS.index("stop_words")].tolist() == [400, 1, 0, 0]
    assert np.array_equal(found, expected)
    check(PAGES[:2], stop_words=[])


@pytest.mark.parametrize(("longest", "left"), [(0, 3), (10, 2), (11, 1), (1 << 28, 0)])
def test_long_documents_are_left_to_the_cpu(cuda, recounted, longest, left):
    cuda()
    check(["", "eleven byte", PAGES[0], "a b"] if left < 3 else ["", "a", "b", "c"], longest=longest)
    assert recounted == [left, 4] if left else [4]


def words_of_one_slot(number):
    """Different words that the table for so many words has in one slot: written against it."""
    words = np.char.add("w", np.arange(600_000).astype(str))
    hashes = word_hashes(*buffers(words.tolist()))
    mixed = (hashes ^ hashes >> np.uint64(32)) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)
    slots = mixed & np.uint64(1 << int(4 * number - 1).bit_length()) - np.uint64(1)
    return words[slots == slots[0]][:number].tolist()


def test_pages_written_against_the_table_are_left_to_the_cpu(cuda, recounted):
    cuda()
    words = words_of_one_slot(300)
    assert len(words) == 300
    texts = [" ".join(words), "a page in between", " ".join([*words, "x", "y"]), " ".join(words[:100])]
    check(texts)
    assert recounted == [2, 4]
    # and the CPU does give up: it takes different words, and so pairs of them, for equal
    assert cpu.text_statistics(*buffers(texts[:1]), CLASSES, word_hashes(*buffers([])))[0, FIELDS.index("top_2")] > 40


def test_pages_written_against_the_hashes_fool_both_alike(cuda):
    """Thue-Morse words and their mirrors have one polynomial hash, but n-grams with another prefix are passed over."""
    cuda()
    signs = [bin(place).count("1") % 2 for place in range(2048)]
    word, mirror = ("".join(letters[sign] for sign in signs) for letters in ("ab", "ba"))
    texts = [
        f"{word} z {mirror} z",
        f"{word} p q r s t u {mirror} p q r s t u v {word} p q r s t u",
        f"p {word} p {mirror} " * 9,
    ]
    found, expected = counted(*buffers(texts))
    assert np.array_equal(found, expected)
    assert found[0, FIELDS.index("top_2")] == 2  # they are fooled


def test_crowded_documents_may_be_found_at_any_question(emulated, recounted):
    """With less patience, ordinary pages are crowded: for their lines, words or n-grams of any size."""
    for order in ("rising", "falling"):
        emulated(change=lambda text: text.replace("#define CROWD 128", "#define CROWD 3"), order=order)
        check(PAGES + EDGES)
    # what is crowded depends on the keys and not on the order of the threads
    left, everything, *again = recounted
    assert again == [left, everything] and 2 < left < everything == len(PAGES + EDGES)


def test_bytes_that_are_no_utf8_are_survived(emulated, programs):
    """The reader lets none through; if one came, nothing outside the arrays may be touched."""
    emulated(extra_options=cuda_on_host.sanitizers(programs))
    generator = np.random.default_rng(1)
    data = generator.integers(0x70, 0x100, 3000).astype(np.uint8)
    data[generator.integers(0, 3000, 300)] = 10
    data[:3] = 0xE2, 0x80, 0x0A  # a newline in what would be white space
    found, _ = counted(data, np.array([0, 0, 1, 2, 4, 100, 2000, 3000]))
    assert (found[:, FIELDS.index("characters")] <= 2000).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": np.zeros(4, np.int8)}, "data must be one row of uint8"),
        ({"offsets": np.array([0, 5])}, "within the 4 items"),
        ({"offsets": np.array([0, 4, 2])}, "not fall"),
        ({"classes": np.zeros(256, np.uint8)}, "each of the 1,114,112 code points"),
        ({"stop_word_hashes": np.zeros(1, np.int64)}, "stop_word_hashes must be one row of uint64"),
        ({"longest": -1}, "longest must be between 0 and 268435456"),
        ({"longest": 1 << 40}, "longest must be between"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(emulated, change, message):
    emulated()
    arguments = {
        "data": np.zeros(4, np.uint8),
        "offsets": np.array([0, 4]),
        "classes": CLASSES,
        "stop_word_hashes": np.zeros(0, np.uint64),
        "longest": 100,
    } | change
    with pytest.raises(ValueError, match=message):
        stats.text_statistics(
            **{name: to_device(value) if isinstance(value, np.ndarray) else value for name, value in arguments.items()}
        )
