"""Where fetched models and lists are kept on this machine."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Resources:
    """Where models, vocabularies and lists are kept, and whether the network may be asked for them."""

    cache: Path
    offline: bool = False


def default_resources(offline: bool = False) -> Resources:
    """The cache of this user: ``$GPUREFINE_CACHE``, else ``$XDG_CACHE_HOME/gpurefine``, else ``~/.cache/gpurefine``.

    Parameters
    ----------
    offline : never ask the network; what is not in the cache is then an error
    """
    own = os.environ.get("GPUREFINE_CACHE")
    if own:
        return Resources(Path(own).expanduser().absolute(), offline)
    base = os.environ.get("XDG_CACHE_HOME")
    folder = Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache"
    return Resources(folder / "gpurefine", offline)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal, read in pieces."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
