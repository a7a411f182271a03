"""Pipelines from YAML: defaults, names, overrides, and one sentence for each mistake."""

from pathlib import Path

import pytest

from gpurefine.config import find_stage, fingerprint, known_kinds, load_pipeline, pipeline_from_data, preset_names
from gpurefine.errors import ConfigError

MINIMAL = {"name": "tiny", "stages": [{"extract": {}}, {"language": {"keep": ["en"]}}, "dedup.exact"]}


def test_presets_load_and_name_their_stages():
    assert "refinedweb" in preset_names()
    for name in preset_names():
        pipeline = load_pipeline(name)
        assert pipeline.name == name
        assert pipeline.description
    refinedweb = load_pipeline("refinedweb")
    assert [stage.name for stage in refinedweb.stages] == [
        "urls", "extract", "language", "repetition", "quality", "lines",
        "dedup.minhash", "dedup.substring", "dedup.url",
    ]  # fmt: skip


def test_a_stage_that_stands_twice_is_numbered():
    pipeline = pipeline_from_data(
        {"name": "x", "stages": ["extract", "dedup.exact", "dedup.exact", {"language": {"as": "lid"}}]}
    )
    assert [stage.name for stage in pipeline.stages] == ["extract", "dedup.exact", "dedup.exact-2", "lid"]


def test_an_override_can_name_a_stage():
    assert pipeline_from_data(MINIMAL, ["language.as=lid"]).stages[1].name == "lid"


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("language.min_score=0.8", 0.8),
        ("seed=7", 7),
        ("output.stats=true", True),
    ],
)
def test_overrides_reach_stages_and_sections(override, value):
    pipeline = pipeline_from_data(MINIMAL, [override])
    found = {
        "language.min_score=0.8": pipeline.stages[1].min_score,
        "seed=7": pipeline.seed,
        "output.stats=true": pipeline.output.stats,
    }
    assert found[override] == value


def test_off_and_no_are_words():
    pipeline = load_pipeline("refinedweb", ["urls.blocklist=off", "language.keep=[en, no]"])
    assert pipeline.stages[0].blocklist == "off"
    assert list(pipeline.stages[2].keep) == ["en", "no"]


@pytest.mark.parametrize(
    ("data", "overrides", "words"),
    [
        ({"name": "x"}, [], ["stages"]),
        ({"name": "x", "stages": [{"langauge": {}}]}, [], ["langauge", "did you mean 'language'"]),
        ({"name": "x", "stages": [{"language": {"min_scor": 0.5}}]}, [], ["min_scor", "did you mean 'min_score'"]),
        ({"name": "x", "stages": [{"language": {"min_score": "high"}}]}, [], ["min_score", "'high'"]),
        ({"name": "x", "stagess": [], "stages": ["extract"]}, [], ["stagess", "stages"]),
        ({"name": "x", "input": {"mimes": []}, "stages": ["extract"]}, [], ["input.mimes", "did you mean 'mime'"]),
        ({"name": "x", "stages": ["nowhere:Rule"]}, [], ["nowhere:Rule"]),
        (MINIMAL, ["language.min_score"], ["KEY=VALUE"]),
        (MINIMAL, ["langage.min_score=1"], ["langage", "did you mean 'language'"]),
        ({**MINIMAL, 1: 2}, [], ["'1'", "string"]),
        ({"name": "x", "stages": [{"extract": {1: 2}}]}, [], ["stage 'extract'", "'1'", "string"]),
        ({**MINIMAL, "input": ["dump"]}, ["input.dump=x"], ["'input'", "mapping"]),
        ({"name": "x", "stages": [":Rule"]}, [], [":Rule"]),
    ],
)
def test_a_mistake_gets_one_sentence_with_the_nearest_right_name(data, overrides, words):
    with pytest.raises(ConfigError) as caught:
        pipeline_from_data(data, overrides)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_unknown_preset_and_missing_file_are_told():
    with pytest.raises(ConfigError, match="did you mean 'refinedweb'"):
        load_pipeline("refinedwep")
    with pytest.raises(ConfigError, match=r"no/such\.yaml"):
        load_pipeline("no/such.yaml")


def test_broken_yaml_names_file_and_line(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text("name: x\nstages: [\n")
    with pytest.raises(ConfigError, match=r"broken\.yaml line"):
        load_pipeline(path)


def test_every_kind_is_found_by_its_file_name():
    kinds = known_kinds()
    ours = {"urls", "extract", "language", "repetition", "quality", "lines", "dedup.exact", "dedup.minhash"}
    assert ours <= set(kinds)
    for kind in kinds:
        assert find_stage(kind).kind == kind


def test_fingerprint_changes_with_any_parameter_and_not_with_order_of_keys():
    plain = pipeline_from_data(MINIMAL)
    assert fingerprint(plain.as_data()) == fingerprint(dict(reversed(plain.as_data().items())))
    for override in ("language.min_score=0.66", "seed=1", "output.tokens=false", "input.dump=CC-MAIN-2023-06"):
        assert fingerprint(pipeline_from_data(MINIMAL, [override]).as_data()) != fingerprint(plain.as_data())


def test_plain_data_of_a_pipeline_is_a_config_that_gives_the_same_pipeline(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "engine"))
    stages = [*MINIMAL["stages"], "counting_stage:Counting", "counting_stage:Counting"]
    pipeline = pipeline_from_data({"name": "x", "stages": stages}, ["language.min_score=0.7"])
    assert pipeline_from_data(pipeline.as_data()).as_data() == pipeline.as_data()
    assert [next(iter(entry)) for entry in pipeline.as_data()["stages"]][-1] == "counting_stage:Counting"
