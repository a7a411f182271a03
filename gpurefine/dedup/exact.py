"""``dedup.exact``: documents of equal text collide, and one of them stays."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from gpurefine.dedup.hashing import text_hashes
from gpurefine.documents import Batch
from gpurefine.stages.base import DedupStage


class Exact(DedupStage):
    """Removes all but one of the documents whose texts are equal byte for byte.

    RefinedWeb has no such stage, because equal texts collide in all bands of its MinHash; as a cheap pass before
    MinHash it leaves the same set of texts. Nothing is normalised: white space and case count. Empty texts are equal
    texts; only tables given as input can have them, ``extract`` removes them.
    """

    kind: ClassVar[str] = "dedup.exact"
    key_columns: ClassVar[tuple[str, ...]] = ("high", "low")

    def keys(self, batch: Batch, tool: Any = None) -> np.ndarray:
        """The 128-bit hash of each text in two halves: uint64, (2, n)."""
        return np.stack(text_hashes(batch.frame["text"]))
