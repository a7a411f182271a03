"""Runs whose directory is in an object store: results are those of a local run, whatever the store answers."""

import json
import os
import random
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs
from object_store import object_store
from tables import assert_same_results

import gpurefine
from gpurefine.config import pipeline_from_data
from gpurefine.engine import objectfolder
from gpurefine.engine.objectfolder import ObjectFolder
from gpurefine.errors import ConfigError, InputError, OutputError, RunError

PIPELINE = {"name": "two", "output": {"tokens": False, "stats": True}, "stages": ["quality", "dedup.exact"]}


@pytest.fixture(scope="module")
def server():
    with object_store() as store, pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": store.endpoint,
            "AWS_ACCESS_KEY_ID": "anyone",
            "AWS_SECRET_ACCESS_KEY": "anything",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            patch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        yield store
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def store(server):
    server.reset()
    yield server
    server.reset()


@pytest.fixture
def bucket(store, request):
    return store.make_bucket(f"bucket-{abs(hash(request.node.name)) % 10**12}")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Stages lie below the current directory. No test waits long between two tries."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(objectfolder, "LONGEST_WAIT", 0.05)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    draw = random.Random(3)
    words = ["the", "house", "of", "that", "river", "and", "bread", "with", "have", "be"]
    texts = [" ".join(draw.choices(words, k=draw.choice([20, 80, 90]))) + "." for _ in range(300)]
    texts += texts[::7]
    path = tmp_path_factory.mktemp("table") / "texts.parquet"
    columns = {"id": [f"d{number}" for number in range(len(texts))], "text": texts}
    pq.write_table(pa.table(columns), path, row_group_size=30)
    return path


@pytest.fixture
def refine(table, scheduler):
    def call(output, *overrides, **options):
        pipeline = pipeline_from_data(PIPELINE, overrides)
        options = {"partition_bytes": 4_000, "scheduler": scheduler, "quiet": True} | options
        return gpurefine.run(pipeline, str(table), output, **options)

    return call


def names(url):
    return set(ObjectFolder(url).sizes())


def test_the_results_are_those_of_a_local_run(refine, bucket, store, tmp_path):
    local = refine(tmp_path / "local")
    run = refine(f"{bucket}/a/run")
    assert run.path == f"{bucket}/a/run"
    assert run.complete
    assert_same_results(run, local)
    told, expected = run.summary(), local.summary()
    assert told["removed"] == expected["removed"] != {}
    assert told["kept"] == expected["kept"] > 100
    assert run.stats().equals(local.stats())
    assert sorted(map(tuple, run.clusters().to_numpy())) == sorted(map(tuple, local.clusters().to_numpy()))
    some = run.removed()["id"].iloc[0]
    assert run.explain(some).equals(local.explain(some))
    assert run.sample(n=5).equals(local.sample(n=5))
    assert run.waterfall().equals(local.waterfall())
    assert not os.listdir("."), "the stage is gone"
    kinds = {name.partition("/")[0] for name in names(run.path)}
    assert kinds == {"refined", "removed", "stats", "clusters", "summary.json", "manifest.json"}
    # the manifest is written first and last, in between everything else
    puts = [path.rpartition("/a/run/")[2] for method, path in store.requests if method == "PUT" and "/a/run/" in path]
    assert [place for place, name in enumerate(puts) if name == "manifest.json"] == [0, len(puts) - 1]
    assert len(puts) == len(names(run.path)) + 1
    # given again there is nothing to do
    store.requests.clear()
    assert refine(run.path).complete
    assert not [method for method, _ in store.requests if method in ("PUT", "DELETE")]
    with pytest.raises(InputError, match="is not on this machine"):
        run.scores()


def test_a_store_that_fails_now_and_then(refine, bucket, store, tmp_path):
    store.share_of_503 = 0.15
    run = refine(f"{bucket}/run")
    assert_same_results(run, refine(tmp_path / "local"))
    store.share_of_503 = 0.0
    assert gpurefine.open_run(run.path).complete


def test_stopped_while_results_are_put(refine, bucket, store, tmp_path):
    url = f"{bucket}/run"
    puts = []

    def after_some(method, path):
        puts.append(path) if method == "PUT" else None
        return len(puts) > 6

    store.refused = after_some
    with pytest.raises(RunError, match=r"cannot use s3://.*see that the bucket is there.*; the results are in /"):
        refine(url)
    store.reset()
    assert not gpurefine.open_run(url).complete
    with pytest.raises(InputError, match="is not complete"):
        gpurefine.open_run(url).summary()
    there = names(url)
    assert 1 < len(there) < 12
    run = refine(url)
    assert run.complete
    again = {path.rpartition("/run/")[2] for method, path in store.requests if method == "PUT"}
    assert again & there == {"manifest.json"}, "what was there is not put again"
    assert_same_results(run, refine(tmp_path / "local"))
    assert not os.listdir(".")


@pytest.mark.parametrize("pattern", ["work/documents-0/part-*", "refined/part-*"])
def test_killed_and_given_again(pattern, table, refine, bucket, tmp_path):
    url, stage = f"{bucket}/run", tmp_path / "stage"
    (tmp_path / "two.yaml").write_text(json.dumps(PIPELINE))
    command = [sys.executable, "-m", "gpurefine", "run", tmp_path / "two.yaml", table, "-o", url, "--stage", stage]
    command += ["--workers", "2", "--partition-size", "4000", "--quiet"]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and next(stage.glob(pattern), None) is None:
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert not gpurefine.open_run(url).complete
    # the stage is found again without being named
    run = refine(url, workers=2)
    assert run.complete
    assert not stage.exists()
    assert_same_results(run, refine(tmp_path / "local"))


def test_fresh_replaces_a_run(refine, bucket):
    url = f"{bucket}/run"
    refine(url)
    before = names(url)
    with pytest.raises(OutputError, match=r"holds another run; changed: pipeline\.output\.stats .*use --fresh"):
        refine(url, "output.stats=false")
    run = refine(url, "output.stats=false", fresh=True)
    assert run.complete
    assert names(url) == {name for name in before if not name.startswith("stats/")}


def test_folders_that_cannot_be_used(refine, bucket, store):
    missing = r"cannot use s3://no-such-bucket/run: .*; see that the bucket is there and that your credentials"
    with pytest.raises(OutputError, match=missing):
        refine("s3://no-such-bucket/run")
    ObjectFolder(f"{bucket}/other").write("mine.txt", b"mine")
    with pytest.raises(OutputError, match=r"is not empty and holds no run \(mine\.txt\)"):
        refine(f"{bucket}/other")
    with pytest.raises(OutputError, match=r"is not empty"):
        refine(f"{bucket}/other", fresh=True)
    assert names(f"{bucket}/other") == {"mine.txt"}
    ObjectFolder(f"{bucket}/broken").write("manifest.json", b"{")
    with pytest.raises(OutputError, match=r"manifest\.json is damaged .*use --fresh"):
        refine(f"{bucket}/broken")
    store.refused = lambda method, path: method == "PUT"
    with pytest.raises(OutputError, match="credentials may write to it"):
        refine(f"{bucket}/run")
    assert not os.listdir(".")


def test_a_run_that_is_made_elsewhere(refine, bucket, store, tmp_path):
    url = f"{bucket}/run"
    store.refused = lambda method, path: method == "PUT" and path.endswith("summary.json")
    with pytest.raises(RunError):
        refine(url)
    store.reset()
    with pytest.raises(OutputError, match=r"is made in .*gpurefine-stage/\w+ on .*: go on there with --stage "):
        refine(url, stage=tmp_path / "other")
    assert refine(url, stage=tmp_path / "other", fresh=True).complete


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("memory://run", "ends with this process"),
        ("nosuch://run", "cannot use nosuch://run: .*use s3://"),
    ],
)
def test_places_that_do_not_last_or_are_unknown(url, said, refine):
    with pytest.raises(OutputError, match=said):
        refine(url)


def test_a_missing_package_is_named(refine, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(OutputError, match=r"pip install 'gpurefine\[s3\]'"):
        refine("s3://bucket/run")


def test_what_is_local_only(refine, bucket, tmp_path):
    with pytest.raises(ConfigError, match="which is made in place"):
        refine(tmp_path / "run", stage=tmp_path / "stage")
    with pytest.raises(ConfigError, match="keys are read locally: copy the run here first"):
        refine(tmp_path / "run", against=[f"{bucket}/run"])


def test_commands(cli, table, bucket, scheduler, tmp_path):
    (tmp_path / "two.yaml").write_text(json.dumps(PIPELINE))
    url = f"{bucket}/run"
    code, told, said = cli("run", tmp_path / "two.yaml", table, "-o", url, "--scheduler", scheduler)
    assert code == 0, said
    assert f"-> {url}" in told.replace("\n", "")
    assert f"then put into {url}" in said
    some = gpurefine.open_run(url).removed()["id"].iloc[0]
    code, told, said = cli("explain", url, some)
    assert code == 0, said
    assert "removed" in told
