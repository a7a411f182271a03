"""Normalised text, which is what fuzzy deduplication compares (RefinedWeb G.3.1): before units and shingles are cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gpurefine.kernels import normalise_text
from gpurefine.kernels.cuda import normalise as cuda
from gpurefine.kernels.cuda.device import constant_on_device, on_device
from gpurefine.text.unicode import Punctuation, normalisation_table

if TYPE_CHECKING:
    from gpurefine.kernels.sides import Array


def normalise(data: Array, offsets: Array, punctuation: Punctuation = "blank") -> tuple[Array, Array]:
    """Lower-case texts without accents, punctuation and runs of white space.

    Each code point to its own lower case, NFD, nonspacing marks (Mn) dropped, punctuation and symbols to a blank or
    nothing, runs of white space to one blank, none at the ends. Digits, control and format characters stay, and so
    does what was not assigned in the Unicode version of ``gpurefine.text.unicode``. Applied twice it changes nothing.

    Parameters
    ----------
    data : uint8, (bytes,), UTF-8; on the host or on a device, where the result then is too
    offsets : int64, (n + 1,); document i is ``data[offsets[i]:offsets[i + 1]]``
    punctuation : ``blank`` or ``delete``

    Returns
    -------
    data : uint8, UTF-8
    offsets : int64, (n + 1,), from 0 on
    """
    table = normalisation_table(punctuation)
    if on_device(data):
        tables = map(constant_on_device, (table.ascii_map, table.place, table.replacements))
        return cuda.normalise_text(data, offsets, *tables)
    texts = data[offsets[0] : offsets[-1]]
    beyond_ascii = int(np.count_nonzero(texts & 0x80))
    out = np.empty(len(texts) + (table.growth - 1) * beyond_ascii, np.uint8)
    out_offsets = np.empty(len(offsets), np.int64)
    written = normalise_text(data, offsets, table.ascii_map, table.place, table.replacements, out, out_offsets)
    return out[:written], out_offsets
