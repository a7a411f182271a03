"""Data files of the rules that depend on the language: stop words and line patterns (``configs/languages/``)."""

from __future__ import annotations

import functools
from importlib.resources import files

from pydantic import BaseModel, ConfigDict

from gpurefine.errors import ConfigError
from gpurefine.yamlfile import parse_yaml

_FOLDER = files("gpurefine.configs") / "languages"


class LinePatterns(BaseModel):
    """Patterns of the line rules; see ``gpurefine.stages.lines`` for what each list does."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    counters: tuple[tuple[str, str], ...] = ()
    prefix: tuple[str, ...] = ()
    suffix: tuple[str, ...] = ()
    anywhere: tuple[str, ...] = ()


class LanguageData(BaseModel):
    """All that the rules know of one language."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stop_words: tuple[str, ...]
    lines: LinePatterns


@functools.cache
def known_languages() -> tuple[str, ...]:
    """Codes of the languages that have a data file, sorted."""
    return tuple(sorted(entry.name[:-5] for entry in _FOLDER.iterdir() if entry.name.endswith(".yaml")))


def load_language(code: str) -> LanguageData:
    """The data file of a language, by its fastText code (``en``).

    Raises
    ------
    ConfigError
        if there is no data file for that language
    """
    if code not in known_languages():
        raise ConfigError(
            f"no rule data for language '{code}': known are {', '.join(known_languages())}; pass the lists in the "
            "config instead"
        )
    return LanguageData.model_validate(parse_yaml((_FOLDER / f"{code}.yaml").read_text("utf-8")))
