"""Rates and ends of a step against sums over all that happened; nothing that an earlier try did counts as fast."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpurefine.engine.meter import LATELY, MARK_EVERY, Meter
from gpurefine.engine.plan import Partition, input_bytes

events = st.lists(
    st.tuples(st.floats(0, 400), st.integers(0, 5000), st.integers(0, 10**8), st.booleans()), min_size=1, max_size=60
)


@given(events, st.integers(0, 5), st.floats(0, 2000), st.booleans())
def test_rates_are_those_of_all_events_and_of_the_late_ones(happened, to_come, wait, sized):
    """The late rate begins at a mark that is old enough, and no more than one mark's gap and one event older."""
    pieces = len(happened) + to_come
    whole = sum(size for _, _, size, _ in happened) + 10**6 * to_come if sized else 0
    meter, now, log = Meter(pieces, whole, 100.0), 100.0, []
    for pause, documents, size, timed in happened:
        now += pause
        meter.advance(now, documents, documents // 2, size, timed)
        if timed:
            log.append((now, documents, size))
    now += wait
    seconds = max(1e-9, now - 100.0)
    assert meter.from_start(now).documents == pytest.approx(sum(n for _, n, _ in log) / seconds)
    assert meter.from_start(now).size == pytest.approx(sum(n for _, _, n in log) / seconds)
    late = meter.of_late(now)
    if late is not None:
        begin = now - late.seconds
        assert late.seconds >= LATELY - 1e-6
        older = [when for when, _, _ in log if when <= now - LATELY + 1e-6]
        assert begin >= max(older) - MARK_EVERY - 1e-6
        least, most = (sum(n for when, n, _ in log if when > begin + gap) for gap in (1e-6, -1e-6))
        assert least - 1e-3 <= late.documents * late.seconds <= most + 1e-3
    before = sum((size if whole else 1) for _, _, size, timed in happened if not timed)
    work = sum((size if whole else 1) for _, _, size, timed in happened if timed)
    all_work = whole or pieces
    if to_come:
        assert meter.share() == pytest.approx(min(1, (before + work) / all_work) if all_work else 0)
        left = meter.seconds_left(now)
        rate = (late.work if late and late.work else 0) or work / seconds
        assert left == pytest.approx((all_work - before - work) / rate, rel=1e-3) if rate else left is None
    else:
        assert (meter.share(), meter.seconds_left(now)) == (1.0, 0.0)


def test_the_end_is_told_by_bytes_not_by_partitions():
    """Nine small files and one that is as large as all of them: half is done when the small ones are."""
    meter = Meter(10, 1800, 0.0)
    for second in range(9):
        meter.advance(second + 1.0, 10, 5, 100, True)
    assert meter.share() == 0.5
    assert meter.seconds_left(9.0) == pytest.approx(9.0)


def test_what_an_earlier_try_did_is_done_and_makes_no_rate():
    meter = Meter(100, 0, 0.0)
    for _ in range(90):
        meter.advance(0.0, 0, 0, 0, False)
    assert meter.share() == 0.9 and meter.seconds_left(5.0) is None
    meter.advance(10.0, 7, 7, 0, True)
    assert meter.seconds_left(10.0) == pytest.approx(90.0)
    assert meter.documents == 7


def test_after_a_worker_is_lost_the_end_follows_the_rate_of_late():
    meter, now = Meter(10_000, 0, 0.0), 0.0
    for _ in range(5000):
        now += 1.0
        meter.advance(now, 1, 1, 0, True)
    for _ in range(150):
        now += 10.0
        meter.advance(now, 1, 1, 0, True)
    assert meter.seconds_left(now) == pytest.approx(4850 * 10, rel=0.01)
    assert meter.from_start(now).documents > 0.7


def test_memory_of_a_meter_does_not_grow():
    meter = Meter(10**6, 0, 0.0)
    for piece in range(200_000):
        meter.advance(piece / 10, 1, 1, 0, True)
    assert len(meter._marks) <= LATELY / MARK_EVERY + 2


@given(st.lists(st.tuples(st.integers(0, 10**6), st.lists(st.integers(0, 50), max_size=8)), min_size=1, max_size=6))
def test_bytes_of_partitions_add_up_to_each_file(files):
    partitions, sizes = [], []
    for number, (size, extents) in enumerate(files):
        begin = 0
        for extent in extents or [0]:
            partitions.append(Partition(len(partitions), number, begin, begin + extent))
            begin += extent
        sizes.append(size if begin else 0)
    shares = input_bytes(partitions, sizes)
    assert min(shares) >= 0
    for number, size in enumerate(sizes):
        assert sum(share for share, part in zip(shares, partitions, strict=True) if part.file == number) == size
