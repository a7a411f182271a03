"""Repeated windows of tokens: any partitioning, groups and budget, against a suffix array and golden values."""

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from memory import measure
from window_oracle import duplicate_spans

from gpurefine.dedup import tokenfile, windows
from gpurefine.dedup.marks import read_marks
from gpurefine.dedup.pieces import PLACE_BITS
from gpurefine.dedup.scopes import scope_hashes
from gpurefine.dedup.spanfiles import find_spans, read_spans
from gpurefine.dedup.tokenfile import TokenFile, TokenWriter
from gpurefine.dedup.windows import WindowGroup, collide_windows, plan_windows
from gpurefine.errors import DamagedFileError, RunError

MIB = 1 << 20
GOLDEN = Path(__file__).parent.parent / "golden"


def write(folder, parts, orders=None, scopes=None):
    """Files of tokens, one a part of documents; several ``add`` of two documents each; ``scopes`` are strings or None.

    A part of documents without a scope says nothing of scopes.
    """
    paths = []
    for partition, documents in enumerate(parts):
        paths.append(folder / f"{partition}.keys")
        with TokenWriter(paths[-1], ordered=orders is not None, scoped=scopes is not None) as writer:
            for first in range(0, len(documents), 2):
                some = documents[first : first + 2]
                starts = np.cumsum([0, *map(len, some)])
                tokens = np.array([token for document in some for token in document], np.uint16)
                own = None if orders is None else np.array(orders[partition][first : first + 2], np.uint64)
                salts = None
                if scopes is not None and any(scope is not None for scope in scopes[partition]):
                    salts = scope_hashes(pd.Series(scopes[partition][first : first + 2], dtype="string"), 2)
                writer.add(tokens, starts, own, salts)
    return paths


def marks_of(folder, paths, length, bits=0, keep_one=False, budget=MIB, on_device=False):
    """(partition, token) of each mark, sorted."""
    found = []
    for number in range(1 << bits):
        group, out = WindowGroup(number, bits, 12), folder / f"marks-{number}"
        scratch = folder / "scratch"
        count = len(paths)
        collide_windows(group, paths, range(count), length, keep_one, out, scratch, budget, count, on_device)
        assert not scratch.exists()
        found += [place for places in read_marks([out], 0) for place in places.tolist()]
    return sorted((place >> PLACE_BITS, place & ((1 << PLACE_BITS) - 1)) for place in found)


def marks_by_suffix_array(parts, length):
    """Neighbours in the sorted suffixes of everything that are equal over ``length`` tokens; separators are unlike."""
    stream, places, separator = [], [], -1
    for partition, documents in enumerate(parts):
        token = 0
        for document in documents:
            for value in document:
                stream.append(value)
                places.append((partition, token))
                token += 1
            stream.append(separator)
            places.append(None)
            separator -= 1
    order = sorted(range(len(stream)), key=lambda begin: stream[begin : begin + length])
    found = set()
    for one, other in itertools.pairwise(order):
        windows = [stream[begin : begin + length] for begin in (one, other)]
        if windows[0] == windows[1] and len(windows[0]) == length and min(windows[0]) >= 0:
            found |= {places[one], places[other]}
    return sorted(found)


streams = st.integers(1, 4).flatmap(
    lambda symbols: st.lists(
        st.lists(st.lists(st.integers(0, symbols - 1), max_size=40), max_size=5), min_size=1, max_size=3
    )
)


@given(parts=streams, length=st.integers(2, 9), bits=st.integers(0, 2), slice_tokens=st.sampled_from([4, 32, 1 << 20]))
@example(parts=[[[7] * 40]], length=3, bits=0, slice_tokens=8)
@example(parts=[[[1, 2, 3, 4, 5]], [[9, 1, 2, 3, 8], [3, 4, 5, 7]]], length=3, bits=1, slice_tokens=4)
@example(parts=[[[5] * 9, [5] * 9, []], [[]], [[5]]], length=9, bits=0, slice_tokens=4)
@example(parts=[[[0, 1] * 20, [1, 0] * 20]], length=8, bits=2, slice_tokens=16)
def test_marks_are_those_of_a_suffix_array(tmp_path_factory, parts, length, bits, slice_tokens):
    folder = tmp_path_factory.mktemp("windows")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenfile, "SLICE_TOKENS", slice_tokens)
        assert marks_of(folder, write(folder, parts), length, bits) == marks_by_suffix_array(parts, length)


@given(
    parts=streams, length=st.integers(2, 6), keep=st.sampled_from(["none", "first", "order"]), bits=st.integers(0, 1),
    scoped=st.booleans(), data=st.data(),
)  # fmt: skip
def test_equal_windows_of_a_scope_leave_all_or_but_the_least(tmp_path_factory, parts, length, keep, bits, scoped, data):
    folder = tmp_path_factory.mktemp("windows")

    def drawn(values):
        return [[data.draw(st.sampled_from(values)) for _ in documents] for documents in parts]

    orders = drawn([0, 5, 2**64 - 1]) if keep == "order" else None
    scopes = drawn([None, "", "en", "de"]) if scoped else None
    holders = {}
    for partition, documents in enumerate(parts):
        begin = 0
        for number, document in enumerate(documents):
            for first in range(len(document) - length + 1):
                order = 0 if orders is None else orders[partition][number]
                scope = scopes[partition][number] if scoped else None
                window = (scope, *document[first : first + length])
                holders.setdefault(window, []).append((order, partition, begin + first))
            begin += len(document)
    stay = 0 if keep == "none" else 1
    want = sorted(place[1:] for places in holders.values() if len(places) > 1 for place in sorted(places)[stay:])
    paths = write(folder, parts, orders, scopes)
    assert marks_of(folder, paths, length, bits, keep_one=keep != "none") == want


def spans_of(folder, parts, length):
    """Spans of each document, through files, as a run finds them."""
    paths = write(folder, parts)
    group = WindowGroup(0, 0, 12)
    collide_windows(group, paths, range(len(paths)), length, False, folder / "m", folder / "s", MIB, len(paths))
    starts = [TokenFile(path).document_starts() for path in paths]
    again = [np.empty(0, np.uint64)] * len(paths)
    find_spans([folder / "m"], 0, range(len(paths)), starts, again, length, folder / "spans", MIB)
    found = []
    for partition, documents in enumerate(parts):
        rows, bounds = read_spans(folder / "spans", partition)
        found += [bounds[rows == row].tolist() for row in range(len(documents))]
    return found


def golden(name, rule):
    lines = (GOLDEN / name).read_text("utf-8").splitlines()
    return [pytest.param(entry, id=entry["id"]) for entry in map(json.loads, lines) if entry["rule"] == rule]


@pytest.mark.parametrize("entry", golden("substring.jsonl", "duplicate_spans"))
@pytest.mark.parametrize("together", [True, False])
def test_golden_spans(tmp_path, entry, together):
    documents = entry["input"]
    parts = [documents] if together else [[document] for document in documents]
    assert spans_of(tmp_path, parts, entry["parameters"]["length"]) == entry["expected"]


@pytest.mark.parametrize("entry", golden("presets_dedup.jsonl", "lee_exact_substring"))
def test_golden_ranges_of_lee_and_others(tmp_path, entry):
    names = {}
    documents = [[names.setdefault(token, len(names)) for token in row] for row in entry["input"]["token_docs"]]
    assert spans_of(tmp_path, [documents], entry["params"]["min_length"]) == entry["expected"]["ranges"]


@given(documents=st.lists(st.lists(st.integers(0, 2), max_size=30), max_size=6), length=st.integers(2, 6))
def test_spans_are_the_union_of_windows(tmp_path_factory, documents, length):
    folder = tmp_path_factory.mktemp("windows")
    assert spans_of(folder, [documents], length) == duplicate_spans(documents, length)


def test_windows_that_collide_in_the_first_hash_are_told_apart_by_the_second(tmp_path, monkeypatch):
    def emit_with_one_hash(*arguments):
        filled, following = emit(*arguments)
        arguments[-3][:filled] = 12345
        return filled, following

    emit = windows.emit_windows
    monkeypatch.setattr(windows, "emit_windows", emit_with_one_hash)
    parts = [[[1, 2, 3, 1, 2, 3, 4, 5, 6]], [[4, 5, 6, 9, 9, 9, 9]]]
    assert marks_of(tmp_path, write(tmp_path, parts), 3) == marks_by_suffix_array(parts, 3)


def test_windows_of_thue_and_morse_do_not_collide(tmp_path):
    # two windows of this sequence and its complement have one hash in any polynomial modulo 2**64
    bits = [bin(number).count("1") % 2 for number in range(1 << 12)]
    parts = [[bits, [1 - bit for bit in bits], [9] * 5]]
    assert marks_of(tmp_path, write(tmp_path, parts), 1 << 12) == []


@pytest.mark.parametrize("tokens", [0, 1, 10**6, 10**9, 10**12])
def test_a_plan_holds_its_filters_in_the_budget(tokens):
    for budget, workers in ((64 * MIB, 1), (64 * MIB, 3), (8 << 30, 2)):
        if tokens == 10**12 and budget == 64 * MIB:
            with pytest.raises(RunError, match=r"give more --memory, so that a task has [\d,]+ bytes or more"):
                plan_windows(tokens, budget, workers)
            continue
        groups = plan_windows(tokens, budget, workers)
        assert [group.number for group in groups] == list(range(1 << groups[0].bits))
        assert 2 * (1 << groups[0].slot_bits) // 4 <= budget // 2
        assert len(groups) * (1 << groups[0].slot_bits) >= tokens * windows.SLOTS_A_WINDOW
        if tokens >= 10**9:
            assert len(groups) >= workers


def test_the_memory_that_a_refusal_names_does():
    with pytest.raises(RunError) as refused:
        plan_windows(10**13, 64 * MIB, 1)
    least = int(str(refused.value).split("so that a task has ")[1].split(" bytes")[0].replace(",", ""))
    assert plan_windows(10**13, least, 1)


@pytest.mark.parametrize("what", ["one token a million times", "a million equal documents", "all unlike"])
def test_memory_is_set_by_the_budget(tmp_path, what):
    if what == "one token a million times":
        tokens, starts = np.full(1_000_000, 7, np.uint16), np.array([0, 1_000_000])
    elif what == "a million equal documents":
        tokens, starts = np.tile(np.arange(55, dtype=np.uint16), 1_000_000), np.arange(0, 55_000_001, 55)
    else:
        tokens = np.random.default_rng(1).integers(0, 50_000, 8_000_000).astype(np.uint16)
        starts = np.arange(0, 8_000_001, 500)
    with TokenWriter(tmp_path / "0.keys", ordered=False) as writer:
        writer.add(tokens, starts, None)
    program = """
        import json
        from gpurefine.dedup.windows import collide_windows, plan_windows
        folder, tokens, budget = Path(sys.argv[1]), int(sys.argv[2]), 64 << 20
        def run(group):
            return collide_windows(
                group, [folder / "0.keys"], [0], 50, False, folder / "m", folder / "s", budget, 1
            )
        groups = plan_windows(tokens, budget, 1)
        run(groups[0]._replace(slot_bits=12, number=(1 << groups[0].bits) - 1))
        before = current_memory()
        marks = sum(run(group)["marks"] for group in groups)
        print(peak_memory() - before, marks)
    """
    grown, marks = measure(program, tmp_path, len(tokens))
    windows_there = int(np.maximum(np.diff(starts) - 49, 0).sum())
    assert marks == (0 if what == "all unlike" else windows_there)
    # where documents begin is held beside the budget: 8 bytes each
    assert grown < 64 * MIB + 3 * starts.nbytes


def test_a_damaged_file_of_tokens_is_named(tmp_path):
    (path,) = write(tmp_path, [[[1, 2, 3] * 30]])
    data = path.read_bytes()
    path.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
    with pytest.raises(DamagedFileError, match=r"0\.keys is damaged"):
        marks_of(tmp_path, [path], 3)
    assert not (tmp_path / "scratch").exists()


def test_what_a_killed_try_left_is_deleted(tmp_path):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "windows-000000").write_bytes(b"half")
    parts = [[[1, 2, 3, 1, 2, 3]]]
    assert marks_of(tmp_path, write(tmp_path, parts), 3) == [(0, 0), (0, 3)]


@pytest.mark.parametrize("bits", [0, 1])
def test_marks_are_the_same_from_a_device(tmp_path, cuda, monkeypatch, bits):
    cuda()
    monkeypatch.setattr(tokenfile, "SLICE_TOKENS", 256)
    monkeypatch.setattr(windows, "DEVICE_SLICES", 2)
    generator = np.random.default_rng(1)
    parts = [[generator.integers(0, 3, size).tolist() for size in (40, 0, 700, 9)] for _ in range(2)]
    paths = write(tmp_path, parts, [[3, 2, 1, 0], [1, 1, 1, 1]])
    on_cpu = marks_of(tmp_path, paths, 6, bits, keep_one=True)
    assert len(on_cpu) > 100
    assert marks_of(tmp_path, paths, 6, bits, keep_one=True, on_device=True) == on_cpu


def test_what_does_not_fit_a_device_is_looked_at_on_the_cpu(tmp_path, cuda, monkeypatch, caplog):
    cuda()

    def full(*_):
        raise MemoryError

    monkeypatch.setattr(windows, "to_device", full)
    parts = [[[1, 2, 3, 1, 2, 3]]]
    assert marks_of(tmp_path, write(tmp_path, parts), 3, on_device=True) == [(0, 0), (0, 3)]
    assert "the GPU's memory does not do" in caplog.text
