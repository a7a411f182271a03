"""From bytes of normalised text back to characters, on any bytes whatever, and from tokens to bytes."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gpurefine.kernels import bytes_before, characters_at, characters_of_normalised
from gpurefine.text.normalise import normalise
from gpurefine.text.unicode import normalisation_table

#: Valid and broken UTF-8 side by side: letters, signs, marks, cut-off characters, lone continuation bytes.
BROKEN = st.lists(
    st.sampled_from([b"a", b"B", b" ", b"\t", b"!", "é".encode(), "e\u0301".encode(), "≠".encode(), "각".encode()])
    | st.binary(min_size=1, max_size=3)
).map(b"".join)


def characters_of(data, punctuation, wanted, begin=0, end=None):
    table = normalisation_table(punctuation)
    end = len(data) if end is None else end
    return characters_of_normalised(data, begin, end, table.ascii_map, table.place, table.replacements, wanted)


@pytest.mark.parametrize("punctuation", ["blank", "delete"])
@given(text=BROKEN, before=st.binary(max_size=3), behind=st.binary(max_size=3))
@example(text=b"", before=b"", behind=b"")
@example(text="각!각".encode(), before=b"\xea", behind=b"\x80\x80")
def test_every_byte_of_the_normalised_text_is_found_where_its_character_is_normalised(
    punctuation, text, before, behind
):
    data = np.frombuffer(before + text + behind, np.uint8)
    ends = np.array([len(before), len(before) + len(text)])
    normalised, _ = normalise(data, ends, punctuation)
    found = characters_of(data, punctuation, np.arange(len(normalised)), *ends.tolist())
    assert found.dtype == np.int64 and (np.diff(found) >= 0).all()
    # what a prefix of the characters writes is what the text wrote up to there, but for a blank at its end
    characters = list(split(text))
    for count in range(len(characters) + 1):
        prefix = b"".join(characters[:count])
        written, _ = normalise(np.frombuffer(prefix, np.uint8), np.array([0, len(prefix)]), punctuation)
        own = int(np.count_nonzero(found < count))
        assert written.tobytes() == normalised[:own].tobytes().rstrip(b" ")


def split(text):
    """Characters of UTF-8, and bytes that are none one by one."""
    position = 0
    while position < len(text):
        first = text[position]
        length = 1 if first < 0xC0 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
        tail = text[position + 1 : position + length]
        if len(tail) < length - 1 or any(byte & 0xC0 != 0x80 for byte in tail):
            length = 1
        yield text[position : position + length]
        position += length


@given(text=st.text(), prefix=st.text(max_size=2), data=st.data())
def test_the_character_that_a_byte_belongs_to(text, prefix, data):
    size, begin = len(text.encode()), len(prefix.encode())
    wanted = sorted(data.draw(st.lists(st.integers(0, size - 1)))) if size else []
    bytes_of = [number for number, character in enumerate(text) for _ in character.encode()]
    buffer = np.frombuffer((prefix + text).encode(), np.uint8)
    found = characters_at(buffer, begin, begin + size, np.array(wanted, np.int64))
    assert found.tolist() == [bytes_of[position] for position in wanted]


@given(tokens=st.lists(st.integers(0, 5)), data=st.data())
def test_bytes_before_tokens(tokens, data):
    sizes = [1, 2, 3, 50, 128, 255]
    places = sorted(data.draw(st.lists(st.integers(0, len(tokens)))))
    found = bytes_before(np.array(tokens, np.uint16), np.array(sizes, np.uint8), np.array(places, np.int64))
    assert found.tolist() == [sum(sizes[token] for token in tokens[:place]) for place in places]
