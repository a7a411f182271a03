"""``dedup.line``: a line stays in one of the documents that have it (C4)."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field

from gpurefine.dedup.linespans import line_borders, with_copies, without
from gpurefine.dedup.pieces import Edit, Pieces, Spans
from gpurefine.documents import TEXT, Batch
from gpurefine.frames import strings, text_buffers
from gpurefine.resources.cache import Resources
from gpurefine.stages.base import SpanStage
from gpurefine.text.linetables import digests_of_lines, line_table, table_checksum
from gpurefine.text.sentences import count_sentences


class Line(SpanStage):
    """Removes a line from all documents that have it but one, and its later copies there.

    This is what C4's code does (Raffel et al., JMLR 21/140, `text/c4_utils.py` of TensorFlow Datasets): lines are equal
    when the MD5 of their stripped, lower-cased text is; the page owns a line whose URL has the least MD5. The paper
    speaks of three-sentence spans, for which there is `dedup.sentences`. Blank lines are not compared: the pages that
    C4 compares have none.

    Removes, by rule: ``empty``: nothing is left; ``sentences``: of a document that lost a line fewer than
    ``min_sentences`` are left. Sentences are counted by the marks that end them, C4 counts them with a model of NLTK,
    which knows abbreviations.
    """

    kind: ClassVar[str] = "dedup.line"

    keep: str = Field(
        "url",
        description="where a line stays: `url` (in the document whose URL has the least MD5), `first` (by file and "
        "offset), `random` (least keyed hash of seed and id), `none` (in none)",
    )
    min_sentences: int = Field(3, ge=0, description="sentences that a document must have left; 0: any number (mC4)")

    @classmethod
    def keeps(cls) -> tuple[str, ...]:
        """The values of ``keep``."""
        return ("url", "first", "random", "none")

    @property
    def on_gpu(self) -> bool:
        """Always: lines are cut, compared and hashed where the text lies."""
        return True

    def provide(self, resources: Resources) -> dict[str, Any]:
        """Nothing is fetched; the tables that decide."""
        return {"line_table_sha256": table_checksum(line_table(str.lower))}

    def pieces(self, batch: Batch, tool: Any = None) -> Pieces:
        """Lines with the MD5 of their stripped, lower-cased text; blank lines have no key."""
        data, offsets = text_buffers(batch.frame["text"])
        keys, starts, visible = digests_of_lines(data, offsets, line_table(str.lower), md5=True)
        return with_copies(Pieces(keys, starts, compared=visible))

    def owner_order(self, batch: Batch, seed: int) -> np.ndarray | None:
        """The first 64 bits of the MD5 of each URL, which order as its hexadecimal digits do."""
        if self.keep != "url":
            return super().owner_order(batch, seed)
        digests = (hashlib.md5((url or "").encode(), usedforsecurity=False) for url in strings(batch.frame["url"]))
        return np.array([int.from_bytes(digest.digest()[:8], "big") for digest in digests], np.uint64)

    def edit(self, batch: Batch, spans: Spans, tool: Any = None) -> Edit:
        """The texts without their spans of lines."""
        texts: list[str] = []
        rules: list[str | None] = []
        characters: list[tuple[int, int]] = []
        values = np.empty(len(batch))
        for row, text in enumerate(strings(batch.frame["text"])):
            bounds = spans.bounds[spans.starts[row] : spans.starts[row + 1]]
            new, own = without(text or "", line_borders(text or ""), bounds, lines=True)
            values[row] = count_sentences(new)
            rule = "sentences" if values[row] < self.min_sentences else None
            rule = rule if new.strip() else "empty"
            texts.append((text or "") if rule else new)
            rules.append(rule)
            characters += own
        limits = np.full(len(batch), float(self.min_sentences))
        return Edit(pa.array(texts, TEXT), np.array(characters, np.int64).reshape(-1, 2), rules, values, limits)
