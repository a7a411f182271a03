"""Stages with a side on a device, which has little memory and may break: both work on the bytes of texts alone."""

from __future__ import annotations

import weakref
from typing import ClassVar

import numpy as np

from gpurefine.frames import text_buffers
from gpurefine.kernels.cuda.device import on_device, to_host
from gpurefine.stages.base import DedupStage, Rule, RuleStage

#: What was asked of a device and of the CPU: the number of texts.
SEEN: list[tuple[str, int]] = []
#: What was taken on the device when its memory did not suffice.
TAKEN: list[weakref.ref] = []


def lengths(column, room, broken=False):
    """Bytes of each text, computed on the side where the column is."""
    data, offsets = text_buffers(column)
    SEEN.append(("device" if on_device(data) else "host", len(column)))
    sizes = offsets[1:] - offsets[:-1]
    if on_device(data):
        # memory of the device that an earlier failure took must be free again
        assert all(memory() is None for memory in TAKEN)
        if int(sizes.sum()) > room:
            taken = type("Memory", (), {})()
            TAKEN.append(weakref.ref(taken))
            raise MemoryError("Out of memory allocating 17 bytes")
        if broken:
            raise RuntimeError("cudaErrorUnknown: unknown error")
    return to_host(sizes)


class Alike(DedupStage):
    """Texts of the same length in bytes are duplicates."""

    kind: ClassVar[str] = "alike"
    key_columns: ClassVar[tuple[str, ...]] = ("length",)
    room: int = 1 << 40

    @property
    def on_gpu(self):
        return True

    def keys(self, batch, tool):
        return lengths(batch.frame["text"], self.room).astype(np.uint64)[None, :]


class Size(RuleStage):
    """Removes texts of more than ``most`` bytes."""

    kind: ClassVar[str] = "size"
    most: int = 6
    room: int = 1 << 40
    broken: bool = False

    @property
    def on_gpu(self):
        return True

    def rules(self):
        return [Rule("bytes", ">", self.most)]

    def measure(self, batch):
        return {"bytes": lengths(batch.frame["text"], self.room, self.broken).astype(np.float64)}
