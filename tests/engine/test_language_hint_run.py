"""``language_hint`` in runs: what it removes, what that costs, and that texts and annotation pass it by."""

import json

import pandas as pd
import pytest
from format_files import write_texts
from tables import assert_same_results, plain

import gpurefine
from gpurefine.config import pipeline_from_data


def refine(inputs, output, scheduler, hint=True, stages=("language", "dedup.exact"), **options):
    data = {"name": "hinted", "stages": [*(["language_hint"] if hint else []), "extract", *stages]}
    data |= options.pop("data", {})
    return gpurefine.run(pipeline_from_data(data), inputs, output, scheduler=scheduler, quiet=True, **options)


@pytest.fixture(scope="module")
def runs(demo_crawl, scheduler, tmp_path_factory):
    """The demo crawl without the hint and with it."""
    folder = tmp_path_factory.mktemp("hints")
    return [refine(demo_crawl[0], folder / str(hint), scheduler, hint) for hint in (False, True)]


def test_it_spares_pages_that_are_not_wanted_and_loses_none(runs):
    whole, hinted = runs
    columns = ["id", "text", "language", "language_score"]
    pd.testing.assert_frame_equal(plain(hinted.refined(columns=columns)), plain(whole.refined(columns=columns)))
    gone = hinted.removed()
    spared = gone[gone["stage"] == "language_hint"].set_index("id")
    assert len(spared) >= 5 and set(spared["rule"]) == {"unlikely"}
    assert (spared["value"] < 0.02).all() and (spared["limit"] == 0.02).all() and spared["text"].isna().all()
    # what it removed would have left later, by its language
    later = whole.removed().set_index("id").loc[spared.index]
    assert set(later["stage"]) <= {"language", "extract"}
    other = later[later["rule"] == "other"]
    assert len(other) >= 5
    assert (spared.loc[other.index, "evidence"] == other["evidence"]).mean() > 0.9
    assert hinted.manifest["provided"]["language_hint"]["model"] == "lid.176.ftz"


def test_one_answer_for_any_partitions(runs, demo_crawl, scheduler, tmp_path):
    assert_same_results(refine(demo_crawl[0], tmp_path / "run", scheduler, partition_bytes=20_000), runs[1])


def test_annotation_measures_and_removes_nothing_by_it(runs, demo_crawl, scheduler, tmp_path):
    data = {"annotate": True, "output": {"stats": True}}
    run = refine(demo_crawl[0], tmp_path / "run", scheduler, stages=("language",), data=data)
    assert "language_hint" not in set(run.removed()["stage"])
    stats = run.stats()
    noted = set(stats.loc[stats["removed_by"] == "language_hint:unlikely", "id"])
    gone = runs[1].removed()
    # pages without a text leave even so, and are noted by their first rule
    assert noted == set(gone.loc[gone["stage"] == "language_hint", "id"])


def test_texts_pass_it_by(runs, demo_crawl, scheduler, tmp_path):
    removed = runs[0].removed()
    texts = removed.loc[removed["rule"] == "other", ["id", "url", "text"]].to_dict("records")
    write_texts(tmp_path / "texts.parquet", [{"date": None, **text} for text in texts])
    run = refine([demo_crawl[0], tmp_path / "texts.parquet"], tmp_path / "run", scheduler)
    gone = run.removed()
    is_text = gone["file"].str.endswith("texts.parquet")
    of_texts = gone[is_text]
    assert len(of_texts) == len(texts) and set(of_texts["stage"]) == {"language"}
    assert (gone[~is_text]["stage"] == "language_hint").sum() == (runs[1].removed()["stage"] == "language_hint").sum()


def test_an_unknown_language_is_told_before_anything_is_written(cli, demo_crawl, tmp_path):
    config = {"name": "mine", "stages": [{"language_hint": {"keep": ["klingon"]}}, "extract"]}
    (tmp_path / "mine.yaml").write_text(json.dumps(config))
    code, _, stderr = cli("run", str(tmp_path / "mine.yaml"), str(demo_crawl[0]), "-o", str(tmp_path / "out"))
    assert code == 2
    assert "knows no language 'klingon'" in stderr and "Traceback" not in stderr
    assert not (tmp_path / "out").exists()
