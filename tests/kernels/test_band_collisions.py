"""Keys of bands to a spanning forest, against a dictionary and a search that walks the graph."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from gpurefine.kernels import link_band_keys


def link(bands, remembered, parts=1, cut=0, salt=3, slots=64):
    """Edges and counts over all bands (lists of keys by position), each entered in two calls."""
    parent = np.arange(remembered, dtype=np.uint32)
    table, edges, shared = np.empty((slots, 2), np.uint64), [], 0
    for band in bands:
        keys = np.array(band, np.uint64)
        left, right = np.empty((2, len(keys)), np.uint64)
        for part in range(parts):
            table[:], room = 0, slots - 1
            for begin, end in [(0, cut), (cut, len(keys))]:
                filled, entered, again = link_band_keys(
                    keys[begin:end], begin, table, room, np.uint64(salt), part, parts, parent, left, right, 0
                )
                assert entered >= 0
                room -= entered
                shared += again
                edges += zip(left[:filled].tolist(), right[:filled].tolist(), strict=True)
    return edges, shared


def components(documents, edges):
    """The least position of each position's component, by relaxation."""
    root = list(range(documents))
    for _ in range(documents):
        for one, other in edges:
            root[one] = root[other] = min(root[one], root[other])
    return root


def colliding(bands):
    """All pairs of positions with an equal key in one band, and how many keys of a band several positions have."""
    pairs, shared = [], 0
    for band in bands:
        pairs += [(one, other) for other in range(len(band)) for one in range(other) if band[one] == band[other] != 0]
        shared += len({key for key in band if key and band.count(key) > 1})
    return pairs, shared


key = st.sampled_from([0, 1, 2, 3, 2**64 - 1, 1 << 63])
tables = st.integers(0, 12).flatmap(
    lambda documents: st.lists(st.lists(key, min_size=documents, max_size=documents), min_size=1, max_size=5)
)


@given(
    bands=tables,
    remembered=st.integers(0, 12),
    parts=st.integers(1, 3),
    cut=st.integers(0, 12),
    salt=st.integers(0, 99),
)
@example(bands=[[0, 0, 0]], remembered=3, parts=1, cut=0, salt=0)
@example(bands=[[1, 2], [2, 1]], remembered=2, parts=1, cut=0, salt=0)
def test_the_forest_connects_what_collides_in_a_band(bands, remembered, parts, cut, salt):
    documents = len(bands[0])
    edges, shared = link(bands, remembered, parts, min(cut, documents), salt)
    pairs, several = colliding(bands)
    assert components(documents, edges) == components(documents, pairs)
    assert shared == several
    assert all(one < other for one, other in edges)
    if remembered >= documents:
        # a forest: as many edges as there are documents less components
        assert len(edges) == documents - len(set(components(documents, pairs)))
    else:
        inside = [edge for edge in edges if max(edge) < remembered]
        assert len(inside) == remembered - len(set(components(remembered, inside)))


def test_documents_beyond_the_table_give_an_edge_in_every_band():
    equal = [[7] * 10] * 4
    assert len(link(equal, remembered=10)[0]) == 9
    assert len(link(equal, remembered=4)[0]) == 3 + 4 * 6
    assert len(link(equal, remembered=0)[0]) == 4 * 9


def test_many_keys_at_a_time():
    # more than are looked ahead, all slots but a few in use
    rng = np.random.default_rng(0)
    bands = [rng.integers(1, 700, 1000).tolist() for _ in range(3)]
    edges, shared = link(bands, remembered=1000, cut=333, slots=800)
    pairs, several = colliding(bands)
    assert shared == several
    assert components(1000, edges) == components(1000, pairs)


def test_a_table_without_room_says_so_but_still_knows_its_keys():
    parent, table = np.arange(9, dtype=np.uint32), np.zeros((4, 2), np.uint64)
    left, right = np.empty((2, 9), np.uint64)

    def enter(keys, first, room):
        return link_band_keys(
            np.array(keys, np.uint64), first, table, room, np.uint64(1), 0, 1, parent, left, right, 0
        )  # fmt: skip

    assert enter([5, 6, 7], 0, 3) == (0, 3, 0)
    assert enter([7, 5], 3, 0) == (2, 0, 2)
    assert enter([8], 5, 0)[1] == -1
