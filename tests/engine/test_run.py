"""Whole runs on the demo crawl: every removal for its reason, nothing lost, one answer however it is computed."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from tables import assert_same_results, sorted_tables

import gpurefine
from gpurefine.config import pipeline_from_data
from gpurefine.errors import ConfigError, InputError, OutputError, ResourceError

CLI = [sys.executable, "-m", "gpurefine"]


@pytest.fixture(scope="module")
def options(demo_crawl):
    """Overrides that the demo needs."""
    return [f"urls.blocklist={demo_crawl[1]}"]


@pytest.fixture(scope="module")
def whole(demo_crawl, options, scheduler, tmp_path_factory):
    """The demo crawl refined, undisturbed, in one partition."""
    output = tmp_path_factory.mktemp("whole") / "run"
    return gpurefine.run(
        "refinedweb", demo_crawl[0], output, overrides=options, scheduler=scheduler, partition_bytes=1 << 30, quiet=True
    )


def test_each_page_of_the_demo_is_kept_or_removed_for_the_reason_it_was_written_for(whole):
    from gpurefine.demo.crawl import expected_reasons

    removed = whole.removed(columns=["url", "stage", "rule"])
    found = dict.fromkeys(whole.refined(columns=["url"])["url"], "kept")
    found |= {url: f"{stage}:{rule}" for url, stage, rule in removed.dropna(subset="url").itertuples(index=False)}
    expected = expected_reasons()
    wrong = {url: (reason, found.get(url)) for url, reason in expected.items() if found.get(url) != reason}
    assert not wrong


def test_kept_and_removed_are_the_records_of_the_file(whole, demo_crawl):
    summary = whole.summary()
    assert len(whole.refined()) == summary["kept"]
    assert len(whole.removed()) == sum(summary["removed"].values())
    assert summary["kept"] + sum(summary["removed"].values()) == summary["records"]
    positions = pd.concat([frame[["file", "offset"]] for frame in (whole.refined(), whole.removed())])
    assert not positions.duplicated().any()


def test_the_run_object_explains_and_samples(whole):
    waterfall = whole.waterfall()
    assert waterfall["removed"].sum() == len(whole.removed())
    assert set(whole.removed("urls")["stage"]) == {"urls"}
    assert set(whole.removed("quality:words")["rule"]) == {"words"}
    sample = whole.sample("quality", n=3)
    assert len(sample) == 3
    assert sample.equals(whole.sample("quality", n=3))
    row = whole.removed("quality:words").iloc[0]
    found = whole.explain(row.url)
    assert found.outcome.tolist() == ["removed"]
    assert found.rule[0] == "words"
    assert found.value[0] < found.limit[0] or found.value[0] > found.limit[0]
    kept = whole.refined(columns=["id"])["id"].iloc[0]
    assert "kept" in whole.explain(kept).outcome.tolist()
    with pytest.raises(InputError, match="no record"):
        whole.explain("https://nowhere.example/")
    assert "<table" in whole._repr_html_()
    assert "<script>alert" not in whole._repr_html_()


def test_duplicates_name_cluster_and_survivor(whole):
    removed = whole.removed("dedup.minhash")
    kept = whole.refined(columns=["id", "text"]).set_index("id")["text"]
    clusters = whole.clusters()
    assert len(removed) > 0
    found = whole.summary()["steps"][0]["dedup"]
    assert list(found) == ["keys", "duplicates", "clusters", "seconds"]
    assert found["duplicates"] == len(removed)
    # dedup.url has a cluster of its own
    assert found["clusters"] == removed["cluster"].nunique() == clusters["cluster"].nunique() - 1
    for row in removed.itertuples():
        # reprints differ in one sentence at the end
        assert kept[row.survivor].rsplit("\n", 1)[0] == row.text.rsplit("\n", 1)[0]
        assert row.cluster == row.survivor
        assert (clusters["survivor"] == row.survivor).sum() == row.value


def test_a_passage_that_pages_share_is_cut_out_of_all_of_them(whole):
    from gpurefine.demo.repeated import CUT_PAGES, shared_passage

    said = shared_passage().rstrip(".").replace(",", "")
    spans = whole.spans()
    assert len(spans) == CUT_PAGES + 1 == spans["id"].nunique()
    assert {text.replace(",", "") for text in spans["text"]} == {said}
    short = whole.removed("dedup.substring")
    assert short[["rule", "value", "limit"]].to_numpy().tolist() == [["short", len("Hello. ."), 20]]
    assert spans["id"][spans["document_removed"]].tolist() == short["id"].tolist()
    kept = whole.refined(columns=["id", "text"]).set_index("id")["text"]
    texts = kept[spans["id"][~spans["document_removed"]]]
    assert not texts.str.replace(",", "").str.contains(said, regex=False).any()
    assert texts.str.count("\\w+").min() > 100


def test_an_address_that_was_crawled_twice_is_kept_once(whole):
    removed = whole.removed("dedup.url")
    kept = whole.refined(columns=["id", "url", "text"]).set_index("id")
    assert len(removed) == 1
    assert kept["url"][removed["survivor"][0]] == removed["url"][0]
    assert kept["text"][removed["survivor"][0]] != removed["text"][0]


def test_tokens_and_bytes_are_counted(whole):
    refined = whole.refined()
    summary = whole.summary()
    assert summary["text_bytes"] == sum(len(text.encode()) for text in refined["text"])
    assert summary["tokens"] == refined["n_tokens"].sum() > 0


@pytest.mark.parametrize("partition_bytes", [30_000, 200_000])
def test_partition_size_changes_nothing(whole, demo_crawl, options, scheduler, tmp_path, partition_bytes):
    run = gpurefine.run(
        "refinedweb",
        demo_crawl[0],
        tmp_path / "run",
        overrides=options,
        scheduler=scheduler,
        partition_bytes=partition_bytes,
        quiet=True,
    )
    assert len(run.manifest["steps"][0]["partitions"]) > 1
    assert_same_results(whole, run)


def test_five_files_in_reversed_order_with_one_worker_change_nothing(demo_crawl, options, scheduler, tmp_path):
    data = Path(demo_crawl[0]).read_bytes()
    files = [tmp_path / "crawl" / f"copy-{i}.warc.gz" for i in range(5)]
    files[0].parent.mkdir()
    # different beginnings of the crawl, so that the files are not interchangeable
    from gpurefine.read.warc import WarcSplit

    ends = [item.offset for item in WarcSplit(str(demo_crawl[0]))][20:70:10]
    for path, end in zip(files, ends, strict=True):
        path.write_bytes(data[:end])
    one = gpurefine.run(
        "refinedweb", files, tmp_path / "a", overrides=options, scheduler=scheduler, quiet=True, partition_bytes=100_000
    )
    other = gpurefine.run("refinedweb", files[::-1], tmp_path / "b", overrides=options, workers=1, quiet=True)
    assert one.summary()["records"] > 100
    assert len(one.removed("dedup.minhash")) > 0
    assert_same_results(one, other)


def test_stages_in_any_order_with_two_dedups(demo_crawl, scheduler, tmp_path):
    pipeline = pipeline_from_data(
        {
            "name": "two dedups",
            "stages": [
                {"urls": {"blocklist": "off"}},
                "extract",
                "dedup.exact",
                {"language": {"keep": ["en", "de"]}},
                {"quality": {}},
                "dedup.exact",
                "lines",
            ],
        }
    )
    runs = [
        gpurefine.run(
            pipeline, demo_crawl[0], tmp_path / str(size), scheduler=scheduler, partition_bytes=size, quiet=True
        )
        for size in (1 << 30, 100_000)
    ]
    assert_same_results(*runs)
    summary = runs[0].summary()
    assert [step["stages"] for step in summary["steps"]] == [["urls", "extract"], ["language", "quality"], ["lines"]]
    assert "dedup.exact:duplicate" in summary["removed"]
    # what is equal was found the first time
    assert "dedup.exact-2:duplicate" not in summary["removed"]
    texts = runs[0].refined()["text"]
    assert len(texts) > 50


def test_annotate_removes_nothing_that_has_a_text(whole, demo_crawl, options, scheduler, tmp_path):
    run = gpurefine.run(
        "refinedweb",
        demo_crawl[0],
        tmp_path / "run",
        overrides=[*options, "annotate=true", "output.stats=true"],
        scheduler=scheduler,
        quiet=True,
    )
    assert set(run.removed()["stage"]) <= {"read", "extract"}
    stats = run.stats()
    assert len(stats) >= len(run.refined())
    normal = whole.removed(columns=["id", "file", "offset", "stage", "rule"])
    told = stats.merge(normal, on=["file", "offset"])
    told = told[~told["stage"].isin(["read", "extract", "dedup.minhash"])]
    assert len(told) > 50
    assert (told["removed_by"] == told["stage"] + ":" + told["rule"]).all()


def test_the_same_call_on_a_complete_run_returns_it(whole, demo_crawl, options):
    before = os.stat(whole.store.manifest_path).st_mtime_ns
    again = gpurefine.run("refinedweb", demo_crawl[0], whole.path, overrides=options, partition_bytes=5_000)
    assert again.complete
    assert os.stat(whole.store.manifest_path).st_mtime_ns == before


def test_another_config_on_the_same_directory_is_refused_and_named(whole, demo_crawl, options):
    with pytest.raises(OutputError, match=r"min_score.*0\.65.*0\.7"):
        gpurefine.run("refinedweb", demo_crawl[0], whole.path, overrides=[*options, "language.min_score=0.7"])
    with pytest.raises(OutputError, match="inputs"):
        gpurefine.run("refinedweb", [demo_crawl[0], __file__.replace("test_run.py", "../torture/uncompressed.warc")],
                      whole.path, overrides=options)  # fmt: skip


def test_a_directory_in_use_is_refused_with_the_process(demo_crawl, options, tmp_path):
    from gpurefine.engine.store import RunStore

    store = RunStore(tmp_path / "run")
    store.prepare()
    with store.lock(), pytest.raises(OutputError, match=f"process {os.getpid()}"):
        gpurefine.run("refinedweb", demo_crawl[0], store.root, overrides=options)


def test_fresh_starts_over(demo_crawl, options, scheduler, tmp_path):
    first = gpurefine.run(
        "refinedweb", demo_crawl[0], tmp_path / "run", overrides=options, scheduler=scheduler, quiet=True
    )
    second = gpurefine.run(
        "refinedweb",
        demo_crawl[0],
        tmp_path / "run",
        overrides=[*options, "seed=5"],
        scheduler=scheduler,
        fresh=True,
        quiet=True,
    )
    assert second.manifest["fingerprint"] != first.manifest["fingerprint"]
    # another seed chooses other survivors of the same clusters
    assert len(second.refined()) == len(first.refined())
    assert sorted(second.refined()["text"]) == sorted(first.refined()["text"])


@pytest.mark.parametrize(
    ("inputs", "error", "words"),
    [
        ([], InputError, "no input"),
        (["nothing-here.warc.gz", "nor-here-*.warc"], InputError, "nothing-here.warc.gz, nor-here-"),
        (["."], InputError, "folder"),
    ],
)
def test_inputs_that_are_none_are_named(inputs, error, words, options, tmp_path):
    with pytest.raises(error, match=words):
        gpurefine.run("refinedweb", inputs, tmp_path / "run", overrides=options)
    assert not (tmp_path / "run").exists()


def test_a_file_that_is_no_warc_is_refused_before_anything_is_written(torture, options, tmp_path):
    with pytest.raises(InputError, match="not_warc"):
        gpurefine.run("refinedweb", torture / "not_warc.warc.gz", tmp_path / "run", overrides=options)
    assert not (tmp_path / "run").exists()


def test_an_empty_file_is_a_run_without_records(torture, options, scheduler, tmp_path):
    run = gpurefine.run(
        "refinedweb", torture / "empty.warc.gz", tmp_path / "run", overrides=options, scheduler=scheduler, quiet=True
    )
    assert run.summary()["records"] == 0
    assert len(run.refined()) == len(run.removed()) == 0


def test_targets_that_cannot_be_written_are_refused(demo_crawl, options, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot write"):
        gpurefine.run("refinedweb", demo_crawl[0], tmp_path / "file" / "run", overrides=options)
    with pytest.raises(OutputError, match="not empty and holds no run"):
        gpurefine.run("refinedweb", demo_crawl[0], tmp_path, overrides=options)


def test_gpu_is_refused_and_words_for_numbers_too(demo_crawl, options, tmp_path, monkeypatch):
    monkeypatch.setattr("gpurefine.workers.CONNECT_TIMEOUT", 1)
    with pytest.raises(ResourceError, match="--backend gpu: "):
        gpurefine.run("refinedweb", demo_crawl[0], tmp_path / "run", overrides=options, backend="gpu")
    with pytest.raises(ConfigError, match="workers must be a whole number of at least 1, found"):
        gpurefine.run("refinedweb", demo_crawl[0], tmp_path / "run", overrides=options, workers=0)
    with pytest.raises(ResourceError, match="no Dask scheduler answers"):
        gpurefine.run("refinedweb", demo_crawl[0], tmp_path / "x", overrides=options, scheduler="tcp://127.0.0.1:9")


def test_no_space_ends_with_one_sentence_and_the_same_command_goes_on(whole, demo_crawl, options, tmp_path):
    command = [
        *CLI,
        "run",
        "refinedweb",
        str(demo_crawl[0]),
        "-o",
        str(tmp_path / "run"),
        "--set",
        options[0],
        "--workers",
        "1",
    ]

    def small_files():
        # a file system that refuses to let a file grow, as a full one does
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))

    failed = subprocess.run(command, capture_output=True, text=True, preexec_fn=small_files, check=False)
    assert failed.returncode == 1, failed.stderr
    assert len([line for line in failed.stderr.splitlines() if line.startswith("gpurefine: ")]) == 1
    assert "Traceback" not in failed.stderr
    assert not list((tmp_path / "run").rglob("*/documents-*/part-*.parquet"))
    passed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert passed.returncode == 0, passed.stderr
    assert_same_results(whole, gpurefine.open_run(tmp_path / "run"))


def test_removals_and_texts_are_valid_utf8_without_nul_and_json_is_readable(whole):
    for table in sorted_tables(whole).values():
        for text in table["text"].dropna():
            assert "\0" not in text
            text.encode("utf-8")
    json.loads(whole.store.summary_path.read_text("utf-8"))


@pytest.mark.slow
def test_a_real_crawl_in_five_copies_is_one_answer(shared_data, tmp_path):
    """One and two workers, two partition sizes, both orders of the files."""
    files = [tmp_path / "crawl" / f"copy-{i}.warc.gz" for i in range(5)]
    files[0].parent.mkdir()
    for path in files:
        path.write_bytes((shared_data / "sample_medium_a.warc.gz").read_bytes())
    overrides = ["urls.blocklist=off"]
    one = gpurefine.run("refinedweb", files, tmp_path / "a", overrides=overrides, workers=2, quiet=True)
    other = gpurefine.run(
        "refinedweb", files[::-1], tmp_path / "b", overrides=overrides, workers=1, partition_bytes=700_000, quiet=True
    )
    assert one.summary()["records"] == 2_200
    # each page five times, so four of five leave as duplicates of the fifth
    assert one.summary()["removed"]["dedup.minhash:duplicate"] >= 4 * one.summary()["kept"]
    assert not one.summary()["removed_by_machine_limits"]
    assert_same_results(one, other)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sample", "responses"),
    [("small", 452), ("medium_a", 440), ("medium_b", 1_300), ("medium_c", 1_301)],
)
def test_the_samples_hold_what_a_byte_scan_finds(shared_data, tmp_path, sample, responses):
    run = gpurefine.run(
        "refinedweb",
        shared_data / f"sample_{sample}.warc.gz",
        tmp_path / "run",
        overrides=["urls.blocklist=off"],
        quiet=True,
    )
    summary = run.summary()
    assert summary["records"] == responses == summary["kept"] + sum(summary["removed"].values())
    assert "read:damaged" not in summary["removed"]
    assert not summary["removed_by_machine_limits"]
