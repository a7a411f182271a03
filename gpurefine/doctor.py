"""What is there and what is missing on this machine, for ``gpurefine doctor``: findings as plain data.

Nothing is fetched, written or imported from the packages that are looked at: versions come from their metadata, and
GPUs are asked for in a process of their own (``devices``). Only ``workers_of`` opens a connection, to the scheduler
that the user named, and ``inputs_of`` the files.
"""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from gpurefine.devices import Device, DeviceReport, extra_for, find_devices
from gpurefine.errors import GpurefineError, ResourceError
from gpurefine.machine import available_cores, available_memory
from gpurefine.probe import distribution
from gpurefine.read.inputs import InputFile, look_for_inputs
from gpurefine.read.options import InputOptions
from gpurefine.resources.cache import Resources, sha256_of
from gpurefine.resources.lists import UT1, open_provided
from gpurefine.resources.registry import MODELS
from gpurefine.workers import decide_backend, scheduler_workers

Mark = Literal["ok", "missing", "problem"]

#: Room that a run takes at least, as a share of its (compressed) inputs.
LEAST_ROOM = 0.2
#: Free bytes of memory and of the disk for temporary files below which a run hardly works.
LEAST_FREE = 1 << 30

#: What a GPU needs beside its driver: names and the modules that are imported.
GPU_MODULES = {"CuPy": "cupy", "cuDF": "cudf", "dask-cuDF": "dask_cudf", "dask-cuda": "dask_cuda", "RMM": "rmm"}
#: Packages of the base install whose versions RAPIDS bounds.
CAPPED = frozenset({"dask", "distributed", "numba", "numpy", "pandas", "pyarrow"})
#: Packages that say how.
CAPPING = (
    *("cudf-cu13", "cudf-cu12", "dask-cudf-cu13", "dask-cudf-cu12"),
    *("rapids-dask-dependency", "numba", "numba-cuda"),
)

#: Optional extras that are not of GPUs, and what each is for.
EXTRAS = {
    "s3": "inputs on s3://",
    "http": "inputs on http://",
    "resiliparse": "the extractor resiliparse",
    "spacy": "spaCy's words",
    "notebook": "notebooks and plots",
}


@dataclass(frozen=True)
class Finding:
    """One line of what the doctor found.

    Attributes
    ----------
    part : what it belongs to, such as ``packages``
    subject : what was looked at
    mark : ``ok``, ``missing`` (what needs it cannot be used) or ``problem`` (it is there and will not do)
    told : what was found
    mend : the command that mends it, if any
    stops : whether no run can work with it, on CPUs either
    """

    part: str
    subject: str
    mark: Mark
    told: str
    mend: str = ""
    stops: bool = False


@dataclass(frozen=True)
class Diagnosis:
    """All findings; the backend that a run would take, and why; whether that is what was asked for."""

    findings: tuple[Finding, ...]
    backend: str
    healthy: bool


def diagnose(
    resources: Resources,
    scheduler: str | None = None,
    backend: str = "auto",
    inputs: Sequence[str] = (),
    options: InputOptions | None = None,
) -> Diagnosis:
    """Look at this machine, at the workers of a scheduler, and at the inputs of a run.

    Parameters
    ----------
    resources : the cache that holds models and lists
    scheduler : address or file of a Dask scheduler that is running
    backend : as of a run; with ``gpu`` it is unhealthy not to have one
    inputs : paths, URLs, globs and lists of a run; it is unhealthy if one of them cannot be read
    options : how these are found and reached

    Raises
    ------
    ConfigError
        for an unknown backend
    """
    report = find_devices()
    findings = [*machine(), *packages(), *models_and_lists(resources), *gpus(report), *extras()]
    if scheduler is not None:
        findings += workers_of(scheduler)
    if inputs:
        findings += inputs_of(inputs, options)
    try:
        decided = decide_backend(backend, scheduler=scheduler, devices=report).note
        possible = True
    except ResourceError as error:
        decided, possible = str(error), False
    return Diagnosis(tuple(findings), decided, possible and not any(finding.stops for finding in findings))


def machine() -> Iterator[Finding]:
    """Python, cores, memory and the disk for temporary files."""
    part = "machine"
    yield Finding(part, "Python", "ok", platform.python_version())
    yield Finding(part, "gpurefine", "ok", importlib.metadata.version("gpurefine"))
    yield Finding(part, "CPU cores", "ok", str(available_cores()))
    yield _enough(part, "free memory", available_memory(), "end other programs", "")
    try:
        folder = tempfile.gettempdir()
    except FileNotFoundError as error:
        yield Finding(part, "temporary files", "problem", str(error), "export TMPDIR=/a/folder/on/a/large/disk", True)
    else:
        free = shutil.disk_usage(folder).free
        yield _enough(part, "temporary files", free, "export TMPDIR=/a/folder/on/a/large/disk", f" in {folder}")


def _enough(part: str, subject: str, free: int, mend: str, where: str) -> Finding:
    told = f"{free / (1 << 30):.1f} GiB free{where}"
    return Finding(part, subject, "ok", told) if free >= LEAST_FREE else Finding(part, subject, "problem", told, mend)


def packages() -> Iterator[Finding]:
    """What the base install needs, by the metadata of gpurefine."""
    for requirement in _requirements("gpurefine"):
        yield _package("packages", requirement, "pip install --upgrade gpurefine", stops=True)


def extras() -> Iterator[Finding]:
    """What the optional extras need that are not of GPUs."""
    for extra, purpose in EXTRAS.items():
        for requirement in _requirements("gpurefine", extra):
            found = _package(f"extra {extra}", requirement, f"pip install 'gpurefine[{extra}]'")
            yield replace(found, told=f"{found.told} ({purpose})")


def models_and_lists(resources: Resources) -> Iterator[Finding]:
    """Which models and lists the cache holds, checked by their sha256."""
    part = "models"
    for model in MODELS.values():
        path = resources.cache / "models" / model.name
        if not path.is_file():
            yield Finding(part, model.name, "missing", f"not in {path.parent}", "gpurefine fetch models")
        elif sha256_of(path) != model.sha256:
            yield Finding(part, model.name, "problem", f"{path} is damaged", "gpurefine fetch models")
        else:
            yield Finding(part, model.name, "ok", f"sha256 {model.sha256}")
    try:
        found = open_provided(UT1, resources).summary
    except GpurefineError as error:
        there = (resources.cache / "lists" / UT1).exists()
        told = str(error) if there else f"not in {resources.cache / 'lists'}"
        yield Finding(part, "block list ut1", "problem" if there else "missing", told, "gpurefine fetch lists")
    else:
        told = f"{sum(found.domains.values()):,} domains, {sum(found.urls.values()):,} URLs; sha256 {found.sha256}"
        yield Finding(part, "block list ut1", "ok", told)


def gpus(report: DeviceReport) -> Iterator[Finding]:
    """Driver, devices, the packages that use them, and versions that do not fit RAPIDS'."""
    part = "GPU"
    if report.cuda is None:
        yield Finding(part, "NVIDIA driver", "missing", report.problem or "not found")
    else:
        yield Finding(part, "NVIDIA driver", "ok", report.driver or "its version is not told")
        yield Finding(part, "CUDA", "ok", f"{report.cuda[0]}.{report.cuda[1]}, the newest that the driver supports")
        yield from (_device(device) for device in report.devices)
        if report.problem is not None:
            yield Finding(part, "usable GPU", "problem", report.problem)
    extra = "cu12" if distribution("cudf").startswith("cudf-cu12") else extra_for(report.cuda)
    bounds = {requirement.name: requirement for requirement in _requirements("gpurefine", extra)}
    for name, module in GPU_MODULES.items():
        package = distribution(module).partition(" ")[0]
        if package in bounds:
            found = _package(part, bounds[package], f"pip install 'gpurefine[{extra}]'")
            yield replace(found, subject=f"{name} ({package})")
        elif package:
            yield Finding(part, name, "ok", distribution(module))
        else:
            yield Finding(part, name, "missing", "not installed", f"pip install 'gpurefine[{extra}]'")
    if distribution("cudf"):
        yield from _capped(extra)


def _device(device: Device) -> Finding:
    memory = f"{device.free_memory / (1 << 30):.1f} of {device.memory / (1 << 30):.1f} GiB free"
    capability = ".".join(map(str, device.compute_capability))
    told = f"{device.name}, compute capability {capability}, {memory}{f', {device.uuid}' if device.uuid else ''}"
    return Finding("GPU", f"device {device.index}", "ok", told)


def _capped(extra: str) -> Iterator[Finding]:
    """Base packages whose versions RAPIDS' packages, or the extra, do not allow: cuDF then fails in odd ways."""
    violated: dict[str, list[tuple[str, Requirement]]] = {}
    for source in ("gpurefine", *CAPPING):
        for requirement in _requirements(source, extra if source == "gpurefine" else ""):
            name = canonicalize_name(requirement.name)
            if name in CAPPED and _package("", requirement, "").mark != "ok":
                violated.setdefault(name, []).append((source, requirement))
    for name, found in violated.items():
        bounds = SpecifierSet(",".join(str(requirement.specifier) for _, requirement in found))
        lacks = _package("GPU", Requirement(f"{name}{bounds}"), f"pip install '{name}{bounds}'")
        sources = " and ".join(f"gpurefine[{extra}]" if source == "gpurefine" else source for source, _ in found)
        yield replace(lacks, subject=f"{name} for RAPIDS", mark="problem", told=f"{lacks.told} by {sources}")


def workers_of(scheduler: str) -> list[Finding]:
    """The workers of a running scheduler with their resources."""
    part = "scheduler"
    try:
        workers = scheduler_workers(scheduler)
    except ResourceError as error:
        return [Finding(part, scheduler, "problem", str(error), stops=True)]
    told = [
        Finding(
            part,
            address,
            "ok" if resources else "problem",
            ", ".join(f"{name}={amount:g}" for name, amount in resources.items()) or "no resource: gets no task",
            "" if resources else "start it with `--resources CPU=1` or `--resources GPU=1`",
        )
        for address, resources in workers.items()
    ]
    return told or [Finding(part, scheduler, "problem", "it has no workers", stops=True)]


def inputs_of(inputs: Sequence[str], options: InputOptions | None = None) -> Iterator[Finding]:
    """The files of a run: whether all can be found and read, how much there is of each kind, and room for results."""
    part = "inputs"
    try:
        found = look_for_inputs(inputs, options)
    except GpurefineError as error:
        yield Finding(part, "files", "problem", str(error), stops=True)
        return
    if found.missing:
        told = f"{len(found.missing):,} are missing, the first is {found.missing[0]}"
        yield Finding(part, "missing files", "missing", told)
    kinds: dict[str, list[InputFile]] = {}
    for file in found.files:
        kinds.setdefault(file.kind, []).append(file)
    for kind, of_kind in kinds.items():
        size = sum(file.size for file in of_kind) / (1 << 30)
        count = "1 file" if len(of_kind) == 1 else f"{len(of_kind):,} files"
        yield Finding(part, kind, "ok", f"{count}, {size:,.2f} GiB, found and begun to read")
    free = shutil.disk_usage(".").free
    least = round(LEAST_ROOM * sum(file.size for file in found.files))
    told = f"{free / (1 << 30):,.1f} GiB free in {Path.cwd()}"
    room = "gpurefine plan CONFIG INPUT... -o FOLDER   # measures how much a run needs"
    if free < least:
        yield Finding(part, "room", "problem", f"{told}; a run of these takes some {least / (1 << 30):,.1f} GiB", room)
    else:
        yield Finding(part, "room", "ok", told)


def _requirements(package: str, extra: str = "") -> list[Requirement]:
    """What an installed package requires always, or else for one of its extras; nothing if it is not installed."""

    def wanted(requirement: Requirement, extra: str) -> bool:
        return requirement.marker is None or requirement.marker.evaluate({"extra": extra})

    try:
        found = [Requirement(text) for text in importlib.metadata.requires(package) or ()]
    except importlib.metadata.PackageNotFoundError:
        return []
    return [each for each in found if wanted(each, extra) and not (extra and wanted(each, ""))]


def _package(part: str, requirement: Requirement, mend: str, stops: bool = False) -> Finding:
    """Whether a package is installed in a version that will do."""
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(part, requirement.name, "missing", "not installed", mend, stops)
    if requirement.specifier.contains(version, prereleases=True):
        return Finding(part, requirement.name, "ok", version)
    told = f"{version}, where {requirement.specifier} is needed"
    return Finding(part, requirement.name, "problem", told, mend, stops)
