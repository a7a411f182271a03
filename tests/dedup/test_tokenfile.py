"""Files of tokens: what was added comes back, whatever the size of slices; each window of tokens lies in a block."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpurefine.dedup import tokenfile
from gpurefine.dedup.tokenfile import TokenFile, TokenWriter
from gpurefine.errors import DamagedFileError

documents = st.lists(st.lists(st.integers(0, 65535), max_size=25), max_size=12)


def write(path, rows, orders=None, batch=3, salts=None):
    with TokenWriter(path, orders is not None, salts is not None) as writer:
        for begin in range(0, len(rows), batch):
            part = rows[begin : begin + batch]
            starts = np.concatenate([[0], np.cumsum([len(row) for row in part])]).astype(np.int64)
            order = None if orders is None else np.array(orders[begin : begin + batch], np.uint64)
            salt = None if salts is None else salts[:, begin : begin + batch]
            writer.add(np.array([token for row in part for token in row], np.uint16), starts, order, salt)
    return TokenFile(path)


@given(
    rows=documents, ordered=st.booleans(), scoped=st.booleans(), overlap=st.integers(1, 30), batch=st.integers(1, 12),
    slice_tokens=st.integers(1, 10),
)  # fmt: skip
def test_what_was_added_comes_back(tmp_path_factory, rows, ordered, scoped, overlap, batch, slice_tokens):
    orders = [number * 2**60 for number in range(len(rows))]
    salts = np.arange(2 * len(rows), dtype=np.uint64).reshape(2, -1) if scoped else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenfile, "SLICE_TOKENS", 4 * slice_tokens)
        file = write(tmp_path_factory.mktemp("tokens") / "tokens", rows, orders if ordered else None, batch, salts)
    lengths = [len(row) for row in rows]
    assert file.tokens == sum(lengths)
    assert file.document_starts().tolist() == [sum(lengths[:number]) for number in range(len(rows) + 1)]
    assert file.orders().tolist() == (orders if ordered else [])
    assert file.salts().tolist() == (salts.tolist() if scoped else [[], []])

    stream, begins = [token for row in rows for token in row], []
    for first, tokens in file.blocks(overlap):
        assert tokens.dtype == np.uint16 and len(tokens) <= 4 * slice_tokens + overlap
        assert tokens.tolist() == stream[first : first + len(tokens)]
        begins += range(first, first + len(tokens) - overlap)
    # each run of overlap + 1 tokens once
    assert begins == list(range(len(stream) - overlap))


@pytest.mark.parametrize("place", [9, -200, -30])
def test_a_damaged_file_of_tokens_is_named_by_its_reader(tmp_path, place):
    path = tmp_path / "tokens"
    write(path, [[1, 2, 3]] * 20)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match="tokens is damaged"):
        list(TokenFile(path).blocks(2))


def test_what_failed_leaves_no_file_of_tokens(tmp_path):
    writer = TokenWriter(tmp_path / "tokens", ordered=False)
    writer.add(np.zeros(2, np.uint16), np.array([0, 2]), None)
    writer.__exit__(KeyError, None, None)
    assert not list(tmp_path.iterdir())
