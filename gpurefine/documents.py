"""What a document is: its columns and their types, document numbers, and the batch that stages work on.

A *batch* is what travels through the map stages: some rows of a partition as a frame (pandas with Arrow strings, or
cuDF on a GPU worker), with the text statistics that were already measured on it. Rows keep the reader's order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gpurefine.frames import assign, take

if TYPE_CHECKING:
    from gpurefine.frames import Frame

TEXT = pa.large_string()

#: Where a record came from: file (input path below the inputs' common folder), offset and length in bytes of that file.
#: ``id`` is the WARC-Record-ID verbatim; ``dump`` and ``segment`` are Common Crawl's, taken from the path, or null.
SOURCE_FIELDS = [
    pa.field("id", TEXT),
    pa.field("url", TEXT),
    pa.field("dump", TEXT),
    pa.field("segment", TEXT),
    pa.field("date", pa.timestamp("us", tz="UTC")),
    pa.field("file", TEXT),
    pa.field("offset", pa.int64()),
    pa.field("length", pa.int64()),
]

#: A page as the reader hands it on: decoded HTML, no text yet.
PAGE_SCHEMA = pa.schema([*SOURCE_FIELDS, pa.field("html", TEXT)])

#: A document between two steps.
DOCUMENT_SCHEMA = pa.schema(
    [
        *SOURCE_FIELDS,
        pa.field("language", TEXT),
        pa.field("language_score", pa.float64()),
        pa.field("text", TEXT),
    ]
)

#: A kept document in ``refined/``: n_tokens counts GPT-2 tokens of ``text``.
REFINED_SCHEMA = DOCUMENT_SCHEMA.append(pa.field("n_tokens", pa.int64()))

#: A removal in ``removed/``: stage, rule, the measured value and its limit (null where there is none), the evidence
#: (the word, the label, the exception), cluster and survivor where a dedup removed it, the text where there was one.
REMOVED_SCHEMA = pa.schema(
    [
        pa.field("id", TEXT),
        pa.field("url", TEXT),
        pa.field("file", TEXT),
        pa.field("offset", pa.int64()),
        pa.field("length", pa.int64()),
        pa.field("stage", TEXT),
        pa.field("rule", TEXT),
        pa.field("value", pa.float64()),
        pa.field("limit", pa.float64()),
        pa.field("evidence", TEXT),
        pa.field("cluster", TEXT),
        pa.field("survivor", TEXT),
        pa.field("text", TEXT),
    ]
)

#: Bits of a document number that count the row inside its partition; the bits above are the partition.
ROW_BITS = 32


def document_numbers(partition: int, rows: int) -> np.ndarray:
    """64-bit numbers of a partition's documents; internal, they never decide anything.

    Parameters
    ----------
    partition : index of the partition in its step, below 2**31
    rows : documents in the partition, below 2**32

    Returns
    -------
    uint64, (rows,): partition * 2**32 + row
    """
    return np.arange(rows, dtype=np.uint64) + (np.uint64(partition) << np.uint64(ROW_BITS))


@dataclass
class Batch:
    """Rows of a partition on their way through the map stages.

    Attributes
    ----------
    frame : one row a document, of pandas or cuDF; the columns of PAGE_SCHEMA until ``extract`` adds ``text``, then
        DOCUMENT_SCHEMA's. The index is 0 .. n - 1.
    statistics : tables measured on ``text``, by the options they were measured with; each an integer array with one
        row a document, of NumPy whatever the frame. They are dropped when the text changes.
    """

    frame: Frame
    statistics: dict[Any, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frame)

    def keep(self, mask: np.ndarray) -> Batch:
        """The rows where ``mask`` (bool, (n,)) is true, with their statistics."""
        if mask.all():
            return self
        return Batch(take(self.frame, mask), {options: table[mask] for options, table in self.statistics.items()})

    def with_columns(self, **columns: Any) -> Batch:
        """The batch with columns added or replaced (see ``frames.assign``); a new ``text`` drops what was measured on
        the old one.
        """
        statistics = {} if "text" in columns else self.statistics
        return Batch(assign(self.frame, columns), statistics)
