"""The worked example of CONTRIBUTING.md does what it says."""

import re
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from gpurefine.config import load_pipeline
from gpurefine.documents import DOCUMENT_SCHEMA, Batch
from gpurefine.engine.chain import run_chain
from gpurefine.engine.tools import StageTools
from gpurefine.errors import ConfigError
from gpurefine.frames import from_arrow
from gpurefine.stages.base import Resources

PAGE = Path(__file__).resolve().parents[1] / "CONTRIBUTING.md"
TEXTS = ["A calm text.", "LOUD text", "LOUD TEXT", "1 2 3", "ÄÖÜ ß"]


def block(language):
    """The only code block of that language."""
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return text


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The folder of a user who copied both blocks."""
    (tmp_path / "my_rules.py").write_text(block("python"), "utf-8")
    (tmp_path / "mine.yaml").write_text(block("yaml"), "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    sys.modules.pop("my_rules", None)


def run(pipeline):
    rows = [{"id": f"<{i}>", "text": text} for i, text in enumerate(TEXTS)]
    frame = from_arrow(pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA))
    tools = StageTools(Resources(Path("nowhere"), offline=True))
    only = [stage for stage in pipeline.stages if stage.name == "Shouting"]
    return run_chain(only, tools, Batch(frame), annotate=pipeline.annotate, stats=True, removed_text=True)


def test_the_rule_removes_with_its_value_and_limit(example):
    result = run(load_pipeline("mine.yaml"))
    assert result.kept.frame["text"].to_list() == ["A calm text.", "1 2 3"]
    (removed,) = [table.to_pylist() for table in result.removed]
    assert [(row["id"], row["stage"], row["rule"], row["value"], row["limit"]) for row in removed] == [
        ("<1>", "Shouting", "capitals", 4 / 8, 0.4),
        ("<2>", "Shouting", "capitals", 1.0, 0.4),
        ("<4>", "Shouting", "capitals", 3 / 4, 0.4),
    ]


def test_parameters_are_set_and_checked(example):
    assert len(run(load_pipeline("mine.yaml", ["Shouting.max_capitals=0.5"])).kept) == 3
    assert len(run(load_pipeline("mine.yaml", ["annotate=true"])).kept) == len(TEXTS)
    with pytest.raises(ConfigError, match="did you mean 'max_capitals'"):
        load_pipeline("mine.yaml", ["Shouting.max_capital=0.5"])


def test_files_that_the_page_names_are_there():
    for name in re.findall(r"`((?:gpurefine|tests|docs)/[\w./]+)`", PAGE.read_text("utf-8")):
        assert name == "gpurefine/stages/shouting.py" or (PAGE.parent / name).exists(), name
