"""The statistics of a batch's texts that the rules are decided on, measured once for all stages that ask alike.

Between the stages ``repetition`` and ``quality`` and the kernels: it hands the text column to a kernel as arrays and
keeps the table with the batch, keyed by its options, so that two stages with equal options share one pass.
"""

from __future__ import annotations

import functools
import importlib.metadata
from dataclasses import dataclass

import numpy as np

from gpurefine.documents import Batch
from gpurefine.frames import host_text_buffers, string_column, text_buffers
from gpurefine.kernels import ALL_COPIES_FIELDS, FIELDS, all_copies_statistics, text_statistics, word_hashes
from gpurefine.text.characters import classes_checksum, classes_with_bullets
from gpurefine.text.languages import load_language
from gpurefine.text.words import WordKind, check_words, word_spans


@dataclass(frozen=True)
class StatisticsOptions:
    """What is counted as what.

    Attributes
    ----------
    words : what a word is
    language : whose stop words are counted, and whose tokenizer spaCy takes
    stop_words : these instead of the language's
    bullets : characters that open an item of a list
    """

    words: WordKind = "whitespace"
    language: str = "en"
    stop_words: tuple[str, ...] | None = None
    bullets: tuple[str, ...] = ("•", "-")


def statistics(batch: Batch, options: StatisticsOptions) -> dict[str, np.ndarray]:
    """Counts of the main pass over ``batch.frame["text"]``; null counts as empty text.

    Returns
    -------
    int64, (n,) for each name in ``kernels.FIELDS``
    """
    table = _measured(batch, options, ("main",))["main"]
    return {name: table[:, column] for column, name in enumerate(FIELDS)}


def all_copies(batch: Batch, options: StatisticsOptions) -> dict[str, np.ndarray]:
    """Counts of repetition that include first copies: a second pass, made together with the main one.

    Returns
    -------
    int64, (n,) for each name in ``kernels.ALL_COPIES_FIELDS``
    """
    table = _measured(batch, options, ("main", "all copies"))["all copies"]
    return {name: table[:, column] for column, name in enumerate(ALL_COPIES_FIELDS)}


def stop_word_occurrences(batch: Batch, options: StatisticsOptions) -> np.ndarray:
    """How many words of each text are stop words in any case (int64, (n,)): counted in Python, and slower."""
    key = (options, "stop word occurrences")
    if key not in batch.statistics:
        stop_words = {word.lower() for word in _stop_words(options)}
        column = batch.frame["text"]
        data, _ = host_text_buffers(column)
        begins, ends, offsets = word_spans(column, options.words, options.language)
        # a batch whose texts do not begin at byte 0 still has its spans in ``data``
        buffer = data.tobytes()
        found = [buffer[b:e].decode().lower() in stop_words for b, e in zip(begins, ends, strict=True)]
        batch.statistics[key] = np.diff(np.concatenate([[0], np.cumsum(found, dtype=np.int64)])[offsets])
    return batch.statistics[key]


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotients of counts as float64, by one division each; 0 / 0 is NaN, which no rule compares true."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return numerator.astype(np.float64) / denominator.astype(np.float64)


def provided(options: StatisticsOptions) -> dict[str, str]:
    """What decides besides the options, for the manifest; see ``Stage.provide``.

    Raises
    ------
    ConfigError
        if there is no data for the language
    ResourceError
        if the words need a package that is not there
    """
    _stop_words(options)
    check_words(options.words, options.language)
    deciding = {"characters_sha256": classes_checksum()}
    package = {"uax29": "regex", "spacy": "spacy"}.get(options.words)
    if package:
        deciding[package] = importlib.metadata.version(package)
    return deciding


def _measured(batch: Batch, options: StatisticsOptions, passes: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The tables of these passes, by pass; what is missing is measured with one look for the words."""
    keys = {name: options if name == "main" else (options, name) for name in passes}
    missing = [name for name in passes if keys[name] not in batch.statistics]
    if missing:
        column = batch.frame["text"]
        if options.words == "whitespace":
            words, (data, offsets) = None, text_buffers(column)
        else:  # spans of words are positions there
            words, (data, offsets) = word_spans(column, options.words, options.language), host_text_buffers(column)
        classes = classes_with_bullets(options.bullets)
        if "main" in missing:
            stop_words = _hashes(_stop_words(options))
            batch.statistics[keys["main"]] = text_statistics(data, offsets, classes, stop_words, words)
        if "all copies" in missing:
            batch.statistics[keys["all copies"]] = all_copies_statistics(*host_text_buffers(column), classes, words)
    return {name: batch.statistics[key] for name, key in keys.items()}


@functools.lru_cache(maxsize=8)
def _stop_words(options: StatisticsOptions) -> tuple[str, ...]:
    return load_language(options.language).stop_words if options.stop_words is None else options.stop_words


@functools.lru_cache(maxsize=8)
def _hashes(words: tuple[str, ...]) -> np.ndarray:
    return word_hashes(*text_buffers(string_column(sorted(set(words)))))
