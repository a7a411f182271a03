"""Verified dedups in runs and frames: clusters of similar documents, whatever the partitions; thresholds later."""

import itertools
import json
import random
import shutil

import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tables import assert_same_results

import gpurefine
from gpurefine.engine import estimate
from gpurefine.engine.tables import dedup_pipeline
from gpurefine.errors import ConfigError, InputError, RunError

#: Bands and rows that find pairs of similarity 0.5 or more with probability 0.9999, and many below.
PARAMETERS = ["bands=70", "rows=3", "shingle=word-2"]
#: What a run may be asked to exceed: Jaccard and edit similarity.
OTHERS = [(0.5, None), (0.8, 0.7), (1.0, None)]


def textbook_distance(one, other):
    row = list(range(len(other) + 1))
    for number, unit in enumerate(one, 1):
        above, row = row, [number]
        for place, also in enumerate(other, 1):
            row.append(min(row[-1] + 1, above[place] + 1, above[place - 1] + (unit != also)))
    return row[-1]


def families(seed, count=24):
    """Texts of 40 words by id: families of edited copies, some of whose edits move words, which costs few shingles."""
    draw = random.Random(seed)
    texts = {}
    for family in range(count):
        base = [f"f{family}w{draw.randrange(60)}" for _ in range(40)]
        for member in range(4):
            words = list(base)
            for _ in range(draw.choice([0, 1, 3, 5])):
                words[draw.randrange(40)] = f"x{draw.randrange(10**6)}"
            if member == 3:
                # halves that change places: nearly all shingles stay, half of the words must be edited
                words = words[20:] + words[:20]
            texts[f"{family}-{member}"] = " ".join(words)
    names = list(texts)
    draw.shuffle(names)
    return {name: texts[name] for name in names}


def measures(texts):
    """Jaccard and edit similarity of all pairs of one family; others have nothing in common."""
    found = {}
    words = {name: text.split() for name, text in texts.items()}
    sets = {name: set(itertools.pairwise(own)) for name, own in words.items()}
    for one, other in itertools.combinations(sorted(texts), 2):
        if one.split("-")[0] == other.split("-")[0]:
            jaccard = len(sets[one] & sets[other]) / len(sets[one] | sets[other])
            found[one, other] = jaccard, (40 - textbook_distance(words[one], words[other])) / 40
    return found


def components(texts, similar):
    """Sets of names that pairs join, of more than one member."""
    groups = {name: {name} for name in texts}
    for one, other in similar:
        joined = groups[one] | groups[other]
        for name in joined:
            groups[name] = joined
    return {frozenset(group) for group in groups.values() if len(group) > 1}


def true_clusters(texts, pairs, jaccard, edit):
    return components(texts, [pair for pair, (one, other) in pairs.items() if one > jaccard and other > (edit or -1)])


def clusters_of(table):
    return {frozenset(members) for _, members in table.groupby("cluster")["member"]}


@pytest.fixture(scope="module")
def texts():
    return families(1)


@pytest.fixture(scope="module")
def pairs(texts):
    found = measures(texts)
    # halves that changed places: similar in shingles, not in edits
    assert any(jaccard > 0.8 and edit < 0.5 for jaccard, edit in found.values())
    return found


@pytest.fixture(scope="module")
def table(texts, tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "texts.parquet"
    pq.write_table(pa.table({"id": list(texts), "text": list(texts.values())}), path, row_group_size=9)
    return path


@pytest.fixture(scope="module")
def run(table, scheduler):
    def call(output, *overrides, inputs=table, **options):
        pipeline = dedup_pipeline("minhash", [*PARAMETERS, *overrides])
        return gpurefine.run(pipeline, inputs, output, scheduler=scheduler, quiet=True, **options)

    return call


@pytest.fixture(scope="module")
def finished(run, tmp_path_factory):
    output = tmp_path_factory.mktemp("finished") / "run"
    return run(output, "verify=jaccard+edit", "jaccard=0.6", "output.keep_work=true", partition_bytes=700)


def test_clusters_are_components_of_similar_pairs(finished, texts, pairs):
    expected = true_clusters(texts, pairs, 0.6, 0.8)
    assert clusters_of(finished.clusters()) == expected
    # without verification halves that changed places are duplicates
    assert expected != true_clusters(texts, pairs, 0.6, None)
    removed = finished.removed()
    assert len(removed) == sum(len(cluster) - 1 for cluster in expected)
    assert len(finished.manifest["steps"][0]["partitions"]) > 8


def test_evidence_and_value_are_the_similarity_to_the_nearest(finished, pairs):
    clusters = finished.clusters().set_index("member")["evidence"].to_dict()
    scores = {}
    for row in finished.scores().itertuples():
        pair = tuple(sorted((row.member, row.other)))
        if pair[0].split("-")[0] == pair[1].split("-")[0]:
            jaccard, edit = pairs[pair]
            assert row.jaccard == jaccard
            assert pd.isna(row.edit) if jaccard < 0.5 else row.edit == edit
        if row.jaccard > 0.6 and row.edit > 0.8:
            for end in pair:
                scores[end] = max(scores.get(end, (0, 0)), (row.jaccard, row.edit))
    assert clusters == {end: f"minhash, jaccard {one:.4f}, edit {two:.4f}" for end, (one, two) in scores.items()}
    removed = finished.removed()
    assert (removed["rule"] == "duplicate").all()
    assert (removed["limit"] == 0.6).all()
    assert removed.set_index("id")["value"].to_dict() == {name: scores[name][0] for name in removed["id"]}


@pytest.mark.parametrize(
    ("order", "options"),
    [
        ("as it is", {"partition_bytes": 1 << 20}),
        ("as it is", {"partition_bytes": 1 << 20, "memory": 1}),
        ("files", {"partition_bytes": 3000, "memory": 64 << 20}),
    ],
)
def test_partitions_memory_and_order_change_nothing(finished, run, table, tmp_path, order, options):
    inputs = table
    if order == "files":
        # other files, so other names and offsets: the same clusters, the same survivors
        rows, inputs = pq.read_table(table), []
        for number, begin in enumerate((60, 20, 0)):
            inputs.append(tmp_path / f"{'cab'[number]}.parquet")
            pq.write_table(rows.slice(begin, {60: 99, 20: 40, 0: 20}[begin]), inputs[-1])
    other = run(tmp_path / "run", "verify=jaccard+edit", "jaccard=0.6", inputs=inputs, **options)
    if order == "files":
        assert set(other.refined()["id"]) == set(finished.refined()["id"])
        assert clusters_of(other.clusters()) == clusters_of(finished.clusters())
    else:
        assert_same_results(finished, other)
        for name in ("scores", "clusters"):
            columns = ["file", "offset", *(["other_file", "other_offset"] if name == "scores" else [])]
            one, two = (getattr(each, name)().sort_values(columns, ignore_index=True) for each in (finished, other))
            pd.testing.assert_frame_equal(one, two)


@pytest.mark.parametrize(("jaccard", "edit"), OTHERS)
def test_another_threshold_gives_what_a_run_with_it_would(finished, run, texts, pairs, tmp_path, jaccard, edit):
    at = finished.rethreshold(jaccard, 0.0 if edit is None else edit)
    assert clusters_of(at) == true_clusters(texts, pairs, jaccard, edit)
    verify = ["verify=jaccard"] if edit is None else ["verify=jaccard+edit", f"edit={edit}"]
    other = run(tmp_path / "run", *verify, f"jaccard={jaccard}")
    assert at["survivor"].tolist() == at["cluster"].tolist()
    columns = ["cluster", "member", "file", "offset"]
    one, two = (each[columns].sort_values("offset", ignore_index=True) for each in (at, other.clusters()))
    pd.testing.assert_frame_equal(one, two, check_dtype=False)


def test_the_threshold_of_the_run_gives_its_clusters(finished):
    one, two = (each.sort_values("offset", ignore_index=True) for each in (finished.rethreshold(), finished.clusters()))
    pd.testing.assert_frame_equal(one, two)


def test_thresholds_that_cannot_be_asked_for_are_refused(finished, run, tmp_path):
    with pytest.raises(InputError, match=r"jaccard is 0.4, and must be from 0.5 to 1"):
        finished.rethreshold(0.4)
    with pytest.raises(InputError, match=r"has the verified stages dedup.minhash: name one"):
        finished.rethreshold(stage="dedup.exact")
    plain = run(tmp_path / "plain")
    with pytest.raises(InputError, match=r"has no scores: run with --set dedup.minhash.verify=jaccard"):
        plain.rethreshold(0.9)
    jaccard = run(tmp_path / "jaccard", "verify=jaccard")
    assert jaccard.scores()["edit"].isna().all()
    with pytest.raises(InputError, match=r"measured no edit similarities.*dedup.minhash.verify=jaccard\+edit"):
        jaccard.rethreshold(0.9, edit=0.9)
    (jaccard.store.scores(0) / "scores-000000.parquet").unlink()
    with pytest.raises(InputError, match=r"has not the scores of dedup.minhash.*--fresh"):
        jaccard.rethreshold(0.9)
    manifest = json.loads(finished.store.manifest_path.read_text())
    shutil.copytree(finished.store.root, tmp_path / "stopped")
    (tmp_path / "stopped" / "manifest.json").write_text(json.dumps(manifest | {"state": "running"}))
    with pytest.raises(InputError, match="is not complete"):
        gpurefine.open_run(tmp_path / "stopped").rethreshold(0.9)
    damaged = tmp_path / "stopped" / "scores" / "step-0" / "documents-000001.parquet"
    (tmp_path / "stopped" / "manifest.json").write_text(json.dumps(manifest))
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(RunError, match=r"documents-000001\.parquet"):
        gpurefine.open_run(tmp_path / "stopped").rethreshold(0.9)


@pytest.mark.parametrize("setting", ["jaccard=0.3", "edit=2", "verify=edit"])
def test_parameters_that_cannot_work_are_refused(setting):
    with pytest.raises(ConfigError, match=setting.partition("=")[0]):
        dedup_pipeline("minhash", [setting])


#: Phases in their order, with what each leaves in the run directory.
PHASES = ["work/keys-0/*.units", "work/dedup-0/joined-*", "work/dedup-0/orders-*", "work/dedup-0/found-*",
          "work/dedup-0/candidates-*", "work/dedup-0/candidate-labels*", "scores/step-0/documents-*",
          "scores/step-0/scores-*", "work/dedup-0/evidence-*", "work/dedup-0/edges-*", "work/dedup-0/labels*",
          "work/dedup-0/members-*", "work/dedup-0/removals-*"]  # fmt: skip


def stopped(run, output, phase):
    """A copy of a run as it was when it was stopped behind a phase."""
    shutil.copytree(run.store.root, output)
    (output / "summary.json").unlink()
    shutil.rmtree(output / "refined")
    for path in (output / "removed").glob("part-1-*"):
        path.unlink()
    manifest = json.loads((output / "manifest.json").read_text())
    manifest["state"], manifest["steps"] = "running", manifest["steps"][:1]
    manifest["steps"][0]["dedup"]["state"] = "planned"
    for later in PHASES[phase + 1 :]:
        for path in output.glob(later):
            path.unlink()
    if phase + 1 < len(PHASES):
        manifest["steps"][0]["dedup"].pop("choose")
        shutil.rmtree(output / "clusters")
    (output / "manifest.json").write_text(json.dumps(manifest))
    return output


@pytest.mark.parametrize(
    ("phase", "damaged"),
    [
        ("*.units", "work/keys-0/*.units"),
        ("orders-*", "work/dedup-0/orders-*"),
        ("found-*", "work/dedup-0/found-*"),
        ("candidates-*", "work/dedup-0/candidates-*"),
        ("scores-*", "scores/step-0/documents-*"),
        ("scores-*", "scores/step-0/scores-*"),
        ("/labels*", "work/dedup-0/evidence-*"),
        ("removals-*", None),
    ],
)
def test_a_stopped_run_goes_on_and_makes_what_is_damaged_again(finished, run, tmp_path, phase, damaged):
    number = next(number for number, name in enumerate(PHASES) if name.endswith(phase))
    output = stopped(finished, tmp_path / "run", number)
    if damaged:
        path = min(output.glob(damaged))
        data = bytearray(path.read_bytes())
        data[len(data) // 3] ^= 1
        path.write_bytes(data)
    again = run(output, "verify=jaccard+edit", "jaccard=0.6", "output.keep_work=true", partition_bytes=700)
    assert_same_results(finished, again)
    one, two = (each.rethreshold(0.8).sort_values("offset", ignore_index=True) for each in (finished, again))
    pd.testing.assert_frame_equal(one, two)


@pytest.mark.parametrize(("partitions", "keep"), [(None, "random"), (1, "random"), (7, "longest")])
def test_frames_give_the_same(run, texts, table, tmp_path, partitions, keep):
    parameters = {"bands": 70, "rows": 3, "shingle": "word-2", "verify": "jaccard+edit", "jaccard": 0.6, "keep": keep}
    frame = pd.DataFrame({"id": list(texts), "text": list(texts.values())})
    if partitions:
        frame = dd.from_pandas(frame, npartitions=partitions, sort=False)
    marked = gpurefine.deduplicate(frame, "minhash", **parameters)
    marked = marked.compute(scheduler="sync") if partitions else marked
    expected = run(tmp_path / "run", "verify=jaccard+edit", "jaccard=0.6", f"keep={keep}")
    assert set(marked["id"][marked["keep"]]) == set(expected.refined()["id"])
    own = marked[marked["cluster"].notna()].rename(columns={"id": "member"})
    assert clusters_of(own) == clusters_of(expected.clusters())


def test_rows_without_ids_are_named_by_their_position(texts):
    frame = pd.DataFrame({"text": list(texts.values())})
    parameters = {"bands": 70, "rows": 3, "shingle": "word-2", "verify": "jaccard", "jaccard": 0.6}
    one = gpurefine.deduplicate(frame, "minhash", **parameters)
    frames = dd.from_pandas(frame, npartitions=5, sort=False)
    other = gpurefine.deduplicate(frames, "minhash", **parameters).compute(scheduler="sync")
    assert one["keep"].tolist() == other["keep"].tolist()
    assert one["cluster"].fillna("").tolist() == other["cluster"].fillna("").tolist()


def test_the_plan_tells_what_verification_writes(run, table, texts, tmp_path):
    from gpurefine.engine.run import prepare
    from gpurefine.workers import Backend

    def plan(*overrides):
        prepared = prepare(dedup_pipeline("minhash", [*PARAMETERS, *overrides]), [table], workers=1)
        return "\n".join(estimate.estimate_lines(prepared, Backend(note="")))

    # 40 words of 8 bytes each, and where they are
    assert f"some {40 * 8 + 16} bytes of units a document (as in {len(texts)} of the first)" in plan("verify=jaccard")
    assert "then read once" in plan()
    assert "then read 2 times" in plan("verify=jaccard")
    assert "verification" not in plan()


def test_documents_without_words_and_a_collection_without_duplicates(run, tmp_path):
    path = tmp_path / "texts.parquet"
    texts = ["", None, "...", "a b c d e f", "g h i j k l", "..."]
    pq.write_table(pa.table({"id": [f"d{row}" for row in range(6)], "text": texts}), path)
    found = run(tmp_path / "run", "verify=jaccard+edit", inputs=path)
    assert len(found.refined()) == 6
    assert not len(found.clusters())
    assert not len(found.rethreshold(0.5))
    assert not len(found.scores())
