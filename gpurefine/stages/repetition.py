"""Stage ``repetition``: removes documents that repeat themselves (RefinedWeb 3.2, which takes Gopher's table A1).

Runs on the text as it is. A *line* is what is left when the text is split at runs of newlines, a *paragraph* at runs of
two or more; both are compared exactly, as are words. Shares are of the text's characters (code points), blanks
included. ``count: all`` and ``tie: longest`` are DCLM's reading of the same table.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from gpurefine.documents import Batch
from gpurefine.stages.base import Resources, Rule, RuleStage
from gpurefine.text.languages import known_languages
from gpurefine.text.statistics import StatisticsOptions, all_copies, provided, ratio, statistics
from gpurefine.text.words import WordKind

TOP_SIZES = (2, 3, 4)
DUPLICATE_SIZES = (5, 6, 7, 8, 9, 10)


def _limit(default: float, description: str) -> float | None:
    return Field(default, ge=0, description=f"removed above this {description}; null: no such rule")


class Repetition(RuleStage):
    """Removes a document with too many repeated lines, paragraphs or n-grams of words.

    The rules are, in this order, ``empty`` (there is no text at all) and the limits below by their names. Limits are
    those of Gopher's table A1.
    """

    kind: ClassVar[str] = "repetition"

    dup_para_frac: float | None = _limit(0.30, "share of paragraphs that are copies of an earlier one")
    dup_para_char_frac: float | None = _limit(0.20, "share of characters in such paragraphs")
    dup_line_frac: float | None = _limit(0.30, "share of lines that are copies of an earlier one")
    dup_line_char_frac: float | None = _limit(0.20, "share of characters in such lines")
    top_2: float | None = _limit(0.20, "share of characters in the most frequent 2-gram")
    top_3: float | None = _limit(0.18, "share of characters in the most frequent 3-gram")
    top_4: float | None = _limit(0.16, "share of characters in the most frequent 4-gram")
    dup_5: float | None = _limit(0.15, "share of characters in 5-grams seen before")
    dup_6: float | None = _limit(0.14, "share of characters in 6-grams seen before")
    dup_7: float | None = _limit(0.13, "share of characters in 7-grams seen before")
    dup_8: float | None = _limit(0.12, "share of characters in 8-grams seen before")
    dup_9: float | None = _limit(0.11, "share of characters in 9-grams seen before")
    dup_10: float | None = _limit(0.10, "share of characters in 10-grams seen before")
    words: WordKind = Field(
        "whitespace",
        description="what a word is: run of visible characters, UAX 29 word (DCLM), spaCy token (datatrove)",
    )
    language: str = Field("en", description="language of the spaCy tokenizer")
    count: Literal["extra", "all"] = Field(
        "extra",
        description="which copies count: 'extra' those after the first, as datatrove; 'all' also the first, lines and "
        "paragraphs stripped, and n-grams as shares of the words' characters, as DCLM",
    )
    tie: Literal["first", "longest"] = Field(
        "first",
        description="which of several most frequent n-grams counts: the first in the text, or the longest (DCLM)",
    )
    top_min_count: int = Field(
        2, ge=1, description="occurrences that the most frequent n-gram needs to count at all; datatrove takes 1"
    )

    def provide(self, resources: Resources) -> dict[str, str]:
        """Check that the words can be found; the table of character classes decides too."""
        return provided(self._options())

    @property
    def on_gpu(self) -> bool:
        """With words by white space, and without the second pass that looks at all copies."""
        return self.words == "whitespace" and self.count != "all" and self.tie != "longest"

    def rules(self) -> list[Rule]:
        """No text at all, then the limits that are set."""
        names = ("dup_para_frac", "dup_para_char_frac", "dup_line_frac", "dup_line_char_frac")
        names += tuple(f"top_{n}" for n in TOP_SIZES) + tuple(f"dup_{n}" for n in DUPLICATE_SIZES)
        limits = {name: getattr(self, name) for name in names}
        return [Rule("empty", "<", 1)] + [Rule(name, ">", limit) for name, limit in limits.items() if limit is not None]

    def measure(self, batch: Batch) -> dict[str, np.ndarray]:
        """Characters of the text for ``empty``, the shares for all others."""
        if self.count == "all" or self.tie == "longest":
            all_copies(batch, self._options())  # before the main pass, so that both look for the words once
        counts = statistics(batch, self._options())
        shares = self._shares_of_all_copies(batch, counts) if self.count == "all" else self._shares(batch, counts)
        return {"empty": counts["characters"].astype(np.float64), **shares}

    def _options(self) -> StatisticsOptions:
        # No stop word is measured here. The language's own are counted all the same, where there are any, so that
        # ``quality`` with equal options shares the pass.
        stop_words = None if self.language in known_languages() else ()
        return StatisticsOptions(self.words, self.language, stop_words)

    def _shares(self, batch: Batch, counts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Shares in copies after the first, of all characters; n-grams of ``top_n`` are joined by single blanks."""
        characters = counts["characters"]
        shares = {
            "dup_para_frac": ratio(counts["extra_paragraphs"], counts["paragraphs"]),
            "dup_para_char_frac": ratio(counts["extra_paragraph_characters"], characters),
            "dup_line_frac": ratio(counts["extra_lines"], counts["lines"]),
            "dup_line_char_frac": ratio(counts["extra_line_characters"], characters),
        }
        for n in TOP_SIZES:
            shares[f"top_{n}"] = ratio(self._top(batch, counts, n, blanks=n - 1), characters)
        for n in DUPLICATE_SIZES:
            shares[f"dup_{n}"] = ratio(counts[f"extra_{n}"], characters)
        return shares

    def _shares_of_all_copies(self, batch: Batch, counts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Shares in all copies of what occurs twice or more, of the characters of lines, paragraphs or words."""
        copies = all_copies(batch, self._options())
        characters = counts["word_characters"]
        shares = {
            "dup_para_frac": ratio(copies["repeated_paragraphs"], copies["paragraphs"]),
            "dup_para_char_frac": ratio(copies["repeated_paragraph_characters"], copies["paragraph_characters"]),
            "dup_line_frac": ratio(copies["repeated_lines"], copies["lines"]),
            "dup_line_char_frac": ratio(copies["repeated_line_characters"], copies["line_characters"]),
        }
        for n in TOP_SIZES:
            shares[f"top_{n}"] = ratio(self._top(batch, counts, n, blanks=0), characters)
        for n in DUPLICATE_SIZES:
            shares[f"dup_{n}"] = ratio(copies[f"repeated_{n}"], characters)
        return shares

    def _top(self, batch: Batch, counts: dict[str, np.ndarray], n: int, blanks: int) -> np.ndarray:
        """Occurrences of the most frequent n-gram times its characters; overlapping occurrences count."""
        occurrences = counts[f"top_{n}"]
        if self.tie == "longest":
            length = all_copies(batch, self._options())[f"longest_{n}"]
        else:
            length = counts[f"top_{n}_characters"]
        return np.where(occurrences >= self.top_min_count, occurrences * (length + blanks), 0)
