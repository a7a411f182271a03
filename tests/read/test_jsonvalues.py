"""Lines of JSON as objects, and values as those of columns: what does not fit is told, nothing is changed."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from gpurefine.documents import TEXT
from gpurefine.read.jsonvalues import (
    DATE_TYPE,
    JSON_TEXT,
    MOST_LEVELS,
    BrokenLine,
    as_identity,
    converter,
    json_text,
    parse_object,
    whole_text,
)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b'{"text": "a"}\r', {"text": "a"}),
        (b'\xef\xbb\xbf{"text": "a"}', {"text": "a"}),
        (b' {"a": 1, "a": 2} ', {"a": 2}),
        (b'{"a": "\xff\xc3\xa9"}', {"a": "\ufffdé"}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        (b'{"a": "\\ud800"}', {"a": "\ud800"}),
        (b'{"a": 123456789012345678901234567890}', {"a": 123456789012345678901234567890}),
        (b'{"a": -0.0, "b": 1e3}', {"a": -0.0, "b": 1000.0}),
        (b'{"a": ' + b"[" * (MOST_LEVELS - 1) + b"]" * (MOST_LEVELS - 1) + b"}", None),
    ],
)
def test_objects(line, found):
    parsed = parse_object(line)
    assert parsed == (json.loads(line) if found is None else found)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "a"', "no JSON: Expecting ',' delimiter at character 13"),
        (b'{"text": "a"} {}', "no JSON: Extra data at character 15"),
        (b"{'text': 'a'}", "no JSON: Expecting property name"),
        (b'{"text": "a\tb"}', "no JSON: Invalid control character at"),
        (b'{"a": NaN}', "NaN is no JSON"),
        (b'{"a": -Infinity}', "-Infinity is no JSON"),
        (b'{"a": 1e999}', "a number is beyond the range of float64"),
        (b'{"a": ' + b"9" * 5000 + b"}", "an integer has more than 4,000 digits"),
        (b"[1]", "an array, expected an object"),
        (b'"text"', "a string, expected an object"),
        (b"null", "null, expected an object"),
        (b"17", "an integer, expected an object"),
        (b'{"a": ' + b"[" * MOST_LEVELS + b"]" * MOST_LEVELS + b"}", "nested deeper than 100 levels"),
        (b'{"a": ' + b"[" * 500_000, "nested deeper than 100 levels"),
        (bytes(20), "no JSON: Expecting value at character 1"),
    ],
)
def test_lines_that_are_none(line, reason):
    with pytest.raises(BrokenLine) as told:
        parse_object(line)
    assert reason in str(told.value)


@pytest.mark.parametrize(
    ("kind", "fits", "misfits"),
    [
        (pa.bool_(), {True: True, False: False}, [1, 0.0, "true"]),
        (pa.int64(), {5: 5, -(1 << 63): -(1 << 63)}, [True, 5.0, "5", 1 << 63]),
        (pa.uint8(), {0: 0, 255: 255}, [-1, 256, True]),
        (pa.float64(), {0.5: 0.5, 3: 3.0, 1 << 53: 2.0**53}, [True, "1", (1 << 53) + 1, 10**400]),
        (TEXT, {"a": "a", "": ""}, [1, ["a"], {"a": "b"}]),
        (pa.string(), {"a": "a"}, [1.5]),
        (DATE_TYPE, {"2024-02-01T01:00:00+01:00": datetime(2024, 2, 1, tzinfo=UTC)}, ["2024-02-01", 1706745600, "x"]),
        (JSON_TEXT, {"a": '"a"', 1: "1", 0.1: "0.1", 1 << 70: "1180591620717411303424"}, []),
        (pa.list_(pa.int8()), {}, [[1], 1]),
        (pa.float32(), {}, [0.5]),
    ],
)
def test_values_fit_or_are_told(kind, fits, misfits):
    convert = converter(kind)
    assert [convert(value) for value in fits] == list(fits.values())
    assert [type(convert(value)) for value in fits] == [type(value) for value in fits.values()]
    for value in misfits:
        with pytest.raises(BrokenLine):
            convert(value)


def test_ids_are_strings_or_integers():
    assert [as_identity("a"), as_identity(""), as_identity(17), as_identity(1 << 70)] == ["a", "", "17", str(1 << 70)]
    for value in (True, 1.0, ["a"]):
        with pytest.raises(BrokenLine):
            as_identity(value)


@pytest.mark.parametrize("value", [{"é": [1, 2.5, None, True]}, "\ud800", {"\ud800": "\U0001f600"}, "\u2028"])
def test_json_text_is_the_value_again(value):
    text = json_text(value)
    assert json.loads(text) == value
    assert text.encode()


def test_halves_of_characters_cannot_be_written():
    assert whole_text("x\ud800\udc00y\ud83d") == "x\ufffd\ufffdy\ufffd"
    for value in ("\U0001f600", "", "é"):
        assert whole_text(value) == value
    assert converter(TEXT)("\ud800") == as_identity("\ud800") == "\ufffd"
