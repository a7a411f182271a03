"""Golden values of rule stages, and batches to try them on."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from gpurefine.documents import Batch
from gpurefine.frames import string_column

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def golden(name):
    """The golden values of one file, as a list of dictionaries."""
    return [json.loads(line) for line in (GOLDEN / name).read_text("utf-8").splitlines()]


def batch_of(*texts):
    """A batch with nothing but these texts."""
    return Batch(pd.DataFrame({"text": string_column(texts)}))


def quotient(value):
    """The float64 of a golden value: a number, or numerator and denominator."""
    return float(np.float64(value[0]) / np.float64(value[1])) if isinstance(value, list) else float(value)


def first_rules(stage, *texts):
    """For each text the first rule that removes it, or None."""
    outcome = stage.apply(batch_of(*texts))
    return [
        next((verdict.rule for verdict in outcome.verdicts if verdict.removed[index]), None)
        for index in range(len(texts))
    ]


def value(stage, rule, text):
    """What the stage measures for one rule on one text."""
    return stage.measure(batch_of(text))[rule][0]
