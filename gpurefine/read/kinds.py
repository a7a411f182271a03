"""What a file is, told by how it begins; its name is asked only where that says nothing.

The first look at an input. Formats that no reader here reads are refused with what to do about them.
"""

from __future__ import annotations

import codecs
import re
from typing import Literal
from urllib.parse import urlsplit

from gpurefine.errors import InputError
from gpurefine.read.gzipmembers import Gzip
from gpurefine.read.members import Compression
from gpurefine.read.opening import Place, open_binary
from gpurefine.read.records import RECORD_START, WarcRecord
from gpurefine.read.warc import HEAD, compression_of, readers
from gpurefine.read.window import FileSource, Window
from gpurefine.read.zstdframes import Zstd, first_frame, read_dictionary

Kind = Literal["warc", "wet", "parquet", "jsonl"]

#: Kinds whose documents have a text already: they skip the stage ``extract``.
WITH_TEXTS = frozenset({"wet", "parquet", "jsonl"})
#: Kinds that are WARC files, whose splits may begin in a wrong place (``read.splits``).
OF_RECORDS = frozenset({"warc", "wet"})

PARQUET_MAGIC = b"PAR1"

#: Blocks are not looked at, only headers.
_MAX_BLOCK = 1 << 16
_HEAD_BYTES = 512
_TAR_MAGIC, _TAR_PLACE = b"ustar", 257

#: How formats begin that must be changed first, and the command that does it.
_UNREADABLE = (
    (b"BZh", "compressed by bzip2", "bzip2 -dc FILE | zstd -o NEW.zst"),
    (b"\xfd7zXZ\0", "compressed by xz", "xz -dc FILE | zstd -o NEW.zst"),
    (b"\x04\x22\x4d\x18", "compressed by lz4", "lz4 -dc FILE | zstd -o NEW.zst"),
    (b"\x02\x21\x4c\x18", "compressed by lz4", "lz4 -dc FILE | zstd -o NEW.zst"),
    (b"\x1f\x9d", "compressed by compress", "uncompress -c FILE | zstd -o NEW.zst"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x FILE"),
    (b"Rar!\x1a\x07", "a RAR archive", "unrar x FILE"),
    (b"PK\3\4", "a ZIP archive", "unzip FILE"),
    (b"ARROW1", "an Arrow (Feather) file", "pyarrow.parquet.write_table(pyarrow.feather.read_table(FILE), NEW)"),
    (b"Obj\1", "an Avro file", "write it as Parquet or JSON lines"),
    (b"ORC", "an ORC file", "pyarrow.parquet.write_table(pyarrow.orc.read_table(FILE), NEW)"),
)

#: How an array of objects begins; a line that is an array of something else is just broken.
_ARRAY = re.compile(rb"\s*\[\s*(?:\{|$)")

_LINES_NAME = re.compile(r"\.(?:jsonl|ndjson|json)(?:\.(?:gz|gzip|zst|zstd))?$", re.IGNORECASE)
_WET_NAME = re.compile(r"\.wet(?:\.(?:gz|zst))?$", re.IGNORECASE)
_WARC_NAME = re.compile(r"\.(?:warc|arc)(?:\.|$)", re.IGNORECASE)


def kind_of(path: str | Place) -> Kind:
    """The kind of an input.

    Parquet is told by its magic, WARC by a record at its beginning (plain, gzip or zstd), JSON lines by a brace there,
    WET by that its first record beside ``warcinfo`` is a ``conversion``. A file whose beginning is empty or damaged is
    what its name says, and a WARC if that says nothing.

    Raises
    ------
    InputError
        if it cannot be opened, or has a format that is not read
    """
    file, size = open_binary(path)
    with file:
        window = Window(FileSource(file, size))
        head = window.view(0, _HEAD_BYTES)
        if head.startswith(PARQUET_MAGIC):
            return "parquet"
        if not head:
            return _named_kind(path)
        _refuse(path, head)
        compression = begun_compression(window)
        if compression is None:
            start = head
        else:
            start = compression.start(window, window.move(first_frame(window, HEAD)))
            _refuse(path, start)
            window.move(0)
        if not RECORD_START.match(start):
            braced = start.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n").startswith(b"{")
            if _named_kind(path) == "jsonl" or (braced and not _WARC_NAME.search(_name(path))):
                _refuse_other_json(path, start)
                return "jsonl"
        return _kind_of_records(path, window)


def begun_compression(window: Window) -> Compression | None:
    """The compression with which a file seen from its start begins, None for none; for what is no WARC, too."""
    known: tuple[Compression, ...] = (Gzip(), Zstd(read_dictionary(window)))
    return next((each for each in known if each.begins(window.view(0, len(each.magic)))), None)


def _kind_of_records(path: str | Place, window: Window) -> Kind:
    _, read = readers(compression_of(window, path, _MAX_BLOCK))
    window.move(0)
    for item in read(window, 0, HEAD, _MAX_BLOCK):
        if isinstance(item, WarcRecord) and item.type != "warcinfo":
            return "wet" if item.type == "conversion" else "warc"
    return _named_kind(path)


def _named_kind(path: str | Place) -> Kind:
    name = _name(path)
    if _LINES_NAME.search(name):
        return "jsonl"
    return "wet" if _WET_NAME.search(name) else "warc"


def _name(path: str | Place) -> str:
    name = str(path)
    return urlsplit(name).path if "://" in name else name


def _refuse(path: str | Place, head: bytes) -> None:
    """Raise InputError for a file that begins like one of a format that is not read."""
    what, remedy = next(((what, remedy) for magic, what, remedy in _UNREADABLE if head.startswith(magic)), ("", ""))
    if not what and head[_TAR_PLACE:].startswith(_TAR_MAGIC):
        what, remedy = "a tar archive", "tar xf FILE"
    if not what and _name(path).lower().endswith(".br"):
        what, remedy = "compressed by brotli", "brotli -dc FILE | zstd -o NEW.zst"
    _raise_refusal(path, what, remedy)


def _refuse_other_json(path: str | Place, start: bytes) -> None:
    """Raise InputError for JSON that begins as no lines of UTF-8 do."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        _raise_refusal(path, "UTF-16", "iconv -f UTF-16 -t UTF-8 FILE > NEW.jsonl")
    if _ARRAY.match(start):
        _raise_refusal(path, "one JSON array and no lines", "jq -c '.[]' FILE > NEW.jsonl")


def _raise_refusal(path: str | Place, what: str, remedy: str) -> None:
    if what:
        raise InputError(
            f"{path} is {what}, which is not read: convert it ({remedy}); inputs are WARC, WET or JSON lines (plain, "
            "gzip or zstd), or Parquet"
        )
