"""Counts of partitions added up: for the manifest and ``summary.json``, and the waterfall made from them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from gpurefine.config import Pipeline
from gpurefine.engine.store import RunStore
from gpurefine.stages.base import MapStage
from gpurefine.write import write_json

#: Counts that are sums over partitions.
SUMS = (
    "records",
    "kept",
    "truncated",
    "input_bytes",
    "text_bytes",
    "tokens",
    "span_documents",
    "spans",
    "span_characters",
)
#: Those that a step has which applies spans.
SPAN_COUNTS = ("span_documents", "spans", "span_characters")

#: What the summary says of a dedup; its plan stands in the manifest.
DEDUP_COUNTS = ("keys", "duplicates", "duplicates_of_old_runs", "clusters", "marks", "seconds")


class Tally:
    """Counts of a step, added up as its partitions end; of each partition only four numbers are kept.

    Attributes
    ----------
    kept : documents that each partition kept, -1 where it is not done
    bounds : ``(first_start, last_end)`` of each partition of step 0
    """

    def __init__(self, partitions: int) -> None:
        self.kept = [-1] * partitions
        self.bounds: list[tuple[int | None, int | None]] = [(None, None)] * partitions
        self._sums: Counter[str] = Counter(dict.fromkeys(SUMS, 0))
        self._removed: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._noted: Counter[str] = Counter()
        self._seconds, self._peak = 0.0, 0

    def add(self, counts: dict[str, Any]) -> None:
        """A partition is done."""
        self._change(counts, 1)
        self._peak = max(self._peak, counts["peak_memory"])
        self.kept[counts["partition"]] = counts["kept"]
        self.bounds[counts["partition"]] = counts["first_start"], counts["last_end"]

    def take_back(self, counts: dict[str, Any]) -> None:
        """A partition that was done will be done again."""
        self._change(counts, -1)
        self.kept[counts["partition"]] = -1

    def total(self) -> dict[str, Any]:
        """Counts of the step; ``peak_memory`` is the most that a worker process, without its children, has had."""
        return {
            **{name: self._sums[name] for name in SUMS},
            "removed": {rule: n for rule, n in sorted(self._removed.items()) if n},
            "skipped": {kind: n for kind, n in sorted(self._skipped.items()) if n},
            "noted": {what: n for what, n in sorted(self._noted.items()) if n},
            "worker_seconds": round(self._seconds, 3),
            "peak_memory": self._peak,
        }

    def _change(self, counts: dict[str, Any], sign: int) -> None:
        for name in SUMS:
            self._sums[name] += sign * counts[name]
        for total, name_of_part in ((self._removed, "removed"), (self._skipped, "skipped"), (self._noted, "noted")):
            for name, n in (counts[name_of_part] or {}).items():
                total[name] += sign * n
        self._seconds += sign * counts["seconds"]


def summarise(store: RunStore, pipeline: Pipeline, manifest: dict[str, Any]) -> None:
    """Write ``summary.json`` from a manifest whose steps are all done."""
    steps = [record["counts"] for record in manifest["steps"]]
    removed: Counter[str] = Counter()
    noted: Counter[str] = Counter()
    for counts in steps:
        removed.update(counts["removed"])
        noted.update(counts["noted"])
    machine = {
        f"{stage.name}:{rule}"
        for stage in pipeline.stages
        if isinstance(stage, MapStage)
        for rule in stage.machine_dependent
    }
    summary = {
        "name": pipeline.name,
        "missing_inputs": manifest.get("missing_inputs", []),
        "records": steps[0]["records"],
        "kept": steps[-1]["kept"],
        "removed": dict(sorted(removed.items())),
        "removed_by_machine_limits": {rule: n for rule, n in sorted(removed.items()) if rule in machine},
        "skipped_records": steps[0]["skipped"],
        "truncated_pages": steps[0]["truncated"],
        "noted": dict(sorted(noted.items())),
        "input_bytes": steps[0]["input_bytes"],
        "text_bytes": steps[-1]["text_bytes"],
        "tokens": steps[-1]["tokens"] if pipeline.output.tokens else None,
        "waterfall": waterfall(pipeline, steps[0]["records"], removed),
        "steps": [
            {
                "stages": record["stages"],
                "applies": record["applies"],
                "partitions": len(record["partitions"]),
                "seconds": record["seconds"],
                "dedup": _dedup_counts(record["dedup"]),
                **({name: counts[name] for name in SPAN_COUNTS} if counts["spans"] else {}),
                "worker_seconds": counts["worker_seconds"],
                "peak_memory": counts["peak_memory"],
            }
            for record, counts in zip(manifest["steps"], steps, strict=True)
        ],
    }
    write_json(store.summary_path, summary)


def _dedup_counts(state: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if state is None else {name: state[name] for name in DEDUP_COUNTS if name in state}


def waterfall(pipeline: Pipeline, records: int, removed: dict[str, int]) -> list[dict[str, Any]]:
    """How many records each stage removed and left, in the order of the pipeline.

    Returns
    -------
    One entry a stage, the reader first: ``stage``, ``removed``, ``left``, ``share_left`` (of all records), ``rules``
    (removals by rule), and ``reference`` (the published share left after this stage, or None).
    """
    reference = pipeline.reference.kept_after if pipeline.reference else {}
    left, entries = records, []
    for stage in ("read", *(stage.name for stage in pipeline.stages)):
        rules = {name.partition(":")[2]: n for name, n in removed.items() if name.partition(":")[0] == stage}
        left -= sum(rules.values())
        entries.append(
            {
                "stage": stage,
                "removed": sum(rules.values()),
                "left": left,
                "share_left": left / records if records else None,
                "rules": dict(sorted(rules.items(), key=lambda item: -item[1])),
                "reference": reference.get(stage),
            }
        )
    return entries
