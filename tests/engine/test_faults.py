"""Workers that die, disks that fail, stages that raise, files that are damaged: the same bytes, or one sentence."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tables import assert_same_results, sorted_tables

import gpurefine
from gpurefine.config import pipeline_from_data
from gpurefine.engine.deduplicate import DedupRun
from gpurefine.engine.emit import read_documents
from gpurefine.engine.phases import Phases
from gpurefine.errors import InputError, OutputError, RunError
from gpurefine.write import read_footer

PAGES = 24
PARTITION_BYTES = 4_000


def page(number: int) -> bytes:
    """A page with an article; each third one is the same as the one before it."""
    tale = number - (number % 3 == 2)
    words = " ".join(f"Chapter {i} of tale {tale} tells of the river and of {i * tale} mills." for i in range(12))
    return f"<html><body><article><p>{words}</p></article></body></html>".encode()


@pytest.fixture(scope="module")
def crawl(tmp_path_factory):
    """A small crawl of several partitions."""
    path = tmp_path_factory.mktemp("faults") / "crawl.warc"
    with path.open("wb") as file:
        for number in range(PAGES):
            block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + page(number)
            head = (
                f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <r{number}>\r\nWARC-Target-URI: {url(number)}\r\n"
            )
            file.write(head.encode() + f"Content-Length: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n")
    return path


def url(number: int) -> str:
    return f"https://example.com/{number}"


def refine(crawl, output, fault=None, *, after_dedup=False, **options):
    """A run with the faulty stage before or after the dedup."""
    stages = ["extract", "dedup.exact"]
    stages.insert(2 if after_dedup else 1, {"faulty_stage:Faulty": fault or {}})
    data = {"name": "faults", "output": {"tokens": False}, "stages": [{"urls": {"blocklist": "off"}}, *stages]}
    options = {"partition_bytes": PARTITION_BYTES, "quiet": True, **options}
    return gpurefine.run(pipeline_from_data(data), crawl, output, **options)


@pytest.fixture(scope="module")
def undisturbed(crawl, scheduler, tmp_path_factory):
    run = refine(crawl, tmp_path_factory.mktemp("undisturbed") / "run", scheduler=scheduler)
    assert len(run.manifest["steps"][0]["partitions"]) > 5
    assert len(run.refined()) == PAGES * 2 // 3
    return run


def lives(process: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_worker_that_is_killed_changes_nothing(crawl, undisturbed, tmp_path):
    marker = tmp_path / "killed"
    run = refine(
        crawl, tmp_path / "run", {"fault": "kill", "url": url(13), "until": str(marker), "once": True}, workers=1
    )
    killed, *children = map(int, marker.read_text().split())
    assert killed != os.getpid()
    assert children
    assert not any(lives(process) for process in (killed, *children))
    assert_same_results(undisturbed, run)
    assert not list(Path(run.path).rglob(".unfinished-*"))


@pytest.mark.slow
def test_a_document_that_always_kills_its_worker_ends_the_run_with_a_sentence(crawl, undisturbed, tmp_path):
    marker = tmp_path / "mended"
    fault = {"fault": "kill", "url": url(13), "until": str(marker)}
    with pytest.raises(RunError, match=r"step 0 partition \d+: the worker died several times"):
        refine(crawl, tmp_path / "run", fault, workers=1)
    marker.touch()
    assert_same_results(undisturbed, refine(crawl, tmp_path / "run", fault, workers=1))


@pytest.mark.parametrize("after_dedup", [False, True])
def test_a_fault_of_the_disk_that_passes_is_nothing(crawl, undisturbed, scheduler, tmp_path, after_dedup):
    marker = tmp_path / "failed"
    # no other page is like this one, so that it comes to the second step
    fault = {"fault": "disk", "url": url(12), "until": str(marker), "once": True}
    run = refine(crawl, tmp_path / "run", fault, after_dedup=after_dedup, scheduler=scheduler)
    assert marker.exists()
    assert_same_results(undisturbed, run)


def test_a_document_on_which_a_stage_raises_is_removed_with_the_exception(crawl, undisturbed, scheduler, tmp_path):
    fault = {"fault": "value", "url": url(13)}
    run = refine(crawl, tmp_path / "run", fault, scheduler=scheduler)
    (row,) = run.removed("Faulty:exception").itertuples()
    assert row.url == url(13)
    assert row.evidence == "ValueError: this page ? is too much"
    assert row.text in set(undisturbed.refined()["text"])
    assert run.summary()["removed"]["Faulty:exception"] == 1
    # its duplicate is now alone; all others are as they were
    others = {name: table[~table["url"].isin([url(13), url(14)])] for name, table in sorted_tables(run).items()}
    before = {name: table[~table["url"].isin([url(13), url(14)])] for name, table in sorted_tables(undisturbed).items()}
    assert all(others[name]["url"].tolist() == before[name]["url"].tolist() for name in others)
    assert url(14) in set(run.refined()["url"])


def stopped_after_dedup(crawl, scheduler, tmp_path) -> tuple[dict, Path]:
    """A run that was stopped by its disk in the step after the dedup, and what lets it go on."""
    mended = tmp_path / "mended"
    fault = {"fault": "disk", "url": url(12), "until": str(mended)}
    with pytest.raises(RunError, match="step 1 partition 0: Input/output error"):
        refine(crawl, tmp_path / "run", fault, after_dedup=True, scheduler=scheduler)
    mended.touch()
    return fault, tmp_path / "run"


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_a_damaged_intermediate_file_is_named_and_never_used(crawl, undisturbed, scheduler, tmp_path):
    fault, output = stopped_after_dedup(crawl, scheduler, tmp_path)
    path = output / "work" / "documents-0" / "part-000002.parquet"
    data = path.read_bytes()
    # in a page of values; in the schema, where it would rename a column and so lose it
    for place in (60, data.index(b"language_score")):
        flip(path, place)
        with pytest.raises(RunError, match=rf"cannot read {path}: .*--fresh"):
            refine(crawl, output, fault, after_dedup=True, scheduler=scheduler)
        flip(path, place)
    path.rename(tmp_path / "away")
    with pytest.raises(RunError, match=rf"cannot read {path}: .*--fresh"):
        refine(crawl, output, fault, after_dedup=True, scheduler=scheduler)
    (tmp_path / "away").rename(path)
    assert_same_results(undisturbed, refine(crawl, output, fault, after_dedup=True, scheduler=scheduler))


def test_files_of_a_stopped_run_that_are_not_whole_are_written_again(crawl, undisturbed, scheduler, tmp_path):
    mended, output = tmp_path / "mended", tmp_path / "run"
    fault = {"fault": "disk", "url": url(PAGES - 1), "until": str(mended)}
    # one worker takes the partitions in order, so that all before the last are done; and it ends with the run
    with pytest.raises(RunError, match="Input/output error"):
        refine(crawl, output, fault, workers=1)
    mended.touch()
    victims = [
        output / "removed" / "part-0-000000.parquet",
        output / "work" / "documents-0" / "part-000001.parquet",
        output / "work" / "keys-0" / "part-000002.keys",
    ]
    for path in victims:
        os.truncate(path, path.stat().st_size - 5)
    whole = output / "removed" / "part-0-000003.parquet"
    times = [path.stat().st_mtime_ns for path in (whole, victims[0])]
    # another partition size is no matter any more: the plan stands in the manifest
    run = refine(crawl, output, fault, scheduler=scheduler, partition_bytes=PARTITION_BYTES // 3)
    assert_same_results(undisturbed, run)
    assert whole.stat().st_mtime_ns == times[0]
    assert victims[0].stat().st_mtime_ns > times[1]


def test_any_flipped_bit_of_an_intermediate_file_is_seen_or_without_effect(crawl, scheduler, tmp_path):
    _, output = stopped_after_dedup(crawl, scheduler, tmp_path)
    path = output / "work" / "documents-0" / "part-000002.parquet"
    fingerprint = read_footer(path)["fingerprint"]
    good, data = list(read_documents(path, fingerprint)), path.read_bytes()
    with pytest.raises(RunError, match="belongs to another run"):
        list(read_documents(path, "another"))
    seen = 0
    for place in range(4, len(data), 29):
        flip(path, place)
        try:
            # a file that says it has no rows is seen by the count of documents
            assert list(read_documents(path, fingerprint)) in (good, [])
        except RunError:
            seen += 1
        flip(path, place)
    assert path.read_bytes() == data
    assert seen > 20


def test_a_damaged_result_is_not_read(crawl, undisturbed, scheduler, tmp_path):
    run = refine(crawl, tmp_path / "run", scheduler=scheduler)
    for read, name in ((run.refined, "refined"), (run.removed, "removed"), (run.clusters, "clusters")):
        path = max((tmp_path / "run" / name).iterdir(), key=lambda path: path.stat().st_size)
        begin = path.read_bytes().index(b"(\xb5/\xfd")  # zstd's magic: a page of values
        for place in range(begin + 4, begin + 12, 2):
            flip(path, place)
            with pytest.raises(InputError, match=f"cannot read .*{name}.*--fresh"):
                read()
            flip(path, place)
    assert_same_results(undisturbed, run)


def refine_killed_in(monkeypatch, target, crawl, output, **options):
    """A run that ends, as if killed, where it calls ``target``."""

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(target, killed)
        with pytest.raises(KeyboardInterrupt):
            refine(crawl, output, **options)


def test_a_run_that_was_killed_before_its_summary_writes_it(crawl, undisturbed, scheduler, tmp_path, monkeypatch):
    target = "gpurefine.engine.execute.summarise"
    refine_killed_in(monkeypatch, target, crawl, tmp_path / "run", scheduler=scheduler)
    run = refine(crawl, tmp_path / "run", scheduler=scheduler)
    assert run.summary()["kept"] == undisturbed.summary()["kept"]
    assert_same_results(undisturbed, run)


def test_a_run_that_was_killed_before_its_work_was_deleted_deletes_it(crawl, scheduler, tmp_path, monkeypatch):
    target = "gpurefine.engine.store.RunStore.clear_work"
    refine_killed_in(monkeypatch, target, crawl, tmp_path / "run", scheduler=scheduler)
    assert (tmp_path / "run" / "work").is_dir()
    refine(crawl, tmp_path / "run", scheduler=scheduler)
    assert not (tmp_path / "run" / "work").exists()


def test_a_start_over_that_was_killed_goes_on(crawl, undisturbed, scheduler, tmp_path, monkeypatch):
    refine(crawl, tmp_path / "run", scheduler=scheduler)
    refine_killed_in(monkeypatch, "shutil.rmtree", crawl, tmp_path / "run", scheduler=scheduler, fresh=True)
    assert_same_results(undisturbed, refine(crawl, tmp_path / "run", scheduler=scheduler))


def test_fresh_leaves_files_alone_that_are_no_run(crawl, scheduler, tmp_path):
    theirs = tmp_path / "work" / "thesis.txt"
    theirs.parent.mkdir()
    theirs.write_text("mine")
    with pytest.raises(OutputError, match="not empty and holds no run"):
        refine(crawl, tmp_path, scheduler=scheduler, fresh=True)
    assert theirs.read_text() == "mine"


def test_two_runs_of_one_config_share_a_scheduler(crawl, undisturbed, scheduler, tmp_path):
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda name: refine(crawl, tmp_path / name, scheduler=scheduler), ("one", "other")))
    for run in runs:
        assert_same_results(undisturbed, run)


def flip_a_byte(path: Path) -> None:
    """Change one byte of a key, behind the head of the file."""
    with path.open("r+b") as file:
        file.seek(20)
        byte = file.read(1)
        file.seek(20)
        file.write(bytes([byte[0] ^ 1]))


@pytest.mark.parametrize(
    ("phase", "victim"), [((Phases, "join"), "keys-0/part-000002.keys"), ((DedupRun, "_collide"), "joined-000000.keys")]
)
def test_a_damaged_key_file_is_named_and_made_again(
    crawl, undisturbed, scheduler, tmp_path, monkeypatch, capfd, phase, victim
):
    done, original = [], getattr(*phase)

    def damage_then_go_on(run, *arguments):
        if not done:
            phases = run if isinstance(run, Phases) else run.phases
            done.extend(phases.context.store.work.rglob(victim))
            flip_a_byte(done[0])
        return original(run, *arguments)

    monkeypatch.setattr(*phase, damage_then_go_on)
    run = refine(crawl, tmp_path / "run", scheduler=scheduler, quiet=False)
    assert len(done) == 1
    assert f"{done[0]} is damaged and is made again" in capfd.readouterr().err
    assert_same_results(undisturbed, run)


def test_a_disk_that_always_damages_ends_the_run_with_the_name_of_the_file(crawl, scheduler, tmp_path, monkeypatch):
    original = DedupRun._collide

    def damage_then_go_on(run, key_paths, *arguments):
        flip_a_byte(key_paths[0])
        return original(run, key_paths, *arguments)

    monkeypatch.setattr(DedupRun, "_collide", damage_then_go_on)
    with pytest.raises(RunError, match=r"joined-000000\.keys is damaged: the checksum"):
        refine(crawl, tmp_path / "run", scheduler=scheduler)
