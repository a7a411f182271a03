"""A finished (or stopped) run as an object: what was kept, what was removed and why. For scripts and notebooks."""

from __future__ import annotations

import json
import os
from functools import reduce
from html import escape
from operator import or_
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from gpurefine.dedup.curve import curve, settings_of
from gpurefine.dedup.hashing import keyed_hash
from gpurefine.documents import REFINED_SCHEMA, REMOVED_SCHEMA
from gpurefine.engine.edits import SPAN_SCHEMA
from gpurefine.engine.resultfolder import open_results
from gpurefine.engine.rethreshold import clusters_at, other_thresholds, scored_dedup, scored_pairs
from gpurefine.engine.store import RunStore
from gpurefine.errors import InputError
from gpurefine.frames import from_arrow

#: Columns of folders that may still be empty.
RESULT_SCHEMAS = {"refined": REFINED_SCHEMA, "removed": REMOVED_SCHEMA, "spans": SPAN_SCHEMA}

CLUSTER_COLUMNS = ("cluster", "member", "survivor", "file", "offset", "evidence", "run")


class Run:
    """The results of a run directory, a local one or one in an object store.

    Tables are read when asked for; ``columns`` and ``rule`` keep them small.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self._results = open_results(path)
        manifest = self._results.manifest()
        if manifest is None:
            raise InputError(f"{path} is no run directory: it has no manifest.json; name the directory given to -o")
        self.manifest: dict[str, Any] = manifest

    @property
    def path(self) -> str:
        """The run directory, or its URL."""
        return self._results.name

    @property
    def store(self) -> RunStore:
        """The run directory. Raises InputError if it is not on this machine."""
        return self._results.local()

    @property
    def complete(self) -> bool:
        """Whether all steps are done; if not, the same command goes on."""
        return self.manifest.get("state") == "complete"

    def summary(self) -> dict[str, Any]:
        """The content of ``summary.json``. Raises InputError when the run is not complete."""
        if not self.complete:
            raise InputError(f"the run in {self.path} is not complete; give the same command again to go on")
        return json.loads(self._results.summary())

    def waterfall(self) -> pd.DataFrame:
        """How many records each stage and rule removed.

        Returns
        -------
        One row a rule that removed something, in pipeline order: stage, rule, removed, share (of all records), left
        (after the stage), share_left, reference (published share left after the stage, where the preset has one).
        """
        summary = self.summary()
        rows = []
        for entry in summary["waterfall"]:
            for rule, removed in entry["rules"].items() or {None: 0}.items():
                rows.append(
                    {
                        "stage": entry["stage"],
                        "rule": rule,
                        "removed": removed,
                        "share": removed / summary["records"] if summary["records"] else None,
                        "left": entry["left"],
                        "share_left": entry["share_left"],
                        "reference": entry["reference"],
                    }
                )
        return pd.DataFrame(rows)

    def refined(self, columns: list[str] | None = None) -> pd.DataFrame:
        """The kept documents, all columns or some."""
        return from_arrow(self._table("refined", columns=columns))

    def removed(self, rule: str | None = None, columns: list[str] | None = None) -> pd.DataFrame:
        """The removals, of all rules or of one (``quality:words``, or ``quality`` for a whole stage)."""
        return from_arrow(self._table("removed", columns=columns, filter=_rule_filter(rule)))

    def clusters(self) -> pd.DataFrame:
        """Members of all clusters of duplicates: cluster, member, survivor, file and offset of the member,
        evidence, and the old run whose document the survivor is (null: one of this run).
        """
        if not self._results.has("clusters"):
            return pd.DataFrame(columns=list(CLUSTER_COLUMNS))
        return from_arrow(self._table("clusters"))

    def spans(self) -> pd.DataFrame:
        """Spans of texts that the dedups inside documents found, as ``engine.edits.SPAN_SCHEMA`` has them.

        Returns
        -------
        A row a span: id, file and offset of its document, stage, first character and the one behind the last (code
        points of the text as the stage met it), document_removed, and the characters (null without removed texts)
        """
        return from_arrow(self._table("spans"))

    def rethreshold(
        self, jaccard: float | None = None, edit: float | None = None, stage: str | None = None
    ) -> pd.DataFrame:
        """The clusters that a verified dedup would have found at other thresholds; nothing is computed or read again.

        Later stages of the run are not repeated, and its files stay as they are.

        Parameters
        ----------
        jaccard, edit : what two documents must exceed, by default as in the run; ``edit=0`` leaves that one out
        stage : the stage's name, where the run has several that verify

        Returns
        -------
        As ``clusters``: cluster, member, survivor, file, offset, evidence

        Raises
        ------
        InputError
            if the run is not complete or has no scores, or a threshold is below those that were scored
        """
        dedup = scored_dedup(self.store, self.manifest, stage)
        return from_arrow(clusters_at(dedup, other_thresholds(dedup, jaccard, edit)))

    def scores(self, stage: str | None = None) -> pd.DataFrame:
        """The pairs of documents that a verified dedup compared.

        Returns
        -------
        A row a pair: member, file, offset, other, other_file, other_offset, jaccard, edit (null where it was not
        measured: the Jaccard similarity is below 0.5, or it would have taken too long)
        """
        return from_arrow(scored_pairs(scored_dedup(self.store, self.manifest, stage)))

    def curve(self, stage: str | None = None) -> pd.DataFrame:
        """The S-curve of the run's MinHash: similarity, and the probability that a pair of it collides.

        Parameters
        ----------
        stage : the stage's name, where the run has several of the kind ``dedup.minhash``

        Raises
        ------
        InputError
            if the run has no such stage, or several and none is named
        """
        settings = settings_of(self.manifest["pipeline"]["stages"])
        if not settings:
            raise InputError(f"the run in {self.path} has no stage dedup.minhash, so no curve: gpurefine curve has any")
        if stage is None and len(settings) == 1:
            (stage,) = settings
        if stage not in settings:
            raise InputError(f"the run in {self.path} has the MinHash stages {', '.join(settings)}: name one as stage")
        return curve(*settings[stage])

    def stats(self) -> pd.DataFrame:
        """All measured values, where the run wrote them (``output.stats: true``).

        Returns
        -------
        A row for each document that was measured: ``id``, ``file``, ``offset``, ``removed_by`` (the first rule that
        hit, or null), and a column for each ``stage:rule``
        """
        if not self._results.has("stats"):
            raise InputError(f"the run in {self.path} has no statistics; run with --set output.stats=true")
        table = self._table("stats")
        measured = pd.DataFrame([dict(row) for row in table["measured"].to_pylist()])
        found = pd.concat([from_arrow(table.drop_columns(["measured"])), measured], axis=1)
        # each step tells of a document what it measured; files are in the order of the steps
        document = ["id", "file", "offset"]
        return found.groupby(document, dropna=False, sort=False).first().reset_index()

    def sample(self, rule: str | None = None, n: int = 10, seed: int = 0, *, kept: bool = False) -> pd.DataFrame:
        """``n`` random removals (of one rule or stage, or of all), or with ``kept`` random kept documents.

        The choice is the ``n`` least keyed hashes of (seed, id): the same for any partitioning of the run.
        """
        folder = "refined" if kept else "removed"
        # texts are read for the chosen rows only
        places = self._table(folder, columns=["id", "file", "offset"], filter=None if kept else _rule_filter(rule))
        keys = pa.array(keyed_hash(seed, places["id"].to_pylist()))
        chosen = places.take(pc.sort_indices(keys)[: max(0, n)])
        rows = [
            (pc.field("file") == file) & (pc.field("offset") == offset)
            for file, offset in zip(chosen["file"].to_pylist(), chosen["offset"].to_pylist(), strict=True)
        ]
        found = from_arrow(self._table(folder, filter=reduce(or_, rows, pc.scalar(False))))
        order = from_arrow(chosen.select(["file", "offset"])).drop_duplicates()
        return order.merge(found, on=["file", "offset"], how="left")[list(found.columns)]

    def explain(self, id_or_url: str) -> pd.DataFrame:
        """Every record with this id or URL: whether it was kept, else stage, rule, value, limit and evidence; and what
        was cut out of its text.

        Raises
        ------
        InputError
            if the run read no such record
        """
        matches = (pc.field("id") == id_or_url) | (pc.field("url") == id_or_url)
        kept = self._table("refined", filter=matches, columns=["id", "url", "file", "offset"])
        removed = self._table("removed", filter=matches)
        found = pd.concat([from_arrow(kept).assign(outcome="kept"), from_arrow(removed).assign(outcome="removed")])
        if not len(found):
            raise InputError(f"no record in {self.path} has the id or URL {id_or_url}")
        order = ["outcome", *(name for name in REMOVED_SCHEMA.names if name in found)]
        found = found.reindex(columns=order).sort_values(["file", "offset"], ignore_index=True)
        spans = from_arrow(self._table("spans", filter=pc.field("id").isin(found["id"].tolist())))
        return found.assign(spans=[_told(spans, row) for row in found.itertuples()]) if len(spans) else found

    def _table(self, name: str, **options: Any) -> pa.Table:
        """Rows of a result folder; ``options`` choose columns and rows. Raises InputError if a file is damaged."""
        schema = RESULT_SCHEMAS.get(name)
        try:
            if schema is not None and not self._results.has(name):
                return ds.dataset(schema.empty_table()).to_table(**options)
            # a run on tables keeps more columns, which its files tell
            own = None if name == "refined" else schema
            return self._results.dataset(name, schema=own).to_table(**options)
        except (OSError, pa.ArrowException) as error:
            raise InputError(
                f"cannot read {self.path}/{name}: {error}; a file there is damaged, run again with --fresh"
            ) from None

    def __repr__(self) -> str:
        if not self.complete:
            return f"Run({self.path!r}, not complete)"
        summary = self.summary()
        return f"Run({self.path!r}, {summary['name']}: {summary['kept']:,} of {summary['records']:,} records kept)"

    def _repr_html_(self) -> str:
        head = f"<p><b>{escape(repr(self))}</b></p>"
        return head + (self.waterfall().to_html(index=False, escape=True, na_rep="") if self.complete else "")


def open_run(path: str | os.PathLike) -> Run:
    """Open the directory of a run. Raises InputError when it is none."""
    return Run(path)


def _told(spans: pd.DataFrame, record: Any) -> str | None:
    """How much each stage found in the text of a record; None if nothing."""
    own = spans[(spans["file"] == record.file) & (spans["offset"] == record.offset)]
    sizes = (own["last"] - own["first"]).groupby(own["stage"], sort=False)
    told = [f"{stage}: {len(each)} with {each.sum():,} characters" for stage, each in sizes]
    return "; ".join(told) or None


def _rule_filter(rule: str | None) -> pc.Expression | None:
    if rule is None:
        return None
    stage, colon, name = rule.partition(":")
    return (pc.field("stage") == stage) & (pc.field("rule") == name) if colon else pc.field("stage") == stage
