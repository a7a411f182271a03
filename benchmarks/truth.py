"""Measures of a clustering against the truth, and exact similarities by another road than the package's."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations, pairwise

import numpy as np
import tiktoken
from tiktoken_ext.openai_public import r50k_pat_str

from gpurefine.resources.cache import default_resources
from gpurefine.resources.models import merge_ranks, model_path, provide_model

#: Tokens of the labels' own similarity: a word, or one character of Chinese, Japanese or Korean.
_CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+")
#: Bins of the similarity of pairs that were joined wrongly, or missed.
COARSE = np.array([0, 0.5, 0.6, 0.7, 0.75, 0.8, 1.0 + 1e-9])


def gpt2_encoder() -> Callable[[str], list[int]]:
    """GPT-2's tokens of a text by tiktoken; the vocabulary comes from the cache and is fetched if need be."""
    resources = default_resources()
    provide_model("gpt2-vocab.bpe", resources)
    ranks = merge_ranks(model_path("gpt2-vocab.bpe", resources).read_text("utf-8"))
    return tiktoken.Encoding("gpt2", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={}).encode_ordinary


def labels(values: Iterable[object]) -> np.ndarray:
    """int64, (n,): the same number where values are the same."""
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], np.int64)


def pairs_in(sizes: np.ndarray) -> int:
    """How many pairs clusters of these sizes hold."""
    return int((sizes * (sizes - 1) // 2).sum())


def pair_counts(found: np.ndarray, true: np.ndarray) -> tuple[int, int, int]:
    """Pairs in one cluster of both clusterings, of ``found``, of ``true`` (labels, int64, (n,))."""
    both = np.unique(np.stack([found, true]), axis=1, return_counts=True)[1]
    return tuple(pairs_in(sizes) for sizes in (both, np.bincount(found), np.bincount(true)))


def adjusted_rand_index(found: np.ndarray, true: np.ndarray) -> float:
    """Agreement of two clusterings, 0 by chance and 1 for equal ones (Hubert and Arabie 1985)."""
    both, ours, theirs = pair_counts(found, true)
    chance = ours * theirs / max(len(found) * (len(found) - 1) // 2, 1)
    return 1.0 if ours == theirs == both else (both - chance) / ((ours + theirs) / 2 - chance)


def pairs_of(cluster: np.ndarray) -> set[tuple[int, int]]:
    """All pairs (i, j), i < j, in one cluster."""
    members: dict[int, list[int]] = {}
    for row, name in enumerate(cluster.tolist()):
        members.setdefault(name, []).append(row)
    return {pair for rows in members.values() for pair in combinations(rows, 2)}


def components(count: int, pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """Labels of the connected components of ``count`` documents."""
    parent = list(range(count))

    def root(row: int) -> int:
        while parent[row] != row:
            row = parent[row]
        return row

    for pair in pairs:
        one, other = sorted(map(root, pair))
        parent[other] = one
    return labels(map(root, range(count)))


def jaccard(one: frozenset, other: frozenset) -> float:
    """Jaccard similarity of two sets; two empty ones have none."""
    return len(one & other) / len(one | other) if one or other else 0.0


def similar_pairs(sets: Sequence[frozenset], least: float) -> list[tuple[int, int]]:
    """All pairs of sets with a Jaccard similarity of ``least`` or more.

    Two sets that are so similar share one of their rarest members, as many as may be missing and one more, so only
    sets that do are compared (prefix filter: Chaudhuri et al. 2006).
    """
    frequency = Counter(member for members in sets for member in members)
    holders: dict[object, list[int]] = defaultdict(list)
    found = []
    for row, members in enumerate(sets):
        rarest = sorted(members, key=lambda member: (frequency[member], member))
        prefix = rarest[: len(members) - math.ceil(least * len(members)) + 1]
        near = {other for member in prefix for other in holders[member]}
        found += [(other, row) for other in sorted(near) if jaccard(members, sets[other]) >= least]
        for member in prefix:
            holders[member].append(row)
    return found


def shingle_set(units: Sequence, n: int = 5) -> frozenset:
    """The set of ``n`` consecutive units; one shingle of all where there are fewer."""
    if len(units) < n:
        return frozenset([tuple(units)] if units else [])
    return frozenset(zip(*(units[first:] for first in range(n)), strict=False))


def label_words(text: str) -> list[str]:
    """Tokens that the similarities of the labels (``j5``, ``cluster80``) are of."""
    return _WORD.findall(text.lower())


def normalised(text: str) -> str:
    """RefinedWeb G.3.1 with Python's own Unicode: lower case, NFD, no marks, punctuation to blanks, single blanks."""
    text = unicodedata.normalize("NFD", "".join(character.lower() for character in text).replace("\u03c2", "\u03c3"))
    characters = []
    for character in text:
        category = unicodedata.category(character)
        if category != "Mn":
            characters.append(" " if category[0] in "PS" else character)
    return " ".join("".join(characters).split())


def shingle_sets(texts: Iterable[str], units: Callable[[str], Sequence]) -> list[frozenset]:
    """The set of shingles of each text."""
    return [shingle_set(units(text)) for text in texts]


def match_probability(similarity: np.ndarray, bands: int, rows: int) -> np.ndarray:
    """Share of pairs of this similarity that agree in all rows of some band: 1 - (1 - s^rows)^bands."""
    return -np.expm1(bands * np.log1p(-(np.minimum(np.asarray(similarity, np.float64), 1 - 1e-15) ** rows)))


def by_bin(similarity: np.ndarray) -> str:
    """How many are in which bin of similarity."""
    counts = np.histogram(similarity, COARSE)[0]
    cells = [
        f"{count} in {low:g}-{min(high, 1):g}"
        for count, (low, high) in zip(counts, pairwise(COARSE), strict=True)
        if count
    ]
    return f"{len(similarity)}: {', '.join(cells)}" if cells else "0"
