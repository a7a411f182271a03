"""Versions of what can change a result: they stand in a run's manifest and in its fingerprint."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

#: Packages whose version can change a result.
DECIDING_PACKAGES = (
    "gpurefine",
    "trafilatura",
    "lxml",
    "lxml_html_clean",
    "justext",
    "resiliparse",
    "fasttext-community",
    "chardet",
    "brotli",
    "zstandard",
    "idna",
    "regex",
    "tld",
    "numpy",
)


def deciding_versions() -> dict[str, str]:
    """Versions by name, of Python and of those packages that are installed."""
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in DECIDING_PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
