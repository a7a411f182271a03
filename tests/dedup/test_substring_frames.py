"""``dedup.substring`` from texts to texts: spans that the engine finds are those of a dictionary of all windows."""

import functools
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from window_oracle import duplicate_spans

import gpurefine
from gpurefine.dedup.pieces import Spans
from gpurefine.dedup.substring import Substring
from gpurefine.documents import Batch
from gpurefine.frames import string_column
from gpurefine.resources.cache import default_resources

WORDS = st.lists(st.sampled_from(["one", "two", "Three,", " four", "\n\nfive", "café", "中文", "!"]), max_size=30)


@functools.cache
def tokenizer():
    Substring().provide(default_resources())
    return Substring().open(default_resources())


def edited_by_oracle(texts, **parameters):
    """The texts that should be left, None for those that leave."""
    stage, tool = Substring(**parameters), tokenizer()
    frame = pd.DataFrame({"text": string_column(texts)})
    pieces = stage.pieces(Batch(frame), tool)
    tokens = [own.tolist() for own in np.split(pieces.tokens, pieces.starts[1:-1])]
    spans = duplicate_spans(tokens, stage.length, keep_first=stage.keep == "first")
    rows = [row for row, own in enumerate(spans) if own]
    starts = np.cumsum([0, *(len(spans[row]) for row in rows)])
    bounds = np.array([span for own in spans for span in own], np.int64).reshape(-1, 2)
    made = stage.edit(Batch(frame.iloc[rows].reset_index(drop=True)), Spans(starts, bounds), tool)
    left = list(texts)
    for row, text, rule in zip(rows, made.texts.to_pylist(), made.rules, strict=True):
        left[row] = None if rule else text
    return left


@pytest.mark.parametrize("keep", ["none", "first"])
@given(texts=st.lists(WORDS.map(" ".join), min_size=1, max_size=8), length=st.integers(2, 6))
@settings(max_examples=10)
def test_a_frame_is_edited_as_by_the_oracle(keep, texts, length):
    marked = gpurefine.deduplicate(pd.DataFrame({"text": texts}), "substring", length=length, min_left=3, keep=keep)
    found = [text if keeps else None for text, keeps in zip(marked["edited"], marked["keep"], strict=True)]
    assert found == edited_by_oracle(texts, length=length, min_left=3, keep=keep)


def test_the_page_tells_what_happens(request):
    page = (request.config.rootpath / "docs" / "substring.md").read_text("utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    names = {}
    exec(compile(block, "docs/substring.md", "exec"), names)
    assert names["refined"].tolist() == [
        "The river rose in spring. ! The barn was old and red.",
        "Nobody knew the answer; - and that was all they said.",
        "A text of its own that has nothing to do with the others at all.",
    ]
    assert f'"{names["refined"][0]}"' in page
    assert {"keep", "reason", "spans", "edited"} == set(names["marked"]) - {"text"}
