"""deduplicate() on what it cannot work with: one sentence each, and nothing is left in the scratch folder."""

from __future__ import annotations

import time

import dask
import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
import pytest
from dask.delayed import delayed

import gpurefine
from gpurefine.engine import frames_emit
from gpurefine.engine.frames_phases import call_in, scratch_folder
from gpurefine.errors import ConfigError, InputError, RunError

BANDED = "banded_stage:Words"

GOOD = pd.DataFrame({"text": ["x", "y"], "n": [1, 2]})

#: Arrow checks no string: the first one ends in the middle of a character.
NOT_UTF8 = pd.array(pa.array([b"a\xe3", b"y"]).view(pa.string()), pd.ArrowDtype(pa.string()))


@pytest.mark.parametrize(
    ("frame", "arguments", "error", "sentence"),
    [
        ([1], {}, InputError, r"expected a pandas, cuDF or Dask DataFrame, found a builtins list"),
        (GOOD["text"], {}, InputError, r"found a pandas Series"),
        (dd.from_pandas(GOOD)["text"], {}, InputError, r"found a dask Series"),
        (pa.table({"text": ["x"]}), {}, InputError, r"found a pyarrow Table"),
        (
            GOOD.rename(columns={"text": "page"}),
            {},
            InputError,
            r"no column 'text', its columns are 'page', 'n': .*text=",
        ),
        (GOOD, {"text": "page"}, InputError, r"no column 'page', its columns are 'text', 'n'"),
        (GOOD, {"id": "name"}, InputError, r"no column 'name'.*id="),
        (pd.concat([GOOD, GOOD], axis=1), {}, InputError, r"more than one column 'text'"),
        (GOOD, {"text": "n"}, InputError, r"column 'n' holds int64, expected strings.*text="),
        (GOOD.assign(text=[b"x", b"y"]), {}, InputError, r"column 'text' holds binary, expected strings"),
        (GOOD.assign(text=[["x"], ["y"]]), {}, InputError, r"column 'text' holds list"),
        (GOOD.assign(text=["x", 1]), {}, InputError, r"column 'text' holds values of several types"),
        (GOOD.assign(text=pd.Series(["\ud800", "y"], dtype=object)), {}, InputError, r"not valid Unicode"),
        (GOOD.assign(text=NOT_UTF8), {}, InputError, r"column 'text' holds text that is not valid Unicode.*text="),
        (GOOD.assign(id=NOT_UTF8), {}, InputError, r"column 'id' holds text that is not valid Unicode.*id="),
        (GOOD.assign(text=pd.to_datetime(["2023", "2024"])), {}, InputError, r"column 'text' holds timestamp"),
        (GOOD.assign(keep=True), {}, InputError, r"already has a column 'keep'"),
        (GOOD.assign(survivor="x"), {}, InputError, r"already has a column 'survivor'"),
        (GOOD.assign(id=["x", None]), {}, InputError, r"column 'id' has a row without an id"),
        (GOOD.assign(n=[1.5, 2]), {"id": "n"}, InputError, r"column 'n' holds double, expected strings: .*id="),
        (GOOD.assign(n=pd.Series([1, 2], dtype=object)), {"id": "n"}, InputError, r"column 'n' holds int64"),
        (GOOD, {"kind": "exakt"}, ConfigError, r"no kind of dedup is called 'exakt': known are exact"),
        (GOOD, {"kind": "keys"}, ConfigError, r"no kind of dedup is called 'keys'"),
        (GOOD, {"kind": None}, ConfigError, r"no kind of dedup is called None"),
        (GOOD, {"kind": "nowhere:Stage"}, ConfigError, r"no stage at 'nowhere:Stage'"),
        (GOOD, {"kind": "gpurefine.stages.quality:Quality"}, ConfigError, r"expected a subclass of DedupStage"),
        (GOOD, {"bands": 3}, ConfigError, r"deduplicate\('exact'\).*: there is no parameter 'bands'"),
        (GOOD, {"kind": BANDED, "bands": 0}, ConfigError, r"parameter 'bands': .*, found 0"),
        (GOOD, {"seed": -1}, ConfigError, r"deduplicate\('exact'\): parameter 'seed'.*found -1"),
        (GOOD, {"memory": 0}, ConfigError, r"memory must be a whole number of at least 1, found 0"),
        (GOOD, {"memory": "1GiB"}, ConfigError, r"memory must be a whole number of at least 1, found '1GiB'"),
        (GOOD, {"scratch": "/nowhere"}, ConfigError, r"scratch='/nowhere' is no folder"),
    ],
)
def test_bad_input_gets_one_sentence(frame, arguments, error, sentence):
    with pytest.raises(error, match=sentence) as raised:
        gpurefine.deduplicate(frame, **{"kind": "exact", **arguments})
    assert "\n" not in str(raised.value)


def test_what_is_wrong_in_a_partition_is_told_by_dask_too():
    # else Dask makes strings of all objects
    with dask.config.set({"dataframe.convert-string": False}):
        parts = [pd.DataFrame({"text": pd.Series([value], dtype=object)}) for value in ("x", 3)]
        frame = dd.from_delayed([delayed(part) for part in parts], meta=parts[0].iloc[:0], verify_meta=False)
    with pytest.raises(InputError, match="column 'text' holds int64, expected strings"):
        gpurefine.deduplicate(frame, "exact")


def test_scratch_is_empty_when_a_column_is_wrong(tmp_path):
    frame = pd.DataFrame({"text": ["x", "y", 3]})
    with pytest.raises(InputError, match="several types"):
        gpurefine.deduplicate(frame, "exact", scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_scratch_is_empty_when_a_partition_fails_while_others_are_at_work(scheduler, tmp_path):
    def part(number):
        if number == 1:
            raise ZeroDivisionError
        time.sleep(0.1 * number)
        return pd.DataFrame({"text": ["x"] * 50})

    meta = pd.DataFrame({"text": pd.Series([], dtype="str")})
    frame = dd.from_delayed([delayed(part)(number) for number in range(4)], meta=meta)
    with dask.config.set(scheduler=scheduler, num_workers=4), pytest.raises(ZeroDivisionError):
        gpurefine.deduplicate(frame, "exact", scratch=tmp_path)
    # partitions that were being made go on for a while
    time.sleep(0.6)
    assert list(tmp_path.iterdir()) == []


def test_a_task_that_outlives_its_call_leaves_nothing(tmp_path):
    def late():
        given_up.__exit__(None, None, None)
        folder.mkdir()
        (folder / "late").touch()

    given_up = scratch_folder(tmp_path)
    folder = given_up.__enter__()
    call_in(folder, late, ())
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_does_not_see_scratch_says_so(tmp_path):
    with pytest.raises(RunError, match="a folder that all workers share"):
        call_in(tmp_path / "elsewhere", print, ())


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(frames_emit, "open_key_writer", full)
    with pytest.raises(RunError, match=r"No space left on device; give scratch="):
        gpurefine.deduplicate(pd.DataFrame({"text": ["x"]}), "exact", scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []
