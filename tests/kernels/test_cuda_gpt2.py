"""GPT-2 tokens of the CUDA kernels, to the bit those of the CPU: their own text on the CPU, and on a device."""

import functools
import itertools

import cuda_on_host
import numba
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_gpt2_kernels import TOKENS, tables

from gpurefine.kernels.cpu import gpt2 as cpu
from gpurefine.kernels.cpu.pretokens import pretoken_end
from gpurefine.kernels.cuda import gpt2
from gpurefine.kernels.cuda.device import kernel, launch, to_device
from gpurefine.resources.cache import default_resources
from gpurefine.resources.models import fetch_models, merge_ranks, model_path
from gpurefine.text.gpt2 import Gpt2Tokenizer
from gpurefine.text.unicode import gpt2_classes

CLASSES = gpt2_classes()
fetch_models(default_resources(), ["gpt2-vocab.bpe"])
TOKENIZER = Gpt2Tokenizer(merge_ranks(model_path("gpt2-vocab.bpe", default_resources()).read_text("utf-8")))

#: What the pattern treats in different ways: contractions and their beginnings, white space, U+0020, letters, numbers
#: and others of each length in UTF-8.
NASTY = [*"'stlrevmdSa1.é中 \n", "\u00a0", "\u3000", "\u0301", "\u200d", "\U0001f44d", "\U00010348", "\U0001d7d8"]
#: A choice small enough for all strings of four.
FEW = [*"'stlrea1. \n", "\u3000", "é"]
TEXTS = st.lists(st.sampled_from([*NASTY, "'s", "'re", "'ll", "  ", " '"]), max_size=24).map("".join)

FIXTURES = [HealthCheck.function_scoped_fixture]  # which are the same for all examples


def column(texts):
    """Documents (str or bytes) as bytes and offsets."""
    pieces = [text if isinstance(text, bytes) else text.encode() for text in texts]
    return np.frombuffer(b"".join(pieces), np.uint8).copy(), np.cumsum([0, *map(len, pieces)])


@numba.njit
def cpu_starts(data, offsets, classes, out):
    count = 0
    for document in range(offsets.size - 1):
        position = offsets[document]
        while position < offsets[document + 1]:
            out[count] = position
            count += 1
            position = pretoken_end(data, position, offsets[document + 1], classes)
    out[count] = data.size
    return count + 1


def assert_equal_starts(texts):
    data, offsets = column(texts)
    if not data.size:
        return
    expected = np.empty(data.size + 1, np.int64)
    expected = expected[: cpu_starts(data, offsets, CLASSES, expected)]
    found = gpt2.pretoken_starts(*map(to_device, (data, offsets, CLASSES))).get()
    differing = np.setxor1d(found, expected)
    if differing.size:
        document = np.searchsorted(offsets, differing[0], "right") - 1
        raise AssertionError(f"{texts[document]!r} at byte {differing[0] - offsets[document]}")
    np.testing.assert_array_equal(found, expected)


def assert_equal_tokens(texts, classes, vocabulary):
    """Tokens, their offsets and their counts are those of the CPU."""
    data, offsets = column(texts)
    expected, expected_offsets = cpu.gpt2_tokens(data, offsets, classes, vocabulary, cpu.empty_lines(1000))
    on_device = gpt2.device_vocabulary(classes, vocabulary)
    arrays = to_device(data), to_device(offsets)
    tokens, found = gpt2.gpt2_tokens(*arrays, on_device)
    assert (tokens.dtype, found.dtype) == (np.uint16, np.int64)
    np.testing.assert_array_equal(found.get(), expected_offsets)
    np.testing.assert_array_equal(tokens.get(), expected)
    counts = gpt2.count_gpt2_tokens(*arrays, on_device)
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts.get(), np.diff(expected_offsets))


def real(texts):
    assert_equal_tokens(texts, TOKENIZER._classes, TOKENIZER._vocabulary)


def random_texts(seed, number, longest, alphabet=NASTY):
    random = np.random.default_rng(seed)
    lengths = random.integers(0, longest, number)
    return ["".join(alphabet[index] for index in random.integers(0, len(alphabet), length)) for length in lengths]


def test_pretokens_of_all_short_strings(cuda):
    """Beside each other, so that a rule that looks across an edge between documents shows as well."""
    cuda()
    for length in range(1, 5):
        assert_equal_starts(["".join(letters) for letters in itertools.product(FEW, repeat=length)])


@settings(max_examples=50, suppress_health_check=FIXTURES)
@given(st.lists(TEXTS, min_size=1, max_size=20))
@example(["'", "s", "'", "re", "''ll", "a'sb", " 's", "\n'vex", "'rea", "'r", "e", "a  ", " b", "\u3000", "c"])
def test_pretokens_of_any_text(cuda, texts):
    cuda()
    assert_equal_starts(texts)


@pytest.fixture
def within_bounds(cuda, request):
    """As ``cuda``; on the CPU an access out of bounds ends the program."""
    if request.node.callspec.params["cuda"] == "device":
        return cuda
    return functools.partial(cuda, extra_options=cuda_on_host.sanitizers(request.getfixturevalue("programs")))


def test_pretokens_of_long_texts(within_bounds):
    """Several tiles, their edges anywhere in a character and in a contraction."""
    within_bounds(order="falling", multiprocessors=1)
    assert_equal_starts(random_texts(1, 60, 2000))
    assert_equal_starts(["'re" * 3000, "x's" * 2000, "\u3000" * 3000 + "x", " " * 5000, "\U0001f44d" * 1500])


WORDS = [
    "the", " the", " of", " and", "'s", ",", ".", "\n", " Refined", "Web", " 1234567", " naïve", "中文字", " слово",
    "!?", " ", "  ", "\n\n", "é", "🙂", " internationalisation", " Donaudampfschifffahrtsgesellschaft", "-" * 32 + "\n",
    " " * 40,
]  # fmt: skip


@pytest.mark.parametrize("order", ["rising", "falling"])
def test_tokens_of_words_within_bounds(within_bounds, order):
    within_bounds(order=order)
    real(["", "abc", *random_texts(2, 40, 60, WORDS), "", "'s", *random_texts(3, 300, 9), ""])


@pytest.mark.parametrize("multiprocessors", [1, 500])
def test_tokens_of_much_text_on_any_number_of_multiprocessors(cuda, multiprocessors):
    cuda(multiprocessors=multiprocessors)
    real(random_texts(4, 300, 80, WORDS))


def test_tokens_of_pieces_of_any_length(cuda):
    """Around each length at which another way of encoding begins, the one on the host included."""
    cuda(order="falling")
    random = np.random.default_rng(5)
    longest = [sizes["PIECE"] for sizes in (gpt2.SHORT, gpt2.MEDIUM, gpt2.LONG)]
    lengths = [1, 2, *(size + more for size in longest for more in (-1, 0, 1)), 5000]
    letters = ["".join(map(chr, random.integers(ord("a"), ord("z") + 1, length))) for length in lengths]
    real([*letters, "-" * 300, "中" * 400, " " * 3000 + "x", letters[-1], "x " + letters[-4] + " " + letters[-1] + "!"])


@settings(max_examples=12, suppress_health_check=FIXTURES)
@given(st.permutations(TOKENS), st.integers(0, len(TOKENS)), st.integers(0, 1 << 32))
def test_merging_in_any_order_of_ids(cuda, order, count, seed):
    """Vocabularies in which a token may have a lower id than the tokens that it is made of."""
    cuda()
    texts = random_texts(seed, 80, 40, list("abcx")) + random_texts(seed, 4, 100, list("abc")) + ["a" * 33, "b" * 257]
    assert_equal_tokens(texts, CLASSES, tables(order[:count])[1])


@pytest.mark.parametrize("value", ["0", "hash_bytes(data, begin, end) << 32"], ids=["all", "slots"])
def test_different_pretokens_of_equal_hash_are_kept_apart(emulated, value):
    """Also what becomes of pre-tokens that find no slot."""

    def with_hash(text):
        assert text.count("= hash_bytes(data, begin, end);") == 1
        return text.replace("= hash_bytes(data, begin, end);", f"= {value};")

    emulated(change=lambda text: with_hash(text) if "look_up" in text else text)
    real(random_texts(6, 50, 60, WORDS))


def looked_up(texts):
    """Representatives of documents that are a pre-token each."""
    data, offsets = column(texts)
    count = len(texts)
    table, found = to_device(np.zeros(1 << 12, np.uint64)), to_device(np.zeros(count, np.uint32))
    arrays = to_device(data), to_device(offsets)
    launch(kernel("gpt2", "look_up", **gpt2.SHARING), count, *arrays, count, table, table.size - 1, found)
    return found.get()


@pytest.mark.parametrize("order", ["rising", "falling", "mixed"])
def test_equal_pretokens_find_each_other(cuda, order):
    cuda(order=order, multiprocessors=1)
    random = np.random.default_rng(7)
    texts = [f"word{number}" for number in random.zipf(1.3, 1500) % 500] + ["x" * 256] * 3 + ["y" * 257] * 3
    found = looked_up(texts)
    assert [texts[representative] for representative in found] == texts
    np.testing.assert_array_equal(found[found], found)
    assert len(set(found[:-3])) == len(set(texts[:-3]))
    assert found[-3:].tolist() == [len(texts) - 3, len(texts) - 2, len(texts) - 1]


@settings(max_examples=12, suppress_health_check=FIXTURES)
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=6), st.integers(0, 1 << 32))
@example([b"\xf4", b"\xff\xff\xff\xff", b" \xe2", b"a" * 31 + b"\xf0\x90", b"'", b"\x80", b"'s\x80\x80\x80\x80"], 0)
def test_bytes_that_are_no_utf_8_are_all_kept(within_bounds, documents, seed):
    within_bounds()
    _, merging_nothing = tables([])
    some = np.frombuffer("'sre \n\u3000é中🙂".encode() + b"\xff\x80\xc3", np.uint8)
    documents = [*documents, np.random.default_rng(seed).choice(some, 500).tobytes()]
    data, offsets = column(documents)
    vocabulary = gpt2.device_vocabulary(CLASSES, merging_nothing)
    tokens, found = gpt2.gpt2_tokens(to_device(data), to_device(offsets), vocabulary)
    np.testing.assert_array_equal(tokens.get(), data)
    np.testing.assert_array_equal(found.get(), offsets)


def test_offsets_may_begin_anywhere(cuda):
    cuda()
    data, offsets = column(["ab", " cd's", "", "1 2", "xyz"])
    vocabulary = gpt2.device_vocabulary(TOKENIZER._classes, TOKENIZER._vocabulary)
    expected = TOKENIZER.tokens(data, offsets[1:4])
    found = gpt2.gpt2_tokens(to_device(data), to_device(offsets)[1:4], vocabulary)
    np.testing.assert_array_equal(found[0].get(), expected[0])
    np.testing.assert_array_equal(found[1].get(), expected[1])


@pytest.mark.parametrize("text", ["a", " ", "é", "=" * 300])
def test_a_single_pretoken(cuda, text):
    cuda()
    real([text])


@pytest.mark.parametrize("offsets", [[0], [0, 0, 0], [5]])
def test_nothing_to_do(cuda, offsets):
    cuda()
    vocabulary = gpt2.device_vocabulary(CLASSES, tables([])[1])
    arrays = to_device(np.frombuffer(b"hello", np.uint8)), to_device(np.array(offsets))
    tokens, found = gpt2.gpt2_tokens(*arrays, vocabulary)
    assert (tokens.get().tolist(), found.get().tolist()) == ([], [0] * len(offsets))
    counts = gpt2.count_gpt2_tokens(*arrays, vocabulary)
    assert counts.get().tolist() == [0] * (len(offsets) - 1)


@pytest.mark.parametrize(
    ("data", "offsets", "message"),
    [
        (np.zeros(3, np.int8), [0, 3], "data must be one row of uint8"),
        (np.zeros(3, np.uint8), np.array([0, 3], np.int32), "offsets must be one row of int64"),
        (np.zeros(3, np.uint8), [0, 4], "within the 3 items"),
        (np.zeros(3, np.uint8), [0, 3, 2], "not fall"),
        (np.zeros(3, np.uint8), np.zeros(0, np.int64), "begin at 0"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(emulated, data, offsets, message):
    emulated()
    vocabulary = gpt2.device_vocabulary(CLASSES, tables([])[1])
    for function in (gpt2.gpt2_tokens, gpt2.count_gpt2_tokens):
        with pytest.raises(ValueError, match=message):
            function(to_device(data), to_device(np.asarray(offsets)), vocabulary)


def test_too_many_pretokens_are_refused(emulated, monkeypatch):
    emulated()
    monkeypatch.setattr(gpt2, "MOST_PRETOKENS", 3)
    vocabulary = gpt2.device_vocabulary(CLASSES, tables([])[1])
    gpt2.gpt2_tokens(to_device(np.frombuffer(b"a b c", np.uint8)), to_device(np.array([0, 5])), vocabulary)
    with pytest.raises(ValueError, match=r"4 pre-tokens in 7 bytes.*fewer documents"):
        gpt2.gpt2_tokens(to_device(np.frombuffer(b"a b c d", np.uint8)), to_device(np.array([0, 7])), vocabulary)


@pytest.mark.parametrize(
    ("function", "barrier"), [("mark_pretokens", 0), ("mark_new", 0), *(("encode_long", number) for number in range(2))]
)
def test_each_barrier_is_needed(emulated, function, barrier):
    """The emulation would notice a missing one."""

    def without(text):
        if f"\n{function}(" not in text:
            return text
        begin = text.index(f"\n{function}(")
        pieces = text[begin:].split("__syncthreads();")
        pieces[barrier : barrier + 2] = [pieces[barrier] + pieces[barrier + 1]]
        return text[:begin] + "__syncthreads();".join(pieces)

    texts = random_texts(8, 60, 10, "abcde")
    found = []
    for order in ("rising", "falling"):
        emulated(change=without, order=order, multiprocessors=1)
        try:
            real([text + "xyz" * 12 for text in texts])
            found.append(True)
        except (AssertionError, RuntimeError, ValueError):
            found.append(False)
    assert not all(found)
