"""Documents for the scale benchmark: any number of them, document i alone from (seed, i), with known duplicates.

A text is a row of words, drawn with Zipf's law from a vocabulary that is composed of 256 parts, and as long as texts
of pages are: lognormal, 2 KB on average. Every 20th document is a copy of one far before it: exact, or with some of its
words drawn anew. The families have 2, 3, 4 and 5 members in turn; all other documents have nothing in common.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gpurefine.kernels.scalar import mix64

VOCABULARY = 1 << 18
#: Documents to each copy.
SPACING = 20
#: Copies of the families that follow each other: one, two, three and four.
CYCLE = np.array([0, 1, 1, 2, 2, 2, 3, 3, 3, 3], np.int64)
#: Shares of words that copies draw anew, one in eight each: a quarter of the copies are exact.
RATES = np.array([0.0, 0.0, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08])
#: Words of a text: exp of a normal variable with this mean and deviation, at least and at most so many.
LOG_WORDS, SPREAD, LEAST_WORDS, MOST_WORDS = 5.42, 0.75, 15, 10_000

#: Frequent words are one of these, rare ones two or three. A text has some 3.6 bytes a GPT-2 token (English: 4.5).
PARTS = """
the of and to in is it you that he was for on are with as his they be at one have this from or had by hot word but
what some we can out other were all there when up use your how said an each she which do their time if will way
about many then them write would like so these her long make thing see him two has look more day could go come did
number sound no most people my over know water than call first who may down side been now find any new work part
take get place made live where after back little only round man year came show every good me give our under name
very through just form great think say help low line differ turn cause much mean before move right boy old too same
tell does set three want air well also play small end put home read hand port large spell add even land here must
big high such follow act why ask men change went light kind off need house picture try us again animal point mother
world near build self earth father head stand own page should country found answer school grow study still learn
plant cover food sun four between state keep eye never last let thought city tree cross farm hard start might story
saw far sea draw left late run while press close night real life few north open seem next white begin got walk
example ease paper
"""
PART_DATA = np.frombuffer("".join(PARTS.split()).encode(), np.uint8)
PART_STARTS = np.cumsum([0, *map(len, PARTS.split())])
LONGEST_WORD = 3 * int(np.diff(PART_STARTS).max())
#: Draws of a document that are no words: its length, its rate of edits, its base.
LENGTH, RATE, BASE, WORDS, EDITS = 0, 16, 17, 1 << 20, 1 << 40

SCHEMA = pa.schema([("id", pa.string()), ("cluster", pa.int64()), ("text", pa.large_string())])


@dataclass(frozen=True)
class Documents:
    """Documents ``first`` .. ``first + n - 1``.

    Attributes
    ----------
    data, offsets : uint8, (bytes,) and int64, (n + 1,): the texts
    base : int64, (n,): the document that this one is a copy of, itself for all others; the name of the true cluster
    rate : float64, (n,): share of words that were drawn anew, NaN where the document is no copy
    """

    first: int
    data: np.ndarray
    offsets: np.ndarray
    base: np.ndarray
    rate: np.ndarray


def generate(seed: int, first: int, count: int) -> Documents:
    """Documents ``first`` .. ``first + count - 1``; each is a function of (seed, its number) alone."""
    base, rate, words = families(seed, first, count)
    data = np.empty(int(words.sum()) * (LONGEST_WORD + 2), np.uint8)
    offsets = np.zeros(count + 1, np.int64)
    _write(np.uint64(seed), first, base, rate, words, PART_DATA, PART_STARTS, data, offsets)
    return Documents(first, data[: offsets[-1]], offsets, base, rate)


def families(seed: int, first: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``base`` and ``rate`` of documents as in ``Documents``, and how many words they have (int64), without texts."""
    base, rate, words = np.empty(count, np.int64), np.empty(count), np.empty(count, np.int64)
    _describe(np.uint64(seed), first, CYCLE, RATES, base, rate, words)
    return base, rate, words


def tables(seed: int, first: int, count: int, rows: int = 10_000) -> Iterator[pa.Table]:
    """The documents as tables of id, cluster and text, ``rows`` at a time."""
    for begin in range(first, first + count, rows):
        part = generate(seed, begin, min(rows, first + count - begin))
        texts = pa.LargeStringArray.from_buffers(len(part.base), pa.py_buffer(part.offsets), pa.py_buffer(part.data))
        ids = pa.array([document_id(begin + row) for row in range(len(part.base))])
        yield pa.table([ids, pa.array(part.base), texts], schema=SCHEMA)


def document_id(index: int) -> str:
    """The id of a document."""
    return f"d{index:09d}"


def write_parts(folder: Path, seed: int, count: int, part: int = 50_000) -> list[Path]:
    """The first ``count`` documents as Parquet files of ``part`` documents each; memory holds some 10,000 of them."""
    paths = []
    for first in range(0, count, part):
        paths.append(folder / f"part-{first // part:05d}.parquet")
        with pq.ParquetWriter(paths[-1], SCHEMA, compression="zstd") as writer:
            for table in tables(seed, first, min(part, count - first)):
                writer.write_table(table)
    return paths


@numba.njit(inline="always")
def _draw(seed, index, number):
    """Random uint64 number ``number`` of document ``index``."""
    state = mix64(seed ^ mix64(np.uint64(index) + np.uint64(1)))
    return mix64(state + np.uint64(number) * np.uint64(0x9E3779B97F4A7C15))


@numba.njit(inline="always")
def _uniform(seed, index, number):
    """Random float64 of [0, 1)."""
    return np.float64(_draw(seed, index, number) >> np.uint64(11)) * 2.0**-53


@numba.njit(inline="always")
def _word(seed, index, number):
    """Rank of a word, log-uniform: the word of rank r has probability log(1 + 1 / r) / log(VOCABULARY)."""
    return min(np.int64(np.exp(_uniform(seed, index, number) * np.log(VOCABULARY))), VOCABULARY - 1)


@numba.njit(cache=True)
def _describe(seed, first, cycle, rates, base, rate, words):
    """Base, rate of edits and number of words of each document."""
    for row in range(len(base)):
        index = np.int64(first + row)
        base[row], rate[row] = index, np.nan
        if index % SPACING == SPACING - 1:
            copy = index // SPACING
            # the f-th family has its base among documents 20 f .. 20 f + 18, and its copies some 30 f behind them
            family = copy // 10 * 4 + cycle[copy % 10]
            base[row] = family * SPACING + np.int64(_draw(seed, family, BASE) % np.uint64(SPACING - 1))
            rate[row] = rates[np.int64(_draw(seed, index, RATE) % np.uint64(len(rates)))]
        normal = -6.0
        for number in range(12):
            normal += _uniform(seed, base[row], LENGTH + number)
        length = np.int64(np.exp(LOG_WORDS + SPREAD * normal))
        words[row] = min(max(length, LEAST_WORDS), MOST_WORDS)


@numba.njit(cache=True)
def _write(seed, first, base, rate, words, part_data, part_starts, data, offsets):
    """Spell the texts: the parts of a word are the digits of its rank."""
    end, parts = 0, len(part_starts) - 1
    for row in range(len(base)):
        index = np.int64(first + row)
        edited = rate[row] > 0.0
        for number in range(words[row]):
            word = _word(seed, base[row], WORDS + number)
            if edited and _uniform(seed, index, EDITS + number) < rate[row]:
                word = _word(seed, index, WORDS + number)
            while word > 0:
                part = word % parts
                for position in range(part_starts[part], part_starts[part + 1]):
                    data[end] = part_data[position]
                    end += 1
                word //= parts
            if number % 12 == 11:
                data[end] = ord(".")
                data[end + 1] = ord("\n")
                end += 2
            elif number < words[row] - 1:
                data[end] = ord(" ")
                end += 1
        offsets[row + 1] = end
