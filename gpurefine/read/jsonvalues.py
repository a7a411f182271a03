"""A line of JSON -> an object, and values of objects -> values of columns.

The standard parser is used because it keeps integers of any size and says where a line is broken. What it takes beyond
the standard (NaN, numbers beyond float64, lone surrogates) is settled here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from gpurefine.documents import TEXT
from gpurefine.read.pages import parse_date

#: Levels of nesting that a line may have. Python's own limit depends on how deep its caller is.
MOST_LEVELS = 100

#: The type of a column that holds the JSON text of values, until it is written as strings.
JSON_TEXT = pa.json_(TEXT)
#: The type of dates of documents.
DATE_TYPE = pa.timestamp("us", tz="UTC")

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_NAMES = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "an integer", float: "a number"}


class BrokenLine(Exception):
    """A line, or a value in it, that gives no document; says why."""


def parse_object(line: bytes) -> dict[str, Any]:
    """The object that a line holds; of a key that stands in it twice, the last value.

    Bytes that are no UTF-8 become U+FFFD.

    Raises
    ------
    BrokenLine
        if it is no JSON, no object, nested too deep, or holds a number beyond float64
    """
    text = line.removeprefix(_BYTE_ORDER_MARK).removesuffix(b"\r").decode("utf-8", "replace")
    try:
        found = _DECODER.decode(text)
        levels = _levels(found)
    except json.JSONDecodeError as error:
        raise BrokenLine(f"no JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        levels = MOST_LEVELS + 1
    except ValueError as error:
        raise BrokenLine(f"no JSON that can be kept: {error}") from None
    if levels > MOST_LEVELS:
        raise BrokenLine(f"nested deeper than {MOST_LEVELS} levels")
    if not isinstance(found, dict):
        raise BrokenLine(f"{said(found)}, expected an object")
    return found


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("a number is beyond the range of float64")
    return number


def _integer(digits: str) -> int:
    # Python refuses to read longer ones, by a limit that can be changed
    if len(digits) > 4000:
        raise ValueError("an integer has more than 4,000 digits")
    return int(digits)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


_DECODER = json.JSONDecoder(parse_float=_finite, parse_int=_integer, parse_constant=_refuse_constant)


def _levels(value: Any) -> int:
    """How deep a value is nested, without recursion; counted no further than is of interest."""
    level, values = 0, [value]
    while values and level <= MOST_LEVELS:
        values = [each for each in values if isinstance(each, dict | list)]
        level += bool(values)
        values = [each for one in values for each in (one.values() if isinstance(one, dict) else one)]
    return level


def said(value: Any) -> str:
    """What a value is, in words."""
    return _NAMES.get(type(value), "null")


def json_text(value: Any) -> str:
    """The value as JSON; escapes are written out, but where one names half a character."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return json.dumps(value, separators=(",", ":")) if _LONE_SURROGATE.search(text) else text


def whole_text(value: str) -> str:
    """The string with U+FFFD for each half of a character: JSON can name it, and nothing can write it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return _LONE_SURROGATE.sub("\ufffd", value)
    return value


def converter(kind: pa.DataType) -> Callable[[Any], Any]:
    """A function that makes a value of JSON, not null, one of a column of this type.

    It raises ``BrokenLine`` where it does not fit: nothing is rounded, cut or guessed.
    """
    if kind == JSON_TEXT:
        return json_text
    if pa.types.is_boolean(kind):
        return _checked(lambda value: value if isinstance(value, bool) else None)
    if pa.types.is_integer(kind):
        limits = np.iinfo(kind.to_pandas_dtype())
        return _checked(lambda value: value if type(value) is int and limits.min <= value <= limits.max else None)
    if pa.types.is_float64(kind):
        return _checked(_as_float)
    if pa.types.is_timestamp(kind):
        return _checked(lambda value: parse_date(value) if isinstance(value, str) else None)
    if pa.types.is_large_string(kind) or pa.types.is_string(kind):
        return _checked(lambda value: whole_text(value) if isinstance(value, str) else None)
    return _checked(lambda value: None)


def _checked(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The function, raising where it returns None."""

    def checked(value: Any) -> Any:
        made = convert(value)
        if made is None:
            raise BrokenLine(said(value))
        return made

    return checked


def _as_float(value: Any) -> float | None:
    """A number as float64, None where it is none or an integer that would be rounded."""
    if type(value) is float:
        return value
    if type(value) is not int:
        return None
    try:
        return float(value) if int(float(value)) == value else None
    except OverflowError:
        return None


def as_identity(value: Any) -> str:
    """An id: a string, or an integer written out. Raises ``BrokenLine`` for anything else."""
    if isinstance(value, str):
        return whole_text(value)
    if type(value) is not int:
        raise BrokenLine(said(value))
    return str(value)
