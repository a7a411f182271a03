"""The hint of a page's language: samples by their definition, the decision with stand-ins, the model on real words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gpurefine.config import load_pipeline, pipeline_from_data
from gpurefine.documents import Batch
from gpurefine.engine.plan import cut_steps
from gpurefine.errors import ConfigError, ResourceError
from gpurefine.frames import string_column
from gpurefine.resources.cache import default_resources
from gpurefine.stages.language import Language
from gpurefine.stages.language_hint import LanguageHint, running_sample, spread_sample

ENGLISH = "The harbour was quiet in the morning, and the boats that had left before dawn were not back yet. "
GERMAN = "Der Hafen war am Morgen still, und die Boote, die vor der Dämmerung ausgelaufen waren, fehlten noch. "
CHINESE = "清晨的港口很安静，黎明前出发的船只还没有回来。岸上的人们等待着，看着远处的海面。"


class StandIn:
    """A model that finds a language by the first letter of its name, as often as that is there."""

    def __init__(self):
        self.asked = []

    def predict(self, text, k):
        assert "\n" not in text and k == -1
        self.asked.append(text)
        counts = {label: text.count(label[0]) for label in ("en", "de", "zh")}
        total = sum(counts.values()) or 1
        ordered = sorted(counts, key=counts.__getitem__, reverse=True)
        return [f"__label__{label}" for label in ordered], [counts[label] / total for label in ordered]


def judge(stage, tool, *pages):
    outcome = stage.apply(Batch(string_column(pages).to_frame("html")), tool)
    (verdict,) = outcome.verdicts
    assert verdict.rule == "unlikely" and verdict.limit == stage.min_share and not verdict.final
    assert outcome.batch.frame["html"].tolist() == list(pages)
    np.testing.assert_array_equal(outcome.measured["share"], verdict.value)
    return [
        (bool(gone), None if np.isnan(share) else round(float(share), 4), label)
        for gone, share, label in zip(verdict.removed, verdict.value, verdict.evidence, strict=True)
    ]


@pytest.fixture(scope="module")
def model():
    stage = LanguageHint()
    stage.provide(default_resources())
    return stage.open(default_resources())


def test_the_share_decides():
    stage = LanguageHint(keep=["en"], min_share=0.25)
    assert judge(stage, StandIn(), "<p>eddd</p>", "<p>edddd</p>", "<p>zz</p>", "") == [
        (False, 0.25, "de"), (True, 0.2, "de"), (True, 0.0, "zh"), (False, None, None),
    ]  # fmt: skip


def test_wanted_languages_count_together():
    pages = ["<p>edzz</p>", "<p>ezzz</p>"]
    assert judge(LanguageHint(keep=["de", "en"], min_share=0.5), StandIn(), *pages) == [
        (False, 0.5, "zh"), (True, 0.25, "zh"),
    ]  # fmt: skip


def test_a_page_without_letters_stays():
    assert judge(LanguageHint(), StandIn(), "<title>ddd</title><p>12 - 34</p>") == [(False, None, None)]


def test_running_text_counts_where_the_page_as_a_whole_says_no():
    tool = StandIn()
    page = "<li>dddd" * 200 + "<p>" + "e" * 40
    stage = LanguageHint(min_share=0.5, characters=100, run=40)
    assert judge(stage, tool, page) == [(False, 1.0, "de")]
    assert tool.asked[1] == "e" * 40
    assert judge(LanguageHint(min_share=0.5, characters=100, run=41), StandIn(), page)[0][0]


def test_character_references_are_read():
    tool = StandIn()
    judge(LanguageHint(), tool, "<p>caf&eacute; &#100;&#x64;")
    assert tool.asked[0] == "café dd"


@given(st.text("ab\n", max_size=500), st.integers(100, 300))
def test_a_spread_sample_is_stretches_from_the_first_to_the_last(text, characters):
    sample = spread_sample(text, characters)
    if len(text) <= characters:
        assert sample == text
        return
    stretch = characters // 4
    assert len(sample) == 4 * stretch + 3
    assert sample.startswith(text[:stretch]) and sample.endswith(text[-stretch:])
    begins = [round((len(text) - stretch) * number / 3 - 0.5 + 1e-9) for number in range(4)]
    for number, begin in enumerate(begins):
        own = sample[number * (stretch + 1) :][:stretch]
        assert own in (text[begin : begin + stretch], text[begin + 1 : begin + 1 + stretch])


@given(st.lists(st.text("ab", max_size=60), max_size=20), st.integers(1, 50), st.integers(100, 200))
def test_a_running_sample_is_the_long_lines(lines, run, characters):
    want = " ".join(line for line in lines if len(line) >= run)
    assert running_sample("\n".join(lines), run, characters) == want[:characters]


def test_languages_of_real_words(model):
    stage = LanguageHint()
    pages = [
        f"<title>{CHINESE}</title><p>{ENGLISH * 3}",
        f"<title>{ENGLISH}</title><p>{GERMAN * 3}",
        f"<p>{CHINESE * 3}",
        "<ul>" + "<li>Startseite<li>Über uns<li>Impressum" * 40 + f"</ul><p>{ENGLISH * 2}",
    ]
    found = judge(stage, model, *pages)
    assert [gone for gone, _, _ in found] == [False, True, True, False]
    assert [label for _, _, label in found[:3]] == ["en", "de", "zh"]
    assert [gone for gone, _, _ in judge(LanguageHint(keep=["zh", "de"]), model, *pages)] == [True, False, False, False]


def test_an_unknown_language_is_refused_at_the_start():
    for stage in (LanguageHint(keep=["en", "english"]), Language(keep=["en", "english"])):
        with pytest.raises(ResourceError, match=r"knows no language 'english': name languages by its 176 labels"):
            stage.provide(default_resources())


@pytest.mark.parametrize("wrong", [{"keep": []}, {"min_share": 0}, {"min_share": 2}, {"run": 0}, {"characters": 9}])
def test_wrong_parameters_are_refused(wrong):
    with pytest.raises(ValidationError):
        LanguageHint(**wrong)


def pipeline(*stages):
    return pipeline_from_data({"name": "mine", "stages": list(stages)})


def test_it_stands_before_extract():
    cut_steps(pipeline({"language_hint": {}}, {"extract": {}}, {"language": {}}))
    with pytest.raises(ConfigError, match="'language_hint' needs HTML, so it must stand before an 'extract'"):
        cut_steps(pipeline({"extract": {}}, {"language_hint": {}}))
    with pytest.raises(ConfigError, match="needs HTML"):
        cut_steps(pipeline({"language_hint": {}}, {"language": {}}))


def test_a_hint_that_removes_what_is_wanted_later_is_refused():
    hint, extract = {"language_hint": {"keep": ["en", "de"]}}, {"extract": {}}
    cut_steps(pipeline(hint, extract, {"language": {"keep": ["de"]}}))
    with pytest.raises(ConfigError, match=r"'language' keeps fr, zh, which 'language_hint' removes before"):
        cut_steps(pipeline(hint, extract, {"language": {"keep": ["zh", "de", "fr"]}}))


def test_the_preset_is_refinedweb_and_the_hint():
    fast, whole = load_pipeline("refinedweb-fast").as_data(), load_pipeline("refinedweb").as_data()
    hints = [stage for stage in fast["stages"] if "language_hint" in stage]
    assert [stage["language_hint"]["keep"] for stage in hints] == [["en"]]
    assert [stage for stage in fast["stages"] if stage not in hints] == whole["stages"]
    differing = {"name", "description", "stages"}
    assert {key: fast[key] for key in fast.keys() - differing} == {key: whole[key] for key in whole.keys() - differing}
