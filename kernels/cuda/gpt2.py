"""GPT-2 tokens on a CUDA device: where the pre-tokens begin, the distinct ones of the batch, and their tokens.

It takes the place of ``gpurefine.kernels.cpu.gpt2`` where a text column lies on a device, and gives the same tokens.
That one meets words one after another and remembers them; here all are looked up at once, each in a hash table of this
batch, and only those that stand for their equals are byte-pair encoded. How the work is cut is told in pretokens.cu,
gpt2.cu, shortpieces.cu and longpieces.cu. CuPy is imported when a kernel is launched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gpurefine.kernels.cpu import gpt2 as cpu
from gpurefine.kernels.cuda.device import (
    THREADS,
    check_array,
    check_offsets,
    kernel,
    launch,
    launch_blocks,
    to_device,
    to_host,
)

if TYPE_CHECKING:
    import cupy

#: Items that a block of the marking kernels takes.
TILE = 16 * THREADS
#: Bytes up to which equal pre-tokens are encoded once.
SHARED = 256

#: How pieces are encoded, by the bytes of the longest: the first has a thread a piece, the others a block. A longer one
#: is encoded by the CPU, whose time grows little faster than the length; a block's grows with the square.
SHORT = {"PIECE": 32, "THREADS": 128}
MEDIUM = {"PIECE": SHARED, "THREADS": 32}
LONG = {"PIECE": 1024, "THREADS": 128}

#: Macros of pretokens.cu, and of gpt2.cu with the slots of the table that are looked at for a pre-token.
MARKING = {
    "THREADS": THREADS,
    "TILE": TILE,
    "SHORT": SHORT["PIECE"],
    "MEDIUM": MEDIUM["PIECE"],
    "LONG": LONG["PIECE"],
}
SHARING = {"THREADS": THREADS, "SHARED": SHARED, "PROBES": 16}

#: Pre-tokens have numbers of 32 bits.
MOST_PRETOKENS = (1 << 32) - 2


@dataclass(frozen=True)
class DeviceVocabulary:
    """A vocabulary and the classes of code points on a device: see ``kernels.cpu.gpt2.BytePairs``.

    Attributes
    ----------
    classes : uint8, (0x110000,), class of each code point in GPT-2's pattern (``kernels.cpu.pretokens``): an
        apostrophe is other, ASCII letters are letters, a blank is white space
    byte_ids, byte_pairs : uint16, (256,) and (65536,)
    pairs : uint64, (slots,)
    """

    classes: cupy.ndarray
    byte_ids: cupy.ndarray
    byte_pairs: cupy.ndarray
    pairs: cupy.ndarray


def device_vocabulary(classes: np.ndarray, vocabulary: cpu.BytePairs) -> DeviceVocabulary:
    """Copy a vocabulary to the current device: 2 to 3 MB, so once for many batches.

    Parameters
    ----------
    classes : uint8, (0x110000,), class of each code point
    vocabulary : from ``kernels.cpu.gpt2.byte_pairs``
    """
    return DeviceVocabulary(to_device(classes), *map(to_device, vocabulary))


def gpt2_tokens(
    data: cupy.ndarray, offsets: cupy.ndarray, vocabulary: DeviceVocabulary
) -> tuple[cupy.ndarray, cupy.ndarray]:
    """Tokens of each document, on the current device and CuPy's current stream.

    They are those of ``kernels.cpu.gpt2.gpt2_tokens`` if each document is valid UTF-8. Other bytes are read safely and
    come to some tokens in a time as short. Of device memory it needs, beside the result, some 3 bytes for each byte of
    text and 36 to 45 for each pre-token; of English, a pre-token has 4 to 5 bytes. A pre-token of more than 1,024 bytes
    comes to the host and is encoded there, some megabytes a second.

    Parameters
    ----------
    data : uint8, (bytes,)
    offsets : int64, (documents + 1,), rising, within ``data``; document d is ``data[offsets[d]:offsets[d + 1]]``
    vocabulary : from ``device_vocabulary``

    Returns
    -------
    tokens : uint16, (m,)
    offsets : int64, (documents + 1,), from 0; tokens of document d are ``tokens[offsets[d]:offsets[d + 1]]``

    Raises
    ------
    ValueError
        if types do not fit, offsets fall or lie outside, or there are more than 4,294,967,294 pre-tokens
    """
    import cupy

    text = _text(data, offsets)
    if text is None:
        return cupy.empty(0, cupy.uint16), cupy.zeros_like(offsets)
    starts = pretoken_starts(*text, vocabulary.classes)
    representatives, encoded, before, unshared = _encode(text, starts, vocabulary)
    count, tokens = representatives.size, cupy.empty(int(before[-1]), cupy.uint16)
    write_tokens, write_long = (kernel("gpt2", name, **SHARING) for name in ("write_tokens", "write_long"))
    launch(write_tokens, count, starts, representatives, count, encoded, before, tokens)
    launch_blocks(write_long, unshared.size, starts, unshared, unshared.size, encoded, before, tokens)
    return tokens, _tokens_before(text, starts, before)


def count_gpt2_tokens(data: cupy.ndarray, offsets: cupy.ndarray, vocabulary: DeviceVocabulary) -> cupy.ndarray:
    """Number of tokens of each document: int64, (documents,). For the parameters see ``gpt2_tokens``."""
    import cupy

    text = _text(data, offsets)
    if text is None:
        return cupy.zeros(offsets.size - 1, cupy.int64)
    starts = pretoken_starts(*text, vocabulary.classes)
    return cupy.diff(_tokens_before(text, starts, _encode(text, starts, vocabulary).before))


class _Text(NamedTuple):
    """The bytes of all documents and nothing else, and offsets (documents + 1,) from 0 to their number, above 0."""

    data: cupy.ndarray
    offsets: cupy.ndarray


class _Encoded(NamedTuple):
    """Tokens of pre-tokens.

    ``representatives``, uint32, (pretokens,): the number of an equal one whose tokens are in ``tokens``, uint16,
    (bytes,), from the place of its first byte on; ``before``, int64, (pretokens + 1,): tokens of all pre-tokens before
    each one; ``unshared``, int64: the numbers of those of more than SHARED bytes, which all stand for themselves.
    """

    representatives: cupy.ndarray
    tokens: cupy.ndarray
    before: cupy.ndarray
    unshared: cupy.ndarray


def _text(data: cupy.ndarray, offsets: cupy.ndarray) -> _Text | None:
    """The documents' own bytes; None if there are none. Waits for the device."""
    check_array("data", data, "uint8")
    check_offsets(offsets, data.size)
    if offsets.size == 1:
        return None
    first, last = map(int, to_host(offsets[:: offsets.size - 1]))
    return _Text(data[first:last], offsets - first) if last > first else None


def _tokens_before(text: _Text, starts: cupy.ndarray, before: cupy.ndarray) -> cupy.ndarray:
    """Tokens before each document and before the end: where one begins, a pre-token begins."""
    import cupy

    return before[cupy.searchsorted(starts, text.offsets)]


def pretoken_starts(data: cupy.ndarray, offsets: cupy.ndarray, classes: cupy.ndarray) -> cupy.ndarray:
    """Where pre-tokens begin in text that is not empty, and behind them where the text ends. Waits for the device.

    Parameters
    ----------
    data : uint8, (bytes,), at least 1
    offsets : int64, (documents + 1,), rising from 0 to the number of bytes
    classes : uint8, (0x110000,), as in ``DeviceVocabulary``

    Returns
    -------
    int64, (pretokens + 1,)

    Raises
    ------
    ValueError
        if there are more than 4,294,967,294 pre-tokens
    """
    import cupy

    edges = cupy.zeros(data.size + 1, cupy.uint8)
    edges[offsets] = 1
    tiles = -(-data.size // TILE)
    marks, counts = cupy.empty(tiles * THREADS, cupy.uint16), cupy.empty(tiles, cupy.int64)
    launch_blocks(
        kernel("pretokens", "mark_pretokens", **MARKING), tiles, data, data.size, edges, classes, tiles, marks, counts
    )
    ends = cupy.cumsum(counts)
    pretokens = int(ends[-1])
    if pretokens > MOST_PRETOKENS:
        raise ValueError(
            f"text to tokens: {pretokens} pre-tokens in {data.size} bytes, at most {MOST_PRETOKENS} at a time; "
            "give fewer documents"
        )
    starts = cupy.empty(pretokens + 1, cupy.int64)
    starts[pretokens:] = data.size
    launch_blocks(kernel("pretokens", "write_marked", **MARKING), tiles, marks, ends, tiles, tiles, starts)
    return starts


def _encode(text: _Text, starts: cupy.ndarray, vocabulary: DeviceVocabulary) -> _Encoded:
    """The tokens of all pre-tokens. Waits for the device."""
    import cupy

    count = starts.size - 1
    slots = max(1024, 1 << count.bit_length() - 1)  # between half as many as pre-tokens and as many
    table = cupy.zeros(slots, cupy.uint64)
    representatives = cupy.empty(count, cupy.uint32)
    launch(kernel("gpt2", "look_up", **SHARING), count, text.data, starts, count, table, slots - 1, representatives)
    del table
    pieces, ends = _new_pieces(starts, representatives)
    tokens, counts = cupy.empty(text.data.size, cupy.uint16), cupy.empty(count, cupy.uint32)
    vocabulary_tables = vocabulary.byte_ids, vocabulary.byte_pairs, vocabulary.pairs, vocabulary.pairs.size - 1
    begin = 0
    for name, sizes, launcher, end in (
        ("short", SHORT, launch, ends[0]),
        ("long", MEDIUM, launch_blocks, ends[1]),
        ("long", LONG, launch_blocks, ends[2]),
    ):
        encode, those = kernel(f"{name}pieces", f"encode_{name}", **sizes), pieces[begin:end]
        arguments = text.data, starts, those, those.size, *vocabulary_tables, tokens, counts
        launcher(encode, those.size, *arguments, threads=sizes["THREADS"])
        begin = end
    _encode_on_host(text, starts, pieces[ends[2] :], vocabulary, tokens, counts)
    before = cupy.zeros(count + 1, cupy.int64)
    before[1:] = cupy.cumsum(cupy.take(counts, representatives), dtype=cupy.int64)
    return _Encoded(representatives, tokens, before, pieces[ends[1] :])


def _new_pieces(starts: cupy.ndarray, representatives: cupy.ndarray) -> tuple[cupy.ndarray, list[int]]:
    """Numbers of the pre-tokens to encode, and where the short, medium, long, and all others end among them."""
    import cupy

    count = representatives.size
    tiles = -(-count // TILE)
    marks, counts = cupy.empty(4 * tiles * THREADS, cupy.uint16), cupy.empty(4 * tiles, cupy.int64)
    launch_blocks(
        kernel("pretokens", "mark_new", **MARKING), tiles, starts, representatives, count, tiles, marks, counts
    )
    sums = cupy.cumsum(counts)
    ends = [int(end) for end in to_host(sums[tiles - 1 :: tiles])]
    pieces = cupy.empty(ends[-1], cupy.int64)
    launch_blocks(kernel("pretokens", "write_marked", **MARKING), 4 * tiles, marks, sums, tiles, 4 * tiles, pieces)
    return pieces, ends


def _encode_on_host(
    text: _Text,
    starts: cupy.ndarray,
    pieces: cupy.ndarray,
    vocabulary: DeviceVocabulary,
    tokens: cupy.ndarray,
    counts: cupy.ndarray,
) -> None:
    """Encode the few huge pieces on the CPU, one after another: to copy one takes far less time than to encode it."""
    if not pieces.size:
        return
    classes = to_host(vocabulary.classes)
    tables = cpu.BytePairs(*map(to_host, (vocabulary.byte_ids, vocabulary.byte_pairs, vocabulary.pairs)))
    lines = cpu.empty_lines(1)
    rows = zip(*map(to_host, (pieces, starts[pieces], starts[pieces + 1])), strict=True)
    for piece, begin, end in (map(int, row) for row in rows):
        # a pre-token that is a text of its own is one pre-token again
        found, _ = cpu.gpt2_tokens(to_host(text.data[begin:end]), np.array([0, end - begin]), classes, tables, lines)
        tokens[begin : begin + found.size] = to_device(found)
        counts[piece] = found.size
