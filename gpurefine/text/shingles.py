"""Text columns to shingles: the sets of hashes by which near-duplicates are compared.

text -> normalised -> units (GPT-2 tokens, words or characters) -> hashes of every n consecutive units. RefinedWeb G.3.1
takes 5 GPT-2 tokens of normalised text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, get_args

from gpurefine.kernels import character_units, shingle_hashes, word_units
from gpurefine.text.characters import character_classes
from gpurefine.text.normalise import normalise
from gpurefine.text.unicode import Punctuation

if TYPE_CHECKING:
    from gpurefine.kernels.sides import Array
    from gpurefine.text.gpt2 import Gpt2Tokenizer

#: ``gpt2``: tokens of GPT-2's vocabulary. ``word``: maximal runs without white space (``str.isspace``).
#: ``char``: code points.
Unit = Literal["gpt2", "word", "char"]

#: The time for a shingle grows with its units.
MOST_UNITS = 100


def parse_shingle(name: str) -> tuple[Unit, int]:
    """Unit and number of units of a kind of shingle such as ``gpt2-5``, ``word-13`` or ``char-20``.

    Raises
    ------
    ValueError
        if it is none
    """
    parts = re.fullmatch(rf"({'|'.join(get_args(Unit))})-([1-9][0-9]{{0,2}})", name)
    if not parts or int(parts[2]) > MOST_UNITS:
        raise ValueError(
            f"shingle '{name}' is unknown: give gpt2-N, word-N or char-N with N from 1 to {MOST_UNITS}, such as gpt2-5"
        )
    return parts[1], int(parts[2])


class Shingler:
    """Makes shingle hashes of texts; equal units give equal hashes wherever and whenever they are made.

    Parameters
    ----------
    unit, n : n consecutive units are a shingle; see ``Unit``
    normalise : normalise the text first
    punctuation : what normalising makes of punctuation and symbols
    tokenizer : needed for ``gpt2``. It learns words as it meets them, so a shingler is for one thread at a time
    """

    def __init__(
        self,
        unit: Unit,
        n: int,
        *,
        normalise: bool = True,
        punctuation: Punctuation = "blank",
        tokenizer: Gpt2Tokenizer | None = None,
    ) -> None:
        self.unit, self.n = parse_shingle(f"{unit}-{n}")
        if unit == "gpt2" and tokenizer is None:
            raise ValueError("shingles of gpt2 tokens need a tokenizer")
        self.normalised, self.punctuation, self.tokenizer = normalise, punctuation, tokenizer

    def shingles(self, data: Array, offsets: Array) -> tuple[Array, Array]:
        """Shingle hashes of texts.

        Parameters
        ----------
        data : uint8, UTF-8; on the host or on a device, where the hashes then are too
        offsets : int64, (texts + 1,); text i is ``data[offsets[i]:offsets[i + 1]]``

        Returns
        -------
        hashes : uint32, (shingles,). A text of fewer than n units is one shingle of all of them, a text without units
            has none; a shingle that a text repeats is repeated
        starts : int64, (texts + 1,); text i has ``hashes[starts[i]:starts[i + 1]]``
        """
        return shingle_hashes(*self.units(data, offsets), self.n)

    def units(self, data: Array, offsets: Array) -> tuple[Array, Array]:
        """The units that ``shingles`` takes n of.

        Parameters
        ----------
        data, offsets : as of ``shingles``

        Returns
        -------
        units : uint16 GPT-2 tokens, uint64 hashes of words or uint32 code points, where the text lies
        starts : int64, (texts + 1,), from 0; text i has ``units[starts[i]:starts[i + 1]]``
        """
        if self.normalised:
            data, offsets = normalise(data, offsets, self.punctuation)
        if self.unit == "gpt2":
            return self.tokenizer.tokens(data, offsets)
        if self.unit == "word":
            return word_units(data, offsets, character_classes())
        return character_units(data, offsets)
