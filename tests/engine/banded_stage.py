"""A dedup with bands that needs no model: the key of band b is the b-th word. Its tool notices when it is shared."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import xxhash
from pydantic import Field

from gpurefine.frames import strings
from gpurefine.stages.base import DedupStage


def word_of_band(text: str | None, band: int) -> str | None:
    """The word that is the key; a text with fewer words begins again, one without words has none."""
    words = (text or "").split()
    return words[band % len(words)] if words else None


class Tool:
    """Does nothing; two users at a time are an error."""

    def __init__(self, log: str | None) -> None:
        self._busy, self._log = threading.Lock(), log
        self.note("open")

    def note(self, what: str) -> None:
        if self._log:
            with Path(self._log).open("a") as file:
                file.write(what + "\n")

    def use(self) -> None:
        assert self._busy.acquire(blocking=False), "two tasks share a tool"
        time.sleep(0.005)
        self._busy.release()

    def close(self) -> None:
        self.note("close")


class Words(DedupStage):
    """Documents collide that have an equal word at one of the first places."""

    kind: ClassVar[str] = "words"
    key_columns: ClassVar[tuple[str, ...]] = ("key",)

    bands: int = Field(3, ge=1)
    log: str | None = None

    @property
    def key_bands(self) -> int:
        return self.bands

    def open(self, resources):
        return Tool(self.log)

    def keys(self, batch, tool):
        tool.use()
        texts = strings(batch.frame["text"])
        return np.array([[self._key(text, band) for text in texts] for band in range(self.bands)], np.uint64)

    def _key(self, text, band):
        word = word_of_band(text, band)
        return 0 if word is None else xxhash.xxh3_64_intdigest(word.encode(), band) | 1
