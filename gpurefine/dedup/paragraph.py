"""``dedup.paragraph``: lines that several documents have leave all of them (CCNet)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from gpurefine.dedup.linespans import line_borders, with_copies, without
from gpurefine.dedup.pieces import Edit, Pieces, Spans
from gpurefine.documents import TEXT, Batch
from gpurefine.frames import strings, text_buffers
from gpurefine.resources.cache import Resources
from gpurefine.stages.base import SpanStage
from gpurefine.text.ccnet import comparable_characters, comparable_characters_of_the_paper
from gpurefine.text.linetables import digests_of_lines, line_table, table_checksum

NORMALISERS = {"code": comparable_characters, "paper": comparable_characters_of_the_paper}


class Paragraph(SpanStage):
    """Removes lines that more than one document has, from all of them, and later copies inside one document.

    This is CCNet's rule (Wenzek et al., section 3.2, and the released code): a paragraph is a line, and two are equal
    when the first 64 bits of the SHA-1 of their normalised text are. Blank lines are lines too. CCNet compares the
    documents of 50 shards at a time, 3 % of a dump; here all documents are compared, or those of one `scope`.

    Removes, by rule: ``empty``: no line is left.
    """

    kind: ClassVar[str] = "dedup.paragraph"

    normalizer: Literal["code", "paper"] = Field(
        "code",
        description="how lines are compared: lower case, digits as 0, without 34 typographic marks (`code`); also "
        "without accents and punctuation (`paper`)",
    )

    @property
    def on_gpu(self) -> bool:
        """Always: lines are cut, compared and hashed where the text lies."""
        return True

    def provide(self, resources: Resources) -> dict[str, Any]:
        """Nothing is fetched; the tables that decide."""
        return {"line_table_sha256": table_checksum(line_table(NORMALISERS[self.normalizer]))}

    def pieces(self, batch: Batch, tool: Any = None) -> Pieces:
        """Lines with their hashes, of 64 bits in the high half of a key."""
        data, offsets = text_buffers(batch.frame["text"])
        keys, starts, _ = digests_of_lines(data, offsets, line_table(NORMALISERS[self.normalizer]), md5=False)
        # CCNet reads them as they lie in memory
        keys[0].byteswap(inplace=True)
        keys[1] = 0
        return with_copies(Pieces(keys, starts))

    def edit(self, batch: Batch, spans: Spans, tool: Any = None) -> Edit:
        """The texts without their spans of lines; the value of a removal is the number of lines that went."""
        texts: list[str] = []
        rules: list[str | None] = []
        characters: list[tuple[int, int]] = []
        values = np.full(len(batch), np.nan)
        for row, text in enumerate(strings(batch.frame["text"])):
            bounds = spans.bounds[spans.starts[row] : spans.starts[row + 1]]
            borders = line_borders(text or "")
            new, own = without(text or "", borders, bounds, lines=True)
            gone = int((bounds[:, 1] - bounds[:, 0]).sum())
            empty = gone == len(borders) - 1
            texts.append((text or "") if empty else new)
            rules.append("empty" if empty else None)
            values[row] = gone
            characters += own
        limits = np.full(len(batch), np.nan)
        return Edit(pa.array(texts, TEXT), np.array(characters, np.int64).reshape(-1, 2), rules, values, limits)
