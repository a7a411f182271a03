"""Drop the GPU code of all architectures but one from finished libraries, in place: what pack_rapids.sh packs.

    python benchmarks/prune_fatbin.py LIBRARY... [--arch 90]

NVIDIA's own tool for it takes object files only. The layout was read off libcudf 26.10 (CUDA 13): the ELF section
``.nv_fatbin`` is a row of fat binaries, each a header of 16 bytes (u32 magic, u16 version, u16 size of the header, u64
size of what follows) and entries (u16 kind: 1 PTX, 2 machine code; u16; u32 size of the entry's header; u64 size of its
data; the architecture is the u32 at byte 28). In each fat binary the wanted entries move to the front, the header tells
their size, and the rest becomes zeros, which compress to nothing. No other byte of the library moves.
"""

from __future__ import annotations

import argparse
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAGIC = 0xBA55ED50
MACHINE_CODE = 2
SECTIONS = (b".nv_fatbin", b"__nv_relfatbin")
#: Type of a section that takes no room in the file.
_NOBITS = 8


@dataclass(frozen=True)
class Entry:
    """Code for one architecture: where it lies in the file with its header, its kind and the architecture."""

    begin: int
    size: int
    kind: int
    arch: int


def sections(library: bytes) -> Iterator[tuple[int, int]]:
    """Begin and end of each section of an ELF file (64 bits, little endian) that holds fat binaries."""
    if library[:4] != b"\x7fELF":
        raise ValueError("no ELF file")
    (table,) = struct.unpack_from("<Q", library, 0x28)
    size, count, names_index = struct.unpack_from("<HHH", library, 0x3A)
    headers = [struct.unpack_from("<IIQQQQIIQQ", library, table + row * size) for row in range(count)]
    if not headers:
        return
    names = headers[names_index][4]
    for name_offset, kind, _, _, begin, length, *_ in headers:
        name = bytes(library[names + name_offset : library.find(b"\0", names + name_offset)])
        if name in SECTIONS and kind != _NOBITS:
            yield begin, begin + length


def fat_binaries(library: bytes, begin: int, end: int) -> Iterator[tuple[int, int, int, list[Entry]]]:
    """Each fat binary of a section: where it begins, where its entries begin and end, and the entries."""
    place = begin
    while place + 16 <= end:
        magic, _, header, size = struct.unpack_from("<IHHQ", library, place)
        if magic != MAGIC:
            place += 8  # padding between two of them
            continue
        first, last, entries = place + header, place + header + size, []
        at = first
        while at < last:
            kind, _, entry_header, data = struct.unpack_from("<HHIQ", library, at)
            (arch,) = struct.unpack_from("<I", library, at + 28)
            entries.append(Entry(at, entry_header + data, kind, arch))
            at += entry_header + data
        yield place, first, last, entries
        place = last


def prune(library: bytearray, arch: int) -> tuple[int, int, int]:
    """Keep the machine code for ``arch``; a fat binary that has none is left whole, since it would be left empty.

    Returns
    -------
    fat binaries that were pruned, those left whole, bytes that became zeros
    """
    pruned = whole = zeros = 0
    for begin, end in sections(library):
        for place, first, last, entries in list(fat_binaries(library, begin, end)):
            wanted = [entry for entry in entries if (entry.kind, entry.arch) == (MACHINE_CODE, arch)]
            if not wanted:
                whole += 1
                continue
            kept = b"".join(bytes(library[entry.begin : entry.begin + entry.size]) for entry in wanted)
            struct.pack_into("<Q", library, place + 8, len(kept))
            library[first:last] = kept + bytes(last - first - len(kept))
            pruned += 1
            zeros += last - first - len(kept)
    return pruned, whole, zeros


def main() -> None:
    """Prune files and say what was dropped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", type=Path, nargs="+")
    parser.add_argument("--arch", type=int, default=90, help="90 is Hopper (H100, H200)")
    options = parser.parse_args()
    for path in options.library:
        library = bytearray(path.read_bytes())
        pruned, whole, zeros = prune(library, options.arch)
        if pruned:
            path.write_bytes(library)
            print(f"{path.name}: {pruned} fat binaries pruned, {whole} left whole, {zeros:,} bytes dropped")


if __name__ == "__main__":
    main()
