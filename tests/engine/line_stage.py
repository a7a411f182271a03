"""A dedup of lines that needs no model, and the dictionary that says what must become of texts."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pyarrow as pa
import xxhash
from pydantic import Field

from gpurefine.dedup.pieces import Edit, Pieces
from gpurefine.frames import strings
from gpurefine.stages.base import SpanStage


class Lines(SpanStage):
    """Runs of ``run`` equal lines collide; a document without a line left leaves."""

    kind: ClassVar[str] = "lines"

    run: int = Field(1, ge=1)
    repeat: int = Field(1, ge=1)

    @property
    def key_length(self):
        return self.run

    @property
    def rounds(self):
        return self.repeat

    def pieces(self, batch, tool):
        keys, counts, compared, again = [], [0], [], []
        for text in strings(batch.frame["text"]):
            seen, lines = set(), lines_of(text)
            counts.append(len(lines))
            for number in range(len(lines)):
                key = tuple(lines[number : number + self.run])
                compared.append(len(key) == self.run)
                again.append(len(key) == self.run and key in seen)
                seen.add(key)
                digest = xxhash.xxh3_128_intdigest("\n".join(key).encode())
                keys.append((digest >> 64, digest & (1 << 64) - 1))
        return Pieces(
            np.array(keys, np.uint64).reshape(-1, 2).T,
            np.cumsum(counts),
            np.array(compared, bool),
            np.array(again, bool),
        )

    def edit(self, batch, spans, tool):
        texts, characters, rules = [], [], []
        for number, text in enumerate(strings(batch.frame["text"])):
            lines = lines_of(text)
            begins = np.cumsum([0, *(len(line) + 1 for line in lines)])
            gone = set()
            for first, last in spans.bounds[spans.starts[number] : spans.starts[number + 1]].tolist():
                gone |= set(range(first, last))
                characters.append((begins[first], begins[last] - 1))
            left = [line for line_number, line in enumerate(lines) if line_number not in gone]
            rules.append(None if left else "empty")
            texts.append("\n".join(left) if left else text)
        nothing = np.zeros(len(rules))
        return Edit(pa.array(texts, pa.large_string()), np.array(characters).reshape(-1, 2), rules, nothing, nothing)


def lines_of(text):
    return text.split("\n") if text else []


def edited(texts, owners, run=1, keep_one=False):
    """What the stage leaves of texts, None where a document leaves; ``owners``: of equal keys the least stays."""
    places = {}
    for document, text in enumerate(texts):
        lines = lines_of(text)
        for number in range(len(lines) - run + 1):
            places.setdefault(tuple(lines[number : number + run]), []).append((owners[document], document, number))
    gone = [set() for _ in texts]
    for found in places.values():
        kept = min(found)
        firsts = {document: min(each for each in found if each[1] == document) for _, document, _ in found}
        for place in found:
            alone = len(firsts) == 1 or keep_one
            if (place != kept) if alone else True:
                gone[place[1]] |= set(range(place[2], place[2] + run))
    left = []
    for text, lost in zip(texts, gone, strict=True):
        lines = [line for number, line in enumerate(lines_of(text)) if number not in lost]
        left.append("\n".join(lines) if lines or not text else None)
    return left
