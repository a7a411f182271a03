"""``language``: keeps documents whose language is one of the wanted ones, by fastText's language identification.

RefinedWeb (arXiv 2306.01116, section 3.1) takes CCNet's model lid.176 (176 languages; Joulin et al., arXiv 1612.03651)
on the whole document and removes it when the best language scores below 0.65 or is not English.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from gpurefine.documents import Batch
from gpurefine.errors import ResourceError
from gpurefine.frames import number_column, string_column, strings
from gpurefine.resources.models import model_path, provide_model
from gpurefine.stages.base import MapStage, Outcome, Resources, Verdict

LABEL_PREFIX = "__label__"


class Language(MapStage):
    """Removes documents that are not surely in a wanted language; adds ``language`` and ``language_score``."""

    kind: ClassVar[str] = "language"

    keep: list[str] = Field(["en"], min_length=1, description="wanted languages, by the model's labels")
    min_score: float = Field(0.65, ge=0, description="least score of the best language (RefinedWeb 3.1)")
    strict: bool = Field(False, description="a score of exactly `min_score` is removed too, as in datatrove and DCLM")
    model: str = Field("lid.176.ftz", description="name of a known model, or the path of a fastText classifier")

    def provide(self, resources: Resources) -> dict[str, str]:
        """Make sure that the model is on this machine and can be run.

        Raises
        ------
        ResourceError
            if the model cannot be had or does not know a wanted language, or fastText is not installed
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
        """Identify each text; ``language`` and its score are null where there is no letter to go by."""
        labels: list[str | None] = []
        scores = np.full(len(batch), np.nan)
        rules: list[str | None] = []
        for row, text in enumerate(strings(batch.frame["text"])):
            label = None
            if text is not None and has_letters(text):
                label, scores[row] = identify(tool, text)
            labels.append(label)
            rules.append(judge(label, scores[row], self.keep, self.min_score, self.strict))
        judged = np.array(rules, object)
        verdicts = [
            Verdict("empty", judged == "empty"),
            Verdict("score", judged == "score", scores, self.min_score, labels),
            Verdict("other", judged == "other", scores, None, labels),
        ]
        labelled = batch.with_columns(language=string_column(labels), language_score=number_column(scores))
        return Outcome(labelled, verdicts, {"score": scores})


def provide_languages(model: str, keep: Sequence[str], resources: Resources) -> dict[str, str]:
    """Make sure that a model is on this machine, can be run, and knows the wanted languages.

    Returns
    -------
    ``model`` and ``model_sha256``, for the manifest

    Raises
    ------
    ResourceError
        if the model cannot be had or does not know a language, or fastText is not installed
    """
    _import_fasttext()
    provided = provide_model(model, resources)
    known = {label.removeprefix(LABEL_PREFIX) for label in load_model(str(model_path(model, resources))).get_labels()}
    unknown = sorted(set(keep) - known)
    if unknown:
        raise ResourceError(
            f"keep: the model {model} knows no language {', '.join(map(repr, unknown))}: name languages by its "
            f"{len(known)} labels ({', '.join(sorted(known)[:8])}, ...)"
        )
    return {"model": provided["name"], "model_sha256": provided["sha256"]}


def judge(label: str | None, score: float, keep: list[str], min_score: float, strict: bool = False) -> str | None:
    """The rule that removes a document with this best language, or None if it stays.

    Parameters
    ----------
    label : best language; None if the text has no letter
    score : its score; fastText's may exceed 1 by some 1e-5
    keep, min_score, strict : the parameters of ``Language``
    """
    if label is None:
        return "empty"
    if score < min_score or (strict and score == min_score):
        return "score"
    return None if label in keep else "other"


def has_letters(text: str) -> bool:
    """Whether the text has a character of category L."""
    return any(map(str.isalpha, text))


def model_input(text: str) -> str:
    """The text as the model gets it: on one line, since fastText refuses newlines, with no words glued together."""
    return text.replace("\n", " ")


def identify(model: Any, text: str) -> tuple[str, float]:
    """The best language of a text and its score, a float32 as a float.

    The packages that bring fastText return labels and scores as tuples, lists or arrays; all are understood.
    """
    labels, scores = model.predict(model_input(text))
    return str(labels[0]).removeprefix(LABEL_PREFIX), float(scores[0])


def load_model(path: str) -> Any:
    """Load a fastText model; whatever it cannot read becomes a ResourceError."""
    fasttext = _import_fasttext()
    try:
        model = fasttext.load_model(path)
        identify(model, "")  # a model of word vectors can be loaded and fails only here
    except (ValueError, RuntimeError, MemoryError) as error:
        raise ResourceError(
            f"{path} cannot be used to identify languages ({error}): give the path of a fastText classifier"
        ) from error
    return model


def _import_fasttext() -> Any:
    try:
        import fasttext
    except ImportError as error:
        raise ResourceError(
            f"the stage 'language' needs fastText and it cannot be imported ({error}): pip install fasttext-community"
        ) from error
    return fasttext
