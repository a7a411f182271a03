"""Connected components on a CUDA device: launches the union-find in components.cu.

It takes the place of ``gpurefine.kernels.cpu.components`` where edges lie on a device, and gives the same parents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpurefine.kernels.cuda.device import check_array, kernel, launch

if TYPE_CHECKING:
    import cupy


def unite(left: cupy.ndarray, right: cupy.ndarray, parent: cupy.ndarray) -> cupy.ndarray:
    """Join the components of each edge's two ends, on the current device.

    Parameters
    ----------
    left, right : uint32, (edges,), indices into ``parent``; self-edges and repeated edges do no harm
    parent : uint32, (n,), ``arange(n)`` before the first edge; changed in place, never above its own index

    Returns
    -------
    uint8, (edges,): 1 for an edge that joined two components. These are a spanning forest: n - components in all, over
    all calls; which edges of a circle are left out depends on the order of threads

    Raises
    ------
    ValueError
        if arrays are not as described; the indices themselves are not looked at
    """
    import cupy

    for name, array in (("left", left), ("right", right), ("parent", parent)):
        check_array(name, array, "uint32")
    if left.size != right.size:
        raise ValueError(f"{left.size} left ends and {right.size} right ends of edges: there must be as many")
    joined = cupy.empty(left.size, cupy.uint8)
    launch(kernel("components", "unite_edges"), left.size, left, right, left.size, parent, joined)
    return joined


def flatten(parent: cupy.ndarray) -> int:
    """Replace each parent by the least index of its component, in place, and count the components. Waits.

    Parameters
    ----------
    parent : uint32, (n,), as ``unite`` leaves it
    """
    import cupy

    check_array("parent", parent, "uint32")
    components = cupy.zeros(1, cupy.uint64)
    launch(kernel("components", "shorten"), parent.size, parent, parent.size)
    launch(kernel("components", "flatten"), parent.size, parent, parent.size, components)
    return int(components[0])
