"""Every error that gpurefine raises on purpose.

GpurefineError            one sentence for the user: what, where, what was expected, what to do
+-- RefusedError          nothing was written yet (exit code 2)
|   +-- ConfigError       a pipeline that cannot be understood
|   +-- InputError        an input that is missing or is not what it should be
|   +-- ResourceError     a model, list, package or GPU that is not there
|   +-- OutputError       a run directory that cannot be used
+-- RunError              a run that failed midway; the same command goes on (exit code 1)
"""


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
