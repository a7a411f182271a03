"""Every error that gpurefine raises on purpose.

GpurefineError            one sentence for the user: what, where, what was expected, what to do
+-- RefusedError          nothing was written yet (exit code 2)
|   +-- ConfigError       a pipeline that cannot be understood
|   +-- InputError        an input that is missing or is not what it should be
|   +-- ResourceError     a model, list, package or GPU that is not there
|   +-- OutputError       a run directory that cannot be used
+-- RunError              a run that failed midway; the same command goes on (exit code 1)
    +-- DamagedFileError  a file that the run itself wrote is not what was written

SettingWarning            a Python warning: a setting that works and is hardly meant
"""

from __future__ import annotations

from pathlib import Path


class GpurefineError(Exception):
    """An error with a sentence for the user; shown without a traceback unless ``--debug`` is given."""

    exit_code = 1


class RefusedError(GpurefineError):
    """Refused before anything was written."""

    exit_code = 2


class ConfigError(RefusedError):
    """A pipeline, preset or parameter that cannot be understood."""


class InputError(RefusedError):
    """An input that is missing, empty or not what it should be."""


class ResourceError(RefusedError):
    """A model, list, optional package or device that is needed and not there."""


class OutputError(RefusedError):
    """A run directory that cannot be used for this run."""


class RunError(GpurefineError):
    """A run that failed midway; nothing half-written bears a final name and the same command goes on."""


class DamagedFileError(RunError):
    """A file of the run that is not what was written.

    Parameters
    ----------
    path : the file
    what : how it is known
    """

    def __init__(self, path: Path, what: str) -> None:
        # both are arguments, so that the error comes whole out of another process
        super().__init__(path, what)
        self.path, self.what = Path(path), what

    def __str__(self) -> str:
        return f"{self.path} is damaged: {self.what}; it is not what was written, use --fresh to start over"


class SettingWarning(UserWarning):
    """A setting that works but is hardly meant; one sentence, given before a run writes anything."""
