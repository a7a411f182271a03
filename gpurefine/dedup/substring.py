"""``dedup.substring``: runs of tokens that occur more than once anywhere are cut out of the texts.

text -> normalised -> GPT-2 tokens, of which the engine compares all windows of ``length``. A span is the union of
windows that have a copy; it goes back to characters of the text as it was, where it is cut, masked or counted.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from gpurefine.dedup.pieces import Edit, Pieces, Spans
from gpurefine.dedup.spancut import cut, trimmed, whole_words, with_marks
from gpurefine.documents import TEXT, Batch
from gpurefine.frames import strings, text_buffers
from gpurefine.kernels.cuda.device import to_host
from gpurefine.resources.cache import Resources
from gpurefine.resources.models import gpt2_tokenizer, provide_model
from gpurefine.stages.base import SpanStage
from gpurefine.text.gpt2 import Gpt2Tokenizer
from gpurefine.text.origins import comparable_tokens, span_characters
from gpurefine.text.unicode import Punctuation, unicode_checksum


class Substring(SpanStage):
    """Cuts out what is repeated: runs of 50 or more GPT-2 tokens that occur at least twice (RefinedWeb G.3.2).

    A window of 50 tokens has a copy if the same tokens follow each other in another document, or elsewhere in the same
    one; windows do not cross documents. All windows with a copy are marked, the first one as well, and those that
    overlap or touch are one span. So every token of a span lies in a window that occurs twice, while the span as a
    whole may occur once. All spans are found before the first is cut; copies that cutting brings about stay, for which
    there is ``passes``.

    Tokens are those of the normalised text, as for MinHash, so that case, accents, punctuation and white space hide no
    copy. In the text as it was a span reaches from the first character of its first token to the last of its last, with
    the accents on it and all that normalising dropped between; white space and punctuation around it stay.

    Removes, by rule: ``short`` (`cut`, `mask`): fewer than ``min_left`` characters are left, or unmasked; ``partial``
    (`drop_partial`): a larger share of the characters than ``max_duplicated`` is in spans; ``any`` (`drop_any`): there
    is a span, their number is the value. A document without a span is never touched.
    """

    kind: ClassVar[str] = "dedup.substring"
    of_tokens: ClassVar[bool] = True

    length: int = Field(50, ge=2, le=1 << 16, description="tokens of the shortest span")
    on_match: Literal["cut", "mask", "drop_partial", "drop_any"] = Field(
        "cut",
        description="what becomes of a document with spans: `cut` takes them out, `mask` leaves the text, so that they "
        "are only told in `spans/`, `drop_partial` removes it if much is in spans, `drop_any` removes it",
    )
    min_left: int = Field(
        20, ge=0, description="characters that must be left when spans are cut, or not be masked; 0: any number"
    )
    max_duplicated: float = Field(0.2, ge=0, le=1, description="share of characters in spans for `drop_partial`")
    snap: Literal["word"] | None = Field(
        None,
        description="`word`: a span is shrunk to whole words, runs without white space, punctuation and symbols; not "
        "for languages that are written without blanks",
    )
    passes: int = Field(1, ge=1, le=16, description="how often, each time on what the last has left")
    normalise: bool = Field(True, description="compare the normalised text; off: the text as it is")
    punctuation: Punctuation = Field("blank", description="what normalising makes of punctuation and symbols")

    @property
    def key_length(self) -> int:
        """Tokens of a window."""
        return self.length

    @property
    def rounds(self) -> int:
        """How often the stage is run."""
        return self.passes

    @property
    def on_gpu(self) -> bool:
        """Always: tokens are made where the text lies."""
        return True

    def warning(self) -> str | None:
        """For passes that change nothing."""
        if self.passes > 1 and self.on_match == "mask":
            return f"on_match=mask leaves texts as they are, so all {self.passes} passes find the same: use passes=1"
        return None

    def provide(self, resources: Resources) -> dict[str, Any]:
        """The GPT-2 vocabulary, and the version of the tables that decide with it."""
        vocabulary = provide_model("gpt2-vocab.bpe", resources)
        return {
            "unicode_sha256": unicode_checksum(),
            "vocabulary": vocabulary["name"],
            "vocabulary_sha256": vocabulary["sha256"],
        }

    def open(self, resources: Resources) -> Gpt2Tokenizer:
        """The tokenizer with its vocabulary of words. Not for several threads at a time."""
        return gpt2_tokenizer(resources)

    def pieces(self, batch: Batch, tool: Gpt2Tokenizer) -> Pieces:
        """The tokens of each document, on the host; a text that is null has none."""
        data, offsets = text_buffers(batch.frame["text"])
        tokens, starts = comparable_tokens(data, offsets, tool, self._punctuation)
        return Pieces(None, to_host(starts), tokens=to_host(tokens))

    def edit(self, batch: Batch, spans: Spans, tool: Gpt2Tokenizer) -> Edit:
        """Cut, mask or count spans; the characters told are those of the spans after ``snap``.

        A document of whose spans no character is left (white space alone, no whole word) stays as it is.
        """
        data, offsets = text_buffers(batch.frame["text"])
        characters = span_characters(data, offsets, spans.starts, spans.bounds, tool, self._punctuation)
        texts: list[str] = []
        rules: list[str | None] = []
        measured = np.full((2, len(batch)), np.nan)
        for row, text in enumerate(strings(batch.frame["text"])):
            own = slice(spans.starts[row], spans.starts[row + 1])
            characters[own] = self._edges(text or "", characters[own])
            new, rule, measured[:, row] = self._judge(text or "", characters[own])
            texts.append(new)
            rules.append(rule)
        return Edit(pa.array(texts, TEXT), characters, rules, *measured)

    @property
    def _punctuation(self) -> Punctuation | None:
        return self.punctuation if self.normalise else None

    def _edges(self, text: str, spans: np.ndarray) -> np.ndarray:
        """Spans of a text with the ends they should have."""
        spans = with_marks(text, spans if self.normalise else trimmed(text, spans))
        return whole_words(text, spans) if self.snap == "word" else spans

    def _judge(self, text: str, spans: np.ndarray) -> tuple[str, str | None, tuple[float, float]]:
        """The text that goes on, the rule that it leaves by, what was measured and its limit."""
        sizes = spans[:, 1] - spans[:, 0]
        duplicated, number = int(sizes.sum()), int(np.count_nonzero(sizes))
        if number == 0:
            return text, None, (np.nan, np.nan)
        if self.on_match == "drop_any":
            return text, "any", (number, 0)
        if self.on_match == "drop_partial":
            share = duplicated / len(text)
            return text, "partial" if share > self.max_duplicated else None, (share, self.max_duplicated)
        new = cut(text, spans) if self.on_match == "cut" else text
        left = len(text) - duplicated if self.on_match == "mask" else len(new)
        short = left < self.min_left
        return text if short else new, "short" if short else None, (left, self.min_left)
