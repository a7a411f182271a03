"""datatrove's Gopher filters beside ours, for ``gopher_parity.py`` and ``gopher_speed.py``.

Needs ``pip install 'gpurefine[bench]'`` (datatrove and spaCy).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datatrove.data import Document
from datatrove.pipeline.filters import gopher_quality_filter, gopher_repetition_filter
from machine import describe

from gpurefine.documents import Batch
from gpurefine.frames import string_column
from gpurefine.stages.base import RuleStage

#: Our names of datatrove's reasons. Its two word counts and its two mean lengths are one rule with two limits here.
OUR_NAMES = {
    "gopher_short_doc": "words",
    "gopher_long_doc": "words",
    "gopher_below_avg_threshold": "mean_word_length",
    "gopher_above_avg_threshold": "mean_word_length",
    "gopher_too_many_hashes": "hash",
    "gopher_too_many_ellipsis": "ellipsis",
    "gopher_too_many_bullets": "bullet_lines",
    "gopher_too_many_end_ellipsis": "ellipsis_lines",
    "gopher_below_alpha_threshold": "alphabetic",
    "gopher_enough_stop_words": "stop_words",
    **{f"top_{n}_gram": f"top_{n}" for n in (2, 3, 4)},
    **{f"duplicated_{n}_n_grams": f"dup_{n}" for n in range(5, 11)},
}

OWN_SPLITTER = gopher_repetition_filter.split_into_words


def read_texts(path: Path, language: str | None, limit: int | None) -> list[str]:
    """The column ``text`` of a Parquet file; of rows whose ``lang`` is ``language`` where one is given."""
    table = pq.read_table(path)
    if language:
        table = table.filter(pc.equal(table["lang"], language))
    return [text or "" for text in table["text"].to_pylist()[:limit]]


def batches_of(texts: list[str], rows: int = 512) -> list[Batch]:
    """The texts as the stages get them."""
    return [
        Batch(pd.DataFrame({"text": string_column(texts[first : first + rows])}))
        for first in range(0, len(texts), rows)
    ]


def our_rules(stages: list[RuleStage], texts: list[str]) -> list[list[str]]:
    """For each text the first rule of each stage that removes it, '' where it stays."""
    rules = []
    for batch in batches_of(texts):
        outcomes = [stage.apply(batch) for stage in stages]
        for row in range(len(batch)):
            rules.append([next((v.rule for v in o.verdicts if v.removed[row]), "") for o in outcomes])
    return rules


def use_words(words_of: Callable[[str], list[str]] | None) -> None:
    """Give datatrove's filters these words; None gives their own splitter (spaCy) back."""
    splitter = OWN_SPLITTER if words_of is None else lambda text, language=None: words_of(text)
    gopher_repetition_filter.split_into_words = gopher_quality_filter.split_into_words = splitter


def datatrove_rules(texts: Iterable[str]) -> list[list[str]]:
    """For each text datatrove's reasons (repetition, quality) by our names, '' where it stays.

    It divides by zero where there is no word or no line; such a text counts as removed, for ``words``.
    """
    filters = gopher_repetition_filter.GopherRepetitionFilter(), gopher_quality_filter.GopherQualityFilter()
    rules = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for text in texts:
            document, reasons = Document(text=text, id=""), []
            for each in filters:
                try:
                    kept = each.filter(document)
                except ZeroDivisionError:
                    kept = False, "gopher_short_doc"
                reasons.append("" if kept is True else OUR_NAMES.get(kept[1], kept[1]))
            rules.append(reasons)
    return rules


def print_machine() -> None:
    """Print when, on what and with which versions."""
    print(*describe(), f"spaCy {version('spacy')}.")
