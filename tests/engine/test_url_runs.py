"""Runs with ``dedup.url``, alone and part after part, against a dictionary over all documents."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from tables import assert_same_results

import gpurefine
from gpurefine.config import pipeline_from_data
from gpurefine.engine.plan import cut_steps
from gpurefine.engine.tables import dedup_pipeline
from gpurefine.errors import ConfigError, InputError, OutputError

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "urldedup.jsonl"
CASES = {case["id"]: case for case in map(json.loads, GOLDEN.read_text("utf-8").splitlines())}
ROWS = 400


def documents(seed, rows=ROWS):
    """(id, URL, text): URLs repeat, some are empty or null, ids are unique."""
    generator = random.Random(seed)
    urls = [None, "", "http://www.", *(f"http://www.site{n}.org/{'x' * (n % 3)}/" for n in range(rows // 3))]
    urls += [url.replace("http://www.", "https://") for url in urls[3::4]]
    return [(f"{seed}-{number}", generator.choice(urls), f"text {number}") for number in range(rows)]


def write(path, rows, row_group=40):
    table = pa.table({name: [row[place] for row in rows] for place, name in enumerate(("id", "url", "text"))})
    pq.write_table(table, path, row_group_size=row_group)
    return path


def dedup(inputs, output, scheduler, *overrides, **options):
    return gpurefine.run(dedup_pipeline("url", overrides), inputs, output, scheduler=scheduler, quiet=True, **options)


def key_of(url, normalise):
    """The URL that counts, None for none."""
    if url and normalise:
        url = url.removeprefix("https://").removeprefix("http://").removeprefix("www.").rstrip("/")
    return url or None


def expected(rows, seen=(), normalise=None, within=True, seed=0):
    """What becomes of documents: ids that stay, ids that were seen, ids of duplicates -> their survivor."""
    seen = set(seen)
    stays, gone, duplicates, clusters = set(), set(), {}, {}
    for name, url, _ in rows:
        key = key_of(url, normalise)
        if key in seen:
            gone.add(name)
        elif key is None or not within:
            stays.add(name)
        else:
            clusters.setdefault(key, []).append(name)
    for members in clusters.values():
        survivor = min(members, key=lambda name: xxhash.xxh3_64_intdigest(name.encode(), seed))
        stays.add(survivor)
        duplicates |= {name: survivor for name in members if name != survivor}
    return stays, gone, duplicates


def found(run):
    removed = run.removed()
    seen, rest = removed[removed["rule"] == "seen"], removed[removed["rule"] == "duplicate"]
    assert len(seen) + len(rest) == len(removed)
    assert (removed["stage"] == "dedup.url").all()
    return set(run.refined()["id"]), set(seen["id"]), dict(zip(rest["id"], rest["survivor"], strict=True))


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    return [write(folder / f"{number}.parquet", documents(number)) for number in range(3)]


@pytest.fixture(scope="module")
def earlier(tables, scheduler, tmp_path_factory):
    """Runs on the first two tables that left both lists."""
    stages = [{"dedup.url": {"write_seen": True}}, {"dedup.url": {"normalise": "c4", "write_seen": True}}]
    data = {"name": "both", "output": {"tokens": False}, "stages": stages}
    pipeline = pipeline_from_data(data)
    folder = tmp_path_factory.mktemp("earlier")
    for number in (0, 1):
        gpurefine.run(pipeline, str(tables[number]), folder / str(number), scheduler=scheduler, quiet=True)
    return folder


@pytest.mark.parametrize("within", [True, False])
@pytest.mark.parametrize("normalise", [None, "c4"])
def test_what_stays_is_what_a_dictionary_says(tables, earlier, scheduler, tmp_path, normalise, within):
    lists = [str(earlier / "0"), str(earlier / "1" / "seen_urls" / f"{normalise or 'recorded'}.urls")]
    overrides = [f"seen={json.dumps(lists)}", f"normalise={normalise or 'null'}", f"within={str(within).lower()}"]
    seen = {}
    for name in reversed(lists):
        kept = gpurefine.open_run(earlier / ("0" if name == lists[0] else "1")).refined()["url"]
        seen |= {key_of(url, normalise): name for url in kept if isinstance(url, str) and key_of(url, normalise)}
    run = dedup([str(tables[2])], tmp_path / "run", scheduler, *overrides)
    assert found(run) == expected(documents(2), seen, normalise, within)
    assert len(found(run)[1]) > 50
    removed = run.removed("dedup.url:seen")
    assert removed["evidence"].tolist() == [seen[key_of(url, normalise)] for url in removed["url"]]
    assert removed[["value", "limit", "cluster"]].isna().all(axis=None)
    summary = run.summary()
    assert summary["records"] == ROWS == summary["kept"] + sum(summary["removed"].values())
    assert set(run.manifest["provided"]["dedup.url"]) == {f"seen {name}" for name in lists}
    # neither partitions nor the order of the lists decide who stays
    again = dedup(
        [str(tables[2])],
        tmp_path / "again",
        scheduler,
        f"seen={json.dumps(lists[::-1])}",
        *overrides[1:],
        partition_bytes=700,
    )
    assert found(again) == found(run)


def test_a_run_without_seen(tables, scheduler, tmp_path):
    rows = [row for number in (2, 0) for row in documents(number)]
    run = dedup([str(tables[2]), str(tables[0])], tmp_path / "run", scheduler, "write_seen=true", "seed=5")
    assert found(run) == expected(rows, seed=5)
    assert set(run.clusters()["evidence"]) == {"url"}
    other = dedup([str(tables[0]), str(tables[2])], tmp_path / "o", scheduler, "write_seen=true", "seed=5",
                  partition_bytes=900)  # fmt: skip
    lists = [each.store.root / "seen_urls" / "recorded.urls" for each in (run, other)]
    assert lists[0].read_bytes() == lists[1].read_bytes()


@pytest.mark.parametrize("case", ["parts-1", "parts-2"])
def test_golden_parts(case, scheduler, tmp_path):
    """Parts one after another, each with the lists of all before it."""
    case = CASES[case]
    overrides = [f"within={str(case['parameters']['within']).lower()}"]
    policy = case["parameters"].get("keep")
    has_policies = "keep" in pipeline_from_data({"name": "x", "stages": ["dedup.url"]}).stages[0].model_dump()
    if policy and has_policies:
        overrides.append(f"keep={policy}")
    runs = []
    for number, rows in enumerate(case["input"]):
        path = write(tmp_path / f"{number}.parquet", [(name, url, "") for url, name in rows])
        run = dedup(
            [str(path)],
            tmp_path / f"run-{number}",
            scheduler,
            "write_seen=true",
            f"seen={json.dumps(runs)}",
            *overrides,
        )
        runs.append(run.path)
        kept, wanted = run.refined()["id"].tolist(), case["expected"][number]
        assert kept == wanted if has_policies or not policy else len(kept) == len(wanted)


def test_parts_of_a_crawl_one_after_another(tables, scheduler, tmp_path):
    """Of each URL one document is left in all parts together, and every record is in one part."""
    rows = [row for number in range(3) for row in documents(number)]
    inputs, runs, total = [str(path) for path in tables], [], 0
    kept = pd.DataFrame()
    for number in range(1, 4):
        overrides = [f"input.part={number}/3", "write_seen=true", f"seen={json.dumps(runs)}"]
        run = dedup(inputs, tmp_path / str(number), scheduler, *overrides)
        members = [row for row in rows if xxhash.xxh3_64_intdigest(f"part {row[0]}".encode(), 0) % 3 == number - 1]
        seen = {url for url in kept.get("url", []) if isinstance(url, str) and url}
        assert found(run) == expected(members, seen)
        summary = run.summary()
        assert summary["records"] == len(members)
        assert summary["skipped_records"] == {"of other parts": len(rows) - len(members)}
        total += summary["records"]
        runs.append(run.path)
        kept = pd.concat([kept, run.refined()])
    assert total == len(rows)
    urls = kept["url"].dropna()
    assert not urls[urls != ""].duplicated().any()
    assert set(urls) == {url for _, url, _ in rows if url is not None}


def test_the_script_of_the_documentation(scheduler, tmp_path):
    page = (Path(__file__).resolve().parents[2] / "docs" / "urls.md").read_text("utf-8")
    (script,) = [block for block in page.split("```bash\n") if block.startswith("# parts.sh")]
    (tmp_path / "parts.sh").write_text(script.partition("```")[0])
    (tmp_path / "gpurefine").write_text(f'#!/bin/sh\nexec {sys.executable} -m gpurefine "$@" --scheduler {scheduler}\n')
    (tmp_path / "gpurefine").chmod(0o755)
    (tmp_path / "urls.yaml").write_text("name: urls\noutput: {tokens: false}\nstages: [dedup.url]\n")
    rows = documents(7, 60)
    write(tmp_path / "a table.parquet", rows)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PARTS": "2"}
    command = ["sh", "parts.sh", "urls.yaml", "the parts", "a table.parquet"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, stdout=subprocess.DEVNULL)
    seen: set[str] = set()
    for number in (0, 1):
        run = gpurefine.open_run(tmp_path / "the parts" / str(number + 1))
        members = [row for row in rows if xxhash.xxh3_64_intdigest(f"part {row[0]}".encode(), 0) % 2 == number]
        assert found(run) == expected(members, seen, within=False)
        seen |= {url for url in run.refined()["url"] if isinstance(url, str) and url}
    assert len(found(run)[1]) > 5


def test_parts_of_warc_files(demo_crawl, scheduler, tmp_path):
    """Pages, refusals and damaged regions of all parts together are those of the whole."""
    warc, _ = demo_crawl
    data = {"name": "pages", "output": {"tokens": False}, "stages": [{"extract": {"with": "resiliparse"}}]}

    def run(name, part):
        pipeline = pipeline_from_data(data, [f"input.part={part}"])
        return gpurefine.run(pipeline, str(warc), tmp_path / name, scheduler=scheduler, quiet=True)

    whole, parts = run("all", "null"), [run(str(number), f"{number}/3") for number in (1, 2, 3)]
    together = [(frame["id"].tolist(), frame["offset"].tolist()) for frame in (whole.refined(), whole.removed())]
    for which, (ids, offsets) in enumerate(together):
        each = [(part.refined(), part.removed())[which] for part in parts]
        assert all(len(frame) for frame in each)
        joined = pd.concat(each)
        assert sorted(zip(joined["id"], joined["offset"], strict=True)) == sorted(zip(ids, offsets, strict=True))
    for part in parts:
        summary = part.summary()
        others = summary["skipped_records"].pop("of other parts")
        assert summary["records"] + others == whole.summary()["records"]
        assert summary["skipped_records"] == whole.summary()["skipped_records"]


def test_a_stopped_part_goes_on_to_the_same_bytes(earlier, scheduler, tmp_path):
    table = write(tmp_path / "table.parquet", documents(2, 6000), row_group=100)
    size = table.stat().st_size // 12
    overrides = ["input.part=2/3", "write_seen=true", f"seen={earlier / '0'}"]
    undisturbed = dedup([str(table)], tmp_path / "undisturbed", scheduler, *overrides, partition_bytes=size)
    command = [sys.executable, "-m", "gpurefine", "dedup", "url", str(table), "-o", str(tmp_path / "run"), "--quiet"]
    command += ["--workers", "1", "--partition-size", str(size), "--part", "2/3", "--set", overrides[1]]
    command += ["--set", overrides[2]]
    stopped = 0
    for pattern in ("work/keys-0/part-*.keys", "work/dedup-0/edges-*", "refined/.unfinished-*"):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and next((tmp_path / "run").glob(pattern), None) is None:
            time.sleep(0.0005)
        process.kill()
        process.wait()
        stopped += not gpurefine.open_run(tmp_path / "run").complete
    assert stopped
    run = dedup([str(table)], tmp_path / "run", scheduler, *overrides, partition_bytes=size)
    assert_same_results(undisturbed, run)
    lists = [each.store.root / "seen_urls" / "recorded.urls" for each in (run, undisturbed)]
    assert lists[0].read_bytes() == lists[1].read_bytes()
    assert run.summary()["skipped_records"] == undisturbed.summary()["skipped_records"]


def test_a_run_that_was_stopped_before_its_list_writes_it(tables, scheduler, tmp_path):
    run = dedup([str(tables[0])], tmp_path / "run", scheduler, "write_seen=true")
    path = tmp_path / "run" / "seen_urls" / "recorded.urls"
    before = path.read_bytes()
    path.unlink()
    run.store.write_manifest(run.manifest | {"state": "running"})
    dedup([str(tables[0])], tmp_path / "run", scheduler, "write_seen=true")
    assert path.read_bytes() == before


def test_bad_lists_are_refused_before_anything_is_written(tables, earlier, scheduler, tmp_path):
    output = tmp_path / "run"
    with pytest.raises(InputError, match="no run and no list"):
        dedup([str(tables[2])], output, scheduler, "seen=nowhere")
    with pytest.raises(ConfigError, match="/a' is named twice"):
        dedup([str(tables[2])], output, scheduler, "seen=[a, a]")
    with pytest.raises(ConfigError, match=r"input\.part': '5/3' is no part"):
        dedup([str(tables[2])], output, scheduler, "input.part=5/3")
    pq.write_table(pa.table({"text": ["a"], "link": ["b"]}), tmp_path / "links.parquet")
    with pytest.raises(InputError, match=r"no column 'url'.*it has text, link: choose one by --set input\.url_column"):
        dedup([str(tmp_path / "links.parquet")], output, scheduler)
    assert not output.exists()
    run = dedup([str(tmp_path / "links.parquet")], output, scheduler, "input.url_column=link")
    assert len(run.refined()) == 1


def test_a_changed_list_is_noticed(tables, earlier, scheduler, tmp_path):
    copy = tmp_path / "list.urls"
    copy.write_bytes((earlier / "0" / "seen_urls" / "recorded.urls").read_bytes())
    dedup([str(tables[2])], tmp_path / "run", scheduler, f"seen={copy}")
    copy.write_bytes((earlier / "1" / "seen_urls" / "recorded.urls").read_bytes())
    with pytest.raises(OutputError, match=r"changed: provided\.dedup\.url\.seen .*--fresh"):
        dedup([str(tables[2])], tmp_path / "run", scheduler, f"seen={copy}")


def test_annotate_mode_removes_nothing(tables, earlier, scheduler, tmp_path):
    overrides = [f"seen={earlier / '0'}", "annotate=true", "output.stats=true"]
    run = dedup([str(tables[2])], tmp_path / "run", scheduler, *overrides)
    assert len(run.refined()) == ROWS
    assert (run.stats()["removed_by"] == "dedup.url:seen").sum() > 50


def test_steps_on_gpus():
    """The search in lists is of the CPU: it stands between steps on GPUs and hinders none."""
    stages = ["quality", {"dedup.url": {"seen": ["a"]}}, "repetition", {"dedup.url": {"seen": "b", "within": False}}]
    steps = cut_steps(pipeline_from_data({"name": "x", "stages": stages}), gpu=True)
    told = [(step.device, [stage.name for stage in step.map_stages], step.keys_device) for step in steps]
    assert told == [
        ("GPU", ["quality"], None),
        ("CPU", ["dedup.url"], None),
        ("GPU", ["repetition"], None),
        ("CPU", ["dedup.url-2"], None),
    ]
    assert [step.dedup_after is None for step in steps] == [True, False, True, True]


@pytest.mark.parametrize("partitions", [0, 1, 3])
def test_frames(partitions):
    rows = documents(1)
    frame = pd.DataFrame(rows, columns=["id", "link", "text"])
    given = frame
    if partitions:
        import dask.dataframe as dd

        given = dd.from_pandas(frame, npartitions=partitions)
    for normalise in (None, "c4"):
        marked = gpurefine.deduplicate(given, "url", url="link", seed=3, normalise=normalise)
        marked = marked.compute(scheduler="synchronous") if partitions else marked
        stays, _, duplicates = expected(rows, normalise=normalise, seed=3)
        gone = marked[~marked["keep"]]
        assert set(marked["id"][marked["keep"]]) == stays
        assert dict(zip(gone["id"], gone["survivor"], strict=True)) == duplicates
        assert set(gone["reason"]) == {"dedup.url:duplicate"}
    assert gpurefine.deduplicate(frame[["link"]], "url", url="link")["keep"].sum() == len(expected(rows)[0])


def test_frames_on_a_device(cudf):
    """URLs are hashed in the host's memory."""
    rows = documents(1, 90)
    frame = cudf.DataFrame.from_arrow(pa.table({"id": [row[0] for row in rows], "url": [row[1] for row in rows]}))
    marked = gpurefine.deduplicate(frame, "url", normalise="c4").to_pandas()
    assert set(marked["id"][marked["keep"].astype(bool)]) == expected(rows, normalise="c4")[0]


def test_frames_that_are_refused():
    frame = pd.DataFrame({"link": ["a"], "text": ["b"], "number": [1]})
    with pytest.raises(InputError, match=r"no column 'url'.*name one with url="):
        gpurefine.deduplicate(frame, "url")
    with pytest.raises(InputError, match="column 'number' holds int64, expected strings: name another with url="):
        gpurefine.deduplicate(frame, "url", url="number")
    for parameters in ({"seen": "a"}, {"write_seen": True}, {"within": False}):
        with pytest.raises(ConfigError, match="use gpurefine dedup url"):
            gpurefine.deduplicate(frame, "url", url="link", **parameters)
