"""``language_hint``: pages that are hardly in a wanted language leave before the costly extraction.

It stands before ``extract`` and looks at the raw HTML: language identification of what lies between the tags costs a
small part of what extraction does. Not part of RefinedWeb, which extracts all pages first; what it saves and loses is
measured in docs/language_hint.md.
"""

from __future__ import annotations

from html import unescape
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from gpurefine.documents import Batch
from gpurefine.frames import text_buffers
from gpurefine.kernels import visible_text
from gpurefine.resources.models import model_path
from gpurefine.stages.base import MapStage, Outcome, Resources, Verdict
from gpurefine.stages.language import LABEL_PREFIX, has_letters, load_model, model_input, provide_languages

#: Stretches of a page that are looked at, evenly spread.
STRETCHES = 4


class LanguageHint(MapStage):
    """Removes pages on which a wanted language is hardly to be found, before their text is extracted.

    fastText looks at two samples of what lies between a page's tags: stretches from all over it, and its running text,
    runs of some length without a tag, since menus, dates and names may be in another language than the text.
    ``unlikely``: in neither sample the wanted languages together have the probability ``min_share``; the value is the
    greater one, the evidence the likeliest language of the page. A page without letters stays.
    """

    kind: ClassVar[str] = "language_hint"
    needs_text: ClassVar[bool] = False
    needs_html: ClassVar[bool] = True

    keep: list[str] = Field(["en"], min_length=1, description="wanted languages, by the model's labels")
    min_share: float = Field(
        0.02, gt=0, le=1, description="least probability of the wanted languages together, in one of the samples"
    )
    characters: int = Field(2000, ge=100, description="characters of a sample")
    run: int = Field(40, ge=1, description="characters between two tags that are running text")
    model: str = Field("lid.176.ftz", description="name of a known model, or the path of a fastText classifier")

    def provide(self, resources: Resources) -> dict[str, str]:
        """Make sure that the model is on this machine, can be run, and knows the languages.

        Raises
        ------
        ResourceError
            if it cannot be had or does not know one of them, or fastText is not installed
        """
        return provide_languages(self.model, self.keep, resources)

    def open(self, resources: Resources) -> Any:
        """Load the model.

        Raises
        ------
        ResourceError
            if it is not there or is not a fastText model
        """
        return load_model(str(model_path(self.model, resources)))

    def apply(self, batch: Batch, tool: Any) -> Outcome:
        """Look at each page; its HTML goes on as it is."""
        text, offsets = visible_text(*text_buffers(batch.frame["html"]))
        shares = np.full(len(batch), np.nan)
        evidence: list[str | None] = [None] * len(batch)
        for row in range(len(batch)):
            visible = text[offsets[row] : offsets[row + 1]].tobytes().decode("utf-8", "replace")
            if has_letters(visible):
                shares[row], evidence[row] = self._best_share(tool, visible)
        removed = shares < self.min_share
        return Outcome(batch, [Verdict("unlikely", removed, shares, self.min_share, evidence)], {"share": shares})

    def _best_share(self, model: Any, visible: str) -> tuple[float, str]:
        """Probability of the wanted languages in the sample that has more of it, and the page's likeliest language."""
        share, likeliest = self._share(model, spread_sample(visible, self.characters))
        if share < self.min_share:
            running = running_sample(visible, self.run, self.characters)
            if running:
                share = max(share, self._share(model, running)[0])
        return share, likeliest

    def _share(self, model: Any, sample: str) -> tuple[float, str]:
        """Probability of the wanted languages together in a sample, and its likeliest language."""
        labels, scores = model.predict(model_input(unescape(sample)), k=-1)
        shares = dict(zip((str(label).removeprefix(LABEL_PREFIX) for label in labels), map(float, scores), strict=True))
        return sum(shares.get(language, 0.0) for language in self.keep), max(shares, key=shares.__getitem__)


def spread_sample(visible: str, characters: int) -> str:
    """``STRETCHES`` stretches of a text, evenly spread, so many characters in all; the text itself if it has no more.

    Parameters
    ----------
    visible : lines of text, as of ``visible_text``
    characters : of the sample
    """
    if len(visible) <= characters:
        return visible
    stretch = characters // STRETCHES
    begins = [(len(visible) - stretch) * number // (STRETCHES - 1) for number in range(STRETCHES)]
    return " ".join(visible[begin : begin + stretch] for begin in begins)


def running_sample(visible: str, run: int, characters: int) -> str:
    """The first lines of a text that have ``run`` characters or more, ``characters`` of them; empty if there is none.

    Parameters as of ``spread_sample``.
    """
    found: list[str] = []
    size = 0
    for line in visible.split("\n"):
        if len(line) >= run:
            found.append(line)
            size += len(line)
            if size >= characters:
                break
    return " ".join(found)[:characters]
