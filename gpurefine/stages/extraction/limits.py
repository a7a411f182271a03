"""Sizes of HTML pages that bound what a parser has to do with them: bytes, start tags, attributes on one tag.

They are counted on a page's UTF-8 bytes before any parser sees it, so that a page too large for extraction is refused
at once and on every machine alike. Time limits come after them, for safety only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpurefine.kernels import count_tags


@dataclass(frozen=True)
class PageSizes:
    """What was counted on n pages; int64, (n,) each.

    Attributes
    ----------
    html_bytes : length in UTF-8
    start_tags : start tags outside comments and raw text
    attributes : attributes on the tag that has most of them
    """

    html_bytes: np.ndarray
    start_tags: np.ndarray
    attributes: np.ndarray


def page_sizes(data: np.ndarray, offsets: np.ndarray) -> PageSizes:
    """Count on the text column of a batch.

    Parameters
    ----------
    data, offsets : uint8, (bytes,) and int64, (n + 1,), as ``frames.text_buffers`` gives them
    """
    return PageSizes(np.diff(offsets), *count_tags(data, offsets))
