"""The stage ``repetition``: golden values of both ways to count, its switches, and the shared pass."""

import math

import numpy as np
import pytest
from pydantic import ValidationError
from rule_cases import batch_of, first_rules, golden, quotient, value

from gpurefine.stages.base import Resources
from gpurefine.stages.quality import Quality
from gpurefine.stages.repetition import Repetition
from gpurefine.text import statistics as text_statistics

ORDER = [
    "empty", "dup_para_frac", "dup_para_char_frac", "dup_line_frac", "dup_line_char_frac", "top_2", "top_3", "top_4",
    "dup_5", "dup_6", "dup_7", "dup_8", "dup_9", "dup_10",
]  # fmt: skip
CASES = golden("repetition.jsonl")
WHOLE = [case for case in CASES if case["rule"] == "repetition"]
SINGLE = [case for case in CASES if case["rule"] != "repetition"]


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case["id"])
def test_golden_values(case):
    stage = Repetition(**case["parameters"])
    measured = stage.measure(batch_of(case["input"]))
    expected = {name: quotient(pair) for name, pair in case["expected"]["values"].items()}
    assert {name: float(values[0]) for name, values in measured.items() if name != "empty"} == expected
    assert first_rules(stage, case["input"]) == [case["expected"]["first_rule"]]


@pytest.mark.parametrize("case", SINGLE, ids=lambda case: case["id"])
def test_golden_values_of_the_other_counting(case):
    parameters = {name: choice for name, choice in case["parameters"].items() if name != "divisor"}
    assert value(Repetition(**parameters), case["rule"], case["input"]) == quotient(case["expected"])


def test_order_limits_and_comparisons():
    rules = Repetition().rules()
    assert [rule.name for rule in rules] == ORDER
    assert [rule.limit for rule in rules] == [1, 0.3, 0.2, 0.3, 0.2, 0.2, 0.18, 0.16, 0.15, 0.14, 0.13, 0.12, 0.11, 0.1]
    assert [rule.comparison for rule in rules] == ["<"] + [">"] * 13


@pytest.mark.parametrize("name", ORDER[1:])
def test_each_limit_can_be_moved_and_switched_off(name):
    text = "one two three four five six seven eight nine ten\n\n" * 4
    measured = value(Repetition(), name, text)
    assert measured > 0
    assert name not in [rule.name for rule in Repetition(**{name: None}).rules()]
    others = dict.fromkeys(ORDER[1:])
    assert first_rules(Repetition(**{**others, name: measured}), text) == [None]  # exactly at the limit stays
    assert first_rules(Repetition(**{**others, name: math.nextafter(measured, 0)}), text) == [name]
    assert first_rules(Repetition(**others), text) == [None]


@pytest.mark.parametrize("parameters", [{"top_2": -0.1}, {"count": "some"}, {"top_min_count": 0}, {"unknown": 1}])
def test_parameters_that_make_no_sense(parameters):
    with pytest.raises(ValidationError):
        Repetition(**parameters)


def test_empty_and_missing_text():
    stage = Repetition()
    outcome = stage.apply(batch_of("", None, " "))
    empty = outcome.verdicts[0]
    assert (empty.rule, empty.removed.tolist(), empty.value.tolist()) == ("empty", [True, True, False], [0, 0, 1])
    assert not any(verdict.removed.any() for verdict in outcome.verdicts[1:])
    for count in ("extra", "all"):
        assert [len(values) for values in Repetition(count=count).measure(batch_of()).values()] == [0] * 14


def test_top_min_count_of_datatrove():
    assert value(Repetition(), "top_2", "a b c d") == 0
    assert value(Repetition(top_min_count=1), "top_2", "a b c d") == 3 / 7
    assert value(Repetition(top_min_count=1, tie="longest"), "top_2", "a b c ddd") == 5 / 9
    assert value(Repetition(top_min_count=3), "top_2", "a b a b") == 0
    assert value(Repetition(top_min_count=1), "top_4", "a b c") == 0


def test_newlines_at_the_ends_make_empty_items():
    assert value(Repetition(), "dup_line_frac", "\na\n") == 1 / 3  # '', 'a', ''
    assert value(Repetition(), "dup_para_frac", "\n\na\n\n") == 1 / 3
    assert value(Repetition(), "dup_para_frac", "a\n\na\n") == 0  # 'a' and 'a\n' differ
    assert value(Repetition(count="all"), "dup_line_frac", "\na\n") == 0


def test_count_all_is_the_share_of_all_copies():
    stage = Repetition(count="all")
    six_lines = "a b\na b\nc d\ne f\ng h\ni j"
    assert value(Repetition(), "dup_line_frac", six_lines) == 1 / 6
    assert value(stage, "dup_line_frac", six_lines) == 2 / 6
    assert value(stage, "dup_line_char_frac", "ab \n ab\n\ncde") == 4 / 7
    assert value(stage, "dup_para_frac", "a\n\na\n\n\n\nb") == 2 / 3
    assert value(stage, "dup_line_frac", "only one line") == 0
    assert first_rules(stage, "only one line", "same\nsame") == [None, "dup_line_frac"]
    assert value(stage, "top_2", "aa bb aa bb cc") == 8 / 10  # no blanks in the measure nor in the divisor
    assert value(Repetition(count="all", tie="longest"), "top_2", "a b a b cc dd cc dd") == 8 / 12
    assert math.isnan(value(stage, "dup_5", "  "))


def test_both_stages_share_one_pass(monkeypatch):
    passes = []
    kernel = text_statistics.text_statistics
    monkeypatch.setattr(text_statistics, "text_statistics", lambda *given: passes.append(1) or kernel(*given))
    batch = batch_of("the cat " * 30, "and to be")
    kept = Repetition().apply(batch).batch.keep(np.array([False, True]))
    assert Quality().measure(kept)["words"].tolist() == [3]
    assert len(passes) == 1
    Quality(stop_words=("cat",)).measure(kept)
    assert len(passes) == 2


def test_words_are_looked_for_once(monkeypatch):
    looks = []
    spans = text_statistics.word_spans
    monkeypatch.setattr(text_statistics, "word_spans", lambda *given: looks.append(1) or spans(*given))
    batch = batch_of("a, b, a, b", "c")
    Repetition(words="uax29", count="all", tie="longest").apply(batch)
    Quality(words="uax29").apply(batch)
    assert len(looks) == 1


def test_the_manifest_learns_what_decides(tmp_path):
    provided = Repetition(words="uax29").provide(Resources(tmp_path))
    assert set(provided) == {"characters_sha256", "regex"}
    assert len(provided["characters_sha256"]) == 64


def test_a_language_without_stop_words_is_no_hindrance(tmp_path):
    """It is the spaCy tokenizer's; stop words are not counted here."""
    stage = Repetition(language="de", words="uax29")
    assert stage.provide(Resources(tmp_path))
    assert value(stage, "top_2", "a, b, a, b") == 6 / 10


def test_uax29_words_drop_punctuation():
    text = "a, b, a, b, - can't"
    assert value(Repetition(words="uax29"), "top_2", text) == 6 / len(text)
    assert value(Repetition(words="uax29", count="all"), "top_2", text) == 4 / 9
