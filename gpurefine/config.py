"""A pipeline: YAML file or preset name -> checked stage objects. First room of a run; nothing is executed here.

A pipeline is an ordered list of stages with all parameters spelled out, plus what to read and what to write.
Stages are found by their kind (``quality`` -> ``gpurefine/stages/quality.py``; ``dedup.exact`` ->
``gpurefine/dedup/exact.py``; ``package.module:Class`` -> yours), so that a new one is registered nowhere.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError, field_validator

from gpurefine.configerrors import config_error, nearest
from gpurefine.errors import ConfigError
from gpurefine.read.options import InputOptions
from gpurefine.stages.base import DedupStage, MapStage, Stage
from gpurefine.yamlfile import parse_yaml


class OutputOptions(BaseModel):
    """What is written beside ``refined/``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    removed_text: bool = Field(True, description="keep the text of removed documents in removed/")
    stats: bool = Field(False, description="write all measured values to stats/")
    tokens: bool = Field(True, description="count the GPT-2 tokens of kept documents")
    keep_keys: bool = Field(False, description="leave the keys of each dedup of documents in keys/, for later runs")
    keep_work: bool = Field(False, description="leave work/ (intermediate documents and key files) when complete")


class Reference(BaseModel):
    """Published shares that a waterfall is shown beside."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    kept_after: dict[str, float] = Field(description="share of all records left after a stage, by stage name")


class Pipeline(BaseModel):
    """A pipeline with every parameter checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str = ""
    seed: int = Field(0, ge=0, lt=1 << 64, description="seed of all random decisions (survivors, samples)")
    annotate: bool = Field(False, description="measure every rule and remove nothing that has a text")
    against: tuple[str, ...] = Field(
        (), description="directories of finished runs with `output.keep_keys`; copies of their documents are removed"
    )
    input: InputOptions = InputOptions()
    output: OutputOptions = OutputOptions()
    stages: tuple[SerializeAsAny[Stage], ...]
    reference: Reference | None = None

    @field_validator("against", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("against")
    @classmethod
    def _each_once_absolute_and_in_order(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        url = next((name for name in value if "://" in name), None)
        if url is not None:
            raise ValueError(f"'{url}' is not on this machine, and keys are read locally: copy the run here first")
        # workers may be elsewhere; the order in which old runs are named changes nothing
        value = tuple(sorted(str(Path(name).absolute()) for name in value))
        twice = next((name for name in value if value.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"'{twice}' is named twice: name each run once")
        return value

    def as_data(self) -> dict[str, Any]:
        """The whole pipeline as plain data, every default spelled out: for the manifest and ``plan``."""
        data = self.model_dump(mode="json", by_alias=True)
        data["stages"] = [
            {_kind_in_config(stage): stage.model_dump(mode="json", by_alias=True)} for stage in self.stages
        ]
        return data


def _kind_in_config(stage: Stage) -> str:
    """What names the stage's class in a config: its kind, or ``module:Class`` for one that is not ours."""
    module, kind = type(stage).__module__, stage.kind
    ours = module in (f"gpurefine.{kind}", f"gpurefine.stages.{kind}")
    return kind if ours else f"{module}:{type(stage).__qualname__}"


def fingerprint(data: Any) -> str:
    """sha256 of plain data in one canonical form: equal exactly when all that decides is equal."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def preset_names() -> list[str]:
    """Names of the presets that are installed."""
    return sorted(entry.name[:-5] for entry in files("gpurefine.configs").iterdir() if entry.name.endswith(".yaml"))


def load_pipeline(name_or_path: str | Path, overrides: Sequence[str] = ()) -> Pipeline:
    """Read a preset or a YAML file and apply ``KEY=VALUE`` overrides.

    Parameters
    ----------
    name_or_path : a preset's name, or a path that ends in .yaml or .yml or holds a slash
    overrides : each ``seed=1``, ``output.stats=true`` or ``STAGE.parameter=value``; the value is YAML

    Raises
    ------
    ConfigError
        for an unknown preset, a missing file, a misspelt key or a value of the wrong type
    """
    text, origin = _read(str(name_or_path))
    try:
        data = parse_yaml(text)
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f" line {place.line + 1}" if place else ""
        raise ConfigError(f"{origin}{where} is not YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{origin}: expected a mapping with 'name' and 'stages', found {type(data).__name__}")
    return pipeline_from_data(data, overrides, origin)


def pipeline_from_data(data: dict[str, Any], overrides: Sequence[str] = (), origin: str = "the config") -> Pipeline:
    """A pipeline from plain data, as a YAML file holds it. Raises ConfigError."""
    stages = data.get("stages")
    if not isinstance(stages, list) or not stages:
        raise ConfigError(f"{origin}: 'stages' must be a list with at least one stage")
    parsed = _numbered([_stage_entry(entry, origin) for entry in stages])
    top = {key: value for key, value in data.items() if key != "stages"}
    for override in overrides:
        _override(top, parsed, override)
    objects = tuple(_build_stage(kind, name, parameters, origin) for kind, name, parameters in parsed)
    try:
        return Pipeline.model_validate({**top, "stages": objects})
    except ValidationError as error:
        raise config_error(error, Pipeline, origin) from None


def with_against(pipeline: Pipeline, runs: Sequence[str | os.PathLike]) -> Pipeline:
    """The pipeline with further old runs in ``against``. Raises ConfigError when one is named twice."""
    if not runs:
        return pipeline
    named = [*pipeline.against, *map(os.fspath, runs)]
    try:
        return Pipeline.model_validate({**dict(pipeline), "against": named})
    except ValidationError as error:
        raise config_error(error, Pipeline, pipeline.name) from None


def _read(name_or_path: str) -> tuple[str, str]:
    """The YAML text and what to call it in errors."""
    looks_like_path = name_or_path.endswith((".yaml", ".yml")) or "/" in name_or_path
    if not looks_like_path:
        if name_or_path not in preset_names():
            hint = nearest(name_or_path, preset_names())
            raise ConfigError(
                f"no preset is called '{name_or_path}'{hint}; `gpurefine presets` lists them, and a file needs .yaml"
            )
        return (files("gpurefine.configs") / f"{name_or_path}.yaml").read_text("utf-8"), f"preset {name_or_path}"
    try:
        return Path(name_or_path).read_text("utf-8"), name_or_path
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"cannot read the config {name_or_path}: {reason}") from None


def _stage_entry(entry: Any, origin: str) -> tuple[str, dict[str, Any]]:
    """One element of ``stages``: ``kind`` or ``{kind: {parameter: value}}``."""
    if isinstance(entry, str):
        return entry, {}
    if isinstance(entry, dict) and len(entry) == 1:
        kind, parameters = next(iter(entry.items()))
        if isinstance(kind, str) and isinstance(parameters or {}, dict):
            return kind, dict(parameters or {})
    raise ConfigError(f"{origin}: each stage is 'kind: {{parameters}}', found {entry!r}")


def _numbered(entries: Iterable[tuple[str, dict[str, Any]]]) -> list[tuple[str, str, dict[str, Any]]]:
    """(kind, name, parameters): the name is ``as``, else the kind, numbered from the second of a name."""
    seen: dict[str, int] = {}
    result = []
    for kind, parameters in entries:
        name = str(parameters.pop("as", None) or kind.rsplit(":", 1)[-1])
        seen[name] = seen.get(name, 0) + 1
        result.append((kind, name if seen[name] == 1 else f"{name}-{seen[name]}", parameters))
    return result


def find_stage(kind: str, origin: str = "the config") -> type[Stage]:
    """The class of a stage kind. Raises ConfigError when there is none, with the nearest known kind."""
    if ":" in kind:
        module_name, class_name = kind.split(":", 1)
        # a rule in a file of the user's beside the config is found as it is in a script
        if "" not in sys.path and str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        try:
            found = getattr(importlib.import_module(module_name), class_name)
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigError(f"{origin}: no stage at '{kind}': {error}") from None
        if not (isinstance(found, type) and issubclass(found, MapStage | DedupStage)):
            raise ConfigError(f"{origin}: '{kind}' is no stage class: expected a subclass of RuleStage or MapStage")
        return found
    found = _installed_stage(kind)
    if found is None:
        raise ConfigError(f"{origin}: no stage is called '{kind}'{nearest(kind, known_kinds())}")
    return found


def dedup_kind(kind: str) -> str:
    """The stage kind of a kind of dedup: ``minhash`` -> ``dedup.minhash``, ``module:Class`` as it is.

    Raises
    ------
    ConfigError
        when there is none, or the class is no dedup stage
    """
    full = kind if isinstance(kind, str) and ":" in kind else f"dedup.{kind}"
    kinds = [name for name in known_kinds() if name.startswith("dedup.")]
    if full != kind and full not in kinds:
        known = ", ".join(name.removeprefix("dedup.") for name in kinds)
        raise ConfigError(f"no kind of dedup is called {kind!r}: known are {known}")
    if not issubclass(find_stage(full), DedupStage):
        raise ConfigError(f"{kind!r} is a stage that decides on each document alone, expected a subclass of DedupStage")
    return full


def known_kinds() -> list[str]:
    """All stage kinds that are installed, by the files that are there."""
    names = [
        prefix + entry.name[:-3]
        for package, prefix in (("gpurefine.stages", ""), ("gpurefine.dedup", "dedup."))
        for entry in files(package).iterdir()
        if entry.name.endswith(".py")
    ]
    return sorted(name for name in names if _installed_stage(name))


def _installed_stage(kind: str) -> type[Stage] | None:
    """The class with this kind in the module of this name, if there are such a module and class."""
    name = f"gpurefine.{kind}" if kind.startswith("dedup.") else f"gpurefine.stages.{kind}"
    if not kind.replace("dedup.", "", 1).isidentifier() or importlib.util.find_spec(name) is None:
        return None
    for value in vars(importlib.import_module(name)).values():
        if isinstance(value, type) and issubclass(value, Stage) and getattr(value, "kind", None) == kind:
            return value
    return None


def _build_stage(kind: str, name: str, parameters: dict[str, Any], origin: str) -> Stage:
    stage_class = find_stage(kind, origin)
    try:
        return stage_class.model_validate({"as": name, **parameters})
    except ValidationError as error:
        raise config_error(error, stage_class, f"{origin}, stage '{name}'") from None


def _override(top: dict[str, Any], stages: list[tuple[str, str, dict[str, Any]]], override: str) -> None:
    """Apply one ``KEY=VALUE`` in place."""
    key, equals, value_text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {override}: expected KEY=VALUE, for example --set language.min_score=0.8")
    key = key.strip()
    try:
        value = parse_yaml(value_text)
    except yaml.YAMLError:
        value = value_text
    matches = [(name, parameters) for _, name, parameters in stages if key.startswith(name + ".")]
    if matches:
        name, parameters = max(matches, key=lambda match: len(match[0]))
        parameters[key[len(name) + 1 :]] = value
        return
    section, dot, option = key.partition(".")
    if section not in Pipeline.model_fields or section in ("stages", "reference"):
        names = [name for _, name, _ in stages] + ["seed", "annotate", "against", "input", "output"]
        raise ConfigError(f"--set {override}: this pipeline has no '{section}'{nearest(section, names)}")
    if dot:
        options = top.get(section) or {}
        if not isinstance(options, dict):
            raise ConfigError(f"--set {override}: '{section}' must be a mapping, found {options!r}")
        top[section] = {**options, option: value}
    else:
        top[section] = value
