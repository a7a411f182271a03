"""Splits: cut anywhere and corrected, they hold what the whole file holds."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from warc_tools import TORTURE, frame, member, read_splits, record, skippable, stored_frame

from gpurefine.read.splits import next_correction, plan_splits
from gpurefine.read.warc import Damage, WarcRecord, WarcSplit


@pytest.mark.parametrize(
    ("size", "split_bytes", "expected"),
    [
        (0, 10, [(0, 0)]),
        (1, 10, [(0, 1)]),
        (10, 10, [(0, 10)]),
        (21, 10, [(0, 10), (10, 20), (20, 21)]),
    ],
)
def test_plan_covers_the_file_once(size, split_bytes, expected):
    assert plan_splits(size, split_bytes) == expected


def test_plan_refuses_empty_splits():
    with pytest.raises(ValueError, match="at least one byte"):
        plan_splits(10, 0)


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        ([(0, 0, None, None)], None),
        ([(0, 100, 0, 100)], None),
        ([(0, 50, 0, 60), (50, 100, 60, 100)], None),
        # the second starts elsewhere, found nothing, or should be empty
        ([(0, 50, 0, 60), (50, 100, 55, 100)], (1, 60)),
        ([(0, 50, 0, 60), (50, 100, None, None)], (1, 60)),
        ([(0, 40, 0, 80), (40, 70, 44, 75), (70, 100, 80, 100)], (1, 80)),
        # the first record reaches over the second split, to its very end or beyond, or to the end of the file
        ([(0, 40, 0, 80), (40, 70, None, None), (70, 100, 80, 100)], None),
        ([(0, 40, 0, 70), (40, 70, None, None), (70, 100, 70, 100)], None),
        ([(0, 40, 0, 100), (40, 70, None, None), (70, 100, None, None)], None),
        ([(0, 40, 0, 100), (40, 70, None, None), (70, 100, 90, 100)], (2, 100)),
    ],
)
def test_correction_names_the_first_split_that_does_not_fit(splits, expected):
    assert next_correction(splits) == expected


def nested(wrap) -> bytes:
    """A WARC whose pages contain WARCs, plain and compressed; stored pages show them to anyone who searches."""
    inner = [record(100 + i, b"inner %d " % i * 9) for i in range(4)]
    pages = [
        b"first page",
        b"\r\n\r\n" + b"".join(inner),
        b"x" * 300 + b"\n" + member(inner[0]) + member(inner[1], 0) + b"\n" + inner[2],
        b"".join(wrap(data) for data in inner),
        b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 400\r\n\r\nno record",
        member(b"".join(inner), 0) + stored_frame(b"".join(inner)) + skippable(frame(inner[1])) + frame(inner[0]),
        b"last page " * 40,
    ]
    records = [record(i, page) for i, page in enumerate(pages)]
    # a region without records, and padding at the end
    damage = b"junk \x1f\x8b\x08 \x28\xb5\x2f\xfd WARC/1.0 " * 5
    return b"".join(map(wrap, records[:4])) + damage + b"\r\n" + b"".join(map(wrap, records[4:])) + bytes(70)


def stored_member(data: bytes) -> bytes:
    return member(data, 0)


def frame_and_another(data: bytes) -> bytes:
    """A frame of a record, and one that is passed over, in which there is another record for who searches."""
    return frame(data) + skippable(b"index " + frame(record(99)))


@pytest.mark.parametrize("wrap", [bytes, stored_member, member, stored_frame, frame, frame_and_another])
class TestNestedWarcs:
    """Pages that contain WARCs mislead a split that begins in them; correction must undo it."""

    @settings(deadline=None, max_examples=150)
    @given(cuts=st.lists(st.floats(0, 1), max_size=8))
    @example(cuts=[])
    def test_splits_hold_what_the_file_holds(self, tmp_path_factory, wrap, cuts):
        """Whatever the boundaries, splits hold the records and damaged regions of the whole file, in order."""
        data = nested(wrap)
        path = tmp_path_factory.getbasetemp() / f"nested-{wrap.__name__}.warc"
        path.write_bytes(data)
        bounds = sorted({0, len(data), *(int(cut * len(data)) for cut in cuts)})
        whole = list(WarcSplit(str(path)))
        assert read_splits(str(path), bounds)[0] == whole
        assert [i.headers["warc-record-id"] for i in whole if isinstance(i, WarcRecord)] == [
            f"<r{i}>" for i in range(7)
        ]
        assert sum(isinstance(item, Damage) for item in whole) == 1

    def test_splits_are_misled(self, tmp_path, wrap):
        """The pages do what they are there for: some split begins at an inner record, where one can be seen."""
        data = nested(wrap)
        path = tmp_path / "nested.warc"
        path.write_bytes(data)
        _, corrections = read_splits(str(path), [*range(0, len(data), 64), len(data)])
        assert (corrections > 2) == (wrap is not member)


@pytest.mark.parametrize("wrap", [bytes, member, frame])
@pytest.mark.parametrize("shift", [0, -1])
def test_records_are_found_at_the_edge_of_a_split(tmp_path, wrap, shift):
    """Splits that begin at a record, or a byte before it, need no correction."""
    pieces = [wrap(record(number)) for number in range(5)]
    (tmp_path / "test.warc").write_bytes(b"".join(pieces))
    starts = list(accumulate(map(len, pieces)))
    items, corrections = read_splits(str(tmp_path / "test.warc"), [0, *(at + shift for at in starts[:-1]), starts[-1]])
    assert [item.offset for item in items] == [0, *starts[:-1]]
    assert corrections == 0


@pytest.mark.parametrize("split_bytes", [1, 7, 100])
@pytest.mark.parametrize("name", ["zeroed_middle.warc.gz", "content_length_too_big.warc", "one_member.warc.gz"])
def test_tiny_splits_of_damaged_files(name, split_bytes):
    """Splits of a few bytes, most of them empty, hold what the whole file holds."""
    path = TORTURE / name
    size = path.stat().st_size
    step = max(split_bytes, size // 400)
    bounds = [*(begin for begin, _ in plan_splits(size, step)), size]
    assert read_splits(str(path), bounds)[0] == list(WarcSplit(str(path)))


def test_splits_of_a_sample(shared_data):
    path = shared_data / "sample_small.warc.gz"
    size = path.stat().st_size
    bounds = [*(begin for begin, _ in plan_splits(size, 200_003)), size]
    items, corrections = read_splits(str(path), bounds)
    assert items == list(WarcSplit(str(path)))
    assert corrections == 0
