"""Patches of trafilatura for a test, taken out behind it."""

import importlib
import logging
from pathlib import Path

import pytest

from gpurefine.stages.extraction.fast.accelerate import apply_patches, why_stock


@pytest.fixture(scope="session")
def known_versions():
    """Tests of the patches are about versions that they were written for."""
    if why_stock() is not None:
        pytest.skip(why_stock())


@pytest.fixture
def patches(known_versions):
    """All patches, in. The stock code is back when the test has ended."""
    import trafilatura

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    trafilatura.extract("<p>so that all modules are there")
    patches = apply_patches()
    yield patches
    patches.use_stock()


@pytest.fixture(scope="session")
def page_mutations():
    """How the fuzzer of the benchmarks changes pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
        return importlib.import_module("mutations")
