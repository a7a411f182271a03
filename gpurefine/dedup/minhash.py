"""``dedup.minhash``: documents that share a band of their MinHash signatures collide, and one of a cluster stays.

text -> normalised -> units (GPT-2 tokens, words or characters) -> shingles -> minima -> one key for each band. From the
shingles on one kernel does it all; a signature is never written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field, ValidationInfo, field_validator, model_validator

from gpurefine.dedup import curve
from gpurefine.dedup.accepting import Thresholds, threshold_problem
from gpurefine.dedup.permutations import FAMILY_VERSION, Permutations, permutations
from gpurefine.documents import Batch
from gpurefine.frames import text_buffers
from gpurefine.kernels import band_keys, shingle_hashes
from gpurefine.kernels.cuda.device import on_device, to_host
from gpurefine.kernels.cuda.minhash import MOST_ROWS
from gpurefine.resources.cache import Resources
from gpurefine.resources.models import gpt2_tokenizer, provide_model
from gpurefine.stages.base import DedupStage
from gpurefine.text.shingles import Shingler, parse_shingle
from gpurefine.text.unicode import unicode_checksum

#: Text that is shingled at a time, on a CPU and on a device, which needs much to be busy; tokens and shingles of it
#: take several times as much. A longer document is alone.
GROUP_BYTES, DEVICE_GROUP_BYTES = 4 << 20, 64 << 20


class MinHash(DedupStage):
    """Removes all but one of each cluster of documents with similar texts, as RefinedWeb G.3.1 has it.

    The text is normalised (punctuation to blanks, lower case, NFD, no accents, single blanks), cut into GPT-2 tokens,
    and every 5 consecutive tokens are a shingle. Two documents with Jaccard similarity s of their sets of shingles
    agree in the minimum of one hash function with probability s, and collide when they agree in all 20 rows of at
    least one of 450 bands: with probability 1 - (1 - s^20)^450, which is 76 % at s = 0.75 and 99.5 % at 0.8. Clusters
    are connected components of collisions; no similarity is verified, unless ``verify`` asks for it: then documents
    that collide are compared, at most 8 comparisons a document, and clusters are components of the pairs that are
    similar enough. A text of fewer than 5 tokens is one shingle of all its tokens; a text without tokens collides with
    none and stays.

    Section 3.3 of the paper says "20 buckets of 450 hashes"; only 450 bands of 20 rows give the figures of G.3.1.
    """

    kind: ClassVar[str] = "dedup.minhash"
    key_columns: ClassVar[tuple[str, ...]] = ("key",)
    beside_keys: ClassVar[frozenset[str]] = frozenset({"as_", "keep", "permutations", "verify", "jaccard", "edit"})

    permutations: int | None = Field(
        None, ge=1, le=1 << 20, description="number of hash functions: bands times rows, which is the default"
    )
    bands: int = Field(450, ge=1, le=1 << 16, description="documents collide that agree in all rows of one band")
    rows: int = Field(20, ge=1, le=1 << 16, description="hash functions a band")
    shingle: str = Field(
        "gpt2-5", description="unit and number of consecutive units: `gpt2-N` tokens, `word-N`, `char-N` (code points)"
    )
    normalise: bool = Field(True, description="shingle the normalised text; off: the text as it is")
    punctuation: Literal["blank", "delete"] = Field(
        "blank", description="what normalising makes of punctuation and symbols"
    )
    hash_seed: int = Field(1, ge=0, lt=1 << 64, description="picks the hash functions")
    verify: Literal["none", "jaccard", "jaccard+edit"] = Field(
        "none",
        description="what documents that collide must exceed to be duplicates: nothing, `jaccard`, or both thresholds",
    )
    jaccard: float = Field(
        0.8, description="with `verify`, the Jaccard similarity of the sets of shingles, from 0.5 to 1"
    )
    edit: float = Field(
        0.8, description="with `verify`, the edit similarity of the units: 1 - distance / length of the longer text"
    )

    @field_validator("shingle")
    @classmethod
    def _shingle_is_known(cls, value: str) -> str:
        parse_shingle(value)
        return value

    @field_validator("jaccard", "edit")
    @classmethod
    def _threshold_is_scored(cls, value: float, info: ValidationInfo) -> float:
        problem = threshold_problem(str(info.field_name), value)
        if problem:
            raise ValueError(problem)
        return value

    @model_validator(mode="after")
    def _bands_and_rows_fit(self) -> MinHash:
        product = self.bands * self.rows
        if self.permutations not in (None, product):
            raise ValueError(
                f"{self.bands} bands of {self.rows} rows are {product} hash functions, but permutations is "
                f"{self.permutations}: set permutations={product}, or other bands and rows"
            )
        if product > 1 << 20:
            raise ValueError(
                f"{self.bands} bands of {self.rows} rows are {product} hash functions, more than the {1 << 20} that "
                "are allowed: set fewer bands or rows"
            )
        return self

    @property
    def key_bands(self) -> int:
        """As many keys a document as there are bands."""
        return self.bands

    @property
    def thresholds(self) -> Thresholds | None:
        """As ``verify`` says."""
        if self.verify == "none":
            return None
        return Thresholds(self.jaccard, self.edit if self.verify == "jaccard+edit" else None)

    @property
    def shingle_units(self) -> int:
        """Units a shingle."""
        return parse_shingle(self.shingle)[1]

    @property
    def on_gpu(self) -> bool:
        """If a block of threads can fold a band: see ``kernels.cuda.minhash``."""
        return self.rows <= MOST_ROWS

    def warning(self) -> str | None:
        """For bands and rows that find next to nothing, such as those of the paper the other way round."""
        return curve.warning(self.bands, self.rows)

    def provide(self, resources: Resources) -> dict[str, Any]:
        """The GPT-2 vocabulary where it is needed, and the versions of what decides a key."""
        provided: dict[str, Any] = {"unicode_sha256": unicode_checksum(), "hash_family": str(FAMILY_VERSION)}
        if parse_shingle(self.shingle)[0] == "gpt2":
            vocabulary = provide_model("gpt2-vocab.bpe", resources)
            provided |= {"vocabulary": vocabulary["name"], "vocabulary_sha256": vocabulary["sha256"]}
        return provided

    def open(self, resources: Resources) -> MinHashTool:
        """The tokeniser with its vocabulary of words, and the hash functions. Not for several threads at a time."""
        unit, n = parse_shingle(self.shingle)
        tokenizer = gpt2_tokenizer(resources) if unit == "gpt2" else None
        shingler = Shingler(unit, n, normalise=self.normalise, punctuation=self.punctuation, tokenizer=tokenizer)
        return MinHashTool(shingler, permutations(self.hash_seed, self.bands, self.rows))

    def keys(self, batch: Batch, tool: MinHashTool) -> np.ndarray:
        """Band keys: uint64, (bands, n). Two different bands of minima get one key with probability 2**-64."""
        return self._keys(batch, tool, [])

    def keys_and_units(self, batch: Batch, tool: MinHashTool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Band keys, and the units that are shingled."""
        groups: list[tuple[np.ndarray, np.ndarray]] = []
        keys = self._keys(batch, tool, groups)
        units = np.concatenate([units for units, _ in groups]) if groups else np.empty(0, np.uint16)
        sizes = np.concatenate([np.empty(0, np.int64), *(np.diff(starts) for _, starts in groups)])
        return keys, units, np.concatenate([[0], np.cumsum(sizes)])

    def _keys(self, batch: Batch, tool: MinHashTool, groups: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """Band keys; units of each group of documents go to ``groups`` where they are wanted."""
        data, offsets = text_buffers(batch.frame["text"])
        group_bytes = DEVICE_GROUP_BYTES if on_device(data) else GROUP_BYTES
        keys = np.empty((self.bands, len(batch)), np.uint64)
        family = tool.permutations
        for first, last in _groups(to_host(offsets), group_bytes):
            units, starts = tool.shingler.units(data, offsets[first : last + 1])
            if self.thresholds is not None:
                groups.append((to_host(units), to_host(starts)))
            shingles, starts = shingle_hashes(units, starts, tool.shingler.n)
            band_keys(
                shingles, starts, family.multipliers, family.increments, self.bands, self.rows, keys[:, first:last]
            )
        return keys


@dataclass(frozen=True)
class MinHashTool:
    """What a worker keeps open: the way from text to shingles, and the hash functions."""

    shingler: Shingler
    permutations: Permutations


def _groups(offsets: np.ndarray, group_bytes: int) -> Iterator[tuple[int, int]]:
    """Ranges of documents with some ``group_bytes`` of text, at least one document each."""
    first, documents = 0, len(offsets) - 1
    while first < documents:
        last = int(np.searchsorted(offsets, offsets[first] + group_bytes, "right")) - 1
        last = min(max(last, first + 1), documents)
        yield first, last
        first = last
