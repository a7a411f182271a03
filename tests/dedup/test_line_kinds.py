"""The dedups of paragraphs, lines and sentences: golden values, and dictionaries that import nothing of ours."""

import hashlib
import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gpurefine
from gpurefine.config import dedup_kind, find_stage
from gpurefine.dedup.linespans import line_borders, pieces_of_keys, without
from gpurefine.documents import Batch
from gpurefine.frames import from_arrow, string_column
from gpurefine.text.ccnet import MARKS, comparable_line, comparable_line_of_the_paper
from gpurefine.text.sentences import comparable_sentence, count_sentences, sentence_borders

GOLDEN = Path(__file__).parent.parent / "golden"


def golden(name, rule):
    lines = (GOLDEN / name).read_text("utf-8").splitlines()
    return [pytest.param(entry, id=entry["id"]) for entry in map(json.loads, lines) if entry["rule"] == rule]


def left(kind, texts, urls=None, **parameters):
    """Texts that the dedup leaves of a frame, None for one that leaves."""
    frame = pd.DataFrame({"id": [str(number) for number in range(len(texts))], "text": texts})
    frame["url"] = urls if urls is not None else ""
    found = gpurefine.deduplicate(frame.astype({"text": "string"}), kind, **parameters)
    return [edit if keep else None for edit, keep in zip(found["edited"], found["keep"], strict=True)]


@pytest.mark.parametrize("entry", golden("presets_ccnet.jsonl", "ccnet_normalize_and_hash"))
def test_golden_lines_and_hashes_of_ccnet(entry):
    line, expected = entry["input"]["line"], entry["expected"]
    assert comparable_line(line) == expected["normalized"]
    stage = find_stage("dedup.paragraph")()
    pieces = stage.pieces(Batch(pd.DataFrame({"text": string_column([line])})))
    assert pieces.keys[:, 0].tolist() == [int(expected["uint64_little_endian"]), 0]


@pytest.mark.parametrize("entry", golden("presets_ccnet.jsonl", "ccnet_paragraph_dedup"))
def test_golden_documents_of_ccnet(entry):
    expected = [document and document["text"] for document in entry["expected"]["docs"]]
    assert left("paragraph", entry["input"]["docs"]) == expected


@pytest.mark.parametrize("entry", golden("presets_c4.jsonl", "c4_line_dedup"))
@pytest.mark.parametrize("backwards", [False, True])
def test_golden_pages_of_c4(entry, backwards):
    pages = entry["input"]["pages"][:: -1 if backwards else 1]
    urls = [page["url"] for page in pages]
    found = left("line", [page["text"] for page in pages], urls, min_sentences=entry["params"]["min_num_sentences"])
    assert dict(zip(urls, found, strict=True)) == entry["expected"]["texts"]


@pytest.mark.parametrize("entry", golden("presets_dedup.jsonl", "three_sentence_dedup"))
def test_golden_runs_of_three_sentences(entry):
    params = entry["params"]
    found = left(
        "sentences",
        entry["input"]["docs"],
        split=params["split"],
        length=params["n_sentences"],
        min_words=params["min_doc_words"],
        min_sentences=params["min_num_sentences"],
    )
    assert found == entry["expected"]["docs"]


def test_there_are_34_marks():
    assert len(MARKS) == len(set(MARKS)) == 34


def test_the_papers_lines_have_neither_accents_nor_punctuation():
    assert comparable_line_of_the_paper("  Caf\u00e9, Z\u00fcrich: 19\u201320! ") == "cafe zurich 0000"
    assert comparable_line("  Caf\u00e9, Z\u00fcrich: 19\u201320! ") == "caf\u00e9, z\u00fcrich: 0000!"


@given(text=st.text(st.sampled_from("a. !?\n\u3002\u201d\u2026B"), max_size=40))
def test_sentences_make_up_the_text(text):
    borders = sentence_borders(text)
    assert borders == sorted(set(borders))
    if text.strip():
        assert borders[0] == 0 and borders[-1] == len(text)
        assert all(text[begin:end].strip() for begin, end in pairwise(borders))
    else:
        assert borders == [0]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One. Two! Three? Four", 4),
        ('He said "no." She left... Then (at last!) it rained.', 4),
        ("3.14 is no end, nor is a.b", 1),
        ("\u4eca\u65e5\u306f\u3002\u660e\u65e5\u306f\uff01", 2),
        ("  \n ", 0),
        ("", 0),
    ],
)
def test_sentences_end_where_marks_end_them(text, count):
    assert count_sentences(text) == count


def test_sentences_are_compared_without_case_accents_punctuation_and_numbers():
    assert comparable_sentence("\u00c9t\u00e9 1999,\n the   BEST -- 3.5!") == "ete 0 the best 0"
    # all of ASCII, alone and beside a letter that is not
    every = "".join(map(chr, range(128)))
    left = re.sub(r"\d+", "0", re.sub(r"[^\w\s\x00-\x1f\x7f]|_", "", every.lower()))
    assert comparable_sentence(every) == " ".join(left.split())
    assert comparable_sentence(every + "\u00e9") == " ".join((left + "e").split())


words = st.sampled_from(["Alpha ran.", "beta sat.", "Gamma!", "", "  ", "GAMMA!", "delta 12.", "delta 77."])
texts = st.lists(st.lists(words, max_size=7).map("\n".join), min_size=1, max_size=5)


def ccnet_by_dictionary(texts):
    """Lines that one document has, each once there."""

    def key(line):
        return re.sub(r"\d", "0", line.strip().lower())

    holders = {}
    for number, text in enumerate(texts):
        for line in text.split("\n") if text else []:
            holders.setdefault(key(line), set()).add(number)
    kept = []
    for text in texts:
        seen, lines = set(), text.split("\n") if text else []
        stays = []
        for line in lines:
            if len(holders[key(line)]) == 1 and key(line) not in seen:
                stays.append(line)
            seen.add(key(line))
        kept.append("\n".join(stays) if stays or not lines else None)
    return kept


@settings(max_examples=60)
@given(texts=texts)
def test_paragraphs_against_a_dictionary(texts):
    assert left("paragraph", texts) == ccnet_by_dictionary(texts)


def c4_by_dictionary(texts, urls):
    """Each line in the page that owns it, once."""
    order = {number: (hashlib.md5(url.encode()).hexdigest()[:16], number) for number, url in enumerate(urls)}
    owners = {}
    for number, text in enumerate(texts):
        for line in text.split("\n"):
            key = line.strip().lower()
            owners[key] = min(owners.get(key, order[number]), order[number])
    kept = []
    for number, text in enumerate(texts):
        seen, stays = set(), []
        for line in text.split("\n") if text else []:
            key = line.strip().lower()
            if not key or (owners[key] == order[number] and key not in seen):
                stays.append(line)
            seen.add(key)
        new = "\n".join(stays)
        kept.append(new if new.strip() or new == text else None)
    return kept


@settings(max_examples=60)
@given(texts=texts, data=st.data())
def test_lines_against_a_dictionary(texts, data):
    urls = [data.draw(st.sampled_from(["http://a.example/", "http://b.example/", ""])) for _ in texts]
    assert left("line", texts, urls, min_sentences=0) == c4_by_dictionary(texts, urls)


def runs_by_dictionary(texts, length):
    """The first of each run of lines by document and line; the others' lines go."""
    seen, gone = set(), [set() for _ in texts]
    for number, text in enumerate(texts):
        lines = [line.lower() for line in text.split("\n")] if text else []
        for first in range(len(lines) - length + 1):
            run = tuple(lines[first : first + length])
            if run in seen:
                gone[number] |= set(range(first, first + length))
            seen.add(run)
    kept = []
    for text, lost in zip(texts, gone, strict=True):
        new = "\n".join(line for number, line in enumerate(text.split("\n")) if number not in lost)
        kept.append(text if not lost else new if new.strip() else None)
    return kept


@settings(max_examples=60)
@given(
    texts=st.lists(st.lists(st.sampled_from(["one", "two", "TWO", "six"]), max_size=9).map("\n".join), max_size=5),
    length=st.integers(1, 3),
)
def test_runs_of_lines_against_a_dictionary(texts, length):
    texts = [*texts, ""]
    found = left("sentences", texts, split="lines", length=length, min_words=0, min_sentences=0)
    assert found == runs_by_dictionary(texts, length)


def test_what_a_changed_document_must_have_left():
    texts = ["A b c. D e f. G h i. Tail one.", "A b c. D e f. G h i. Tail two here."]
    for parameters, reason in (
        ({"min_words": 4, "min_sentences": 1}, "dedup.sentences:words"),
        ({"min_words": 3, "min_sentences": 2}, "dedup.sentences:sentences"),
        ({"min_words": 3, "min_sentences": 1}, None),
    ):
        found = gpurefine.deduplicate(pd.DataFrame({"text": texts}), "sentences", **parameters)
        assert [None if pd.isna(each) else each for each in found["reason"]] == [None, reason]
    assert found["edited"].tolist() == [texts[0], "Tail two here."]


@given(lines=st.lists(st.text(st.sampled_from("ab \n"), max_size=5), max_size=6), data=st.data())
def test_lines_are_taken_out_as_if_they_were_joined_anew(lines, data):
    text = "\n".join(lines)
    borders = line_borders(text)
    own = text.split("\n") if text else []
    gone = [data.draw(st.booleans()) for _ in own]
    edges = np.flatnonzero(np.diff([0, *map(int, gone), 0])).reshape(-1, 2)
    new, characters = without(text, borders, edges, lines=True)
    assert new == "\n".join(line for line, lost in zip(own, gone, strict=True) if not lost)
    spans = ["\n".join(own[first:last]) for first, last in edges]
    assert [text[first:last] for first, last in characters] == spans


def test_kinds_are_known_to_the_command():
    for kind in ("paragraph", "line", "sentences"):
        assert dedup_kind(kind) == f"dedup.{kind}"


def test_lines_that_stay_by_url_ask_for_one():
    from gpurefine.errors import InputError

    with pytest.raises(InputError, match="url"):
        gpurefine.deduplicate(pd.DataFrame({"text": ["a"]}), "line")


@given(
    rows=st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)) | st.none(), max_size=6), max_size=5),
)
def test_later_copies_inside_a_document(rows):
    again = []
    for row in rows:
        again += [key is not None and key in row[:number] for number, key in enumerate(row)]
    assert pieces_of_keys(rows).again.tolist() == again


@pytest.mark.parametrize("kind", ["dedup.paragraph", "dedup.line"])
def test_lines_that_lie_on_a_device_have_the_same_keys(cudf, kind):
    documents = pa.table({"text": pa.array(["Alpha 1.\n\u00c9\u03a3 beta\nalpha 1.", None, "", "x\n", " \nx"])})
    stage = find_stage(kind)()
    own = stage.pieces(Batch(from_arrow(documents, on_device=True)))
    host = stage.pieces(Batch(from_arrow(documents)))
    assert host.starts.tolist() == [0, 3, 3, 3, 5, 7] and host.again.any()
    for one, other in zip(vars(own).values(), vars(host).values(), strict=True):
        assert (one is None and other is None) or np.array_equal(one, other)
