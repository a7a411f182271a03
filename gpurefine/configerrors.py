"""Sentences for configs that cannot be understood."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from pydantic import BaseModel, ValidationError

from gpurefine.errors import ConfigError


def nearest(given: str, known: Iterable[str]) -> str:
    """``; did you mean 'X'?`` for the nearest known name; nothing where none is near."""
    close = difflib.get_close_matches(given, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def config_error(error: ValidationError, model: type[BaseModel], origin: str) -> ConfigError:
    """The first finding of pydantic as one sentence, with the nearest right key for a misspelt one."""
    finding = error.errors()[0]
    place = ".".join(str(part) for part in finding["loc"])
    if finding["type"] == "extra_forbidden":
        owner: type[BaseModel] = model
        for part in finding["loc"][:-1]:
            annotation = owner.model_fields[str(part)].annotation if str(part) in owner.model_fields else None
            owner = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else owner
        known = [field.alias or name for name, field in owner.model_fields.items()]
        there = f"; known are {', '.join(known)}" if len(known) > 1 else f"; the only one is '{known[0]}'"
        hint = nearest(str(finding["loc"][-1]), known) or there
        return ConfigError(f"{origin}: there is no parameter '{place}'{hint}")
    given = finding.get("input")
    said = finding["msg"].removeprefix("Value error, ")
    if not place:
        return ConfigError(f"{origin}: {said}")
    # a check of ours names the value itself
    shown = "" if finding["type"] in ("missing", "value_error") else f", found {given!r}"
    return ConfigError(f"{origin}: parameter '{place}': {said}{shown}")
