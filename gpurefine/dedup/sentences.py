"""``dedup.sentences``: runs of three sentences stay in one of the documents that have them (C4's paper)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import xxhash
from pydantic import Field

from gpurefine.dedup.linespans import line_borders, pieces_of_keys, without
from gpurefine.dedup.pieces import Edit, Pieces, Spans
from gpurefine.documents import TEXT, Batch
from gpurefine.frames import strings
from gpurefine.stages.base import SpanStage
from gpurefine.text.sentences import comparable_sentence, sentence_borders

BORDERS = {"sentences": sentence_borders, "lines": line_borders}


class Sentences(SpanStage):
    """Removes all but one of each run of three sentences that occurs more than once.

    This is what C4's paper says (Raffel et al., JMLR 21/140, 2.2), in the form that datatrove gave it: sentences are
    compared in lower case, without accents and punctuation, numbers as 0; the first run by file and offset stays; runs
    that overlap or touch are one span. A document that lost something must have enough left, others are not looked at.

    Removes, by rule: ``empty``: nothing is left; ``words``, ``sentences``: less is left than it must be.
    """

    kind: ClassVar[str] = "dedup.sentences"

    keep: str = Field(
        "first",
        description="which run stays: `first` (by file and offset), `random` (in the document with the least keyed "
        "hash of seed and id), `none`",
    )
    length: int = Field(3, ge=1, le=100, description="sentences of a run")
    split: Literal["sentences", "lines"] = Field("sentences", description="compare runs of sentences, or of lines")
    min_words: int = Field(50, ge=0, description="words that a changed document must have left")
    min_sentences: int = Field(3, ge=0, description="sentences (or lines) that a changed document must have left")

    @property
    def key_length(self) -> int:
        """Sentences of a run."""
        return self.length

    def pieces(self, batch: Batch, tool: Any = None) -> Pieces:
        """Sentences; the key of each is that of the run that begins with it, the last ones have none."""
        rows: list[list[tuple[int, int] | None]] = []
        for text in strings(batch.frame["text"]):
            borders = BORDERS[self.split](text or "")
            sentences = [comparable_sentence((text or "")[begin:end]) for begin, end in pairwise(borders)]
            runs = (sentences[first : first + self.length] for first in range(len(sentences)))
            rows.append([_key(run) if len(run) == self.length else None for run in runs])
        return pieces_of_keys(rows)

    def edit(self, batch: Batch, spans: Spans, tool: Any = None) -> Edit:
        """The texts without their spans of sentences."""
        texts: list[str] = []
        rules: list[str | None] = []
        characters: list[tuple[int, int]] = []
        measured = np.full((2, len(batch)), np.nan)
        for row, text in enumerate(strings(batch.frame["text"])):
            bounds = spans.bounds[spans.starts[row] : spans.starts[row + 1]]
            borders = BORDERS[self.split](text or "")
            new, own = without(text or "", borders, bounds, lines=self.split == "lines")
            left = len(borders) - 1 - int((bounds[:, 1] - bounds[:, 0]).sum())
            rule, measured[:, row] = self._judge(new, left)
            texts.append((text or "") if rule else new)
            rules.append(rule)
            characters += own
        return Edit(pa.array(texts, TEXT), np.array(characters, np.int64).reshape(-1, 2), rules, *measured)

    def _judge(self, text: str, sentences: int) -> tuple[str | None, tuple[float, float]]:
        """The rule by which a changed document leaves, what was measured and its limit."""
        if not text.strip():
            return "empty", (0, np.nan)
        words = len(text.split())
        if words < self.min_words:
            return "words", (words, self.min_words)
        return ("sentences" if sentences < self.min_sentences else None), (sentences, self.min_sentences)


def _key(run: list[str]) -> tuple[int, int]:
    # no sentence has a newline in it, so it parts them
    digest = xxhash.xxh3_128_intdigest("\n".join(run).encode())
    return digest >> 64, digest & ((1 << 64) - 1)
