"""``lines``: discards or edits lines that are furniture of the page, and drops documents with too much of it.

RefinedWeb (arXiv 2306.01116, section 3.2 and appendix G.2): counters, menus in capitals, single words, ``sign in`` and
``read more`` go; when that is more than 5 % of a document's words, the document goes. It is the last of the filters:
the quality rules are not asked again.
"""

from __future__ import annotations

from collections import Counter
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from gpurefine.documents import Batch
from gpurefine.frames import string_column, strings
from gpurefine.stages.base import MapStage, Outcome, Resources, Verdict
from gpurefine.text.characters import classes_checksum
from gpurefine.text.languages import LinePatterns, load_language
from gpurefine.text.line_rules import BLANK, KEEP, LineRules, judge_text, line_rules


class Lines(MapStage):
    """Cleans documents line by line; those of which too much would go are removed, with their text unchanged."""

    kind: ClassVar[str] = "lines"

    max_flagged: float = Field(
        0.05, ge=0, description="share of a document's words that may go; above it, the document"
    )
    count: Literal["removed", "whole"] = Field(
        "removed", description="words of an edited line that count: those cut (RefinedWeb 3.2), or all (G.2)"
    )
    max_uppercase: float = Field(0.5, ge=0, description="share of a line's characters; more capitals discard it")
    max_edit_words: int = Field(10, ge=0, description="words of the longest line that is edited")
    numeric_extra: str = Field("", description="characters that may stand among the digits of a numeric line")
    language: str = Field("en", description="language whose lists are taken where none are given here")
    counters: list[tuple[str, str]] | None = Field(None, description="nouns of counters, singular and plural")
    prefix: list[str] | None = Field(None, description="patterns cut from the beginning of a short line")
    suffix: list[str] | None = Field(None, description="patterns cut from the end of a short line")
    anywhere: list[str] | None = Field(None, description="patterns cut from a short line wherever they stand")

    def provide(self, resources: Resources) -> dict[str, str]:
        """Name the table of characters that decides what a capital, a digit and punctuation is.

        Raises
        ------
        ConfigError
            if there are no lists for the language
        """
        self._patterns()
        return {"characters_sha256": classes_checksum()}

    def open(self, resources: Resources) -> LineRules:
        """Make the patterns ready."""
        return line_rules(self._patterns(), self.max_uppercase, self.max_edit_words, self.numeric_extra)

    def apply(self, batch: Batch, tool: LineRules) -> Outcome:
        """Judge every line of every text; what is measured is the share of a document's words that would go."""
        texts = strings(batch.frame["text"])
        share = np.full(len(batch), np.nan)
        flagged, empty = np.zeros(len(batch), bool), np.zeros(len(batch), bool)
        evidence: list[str | None] = [None] * len(batch)
        cleaned = list(texts)
        for row, text in enumerate(texts):
            judged = judge_text(text or "", tool, self.count == "whole")
            share[row] = _share(judged.removed_words, text or "")
            if share[row] > self.max_flagged:
                flagged[row], evidence[row] = True, _counts(judged.actions)
            elif not judged.text:
                empty[row] = True
            else:
                cleaned[row] = judged.text
        if cleaned != texts:
            batch = batch.with_columns(text=string_column(cleaned))
        verdicts = [Verdict("flagged", flagged, share, self.max_flagged, evidence), Verdict("empty", empty, final=True)]
        return Outcome(batch, verdicts, {"flagged": share})

    def _patterns(self) -> LinePatterns:
        given = {"counters": self.counters, "prefix": self.prefix, "suffix": self.suffix, "anywhere": self.anywhere}
        if None not in given.values():
            return LinePatterns(**given)
        language = load_language(self.language).lines.model_dump()
        return LinePatterns(**{name: language[name] if own is None else own for name, own in given.items()})


def _share(removed_words: int, text: str) -> float:
    """Removed words / words, one float64 division; NaN where there is no word."""
    if not removed_words:  # most documents' words need not be counted
        return 0.0 if text and not text.isspace() else np.nan
    return removed_words / len(text.split())


def _counts(actions: list[str]) -> str:
    """The flagged lines by action, the most frequent first: ``one_word 3, uppercase 1``."""
    counted = Counter(action for action in actions if action not in (KEEP, BLANK))
    return ", ".join(f"{action} {n}" for action, n in sorted(counted.items(), key=lambda item: (-item[1], item[0])))
