"""Stage ``quality``: keeps documents that look like prose in the language (RefinedWeb 3.2, which takes Gopher A1.1).

W are all words, V those with a character outside the Unicode categories P, S and C, so that lone marks are no words.
Lines are the non-empty ones of the text split at newlines, without white space at their ends. The limits were made for
English prose: RefinedWeb warns that other languages need their own, and their own stop words.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, StringConstraints

from gpurefine.documents import Batch
from gpurefine.stages.base import Resources, Rule, RuleStage
from gpurefine.text.statistics import StatisticsOptions, provided, ratio, statistics, stop_word_occurrences
from gpurefine.text.words import WordKind

_DEFAULT = StatisticsOptions()


class Quality(RuleStage):
    """Removes a document by its words, marks and lines.

    The rules, in this order: ``words`` (V), ``mean_word_length`` (characters of V / V), ``hash`` (``#`` / W),
    ``ellipsis`` (``...`` and ``…`` / W), ``bullet_lines`` and ``ellipsis_lines`` (/ lines), ``alphabetic`` (words with
    a letter / W), ``stop_words``. Limits are Gopher's; a limit that is null is no rule.
    """

    kind: ClassVar[str] = "quality"

    min_words: int | None = Field(50, ge=0, description="words at least")
    max_words: int | None = Field(100_000, ge=0, description="words at most")
    min_mean_word_length: float | None = Field(3, ge=0, description="mean characters of a word at least")
    max_mean_word_length: float | None = Field(10, ge=0, description="mean characters of a word at most")
    max_hash: float | None = Field(0.1, ge=0, description="number signs for each word at most")
    max_ellipsis: float | None = Field(0.1, ge=0, description="ellipses for each word at most")
    max_bullet_lines: float | None = Field(0.9, ge=0, description="share of lines that begin with a bullet at most")
    max_ellipsis_lines: float | None = Field(0.3, ge=0, description="share of lines that end in an ellipsis at most")
    min_alphabetic: float | None = Field(0.8, ge=0, description="share of words with a letter at least")
    min_stop_words: int | None = Field(2, ge=0, description="stop words at least")
    words: WordKind = Field(
        _DEFAULT.words,
        description="what a word is: run of visible characters, UAX 29 word (DCLM), spaCy token (datatrove)",
    )
    language: str = Field(_DEFAULT.language, description="whose stop words, and language of the spaCy tokenizer")
    stop_words: tuple[Annotated[str, StringConstraints(pattern=r"^\S+$")], ...] | None = Field(
        None, description="stop words instead of the language's own"
    )
    stop_words_count: Literal["different", "occurrences"] = Field(
        "different",
        description="'different' stop words, in just this case, as datatrove; or 'occurrences' in any case, as DCLM",
    )
    symbols: Literal["apart", "sum"] = Field(
        "apart",
        description="'apart': number signs and ellipses by their own limits; 'sum', as DCLM: both together by "
        "max_hash, max_ellipsis without effect, and '. . .' is an ellipsis too, also at the end of a line",
    )
    empty_lines: Literal["ignored", "counted"] = Field(
        "ignored", description="whether empty lines count as lines; datatrove counts them"
    )
    bullets: tuple[Annotated[str, StringConstraints(min_length=1, max_length=1)], ...] = Field(
        _DEFAULT.bullets, description="characters that make a line an item of a list; DCLM has ● • * -"
    )

    def provide(self, resources: Resources) -> dict[str, str]:
        """Check that stop words are known and words can be found; the table of character classes decides too."""
        return provided(self._options())

    @property
    def on_gpu(self) -> bool:
        """With words by white space, and stop words that are looked up, not read."""
        return self.words == "whitespace" and self.stop_words_count == "different"

    def rules(self) -> list[Rule]:
        """The limits that are set; a pair of limits is two rules of one name."""
        rules = [
            ("words", "<", self.min_words),
            ("words", ">", self.max_words),
            ("mean_word_length", "<", self.min_mean_word_length),
            ("mean_word_length", ">", self.max_mean_word_length),
            ("hash", ">", self.max_hash),
            ("ellipsis", ">", self.max_ellipsis if self.symbols == "apart" else None),
            ("bullet_lines", ">", self.max_bullet_lines),
            ("ellipsis_lines", ">", self.max_ellipsis_lines),
            ("alphabetic", "<", self.min_alphabetic),
            ("stop_words", "<", self.min_stop_words),
        ]
        return [Rule(name, comparison, limit) for name, comparison, limit in rules if limit is not None]

    def measure(self, batch: Batch) -> dict[str, np.ndarray]:
        """Counts for ``words`` and ``stop_words``, quotients for all others."""
        counts = statistics(batch, self._options())
        words = counts["words"]
        number_signs, ellipses, ellipsis_lines = counts["number_signs"], counts["ellipses"], counts["ellipsis_lines"]
        if self.symbols == "sum":
            ellipses = ellipses + counts["spaced_ellipses"]
            number_signs = number_signs + ellipses
            ellipsis_lines = ellipsis_lines + counts["spaced_ellipsis_lines"]
        lines = counts["newline_lines"] if self.empty_lines == "counted" else counts["visible_lines"]
        if self.stop_words_count == "occurrences":
            stop_words = stop_word_occurrences(batch, self._options())
        else:
            stop_words = counts["stop_words"]
        return {
            "words": counts["plain_words"].astype(np.float64),
            "mean_word_length": ratio(counts["plain_characters"], counts["plain_words"]),
            "hash": ratio(number_signs, words),
            "ellipsis": ratio(ellipses, words),
            "bullet_lines": ratio(counts["bullet_lines"], lines),
            "ellipsis_lines": ratio(ellipsis_lines, lines),
            "alphabetic": ratio(counts["alphabetic_words"], words),
            "stop_words": stop_words.astype(np.float64),
        }

    def _options(self) -> StatisticsOptions:
        return StatisticsOptions(self.words, self.language, self.stop_words, self.bullets)
