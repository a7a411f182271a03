"""The stage ``quality``: golden values, its switches, and texts at the edges."""

import math

import pytest
from pydantic import ValidationError
from rule_cases import batch_of, first_rules, golden, quotient, value

from gpurefine.errors import ConfigError
from gpurefine.stages.base import Resources
from gpurefine.stages.quality import Quality

CASES = golden("quality.jsonl")
FILLER = "the cat sat with a dog and they have to be of help "
NO_LIMITS = dict.fromkeys(
    [
        "min_words", "max_words", "min_mean_word_length", "max_mean_word_length", "max_hash", "max_ellipsis",
        "max_bullet_lines", "max_ellipsis_lines", "min_alphabetic", "min_stop_words",
    ]
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_golden_values(case):
    stage = Quality(**case["parameters"])
    measured = {name: float(values[0]) for name, values in stage.measure(batch_of(case["input"])).items()}
    assert measured == {name: quotient(expected) for name, expected in case["expected"]["values"].items()}
    assert first_rules(stage, case["input"]) == [case["expected"]["first_rule"]]


def test_order_limits_and_comparisons():
    assert [(rule.name, rule.comparison, rule.limit) for rule in Quality().rules()] == [
        ("words", "<", 50), ("words", ">", 100_000), ("mean_word_length", "<", 3), ("mean_word_length", ">", 10),
        ("hash", ">", 0.1), ("ellipsis", ">", 0.1), ("bullet_lines", ">", 0.9), ("ellipsis_lines", ">", 0.3),
        ("alphabetic", "<", 0.8), ("stop_words", "<", 2),
    ]  # fmt: skip
    assert Quality(**NO_LIMITS).rules() == []


TEXT = "- #one #two... 33 the!\n- x y of of...\nplain  ((\n"


@pytest.mark.parametrize(
    ("parameter", "rule", "toward"),
    [
        ("min_words", "words", math.inf), ("max_words", "words", 0),
        ("min_mean_word_length", "mean_word_length", math.inf), ("max_mean_word_length", "mean_word_length", 0),
        ("max_hash", "hash", 0), ("max_ellipsis", "ellipsis", 0), ("max_bullet_lines", "bullet_lines", 0),
        ("max_ellipsis_lines", "ellipsis_lines", 0), ("min_alphabetic", "alphabetic", math.inf),
        ("min_stop_words", "stop_words", math.inf),
    ],
)  # fmt: skip
def test_each_limit_alone(parameter, rule, toward):
    """A text exactly at a limit stays; the next limit beyond removes it."""
    measured = value(Quality(), rule, TEXT)
    assert measured > 0
    at = int(measured) if parameter.endswith("_words") else measured
    beyond = at + (1 if toward else -1) if isinstance(at, int) else math.nextafter(measured, toward)
    assert first_rules(Quality(**{**NO_LIMITS, parameter: at}), TEXT) == [None]
    assert first_rules(Quality(**{**NO_LIMITS, parameter: beyond}), TEXT) == [rule]


@pytest.mark.parametrize(
    "parameters",
    [{"bullets": ["--"]}, {"stop_words": ["two words"]}, {"stop_words": [""]}, {"min_words": -1}, {"symbols": "both"}],
)
def test_parameters_that_make_no_sense(parameters):
    with pytest.raises(ValidationError):
        Quality(**parameters)


def test_empty_missing_and_blank_text():
    outcome = Quality().apply(batch_of("", None, " \n\u3000"))
    assert [verdict.rule for verdict in outcome.verdicts if verdict.removed.any()] == ["words", "stop_words"]
    assert outcome.verdicts[0].removed.all()
    assert [len(values) for values in Quality().measure(batch_of()).values()] == [0] * 8


def test_symbol_words_have_nothing_but_marks():
    assert value(Quality(), "words", "a -- *** €5 $ \ue000 \u0301 ٣ “” \u0378 日") == 5  # a, €5, the lone accent, ٣, 日
    assert value(Quality(), "alphabetic", "a 1 日 -- \u0301 x1") == 3 / 6


def test_symbols_sum():
    text = FILLER + "# ... . . . …"
    words = len(text.split())
    assert value(Quality(), "hash", text) == 1 / words
    assert value(Quality(), "ellipsis", text) == 2 / words
    assert value(Quality(symbols="sum"), "hash", text) == 4 / words
    assert "ellipsis" not in [rule.name for rule in Quality(symbols="sum").rules()]
    assert value(Quality(), "ellipsis_lines", "a . . .\nb") == 0
    assert value(Quality(symbols="sum"), "ellipsis_lines", "a . . .\nb") == 1 / 2


def test_empty_lines():
    text = "- a\n\n- b\n \n"
    assert value(Quality(), "bullet_lines", text) == 1
    assert value(Quality(empty_lines="counted"), "bullet_lines", text) == 2 / 4


def test_lines_are_split_at_newlines_alone():
    assert value(Quality(), "bullet_lines", "- a\r- b\u2028- c\n\x0b- d") == 1
    assert value(Quality(), "ellipsis_lines", "a...\u2003\r\nb…\x1f\nc") == 2 / 3


def test_bullets():
    assert value(Quality(), "bullet_lines", "● a\n* b\n• c\n– d") == 1 / 4
    assert value(Quality(bullets=("●", "•", "*", "-")), "bullet_lines", "● a\n* b\n• c\n– d") == 3 / 4


def test_stop_words_by_occurrence():
    text = "The the THE of Ofen"
    assert value(Quality(), "stop_words", text) == 2
    assert value(Quality(stop_words_count="occurrences"), "stop_words", text) == 4
    occurrences = Quality(stop_words_count="occurrences", words="uax29").measure(batch_of("The, of.", "", "(TO)"))
    assert occurrences["stop_words"].tolist() == [2, 0, 1]


def test_own_stop_words():
    own = ("der", "Straße", "und")
    assert value(Quality(stop_words=own), "stop_words", "der Mann und der Hund the") == 2
    assert value(Quality(stop_words=own, stop_words_count="occurrences"), "stop_words", "DER straße Und") == 3


def test_unknown_language_is_refused_before_the_run(tmp_path):
    with pytest.raises(ConfigError, match="xx"):
        Quality(language="xx").provide(Resources(tmp_path))


def test_spacy_is_named_when_it_is_absent(tmp_path):
    try:
        import spacy  # noqa: F401
    except ImportError:
        with pytest.raises(Exception, match=r"pip install 'gpurefine\[spacy\]'"):
            Quality(words="spacy").provide(Resources(tmp_path))
    else:
        assert "spacy" in Quality(words="spacy").provide(Resources(tmp_path))
        assert value(Quality(words="spacy"), "alphabetic", "Hello, world!") == 2 / 4


def test_uax29_words():
    assert value(Quality(words="uax29"), "words", "can't stop -- 3.14!") == 3
