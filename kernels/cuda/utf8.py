"""Whether texts on a device are UTF-8, as other kernels take for granted; on the CPU Arrow says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpurefine.kernels.cuda.device import check_array, check_offsets, kernel, launch

if TYPE_CHECKING:
    import cupy


def valid_utf8(data: cupy.ndarray, offsets: cupy.ndarray) -> bool:
    """Whether each document is well-formed UTF-8 (Unicode, table 3-7). Needs no memory; waits for the device.

    Parameters
    ----------
    data : uint8, (bytes,)
    offsets : int64, (documents + 1,); document i is ``data[offsets[i]:offsets[i + 1]]``

    Raises
    ------
    ValueError
        if an array is of another type, or offsets fall or go beyond the bytes
    """
    import cupy

    check_array("data", data, "uint8")
    check_offsets(offsets, data.size)
    begin, end = int(offsets[0]), int(offsets[-1])
    invalid = cupy.zeros(1, cupy.uint32)
    launch(kernel("utf8", "check_bytes"), end - begin, data, begin, end - begin, invalid)
    documents = offsets.size - 1
    launch(kernel("utf8", "check_borders"), documents, data, offsets, documents, invalid)
    return not int(invalid[0])
