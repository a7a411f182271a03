"""A file that is fetched in blocks, ahead of its reader: what hides the latency of a network from the readers.

The first block is small, since many files are opened only to see how they begin. While a reader goes on where it was,
blocks grow, and the next ones are fetched by a thread while it works. At most ``AHEAD`` + 2 blocks are held.
"""

from __future__ import annotations

import io
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

#: Bytes of the first block, and of the largest; each is four times the one before.
FIRST_BLOCK, LARGEST_BLOCK = 1 << 16, 4 << 20
#: Blocks that are fetched before they are asked for.
AHEAD = 2
#: A reader that went on for some bytes is taken to go on for so many times as many.
LIKELY = 2


@dataclass(frozen=True)
class _Block:
    """Bytes of the file, there or on their way."""

    begin: int
    end: int
    data: Future[bytes]


class RangeReader(io.RawIOBase):
    """A file of ``size`` bytes, read by blocks.

    Parameters
    ----------
    fetch : called with two offsets, gives all bytes between them or raises; of one thread at a time
    size : of the file, in bytes
    ahead_to : nothing from this offset on is fetched before it is asked for; None for the end of the file
    stopped : set when the file is closed, so that a ``fetch`` that waits gives up
    """

    def __init__(
        self,
        fetch: Callable[[int, int], bytes],
        size: int,
        ahead_to: int | None = None,
        stopped: threading.Event | None = None,
    ) -> None:
        super().__init__()
        self._fetch, self._size = fetch, size
        self._ahead_to = size if ahead_to is None else min(size, ahead_to)
        self._stopped = stopped or threading.Event()
        self._turn = threading.Lock()
        self._position = 0
        # where the reader last came to by a jump
        self._entered = 0
        self._block_size = FIRST_BLOCK
        self._held: tuple[int, bytes] = (0, b"")
        self._coming: deque[_Block] = deque()
        self._pool: ThreadPoolExecutor | None = None

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The offset from which the next byte comes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to an offset; nothing is fetched before it is read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"cannot go to byte {base + offset}")
        self._position = base + offset
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """The next ``size`` bytes, fewer only where the file ends; all that follow without a size."""
        if self.closed:
            raise ValueError("the file is closed")
        end = self._size if size is None or size < 0 else min(self._size, self._position + size)
        pieces, at = [], self._position
        while at < end:
            begin, data = self._block(at, end)
            piece = data[at - begin : end - begin]
            pieces.append(piece)
            at += len(piece)
        # only now: where a block cannot be had, the same bytes may be asked for again
        self._position = max(at, self._position)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def readinto(self, buffer) -> int:
        """Fill a buffer as far as the file goes; returns how many bytes it took."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """All bytes that follow."""
        return self.read()

    def close(self) -> None:
        """Give up what is on its way."""
        if not self.closed:
            self._stopped.set()
            self._forget()
            if self._pool is not None:
                self._pool.shutdown(wait=False, cancel_futures=True)
            self._held = (0, b"")
        super().close()

    def _block(self, at: int, end: int) -> tuple[int, bytes]:
        """The block that holds byte ``at``, of a read that goes up to ``end``."""
        begin, data = self._held
        if begin <= at < begin + len(data):
            return self._held
        if self._coming and self._coming[0].begin == at:
            self._held = (at, self._coming.popleft().data.result())
            self._order()
            return self._held
        self._forget()
        follows = at == begin + len(data) and bool(data)
        if not follows:
            self._block_size, self._entered = FIRST_BLOCK, at
        # a reader that asks for much gets it at once
        size = min(max(self._block_size, end - at), LARGEST_BLOCK)
        self._held = (at, b"")
        self._held = (at, self._guarded(at, min(at + size, self._size)))
        if follows:
            self._order()
        else:
            self._grow()
        return self._held

    def _order(self) -> None:
        """Have the next blocks fetched, as far as it is likely that they are read."""
        at = self._held[0]
        likely = min(self._ahead_to, at + LIKELY * (at - self._entered))
        begin = self._coming[-1].end if self._coming else self._held[0] + len(self._held[1])
        while len(self._coming) < AHEAD and begin < likely:
            self._grow()
            end = min(begin + self._block_size, self._ahead_to)
            self._pool = self._pool or ThreadPoolExecutor(1, thread_name_prefix="read-ahead")
            self._coming.append(_Block(begin, end, self._pool.submit(self._guarded, begin, end)))
            begin = end

    def _grow(self) -> None:
        self._block_size = min(4 * self._block_size, LARGEST_BLOCK)

    def _forget(self) -> None:
        for block in self._coming:
            block.data.cancel()
        self._coming.clear()

    def _guarded(self, begin: int, end: int) -> bytes:
        with self._turn:
            return self._fetch(begin, end)
