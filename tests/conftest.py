"""Fixtures shared by all tests."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of large samples that lies beside a developer's checkout; its contents are never shipped."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the sample crawls are not here ({SHARED_DATA.name} beside the checkout)")
    return SHARED_DATA
