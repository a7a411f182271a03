"""Runs that are compared with the kept keys of older ones, beside a dictionary and beside one run on all documents."""

import json
import random
import shutil
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from tables import assert_same_results

import gpurefine
from gpurefine.config import pipeline_from_data
from gpurefine.dedup.oldkeys import INDEX
from gpurefine.engine.tables import dedup_pipeline
from gpurefine.errors import ConfigError, InputError, OutputError, RunError

ROWS = 300
#: Pairs that share a third of their words or more are found with a probability of 1 - 10^-35, others without any.
WORDS = ["shingle=word-1", "bands=200", "rows=1"]
KEYS = "output.keep_keys=true"


def documents(name):
    """(id, URL, text) of a table; texts and URLs repeat in it and in other tables."""
    draw = random.Random(name)
    return [
        (
            f"{name}{number}",
            draw.choice([None, *(f"http://{n}.org" for n in range(250))]),
            f"text {draw.randrange(250)}",
        )
        for number in range(ROWS)
    ]


def chains(name):
    """Documents of ten words, whose first five may be the last five of one before it, in whichever table that is."""
    draw = random.Random(name)
    halves = [" ".join(f"h{half}w{word}" for word in range(5)) for half in range(700)]
    return [(f"{name}{number}", None, f"{draw.choice(halves)} {draw.choice(halves)}") for number in range(ROWS)]


def write(path, rows):
    table = pa.table({name: [row[place] for row in rows] for place, name in enumerate(("id", "url", "text"))})
    pq.write_table(table, path, row_group_size=40)
    return path


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Parquet files by their name: three with equal texts and URLs, three with chains of similar texts."""
    folder = tmp_path_factory.mktemp("tables")
    made = {name: write(folder / f"{name}.parquet", documents(name)) for name in "abc"}
    return made | {f"{name}-chains": write(folder / f"{name}-chains.parquet", chains(name)) for name in "abc"}


@pytest.fixture(scope="module")
def dedup(scheduler):
    def call(kind, inputs, output, *overrides, **options):
        inputs = [str(path) for path in inputs]
        pipeline = dedup_pipeline(kind, [*(WORDS if kind == "minhash" else []), *overrides])
        return gpurefine.run(pipeline, inputs, output, scheduler=scheduler, quiet=True, **options)

    return call


@pytest.fixture(scope="module")
def old(tables, dedup, tmp_path_factory):
    """Finished runs with keys by (kind, table); b was compared with a."""
    folder, made = tmp_path_factory.mktemp("old"), {}
    for kind, suffix in (("exact", ""), ("url", ""), ("minhash", "-chains")):
        for table, against in (("a", []), ("b", ["a"])):
            inputs, output = [tables[table + suffix]], folder / f"{kind}-{table}"
            runs = [made[kind, name].path for name in against]
            made[kind, table] = dedup(kind, inputs, output, KEYS, against=runs, partition_bytes=900)
    assert len(made["exact", "a"].manifest["steps"][0]["partitions"]) > 3
    return made


def priority(name):
    return xxhash.xxh3_64_intdigest(name.encode(), 0)


def by_dictionary(column, *tables):
    """What becomes of the documents of several runs, each compared with those before: for each run ids that stay, and
    of the others the survivor with the number of its run.
    """
    stands, found = {}, []
    for number, rows in enumerate(tables):
        stays, gone, own = set(), {}, {}
        for row in rows:
            key = row[column]
            if key is None:
                stays.add(row[0])
            elif key in stands:
                gone[row[0]] = stands[key]
            else:
                own.setdefault(key, []).append(row[0])
        for key, members in own.items():
            survivor = min(members, key=priority)
            stands[key] = survivor, number
            stays.add(survivor)
            gone |= {name: (survivor, number) for name in members if name != survivor}
        found.append((stays, gone))
    return found


def found_in(run, runs):
    """As ``by_dictionary`` has it; ``runs`` are the directories of the old runs, whose numbers they give."""
    removed = run.removed()
    numbers = {path: number for number, path in enumerate(runs)}
    of_old = removed["rule"] == "against"
    assert set(removed["rule"]) <= {"against", "duplicate"}
    assert removed.loc[~of_old, "evidence"].isna().all()
    assert (removed["cluster"] == removed["survivor"]).all()
    places = [numbers[path] if old else len(runs) for path, old in zip(removed["evidence"], of_old, strict=True)]
    gone = dict(zip(removed["id"], zip(removed["survivor"], places, strict=True), strict=True))
    summary = run.summary()
    assert summary["records"] == ROWS == summary["kept"] + len(removed)
    (told,) = [step["dedup"] for step in summary["steps"] if step.get("dedup")]
    assert told["duplicates"] == len(removed)
    assert told["duplicates_of_old_runs"] == of_old.sum() > 30
    clusters = run.clusters()
    joined = clusters.merge(removed[["id", "evidence"]], left_on="member", right_on="id", suffixes=["", "_of_removal"])
    assert len(joined) == len(removed)
    assert (joined["run"].fillna("") == joined["evidence_of_removal"].fillna("")).all()
    assert set(clusters["member"]) - set(removed["id"]) == set(clusters.loc[clusters["run"].isna(), "survivor"])
    return set(run.refined()["id"]), gone


@pytest.mark.parametrize(("kind", "column"), [("exact", 2), ("url", 1)])
def test_what_stays_is_what_a_dictionary_says(kind, column, tables, old, dedup, tmp_path):
    rows = [documents(name) for name in "abc"]
    expected = by_dictionary(column, *rows)
    runs = [old[kind, name].path for name in "ab"]
    assert found_in(old[kind, "b"], runs[:1]) == expected[1]
    run = dedup(kind, [tables["c"]], tmp_path / "c", KEYS, against=runs)
    assert found_in(run, runs) == expected[2]
    # all three together have each key once, as one run on all documents would
    together = dedup(kind, [tables[name] for name in "abc"], tmp_path / "together")
    each = [len(found.refined()) for found in (old[kind, "a"], old[kind, "b"], run)]
    assert sum(each) == len(together.refined())


@pytest.mark.parametrize("kind", ["exact", "minhash"])
def test_neither_partitions_nor_order_nor_memory_decide(kind, tables, old, dedup, tmp_path):
    suffix = "-chains" if kind == "minhash" else ""
    runs = [old[kind, name].path for name in "ab"]
    wanted = dedup(kind, [tables["c" + suffix]], tmp_path / "wanted", KEYS, against=runs)
    other = dedup(kind, [tables["c" + suffix]], tmp_path / "other", KEYS, against=runs[::-1], partition_bytes=700,
                  memory=1)  # fmt: skip
    assert_same_results(wanted, other)
    assert sorted(map(str, wanted.clusters().to_numpy())) == sorted(map(str, other.clusters().to_numpy()))
    # an old run of one partition has other files with the same keys
    again = tmp_path / "a" / "b"
    first = dedup(kind, [tables["a" + suffix]], again, KEYS)
    assert first.manifest["fingerprint"] == old[kind, "a"].manifest["fingerprint"]
    moved = dedup(kind, [tables["c" + suffix]], tmp_path / "moved", against=[again, runs[1]])
    found = moved.removed()
    found["evidence"] = found["evidence"].replace(first.path, runs[0])
    columns = ["id", "rule", "value", "evidence", "cluster", "survivor"]
    one, two = (table[columns].sort_values("id", ignore_index=True) for table in (found, wanted.removed()))
    assert one.equals(two)


def test_what_equals_a_joint_run_and_what_does_not(tables, old, dedup, tmp_path):
    """With clusters by chains: the new documents are those of a joint run that keeps the first; of the old documents a
    joint run may keep fewer, since a new one can be what joins two of them.
    """
    new = dedup("minhash", [tables["b-chains"]], tmp_path / "new", against=old["minhash", "a"].path)
    joint = dedup("minhash", [tables["a-chains"], tables["b-chains"]], tmp_path / "joint", "keep=first")
    kept = set(joint.refined()["id"])
    own_first = dedup("minhash", [tables["b-chains"]], tmp_path / "first", "keep=first",
                      against=old["minhash", "a"].path)  # fmt: skip
    assert set(own_first.refined()["id"]) == {name for name in kept if name.startswith("b")}
    assert len(new.refined()) == len(own_first.refined()) > 10
    a_first = dedup("minhash", [tables["a-chains"]], tmp_path / "a", "keep=first")
    of_a = {name for name in kept if name.startswith("a")}
    assert of_a < set(a_first.refined()["id"])


def test_a_copy_of_a_document_that_the_old_run_removed(dedup, tmp_path):
    one, two, three, four = (" ".join(f"{part}{word}" for word in range(5)) for part in "abcd")
    a = write(
        tmp_path / "a.parquet", [("x", None, f"{one} {two}"), ("y", None, f"{two} {three}"), ("z", None, "alone")]
    )
    first = dedup("minhash", [a], tmp_path / "first", "keep=first", KEYS)
    assert set(first.refined()["id"]) == {"x", "z"}
    b = write(tmp_path / "b.parquet", [("n", None, f"{three} {four}"), ("m", None, "other")])
    second = dedup("minhash", [b], tmp_path / "second", against=first.path)
    assert second.refined()["id"].tolist() == ["m"]
    (removed,) = second.removed().to_dict("records")
    # y, with which it collides, is gone: x stands for it
    assert (removed["stage"], removed["rule"], removed["evidence"]) == ("dedup.minhash", "against", first.path)
    assert (removed["survivor"], removed["value"], removed["limit"]) == ("x", 2, 1)
    (told,) = second.explain("n").to_dict("records")
    assert (told["outcome"], told["rule"], told["survivor"], told["evidence"]) == (
        "removed",
        "against",
        "x",
        first.path,
    )


def test_whole_pipelines(tables, scheduler, tmp_path):
    """Each dedup of whole documents is compared with its own keys; those inside documents look at the run alone."""
    long = " ".join(f"word{number}" for number in range(90))
    rows = [("p", "http://p.org", f"{long} tail"), ("q", "http://q.org", "one text"), ("r", "http://r.org", "another")]
    later = [
        ("s", "http://s.org", f"{long} tail"), ("t", "http://q.org", "a text of its own"),
        ("u", "http://u.org", f"{long} and so many other words that it is no copy {' '.join(map(str, range(400)))}"),
    ]  # fmt: skip
    minhash = {"dedup.minhash": {"shingle": "word-5", "bands": 20, "rows": 5}}
    data = {"name": "whole", "output": {"keep_keys": True}, "stages": [minhash, "dedup.substring", "dedup.url"]}
    pipeline = pipeline_from_data(data)
    runs = []
    for number, table in enumerate((rows, later)):
        path = write(tmp_path / f"{number}.parquet", table)
        against = [run.path for run in runs]
        runs.append(gpurefine.run(pipeline, str(path), tmp_path / f"run-{number}", scheduler=scheduler, quiet=True,
                                  against=against))  # fmt: skip
    assert len(runs[0].refined()) == 3
    removed = runs[1].removed()
    assert dict(zip(removed["id"], removed["stage"], strict=True)) == {"s": "dedup.minhash", "t": "dedup.url"}
    assert set(removed["rule"]) == {"against"}
    assert runs[1].refined()["id"].tolist() == ["u"]
    # what it shares with an old document is not cut: dedup.substring keeps no keys
    assert not len(runs[1].spans())
    folders = {path.name for path in (tmp_path / "run-1" / "keys").iterdir()}
    assert folders == {"dedup.minhash", "dedup.url"}


def test_kept_keys_change_nothing_else(tables, dedup, old, tmp_path):
    run = dedup("minhash", [tables["a-chains"]], tmp_path / "run")
    assert_same_results(run, old["minhash", "a"])
    assert not (tmp_path / "run" / "keys").exists()
    index = json.loads((old["minhash", "a"].store.root / "keys" / "dedup.minhash" / INDEX).read_text())
    assert index["documents"] == ROWS
    told = sum(
        path.stat().st_size for path in (old["minhash", "a"].store.root / "keys" / "dedup.minhash").glob("*.keys")
    )
    assert told == sum(entry["bytes"] for entry in index["key_files"]) > ROWS * 200 * 8


def refused(error, match, kind, tables, dedup, output, *overrides, **options):
    table = tables["c-chains" if kind == "minhash" else "c"]
    with pytest.raises(error, match=match) as raised:
        dedup(kind, [table], output, *overrides, **options)
    assert "\n" not in str(raised.value)
    assert not output.exists() or output in map(type(output), options["against"])


def test_runs_that_cannot_be_compared(tables, dedup, old, tmp_path):
    a, out = old["exact", "a"].path, tmp_path / "out"
    without = dedup("exact", [tables["a"]], tmp_path / "without")
    refused(InputError, r"without has kept no keys of dedup\.exact: run it again with --fresh --set "
            r"output\.keep_keys=true", "exact", tables, dedup, out, against=without.path)  # fmt: skip
    refused(InputError, r"exact-a has kept no keys of dedup\.url, only of dedup\.exact", "url", tables, dedup, out,
            against=a)  # fmt: skip
    (tmp_path / "empty").mkdir()
    refused(InputError, "there is no run in .*empty: name the directory of a finished run", "exact", tables, dedup, out,
            against=tmp_path / "empty")  # fmt: skip
    refused(InputError, r"minhash-a has keys of dedup\.minhash that cannot be compared \(bands 200 there, 100 here\)",
            "minhash", tables, dedup, out, "bands=100", against=old["minhash", "a"].path)  # fmt: skip
    refused(InputError, r"scope None there, dump here", "exact", tables, dedup, out, "scope=dump", against=a)
    refused(ConfigError, "is named twice", "exact", tables, dedup, out, against=[a, a])
    shutil.copytree(a, tmp_path / "copy")
    refused(InputError, "are the same run: name one of them", "exact", tables, dedup, out,
            against=[a, tmp_path / "copy"])  # fmt: skip
    refused(ConfigError, "is the output directory and stands in 'against'", "exact", tables, dedup,
            old["exact", "a"].store.root, against=[a])  # fmt: skip
    refused(ConfigError, r"dedup\.minhash verifies similarities", "minhash", tables, dedup, out, "verify=jaccard",
            against=old["minhash", "a"].path)  # fmt: skip
    refused(ConfigError, "no stage compares whole documents", "substring", tables, dedup, out, against=a)
    manifest = json.loads((tmp_path / "copy" / "manifest.json").read_text())
    (tmp_path / "copy" / "manifest.json").write_text(json.dumps(manifest | {"state": "running"}))
    refused(InputError, "the run in .*copy is not finished", "exact", tables, dedup, out, against=tmp_path / "copy")


#: File of the kept keys, what happens to it, and what is said.
DAMAGE = [
    *((name, "shorter", r"it has [\d,]+ bytes, not [\d,]+") for name in ("part-000000.keys", "members-000000.parquet")),
    *((name, "gone", "it is not there") for name in ("part-000000.keys", "members-000000.parquet")),
    ("part-000000.keys", "changed", "another file than the run has left|index"),
    (INDEX, "shorter", r"line \d+ column"),
    (INDEX, "format", "it is of format 77, this version reads 1"),
]


@pytest.mark.parametrize(("name", "how", "said"), DAMAGE)
def test_damage_that_is_seen_before_anything_is_written(name, how, said, tables, dedup, old, tmp_path):
    shutil.copytree(old["exact", "a"].path, tmp_path / "a")
    path = tmp_path / "a" / "keys" / "dedup.exact" / name
    data = path.read_bytes()
    path.unlink()
    if how == "shorter":
        path.write_bytes(data[:-9])
    elif how == "changed":
        # in the index, which stands at the end
        path.write_bytes(data[:-40] + bytes([data[-40] ^ 4]) + data[-39:])
    elif how == "format":
        path.write_text(json.dumps(json.loads(data) | {"format": 77}))
    match = rf"{name} is damaged \(.*({said}).*\) and belongs to an old run, .*: restore the file, or"
    refused(InputError, match, "exact", tables, dedup, tmp_path / "out", against=tmp_path / "a")


@pytest.mark.parametrize(
    ("kind", "name"),
    [("exact", "part-000000.keys"), ("minhash", "part-000000.keys"), ("exact", "members-000000.parquet")],
)
def test_damage_that_is_seen_while_it_runs(kind, name, tables, dedup, old, tmp_path):
    """The file is named, and once it is restored the same command goes on to the same results."""
    suffix = "-chains" if kind == "minhash" else ""
    shutil.copytree(old[kind, "a"].path, tmp_path / "a")
    path = tmp_path / "a" / "keys" / f"dedup.{kind}" / name
    data = path.read_bytes()
    place = 100 if name.endswith(".keys") else len(data) // 3
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    arguments = kind, [tables["c" + suffix]], tmp_path / "out"
    with pytest.raises(RunError, match=f"{name} is damaged .* belongs to an old run, which is only read"):
        dedup(*arguments, against=tmp_path / "a")
    path.write_bytes(data)
    run = dedup(*arguments, against=tmp_path / "a")
    undisturbed = dedup(*arguments[:2], tmp_path / "undisturbed", against=tmp_path / "a")
    assert_same_results(run, undisturbed)


def test_an_old_run_that_became_another(tables, dedup, old, tmp_path):
    """A finished run, given again, says so when what it was compared with is not there any more."""
    shutil.copytree(old["exact", "a"].path, tmp_path / "a")
    arguments = "exact", [tables["c"]], tmp_path / "out"
    dedup(*arguments, against=tmp_path / "a")
    shutil.rmtree(tmp_path / "a")
    dedup("exact", [tables["b"]], tmp_path / "a", KEYS)
    with pytest.raises(OutputError, match=r"changed: provided\.against:.*dedup\.exact"):
        dedup(*arguments, against=tmp_path / "a")


def test_commands(tables, old, cli, tmp_path, scheduler):
    runs = [old["exact", name].path for name in "ab"]
    options = [part for run in runs for part in ("--against", run)]
    code, told, _ = cli("dedup", "exact", tables["c"], "--plan", *options, "--set", KEYS)
    assert code == 0
    assert "dedup.exact: compared with 600 documents of 2 old runs: " in told
    assert "dedup.exact: its keys are kept for later runs: " in told
    code, _, said = cli("dedup", "exact", tables["c"], "-o", tmp_path / "out", *options, "--quiet", "--scheduler",
                        scheduler)  # fmt: skip
    assert code == 0, said
    found = gpurefine.open_run(tmp_path / "out")
    assert found_in(found, runs) == by_dictionary(2, *(documents(name) for name in "abc"))[2]
    (tmp_path / "exact.yaml").write_text("name: exact\noutput: {tokens: false}\nstages: [dedup.exact]\n")
    code, _, said = cli("run", tmp_path / "exact.yaml", tables["c"], "-o", tmp_path / "run", *options, "--quiet",
                        "--scheduler", scheduler)  # fmt: skip
    assert code == 0, said
    assert found_in(gpurefine.open_run(tmp_path / "run"), runs) == found_in(found, runs)
    code, _, said = cli("plan", tmp_path / "exact.yaml", tables["c"], "--against", tmp_path)
    assert code != 0
    assert "there is no run in" in said


#: What is seen in the run directory when a phase is under way.
PHASES = ["work/dedup-0/edges-*", "work/dedup-0/members-old-*", "keys/dedup.minhash/*"]


def test_killed_and_given_again_it_leaves_the_same_bytes(tables, old, dedup, tmp_path):
    runs = [old["minhash", name].path for name in "ab"]
    undisturbed = dedup("minhash", [tables["c-chains"]], tmp_path / "undisturbed", KEYS, against=runs)
    output = tmp_path / "killed"
    command = [sys.executable, "-m", "gpurefine", "dedup", "minhash", tables["c-chains"], "-o", output, "--quiet"]
    command += [part for override in (*WORDS, KEYS) for part in ("--set", override)]
    command += ["--workers", "2", *(part for run in runs for part in ("--against", run))]
    killed = 0
    for pattern in PHASES:
        process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and next(output.glob(pattern), None) is None:
            time.sleep(0.0005)
        killed += process.poll() is None
        process.kill()
        process.wait()
    assert killed > 0
    run = dedup("minhash", [tables["c-chains"]], output, KEYS, against=runs)
    assert_same_results(run, undisturbed)
    for path in (undisturbed.store.root / "keys").rglob("*.*"):
        other = output / path.relative_to(undisturbed.store.root)
        assert other.stat().st_size == path.stat().st_size
