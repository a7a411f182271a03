"""Connected components by union-find over indices; the smaller index wins, so the order of edges changes nothing."""

from __future__ import annotations

from numba import njit


@njit(nogil=True, cache=True, inline="always")
def root_of(index, parent):
    """The least index of the component of ``index``, as far as it is known; shortens the way to it."""
    # path halving: each step also shortens the way of those that come after
    while parent[index] != index:
        parent[index] = parent[parent[index]]
        index = parent[index]
    return index


@njit(nogil=True, cache=True)
def unite(left, right, parent):
    """Join the components of each edge's two ends.

    Parameters
    ----------
    left, right : integers, (edges,), indices into ``parent``; self-edges and repeated edges do no harm
    parent : uint32, (n,), ``arange(n)`` before the first edge; changed in place, never above its own index
    """
    for edge in range(left.size):
        one, other = root_of(left[edge], parent), root_of(right[edge], parent)
        if one < other:
            parent[other] = one
        elif other < one:
            parent[one] = other


@njit(nogil=True, cache=True)
def flatten(parent):
    """Replace each parent by the least index of its component, in place, and count the components.

    Parameters
    ----------
    parent : uint32, (n,), as ``unite`` leaves it
    """
    components = 0
    for index in range(parent.size):
        # a parent is never above its index, so it has its root already
        parent[index] = parent[parent[index]]
        components += parent[index] == index
    return components
