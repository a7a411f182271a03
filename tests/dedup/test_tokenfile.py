"""Files of tokens: what was added comes back, whatever the size of blocks; each window is in one block."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpurefine.dedup import tokenfile
from gpurefine.dedup.tokenfile import TokenFile, TokenWriter
from gpurefine.errors import DamagedFileError

documents = st.lists(st.lists(st.integers(0, 65535), max_size=25), max_size=12)


def write(path, rows, orders=None, batch=3):
    with TokenWriter(path, orders is not None) as writer:
        for begin in range(0, len(rows), batch):
            part = rows[begin : begin + batch]
            starts = np.concatenate([[0], np.cumsum([len(row) for row in part])]).astype(np.int64)
            order = None if orders is None else np.array(orders[begin : begin + batch], np.uint64)
            writer.add(np.array([token for row in part for token in row], np.uint16), starts, order)
    return TokenFile(path)


@given(
    rows=documents, ordered=st.booleans(), length=st.integers(2, 30), batch=st.integers(1, 12),
    tokens=st.integers(1, 40), most=st.integers(1, 5),
)  # fmt: skip
def test_each_window_comes_back_once(tmp_path_factory, rows, ordered, length, batch, tokens, most):
    orders = [number * 2**60 for number in range(len(rows))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenfile, "BLOCK_TOKENS", tokens)
        patch.setattr(tokenfile, "BLOCK_DOCUMENTS", most)
        file = write(tmp_path_factory.mktemp("tokens") / "tokens", rows, orders if ordered else None, batch)
    lengths = [len(row) for row in rows]
    assert file.tokens == sum(lengths) and file.ordered == ordered
    assert file.document_starts().tolist() == [sum(lengths[:number]) for number in range(len(rows) + 1)]

    expected, found = [], []
    for number, row in enumerate(rows):
        begin = sum(lengths[:number])
        for place in range(len(row) - length + 1):
            expected.append((begin + place, row[place : place + length], orders[number] if ordered else None))
    for block in file.blocks(length):
        assert block.starts[0] == 0 and block.starts[-1] == len(block.tokens) <= tokens + length - 1
        assert len(block.orders) == (len(block.starts) - 1 if ordered else 0)
        for number in range(len(block.starts) - 1):
            row = block.tokens[block.starts[number] : block.starts[number + 1]].tolist()
            for place in range(len(row) - length + 1):
                first = block.first + int(block.starts[number]) + place
                found.append((first, row[place : place + length], int(block.orders[number]) if ordered else None))
    assert found == expected


def test_an_order_for_each_document(tmp_path):
    writer = TokenWriter(tmp_path / "tokens", ordered=True)
    with pytest.raises(ValueError, match="1 documents"):
        writer.add(np.zeros(2, np.uint16), np.array([0, 2]), None)
    writer.__exit__(ValueError, None, None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", [9, -200, -30])
def test_a_damaged_file_is_named(tmp_path, place):
    path = tmp_path / "tokens"
    write(path, [[1, 2, 3]] * 20)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match="tokens is damaged"):
        list(TokenFile(path).blocks(2))
