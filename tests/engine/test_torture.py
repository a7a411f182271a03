"""Malformed and hostile files through the whole preset: each record is accounted for, each good page comes out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gpurefine
from gpurefine.errors import InputError

TORTURE = Path(__file__).resolve().parents[1] / "torture"
EXPECTED = json.loads((TORTURE / "expected.json").read_text("utf-8"))["files"]
NO_WARC = "not_warc.warc.gz"
NAMES = sorted(EXPECTED.keys() - {NO_WARC})
WITH_PAGES = [name for name in NAMES if "conversions" not in EXPECTED[name]]
FOUND_NO_WARC = "warcio-example.arc.gz"
OPTIONS = ["urls.blocklist=off"]

#: A scan looks no further into what a gzip member holds: longer ones hold one record.
SCAN_BYTES = 1_000_000


def refine(files, output, scheduler):
    return gpurefine.run("refinedweb", files, output, overrides=OPTIONS, scheduler=scheduler, quiet=True)


@pytest.fixture(scope="module")
def tortured(scheduler, tmp_path_factory):
    """All made files in one run, the hostile ones beside the others in the same worker processes."""
    return refine([TORTURE / name for name in NAMES], tmp_path_factory.mktemp("torture") / "run", scheduler)


@pytest.fixture(scope="module")
def found(shared_data, scheduler, tmp_path_factory):
    """All files that other projects collected in one run, their names, and how many responses each holds."""
    folder = shared_data / "torture" / "thirdparty"
    expected = json.loads((folder / "expected.json").read_text("utf-8"))["files"]
    paths = [folder / name for name in sorted(expected.keys() - {FOUND_NO_WARC})]
    return refine(paths, tmp_path_factory.mktemp("found") / "run", scheduler), paths, expected


def rows_of(run, name: str) -> pd.DataFrame:
    """Kept and removed records of a file; a damaged region is a removal whose id is its place."""
    kept = run.refined(columns=["id", "url", "file", "offset", "length", "text"]).assign(stage=None, rule=None)
    rows = pd.concat([kept, run.removed()]).astype(object)
    rows = rows[rows["file"] == name]
    region = (rows["rule"] == "damaged") & (rows["id"] == [f"{name}:{offset}" for offset in rows["offset"]])
    return rows.assign(region=region)


def scan(data: bytes) -> list[int]:
    """Where a plain scan sees response records, as offsets the way the reader gives them.

    It knows no framing and no lengths. A gzip member with one record is addressed by its start, a member with several
    as its start + the offset in the member.
    """
    pattern = re.compile(rb"^WARC-Type: response", re.MULTILINE)
    if not data.startswith(b"\x1f\x8b"):
        return [match.start() for match in re.finditer(rb"WARC-Type: response", data)]
    places = []
    for magic in re.finditer(rb"\x1f\x8b\x08", data):
        text = inflate(data, magic.start())
        if text.startswith(b"WARC/"):
            several = len(re.findall(rb"^WARC/1", text, re.MULTILINE)) > 1
            places += [magic.start() + match.start() * several for match in pattern.finditer(text)]
    return places


def inflate(data: bytes, begin: int) -> bytes:
    """What comes out of a gzip member before its end or its first error."""
    stream, text = zlib.decompressobj(31), b""
    try:
        # a few bytes at a time, so that nearly all that comes out before an error is seen
        for at in range(begin, len(data), 16):
            text += stream.decompress(data[at : at + 16])
            if stream.eof or len(text) > SCAN_BYTES:
                break
    except zlib.error:
        pass
    return text


def assert_each_response_is_accounted_for(rows: pd.DataFrame, data: bytes, responses: int) -> None:
    """A response of the scan lies in just one row; a row that is no damaged region holds just one response."""
    places = scan(data)
    assert len(places) == responses
    ranges = [(row.offset, row.offset + row.length, row.region) for row in rows.itertuples()]
    for place in places:
        assert sum(begin <= place < end for begin, end, _ in ranges) == 1, place
    for begin, end, region in ranges:
        assert region or sum(begin <= place < end for place in places) == 1, (begin, end)


@pytest.mark.parametrize("name", WITH_PAGES)
def test_each_response_is_kept_or_removed_or_lies_in_a_damaged_region(tortured, name):
    assert_each_response_is_accounted_for(
        rows_of(tortured, name), (TORTURE / name).read_bytes(), EXPECTED[name]["responses_scan"]
    )


@pytest.mark.parametrize("name", WITH_PAGES)
def test_responses_and_pages_with_text_are_as_many_as_were_made(tortured, name):
    expected, rows = EXPECTED[name], rows_of(tortured, name)
    responses = expected.get("accept_ok", [expected["responses_ok"]])
    assert (~rows["region"]).sum() in responses
    # where a reader may deliver more or fewer records, as many more or fewer pages
    shifted = [expected["html_pages"] + count - expected["responses_ok"] for count in responses]
    assert rows["text"].notna().sum() in expected.get("accept_html", shifted)


@pytest.mark.parametrize("name", [name for name in NAMES if EXPECTED[name].keys() & {"contains", "absent"}])
def test_strings_that_must_or_must_not_be_in_the_text(tortured, name):
    rows, expected = rows_of(tortured, name), EXPECTED[name]
    texts = "\n".join(rows["text"].dropna())
    assert [string for string in expected.get("contains", []) if string not in texts] == []
    everything = "\n".join(map(str, rows.to_numpy().ravel()))
    assert [string for string in expected.get("absent", []) if string in everything] == []


def test_charsets_are_decoded(tortured):
    """At least 11 of the 13 pages are readable: what was written is in their text."""
    wanted = [EXPECTED["charsets.warc.gz"][language] for language in ("zh", "ru", "ja", "ar")] + ["café naïve €"]
    texts = rows_of(tortured, "charsets.warc.gz")["text"].dropna()
    assert sum(any(string in text for string in wanted) for text in texts) >= 11


def test_every_page_of_repetitions_is_removed_with_a_reason(tortured):
    rows = rows_of(tortured, "repetition.warc.gz")
    assert len(rows) == 5
    assert rows["rule"].notna().all()


def test_records_of_one_id_stay_two(tortured):
    rows = rows_of(tortured, "duplicate_ids.warc.gz")
    assert rows["id"].nunique() == 1
    assert rows["offset"].nunique() == 2


def test_pages_beyond_a_limit_say_which(tortured):
    """What a bomb or a monster was refused for is its size, never a limit of the machine."""
    removed = tortured.removed()
    assert set(removed["rule"]).isdisjoint({"timeout", "memory", "crash", "failed", "exception"})
    sized = removed[removed["rule"] == "too_large"]
    assert {"bomb_content_encoding.warc.gz", "bomb_member.warc.gz", "deep_nesting.warc.gz"} <= set(sized["file"])
    assert (sized["value"] > sized["limit"]).all()


def assert_valid_text(run) -> None:
    paths = [path for name in ("refined", "removed") for path in (Path(run.path) / name).iterdir()]
    assert len(paths) > 1
    for path in paths:
        table = pq.read_table(path)
        table.validate(full=True)  # UTF-8 too
        for column in table.columns:
            if pa.types.is_large_string(column.type):
                assert not any("\0" in text for text in column.drop_null().to_pylist())


def test_output_is_valid_utf8_without_nul(tortured):
    assert_valid_text(tortured)


def test_counts_of_the_summary_are_the_rows(tortured):
    summary = tortured.summary()
    assert summary["records"] == len(tortured.refined()) + len(tortured.removed())
    assert summary["skipped_records"]["revisit"] == 2
    assert summary["noted"] == {}


def test_texts_of_a_wet_file_are_documents(tortured):
    rows = rows_of(tortured, "conversion.wet")
    assert len(rows) == EXPECTED["conversion.wet"]["conversions"]
    assert [text.partition("\n")[0] for text in rows["text"].dropna()] == ["Wet 0", "Wet 1", "Wet 2"]
    assert (rows.loc[rows["text"].isna(), "rule"] == "empty").all()


def test_a_file_that_is_no_warc_is_refused_and_named_among_good_ones(scheduler, tmp_path):
    files = [TORTURE / "uncompressed.warc", TORTURE / NO_WARC]
    with pytest.raises(InputError, match=NO_WARC):
        refine(files, tmp_path / "run", scheduler)
    assert not (tmp_path / "run").exists()


def test_files_found_in_other_projects(found):
    run, paths, expected = found
    for path in paths:
        assert_each_response_is_accounted_for(
            rows_of(run, path.name), path.read_bytes(), expected[path.name]["responses_scan"]
        )
    assert_valid_text(run)
    assert set(run.removed()["rule"]).isdisjoint({"timeout", "memory", "crash", "failed", "exception"})


def test_a_found_arc_file_is_refused_and_named(shared_data, scheduler, tmp_path):
    with pytest.raises(InputError, match=f"{FOUND_NO_WARC} is an ARC file"):
        refine(shared_data / "torture" / "thirdparty" / FOUND_NO_WARC, tmp_path / "run", scheduler)
    assert not (tmp_path / "run").exists()


def run_alone(path: Path, output: Path) -> tuple[int, float, int]:
    """Exit code, seconds of wall time and peak memory in bytes of the command on one file.

    Memory is the larger of the peak of any one process and of what all of them together were seen to hold.
    """
    command = [sys.executable, "-m", "gpurefine", "run", "refinedweb", str(path), "-o", str(output), "--quiet"]
    began = time.monotonic()
    process = subprocess.Popen(
        [*command, "--set", OPTIONS[0], "--workers", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    peak = 0
    while True:
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        peak = max(peak, session_memory(process.pid))
        if time.monotonic() - began > 120:
            os.killpg(process.pid, 9)
        time.sleep(0.05)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, time.monotonic() - began, max(peak, usage.ru_maxrss * 1024)


def session_memory(session: int) -> int:
    """Resident bytes of all processes of a session, shared pages as often as they are mapped."""
    pages = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if int(fields[3]) == session:
            pages += int(fields[21])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_each_file_alone_within_60_seconds_and_4_gigabytes(name, tmp_path):
    code, seconds, memory = run_alone(TORTURE / name, tmp_path / "run")
    print(f"{name}: {seconds:.1f} s, {memory / 1e9:.2f} GB")
    assert code == 0
    assert seconds < 60
    assert memory < 4e9
    assert gpurefine.open_run(tmp_path / "run").complete
