"""Arithmetic on arrays: the one door to the kernels. No frames, no files, nothing of ours is imported from here.

``scalar`` and ``minhashing`` hold what all of them share; ``cpu`` holds the kernels in Numba, ``cuda`` those in CUDA C,
and ``sides`` picks between two of one name by where the arrays are.
"""

from gpurefine.kernels.cpu.all_copies import ALL_COPIES_FIELDS, all_copies_statistics
from gpurefine.kernels.cpu.band_collisions import link_band_keys
from gpurefine.kernels.cpu.candidates import enter_hubs, list_candidates
from gpurefine.kernels.cpu.collisions import EMPTY, link_equal_keys
from gpurefine.kernels.cpu.components import flatten, unite
from gpurefine.kernels.cpu.copies import enter_copies, list_copies
from gpurefine.kernels.cpu.editdistance import edit_distances
from gpurefine.kernels.cpu.gpt2 import (
    LONGEST_TOKEN,
    BytePairs,
    byte_pairs,
    count_gpt2_tokens,
    empty_lines,
    gpt2_tokens,
    last_pairs,
)
from gpurefine.kernels.cpu.jaccard import count_shared, sort_sets
from gpurefine.kernels.cpu.lanes import LANES
from gpurefine.kernels.cpu.linekeys import CASE_IGNORABLE, CASED, STRIPPED
from gpurefine.kernels.cpu.minhash import minima
from gpurefine.kernels.cpu.normalise import normalise_text
from gpurefine.kernels.cpu.numbersets import (
    BITMAP_BITS,
    count_members,
    enter_numbers,
    list_members,
    place_bitmaps,
    rank_members,
    unite_numbers,
)
from gpurefine.kernels.cpu.origins import bytes_before, characters_at, characters_of_normalised
from gpurefine.kernels.cpu.spans import list_spans, mark_pieces
from gpurefine.kernels.cpu.stats import FIELDS, word_hashes
from gpurefine.kernels.cpu.tags import count_tags
from gpurefine.kernels.cpu.visible import visible_text
from gpurefine.kernels.cpu.windows import CHUNK as WINDOW_CHUNK
from gpurefine.kernels.cpu.windows import window_tops
from gpurefine.kernels.sides import (
    band_keys,
    character_units,
    count_windows,
    emit_windows,
    line_keys,
    shingle_hashes,
    text_statistics,
    word_units,
)

__all__ = [
    "ALL_COPIES_FIELDS",
    "BITMAP_BITS",
    "CASED",
    "CASE_IGNORABLE",
    "EMPTY",
    "FIELDS",
    "LANES",
    "LONGEST_TOKEN",
    "STRIPPED",
    "WINDOW_CHUNK",
    "BytePairs",
    "all_copies_statistics",
    "band_keys",
    "byte_pairs",
    "bytes_before",
    "character_units",
    "characters_at",
    "characters_of_normalised",
    "count_gpt2_tokens",
    "count_members",
    "count_shared",
    "count_tags",
    "count_windows",
    "edit_distances",
    "emit_windows",
    "empty_lines",
    "enter_copies",
    "enter_hubs",
    "enter_numbers",
    "flatten",
    "gpt2_tokens",
    "last_pairs",
    "line_keys",
    "link_band_keys",
    "link_equal_keys",
    "list_candidates",
    "list_copies",
    "list_members",
    "list_spans",
    "mark_pieces",
    "minima",
    "normalise_text",
    "place_bitmaps",
    "rank_members",
    "shingle_hashes",
    "sort_sets",
    "text_statistics",
    "unite",
    "unite_numbers",
    "visible_text",
    "window_tops",
    "word_hashes",
    "word_units",
]
