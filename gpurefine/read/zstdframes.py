"""Zstd frames, as ``members`` reads them: a frame for each record, or one for a whole file.

A file may begin with a dictionary for all its frames (IIPC, Zstandard Compression for WARC Files 1.0): a skippable
frame of its own kind, whose content may be compressed itself. Frames are taken apart into their blocks (RFC 8878, 3.1),
of which none holds more than 128 KiB, so that what comes out is bounded whatever is inside, and where a frame ends is
known to the byte.
"""

from __future__ import annotations

import zstandard

from gpurefine.read.members import START_BYTES, BrokenMember
from gpurefine.read.window import Window

#: A frame may refer back this far; one that wants to refer further is damage. ``zstd`` itself has this limit.
LARGEST_WINDOW = 128 << 20
#: Bytes of a dictionary, decompressed. Those that ``zstd --train`` makes have a tenth of a megabyte.
LARGEST_DICTIONARY = 32 << 20

_MAGIC = b"\x28\xb5\x2f\xfd"
_DICTIONARY_MAGIC = b"\x5d\x2a\x4d\x18"
#: The first byte of a skippable frame is one of sixteen; these follow it.
_SKIPPABLE = b"\x2a\x4d\x18"
_LONGEST_HEADER = 18
_LARGEST_BLOCK = 128 << 10
_BLOCK_HEADER = 3
_CHECKSUM = 4
_RAW, _REPEATED, _RESERVED = 0, 1, 3


class ZstdFrame:
    """The decompressed bytes of the zstd frame that begins at ``at`` in the file seen through ``file``.

    Parameters
    ----------
    file, at : where it begins
    decompressor : of all frames of the file, one after another
    dictionary_id : of the file's dictionary, 0 if that has no number, None if there is none
    """

    size = None

    def __init__(
        self, file: Window, at: int, decompressor: zstandard.ZstdDecompressor, dictionary_id: int | None
    ) -> None:
        self.position = at
        self._file = file
        self._dictionary_id = dictionary_id
        self._decompressor = decompressor
        self._decompress: zstandard.ZstdDecompressionObj | None = None
        self._has_checksum = False
        self._ended = False

    def read(self) -> bytes:
        """Decompress the next block that is not empty; empty when the frame has ended and its checksum is right.

        Raises
        ------
        BrokenMember
            if it cannot be decompressed, is cut off, asks for too much memory or has a wrong checksum
        """
        if self._decompress is None:
            self._read_header()
        while not self._ended:
            output = self._read_block()
            self._file.move(self.position)
            if output:
                return output
        return b""

    def seek(self, offset: int) -> bool:
        """A frame is read once, from its start."""
        return False

    def start(self) -> bytes:
        """What the frame's first blocks hold, up to about ``START_BYTES``, instead of all that ``read`` gives.

        The window is not moved. Raises ``BrokenMember``.
        """
        output = b""
        self._read_header()
        while not self._ended and len(output) < START_BYTES:
            header = int.from_bytes(self._view(_BLOCK_HEADER), "little")
            if header >> 1 & 3 == _RAW and header >> 3 >= START_BYTES:
                # as they are: a file full of what looks like frames costs little for each
                return output + self._view(_BLOCK_HEADER + START_BYTES)[_BLOCK_HEADER:]
            output += self._read_block()
        return output

    def _read_header(self) -> None:
        head = self._file.view(self.position, _LONGEST_HEADER)
        try:
            frame = zstandard.get_frame_parameters(head)
            length = zstandard.frame_header_size(head)
        except zstandard.ZstdError:
            cut = len(head) < _LONGEST_HEADER
            raise BrokenMember("zstd data is cut off" if cut else "zstd data is broken") from None
        if frame.window_size > LARGEST_WINDOW:
            raise BrokenMember(
                f"the zstd frame asks for a window of {frame.window_size / (1 << 20):.0f} MiB, more than the "
                f"{LARGEST_WINDOW >> 20} MiB that it may have"
            )
        if frame.dict_id and frame.dict_id != self._dictionary_id:
            raise BrokenMember(f"the zstd frame needs dictionary {frame.dict_id}, which the file does not begin with")
        self._has_checksum = bool(frame.has_checksum)
        self._decompress = self._decompressor.decompressobj()
        self._feed(head[:length])
        self.position += length

    def _read_block(self) -> bytes:
        header = int.from_bytes(self._view(_BLOCK_HEADER), "little")
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        if kind == _RESERVED or size > _LARGEST_BLOCK:
            raise BrokenMember("zstd data is broken")
        length = _BLOCK_HEADER + (1 if kind == _REPEATED else size) + (_CHECKSUM if last and self._has_checksum else 0)
        output = self._feed(self._view(length))
        self.position += length
        self._ended = bool(last)
        return output

    def _view(self, length: int) -> bytes:
        piece = self._file.view(self.position, length)
        if len(piece) < length:
            raise BrokenMember("zstd data is cut off")
        return piece

    def _feed(self, piece: bytes) -> bytes:
        assert self._decompress is not None
        try:
            return self._decompress.decompress(piece)
        except zstandard.ZstdError as error:
            wrong_sum = "checksum" in str(error)
            raise BrokenMember("zstd checksum is wrong" if wrong_sum else "zstd data is broken") from None


class SkippableFrame:
    """A frame that holds nothing for a reader: it is passed over to its end."""

    size = None

    def __init__(self, file: Window, at: int) -> None:
        self.position = at
        self._file = file

    def read(self) -> bytes:
        """Pass it over.

        Raises
        ------
        BrokenMember
            if the file ends inside it
        """
        head = self._file.view(self.position, 8)
        end = self.position + 8 + int.from_bytes(head[4:], "little")
        # a window may be moved beyond the end of a file, but there is nothing
        self._file.move(max(self.position, end - 1))
        if len(head) < 8 or not self._file.fill(end):
            raise BrokenMember("zstd data is cut off")
        self.position = end
        return b""

    def seek(self, offset: int) -> bool:
        """It holds nothing to go to."""
        return False


class Zstd:
    """The compression of a file of zstd frames.

    Parameters
    ----------
    dictionary : with which all frames are read, as it stands in the file, or None. One that cannot be used is as none:
        the frames that need it are then damaged
    """

    name = "zstd frame"
    magic = _MAGIC

    def __init__(self, dictionary: bytes | None = None) -> None:
        known = None if dictionary is None else _usable(dictionary)
        self._dictionary_id = None if known is None else known.dict_id()
        self._decompressor = zstandard.ZstdDecompressor(dict_data=known, max_window_size=LARGEST_WINDOW)

    def begins(self, head: bytes) -> bool:
        return head == _MAGIC or _is_skippable(head)

    def open(self, window: Window, at: int) -> ZstdFrame | SkippableFrame:
        if _is_skippable(window.view(at, len(_MAGIC))):
            return SkippableFrame(window, at)
        return ZstdFrame(window, at, self._decompressor, self._dictionary_id)

    def start(self, window: Window, at: int) -> bytes:
        try:
            if window.view(at, len(_MAGIC)) != _MAGIC:
                return b""
            return ZstdFrame(window, at, self._decompressor, self._dictionary_id).start()
        except BrokenMember:
            return b""


def read_dictionary(window: Window) -> bytes | None:
    """The dictionary with which a file begins; None if there is none, or one too large to be one."""
    head = window.view(0, 8)
    size = int.from_bytes(head[4:], "little")
    if not head.startswith(_DICTIONARY_MAGIC) or len(head) < 8 or size > LARGEST_DICTIONARY:
        return None
    content = window.view(8, size)
    return content if len(content) == size else None


def first_frame(window: Window, stop: int) -> int:
    """Where the first frame begins that is not skippable; at most ``stop``, more or less."""
    at = 0
    while at < stop and _is_skippable(window.view(at, len(_MAGIC))):
        frame = SkippableFrame(window, at)
        try:
            frame.read()
        except BrokenMember:
            break
        at = frame.position
    return at


def _is_skippable(head: bytes) -> bool:
    return len(head) == len(_MAGIC) and head[0] >> 4 == 5 and head[1:] == _SKIPPABLE


def _usable(dictionary: bytes) -> zstandard.ZstdCompressionDict | None:
    """A dictionary, decompressed where it is compressed; None if it is broken."""
    try:
        if dictionary.startswith(_MAGIC):
            if zstandard.get_frame_parameters(dictionary).window_size > LARGEST_DICTIONARY:
                return None
            dictionary = zstandard.ZstdDecompressor().decompress(dictionary, max_output_size=LARGEST_DICTIONARY)
        known = zstandard.ZstdCompressionDict(dictionary)
        # a broken one is noticed when it is used
        zstandard.ZstdDecompressor(dict_data=known).decompressobj()
    except (zstandard.ZstdError, ValueError, MemoryError):
        return None
    return known
