"""URL strings to 128-bit hashes, as recorded or normalised by C4's rule."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from gpurefine.dedup.hashing import text_hashes
from gpurefine.dedup.keys import NO_KEY
from gpurefine.documents import TEXT
from gpurefine.frames import from_arrow, host_text_buffers, strings

if TYPE_CHECKING:
    from gpurefine.frames import Column

#: C4's two patterns (tensorflow_datasets, text/c4_utils.py); both are looked for everywhere in the string.
C4_SCHEME = re.compile(r"https?://(www\.)?")
C4_QUERY = re.compile(r"\?(utm_|ref|feed).*")


def c4_url(url: str) -> str:
    """A URL without scheme and ``www.``, a query that begins with ``utm_``, ``ref`` or ``feed``, and last slashes.

    To the letter of C4's rule, which DCLM uses too: upper case counts, and a scheme inside the path goes as well.
    """
    return C4_QUERY.sub("", C4_SCHEME.sub("", url)).rstrip("/")


def url_hashes(column: Column, normalise: str | None, *, skip_missing: bool = False) -> np.ndarray:
    """Hashes of URLs: xxh3_128 of the UTF-8 bytes of each as recorded, or as normalised.

    Parameters
    ----------
    column : n URLs, of pandas or cuDF; hashed in the host's memory
    normalise : None or ``c4``
    skip_missing : leave out what has no URL

    Returns
    -------
    uint64, (2, n), high and low half; ``NO_KEY`` in both where the URL is null or empty, or nothing of it is left
    """
    if normalise == "c4":
        urls = [None if url is None else c4_url(url) for url in strings(column)]
        column = from_arrow(pa.table({"url": pa.array(urls, TEXT)}))["url"]
    _, offsets = host_text_buffers(column)
    hashes = np.stack(text_hashes(column))
    missing = np.diff(offsets) == 0
    if skip_missing:
        return hashes[:, ~missing]
    hashes[:, missing] = NO_KEY
    return hashes
