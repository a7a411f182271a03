"""Writes gpurefine/text/unicode-16.txt: what normalisation and GPT-2's pattern must know of each code point.

Run it with the Unicode version that is to be fixed; text that was deduplicated with another one has other keys.

Lower case comes from polars, which is newer than this version: of characters that are assigned it never changes.

pip install unicodedata2==16.0.0 'polars>=2.1' && python docs/make_unicode.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import polars
import unicodedata2 as unicodedata

TABLE = Path(__file__).parents[1] / "gpurefine" / "text" / "unicode-16.txt"
CODE_POINTS = 0x110000
SURROGATES = range(0xD800, 0xE000)
#: Syllables are composed by arithmetic (Unicode 3.12), which ``gpurefine.text.unicode`` does as well.
HANGUL = range(0xAC00, 0xD7A4)
#: Property White_Space, which is ``\\s`` in GPT-2's pattern.
WHITE_SPACE = [*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B),
               0x2028, 0x2029, 0x202F, 0x205F, 0x3000]  # fmt: skip

HEAD = """\
# What normalisation and GPT-2's pattern must know of code points, Unicode {version}. Made by docs/make_unicode.py.
# All numbers are hexadecimal, ranges include their ends.
# L, N  categories of letters and numbers        S  white space (property White_Space)
# M     dropped: marks without width (Mn)        P  punctuation and symbols (P*, S*)
# =     the first becomes the second, the next the next, and so on: single lower case, NFD, then M and P of the parts
#       (P stands for one that is a blank in the result)
"""


def main() -> None:
    """Write the table."""
    categories = [unicodedata.category(chr(code)) for code in range(CODE_POINTS)]
    lines = [HEAD.format(version=unicodedata.unidata_version).rstrip()]
    for mark, has in (
        ("L", lambda category: category[0] == "L"),
        ("N", lambda category: category[0] == "N"),
        ("M", lambda category: category == "Mn"),
        ("P", lambda category: category[0] in "PS"),
    ):
        lines += [f"{mark} {_range(run)}" for run in _runs(lambda code, has=has: has(categories[code]))]
    lines += [f"S {_range(run)}" for run in _runs(lambda code: code in WHITE_SPACE)]
    lines += list(_mappings(categories))
    TABLE.write_text("\n".join(lines) + "\n", "utf-8")


def _mappings(categories: list[str]) -> Iterator[str]:
    """Code points that become something else and are not dropped or blank as a whole."""
    characters = [chr(code) if code not in SURROGATES else "" for code in range(CODE_POINTS)]
    lower = polars.Series(characters).str.to_lowercase().to_list()
    becomes = {}
    for code in range(CODE_POINTS):
        if code in SURROGATES or code in HANGUL or code in WHITE_SPACE or categories[code] in ("Mn", "Cn"):
            continue
        parts = [ord(part) for part in unicodedata.normalize("NFD", lower[code])]
        result = tuple(
            "P" if categories[part][0] in "PS" else f"{part:X}" for part in parts if categories[part] != "Mn"
        )
        if result == ("P",):
            assert categories[code][0] in "PS", f"{code:X} becomes punctuation and is none"
        elif result != (f"{code:X}",):
            becomes[code] = result
    assert all(len(result) > 0 for result in becomes.values())
    codes = sorted(becomes)
    while codes:
        first = last = codes.pop(0)
        target = becomes[first]
        while codes and codes[0] == last + 1 and _next_to(target, last + 1 - first) == becomes[codes[0]]:
            last = codes.pop(0)
        yield f"= {_range(range(first, last + 1))} {' '.join(target)}"


def _next_to(target: tuple[str, ...], distance: int) -> tuple[str, ...] | None:
    if len(target) != 1 or target[0] == "P":
        return None
    return (f"{int(target[0], 16) + distance:X}",)


def _runs(has: Callable[[int], bool]) -> Iterator[range]:
    first = None
    for code in range(CODE_POINTS + 1):
        inside = code < CODE_POINTS and has(code)
        if inside and first is None:
            first = code
        elif not inside and first is not None:
            yield range(first, code)
            first = None


def _range(run: range) -> str:
    return f"{run[0]:X}" if len(run) == 1 else f"{run[0]:X}-{run[-1]:X}"


if __name__ == "__main__":
    main()
