"""What a verified dedup will write beside its keys, estimated from a sample of texts. For ``gpurefine plan``."""

from __future__ import annotations

from dataclasses import dataclass

from gpurefine.dedup.candidates import CANDIDATES, FOUND_COLUMNS
from gpurefine.engine.estimate_spans import ASSUMED_TOKENS, TOKEN_BYTES, sample_texts
from gpurefine.engine.run import Prepared
from gpurefine.engine.tools import StageTools
from gpurefine.stages.base import DedupStage

#: Texts that are looked at: their keys are made too.
SAMPLE_TEXTS = 256
#: Of each document in a unit file: where it begins, and its checksum.
ENTRY_BYTES = 16
#: Of a candidate in files of candidates and edges, and with its evidence and scores in Parquet.
CANDIDATE_BYTES = 16 + 16 + 2 * 24 + 32


@dataclass(frozen=True)
class VerifyEstimate:
    """What verification is estimated at.

    Attributes
    ----------
    line : what the plan says of it
    work_bytes : bytes a document, in ``work/`` and ``scores/``
    """

    line: str
    work_bytes: int


def estimate_verification(prepared: Prepared, dedup: DedupStage, tasks: int) -> VerifyEstimate:
    """Bytes that a dedup writes because it verifies.

    Parameters
    ----------
    prepared : the run
    dedup : a stage with thresholds
    tasks : collide tasks, each of which may write a row for each document
    """
    unit_bytes, whence = _unit_bytes(prepared, dedup)
    found, kept = 8 * len(FOUND_COLUMNS) * tasks, CANDIDATES * CANDIDATE_BYTES
    line = (
        f"  {dedup.name}: verification: some {unit_bytes + ENTRY_BYTES:,.0f} bytes of units a document ({whence}), "
        f"written once, read once for each of at most {CANDIDATES} candidates; of a document that has some, up to "
        f"{found:,} bytes while they are looked for, and up to {kept:,} of candidates, edges and scores"
    )
    return VerifyEstimate(line, round(unit_bytes) + ENTRY_BYTES + found + kept)


def _unit_bytes(prepared: Prepared, dedup: DedupStage) -> tuple[float, str]:
    """Mean bytes of the units of a document, and where the number is from."""
    counted, found = 0, 0
    tools = StageTools(prepared.resources, prepared.provided)
    try:
        for batch in sample_texts(prepared, SAMPLE_TEXTS):
            _, units, _ = dedup.keys_and_units(batch, tools.tool(dedup))
            counted, found = counted + len(batch), found + units.nbytes
    finally:
        tools.teardown()
    if counted:
        return found / counted, f"as in {counted:,} of the first"
    return ASSUMED_TOKENS * TOKEN_BYTES, "assumed"
