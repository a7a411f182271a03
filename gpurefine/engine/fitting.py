"""Work on batches that must fit a device's memory: what does not is halved, and what does not alone goes to the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np

from gpurefine.documents import Batch
from gpurefine.frames import is_device_frame, to_host_frame

Result = TypeVar("Result")


def in_fitting_pieces(function: Callable[[Batch], Result], batch: Batch) -> Iterator[Result]:
    """Call a function on a batch, or on neighbouring pieces of it where a device has no memory for the whole.

    Parameters
    ----------
    function : gives the same for a document whatever batch it is in, and wherever that lies
    batch : of one document at least. If it lies on the host, a MemoryError is an error

    Yields
    ------
    What the function returned, in the order of the documents
    """
    try:
        result = function(batch)
    except MemoryError:
        # gone on with below: the exception would hold the arrays of the device on which there is no room
        if not is_device_frame(batch.frame):
            raise
    else:
        yield result
        return
    if len(batch) == 1:
        yield function(Batch(to_host_frame(batch.frame)))
        return
    first = np.arange(len(batch)) < len(batch) // 2
    for half in (first, ~first):
        yield from in_fitting_pieces(function, batch.keep(half))
