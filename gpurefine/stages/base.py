"""What a stage is. A map stage decides on each document alone; a dedup stage needs all of them.

Measuring and deciding are apart: a stage *measures* a value for each document, a *rule* compares it with a limit,
and the first rule that hits, in the stage's order, names the removal. A new rule is one class in one file: see
``RuleStage`` and CONTRIBUTING.md.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from gpurefine.dedup.accepting import Thresholds
from gpurefine.dedup.hashing import keyed_hash
from gpurefine.dedup.pieces import Edit, Pieces, Spans
from gpurefine.dedup.policies import check_keep
from gpurefine.documents import Batch
from gpurefine.errors import SettingWarning
from gpurefine.frames import arrow_array
from gpurefine.resources.cache import Resources

COMPARISONS = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


@dataclass(frozen=True)
class Rule:
    """One reason for removal: a document leaves when ``value comparison limit``. NaN is never compared true.

    Two rules of one name are two sides of one limit (``Rule("words", "<", 50)``, ``Rule("words", ">", 100_000)``).
    """

    name: str
    comparison: Literal[">", ">=", "<", "<="]
    limit: float


@dataclass
class Verdict:
    """What one rule says of every document of a batch.

    Attributes
    ----------
    rule : its name inside the stage
    removed : bool, (n,)
    value : float64, (n,), NaN where there is none; or None for a rule without a measure
    limit : what the value was compared with, or None
    evidence : a string or None for each document (the word, the label, the exception); or None for none at all
    final : the document cannot go on whatever the mode (there is no text), so annotate mode removes it too
    """

    rule: str
    removed: np.ndarray
    value: np.ndarray | None = None
    limit: float | None = None
    evidence: Sequence[str | None] | None = None
    final: bool = False


@dataclass
class Outcome:
    """What a map stage made of a batch: the same rows, changed columns, and its verdicts in the order of its rules.

    ``measured`` holds the values for ``stats/`` by rule name (float64, (n,), NaN where not measured). ``noted`` holds
    numbers of rows, by what is worth a line in ``summary.json`` though it removes nothing.
    A stage that changes text must keep the unchanged text of rows that a verdict removes.
    """

    batch: Batch
    verdicts: list[Verdict] = field(default_factory=list)
    measured: dict[str, np.ndarray] = field(default_factory=dict)
    noted: dict[str, int] = field(default_factory=dict)


class Stage(BaseModel):
    """Base of all stages: parameters are the fields, each with its default and its documentation.

    A stage file is found by its name: ``quality`` is the class with ``kind = "quality"`` in
    ``gpurefine/stages/quality.py``; ``package.module:Class`` names one elsewhere.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    kind: ClassVar[str]
    as_: str | None = Field(None, alias="as", description="name of the stage in reports; default its kind")

    @property
    def name(self) -> str:
        """The stage's name in ``removed/`` and reports."""
        return self.as_ or self.kind

    def provide(self, resources: Resources) -> dict[str, str]:
        """Make sure that all the stage needs is there, before the run writes anything.

        Returns
        -------
        What decides besides the parameters, for the manifest: names and sha256 of models and lists.

        Raises
        ------
        ResourceError
            if something is missing and cannot be had; the sentence says how to get it
        """
        return {}

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU worker can do it: there are CUDA kernels for all that these parameters ask for."""
        return False

    def warning(self) -> str | None:
        """One sentence where the parameters work but are hardly meant; None for all others."""
        return None


def warn_of_settings(stages: Iterable[Stage], stacklevel: int = 3) -> None:
    """Give a ``SettingWarning`` for each stage that has one; it points at who called the caller of this function."""
    for stage in stages:
        text = stage.warning()
        if text is not None:
            warnings.warn(f"{stage.name}: {text}", SettingWarning, stacklevel=stacklevel)


class MapStage(Stage):
    """A stage that decides on each document alone."""

    #: Whether the stage works on text, so that it must stand after ``extract``.
    needs_text: ClassVar[bool] = True

    #: Whether the stage works on the HTML of pages, so that documents which come with a text skip it.
    needs_html: ClassVar[bool] = False

    #: Rules whose removals may differ between machines (time and memory limits); they are counted apart.
    machine_dependent: ClassVar[frozenset[str]] = frozenset()

    def open(self, resources: Resources) -> Any:
        """Open what is needed once a worker (a model, a child process); it is handed to ``apply``.

        It may have a method ``close()``, called when the worker ends. Nothing is fetched here: ``provide`` did.
        """
        return None

    def apply(self, batch: Batch, tool: Any) -> Outcome:
        """Judge a batch. ``tool`` is what ``open`` returned. Deterministic, a function of each row alone."""
        raise NotImplementedError(f"{type(self).__name__} has no apply")


class RuleStage(MapStage):
    """A map stage that measures numbers and compares them: say ``measure`` and ``rules`` and nothing else."""

    def rules(self) -> list[Rule]:
        """The rules in the order in which they name a removal."""
        raise NotImplementedError(f"{type(self).__name__} has no rules")

    def measure(self, batch: Batch) -> dict[str, np.ndarray]:
        """float64, (n,) for each rule name. A fraction is one float64 division, so that all devices agree."""
        raise NotImplementedError(f"{type(self).__name__} has no measure")

    def apply(self, batch: Batch, tool: Any = None) -> Outcome:
        """Measure, then compare."""
        measured = self.measure(batch)
        verdicts = []
        for rule in self.rules():
            value = measured[rule.name]
            verdicts.append(Verdict(rule.name, COMPARISONS[rule.comparison](value, rule.limit), value, rule.limit))
        return Outcome(batch, verdicts, measured)


class DedupStage(Stage):
    """A stage that needs all documents: it emits keys, and documents with equal keys collide.

    A kind has either one key of one or more columns a document (``key_columns``), or one key of one column in each of
    ``bands`` bands, and then documents collide that have equal keys in one band.
    """

    #: Column names of the keys this kind emits, most significant first (uint64 each).
    key_columns: ClassVar[tuple[str, ...]]

    #: Column of a document that the keys are made of.
    key_source: ClassVar[str] = "text"

    #: Fields that decide no key: documents of runs that differ in these alone can be compared.
    beside_keys: ClassVar[frozenset[str]] = frozenset({"as_", "keep"})

    keep: str = Field(
        "random",
        description="which document of a cluster stays: `random` (by a keyed hash of seed and id), `first` (by file "
        "and offset), `longest` (most characters of text), `newest` (latest date), `best:COLUMN` (greatest number or "
        "time in a column of the documents); where several are equal, the random one of these",
    )
    scope: str | None = Field(
        None,
        description="a column of the documents: only documents with an equal value there (null equals null) are "
        "compared; default all with all",
    )

    @field_validator("keep")
    @classmethod
    def _keep_is_known(cls, value: str) -> str:
        check_keep(value)
        return value

    @field_validator("scope")
    @classmethod
    def _scope_parts(cls, value: str | None) -> str | None:
        if value == "text":
            raise ValueError("'text' would part all documents but copies: name a column that many share")
        return value

    @property
    def compares(self) -> bool:
        """Whether documents are compared with each other at all; if not, only the stages in ``before`` work."""
        return True

    @property
    def before(self) -> tuple[MapStage, ...]:
        """Stages that decide on each document alone, under this stage's name, before its keys are made."""
        return ()

    @property
    def evidence(self) -> str:
        """Why members of a cluster collided, for ``clusters/``."""
        return self.kind.removeprefix("dedup.")

    def key_settings(self, provided: Mapping[str, Any]) -> dict[str, Any]:
        """All that decides the keys of a document, as plain data: keys of two runs compare when it is equal.

        Parameters
        ----------
        provided : what ``provide`` returned
        """
        return {"kind": self.kind, **self.model_dump(mode="json", exclude=set(self.beside_keys)), **provided}

    @property
    def key_bands(self) -> int:
        """Keys a document, one in each band; 0 for a kind without bands."""
        return 0

    @property
    def thresholds(self) -> Thresholds | None:
        """What documents with equal keys must exceed to be duplicates; None where equal keys are enough.

        Only a kind with bands can verify; it has ``keys_and_units`` and ``shingle_units`` too.
        """
        return None

    @property
    def shingle_units(self) -> int:
        """Consecutive units that are a shingle, where similarities are verified."""
        return 1

    def open(self, resources: Resources) -> Any:
        """Open what ``keys`` needs once a worker, as ``MapStage.open`` does."""
        return None

    def keys(self, batch: Batch, tool: Any) -> np.ndarray:
        """Keys of a batch of n documents, each a function of its ``key_source`` alone.

        Returns
        -------
        uint64, (len(key_columns), n), or (key_bands, n) for a kind with bands; ``gpurefine.dedup.keys.NO_KEY`` in all
        bands, or in all of two or more columns, stands for a document that collides with none
        """
        raise NotImplementedError(f"{type(self).__name__} has no keys")

    def keys_and_units(self, batch: Batch, tool: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Keys of a batch, and what similarities of its texts are measured on.

        Returns
        -------
        keys : as of ``keys``
        units : unsigned integers on the host, the tokens, words or characters that are shingled
        starts : int64, (n + 1,), from 0; document i has ``units[starts[i]:starts[i + 1]]``
        """
        raise NotImplementedError(f"{type(self).__name__} has no units")


class SpanStage(DedupStage):
    """A dedup that looks inside documents: equal pieces of texts collide, and spans of texts go, not documents.

    ``key_length`` consecutive pieces of a document have a key. Of equal keys all leave, or all but one (``keep``).
    """

    key_columns: ClassVar[tuple[str, ...]] = ("high", "low")

    #: Whether pieces are tokens, which the engine hashes; a kind without them gives keys of its own.
    of_tokens: ClassVar[bool] = False

    keep: str = Field(
        "none",
        description="which of the copies stays: `none` (all leave), `first` (by file and offset), `random` (in the "
        "document with the least keyed hash of seed and id)",
    )

    @field_validator("keep")
    @classmethod
    def _keep_is_known(cls, value: str) -> str:
        if value not in cls.keeps():
            raise ValueError(f"'{value}' is no policy: use {', '.join(cls.keeps())}")
        return value

    @classmethod
    def keeps(cls) -> tuple[str, ...]:
        """The values of ``keep``."""
        return ("none", "first", "random")

    @property
    def key_length(self) -> int:
        """Consecutive pieces that a key stands for."""
        return 1

    @property
    def rounds(self) -> int:
        """How often the stage is run, each time on what the last has left."""
        return 1

    def pieces(self, batch: Batch, tool: Any) -> Pieces:
        """Pieces of a batch of n documents with their keys, or with their tokens; a function of each text alone."""
        raise NotImplementedError(f"{type(self).__name__} has no pieces")

    def owner_order(self, batch: Batch, seed: int) -> np.ndarray | None:
        """Numbers of n documents, uint64, (n,): of equal keys the one in the document with the least number stays.

        None: the first stays, by file and offset, or none at all.
        """
        return keyed_hash(seed, arrow_array(batch.frame["id"]).to_pylist()) if self.keep == "random" else None

    def edit(self, batch: Batch, spans: Spans, tool: Any) -> Edit:
        """Apply spans to n documents that have one or more each."""
        raise NotImplementedError(f"{type(self).__name__} has no edit")
