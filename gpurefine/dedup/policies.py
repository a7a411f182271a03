"""Which member of a cluster survives: the values of ``keep``, the columns they look at, and numbers that compare.

A policy comes before the random order of ``members``, which decides where it does not. What a policy looks at is
metadata of a document: the length of a text is a column of its own, so that no text is read to choose.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

#: ``keep`` with a column of the documents behind it.
BEST = "best:"
POLICIES = ("random", "first", "longest", "newest")

#: Code points of a document's text; stands in files of documents where the dedup behind them asks for it.
TEXT_LENGTH = pa.field("text_characters", pa.int64())

#: The order in which members of a cluster come without a policy; a null URL or date comes before all others.
RANDOM_ORDER = ("priority", "url_known", "url", "date_known", "date", "text_hash", "file", "offset")

#: Column of members: the least is what the policy keeps, null comes last.
RANK = pa.field("rank", pa.uint64())

SIGN_BIT = np.uint64(1 << 63)


def check_keep(keep: str) -> None:
    """Raise ValueError, in one sentence, if ``keep`` is none of the policies."""
    if keep not in POLICIES and not (keep.startswith(BEST) and keep != BEST):
        raise ValueError(f"'{keep}' is no policy: use {', '.join(POLICIES)} or {BEST}COLUMN")


def best_column(keep: str) -> str | None:
    """The column of the documents whose greatest value survives; None for a policy without one."""
    if keep.startswith(BEST):
        return keep.removeprefix(BEST)
    return {"longest": TEXT_LENGTH.name, "newest": "date"}.get(keep)


def text_lengths(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Values of ``TEXT_LENGTH``: code points of each text, int64; null counts as empty."""
    return pc.fill_null(pc.utf8_length(texts), 0).cast(pa.int64())


def has_rank(keep: str) -> bool:
    """Whether members have the column ``RANK`` under this policy."""
    return best_column(keep) is not None


def survivor_order(keep: str) -> tuple[str, ...]:
    """Columns of members by which the survivor comes first, most significant first, all ascending."""
    leading = ("file", "offset") if keep == "first" else (RANK.name,) if has_rank(keep) else ()
    return tuple(dict.fromkeys((*leading, *RANDOM_ORDER)))


def comparable(kind: pa.DataType) -> bool:
    """Whether the values of a column can be told greater and smaller: numbers, timestamps and dates."""
    tests = (pa.types.is_integer, pa.types.is_float32, pa.types.is_float64, pa.types.is_timestamp, pa.types.is_date)
    return any(is_one(kind) for is_one in tests)


def sort_keys(values: pa.Array) -> pa.Array:
    """Numbers in the order of the values, exactly.

    Parameters
    ----------
    values : n values of a type that is ``comparable``

    Returns
    -------
    uint64, (n,): greater for greater values, equal for equal ones (0.0 and -0.0 are equal); null for null and NaN
    """
    missing = np.asarray(values.is_null())
    kind = values.type
    if pa.types.is_floating(kind):
        numbers = np.asarray(values.cast(pa.float64()).fill_null(np.nan))
        missing = missing | np.isnan(numbers)
        bits = (numbers + 0.0).view(np.uint64)  # -0.0 + 0.0 is 0.0
        keys = np.where(bits & SIGN_BIT, ~bits, bits | SIGN_BIT)
    elif pa.types.is_unsigned_integer(kind):
        keys = np.asarray(values.cast(pa.uint64()).fill_null(0))
    else:
        if pa.types.is_date32(kind):
            values = values.cast(pa.int32())
        keys = np.asarray(values.cast(pa.int64()).fill_null(0)).view(np.uint64) ^ SIGN_BIT
    return pa.array(keys, pa.uint64(), mask=missing)


def ranks(values: pa.Array) -> pa.Array:
    """``RANK`` of the values of the column that a policy names: uint64, (n,), least for the greatest value."""
    return pc.bit_wise_not(sort_keys(values))
