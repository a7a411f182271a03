"""What all steps of a run share: where, what, on what, on which workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from distributed import Client

from gpurefine.config import Pipeline
from gpurefine.dedup.oldkeys import OldKeys
from gpurefine.engine.plan import Device
from gpurefine.engine.store import RunStore
from gpurefine.read.inputs import InputFile


@dataclass(frozen=True)
class RunContext:
    """What all steps of a run share.

    Attributes
    ----------
    store, pipeline, inputs : where, what, on what
    others : columns that documents have beside ours, from tables
    fingerprint : of all that decides
    client, run_key : the workers and the name of the run's tools there
    gpu_workers : whether there are workers with the resource GPU
    on_device : whether these keep documents on a device; else they do the same on their CPU, for tests of clusters
    split_size : bytes of a partition of step 0
    memory : bytes that the dedups may plan with, all workers together
    quiet : show no progress
    provided : models and lists by stage name, as the stages name them
    old_keys : of old runs, by the name of the dedup
    """

    store: RunStore
    pipeline: Pipeline
    inputs: Sequence[InputFile]
    others: pa.Schema
    fingerprint: str
    client: Client
    run_key: str
    gpu_workers: bool
    on_device: bool
    split_size: int
    memory: int
    quiet: bool
    provided: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    old_keys: Mapping[str, Sequence[OldKeys]] = field(default_factory=dict)

    def place(self, device: Device | None) -> Device:
        """The resource for what was planned for a device: CPU where a run that was begun with GPUs has none now."""
        return "GPU" if device == "GPU" and self.gpu_workers else "CPU"

    def keeps_on_device(self, device: Device | None) -> bool:
        """Whether tasks that were planned for this device keep their documents on one."""
        return self.place(device) == "GPU" and self.on_device
