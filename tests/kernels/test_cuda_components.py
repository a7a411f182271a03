"""Union-find of the CUDA kernels: the parents of the CPU in any order of threads, and a spanning forest."""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gpurefine.kernels import flatten, unite
from gpurefine.kernels.cuda import components
from gpurefine.kernels.cuda.device import to_device


def on_cpu(left, right, indices):
    parent = np.arange(indices, dtype=np.uint32)
    unite(left, right, parent)
    return parent, flatten(parent)


def on_device(left, right, indices, calls=1):
    """Parents, the number of components, and which edges joined two."""
    parent, joined = to_device(np.arange(indices, dtype=np.uint32)), []
    for part in np.array_split(np.arange(len(left)), calls):
        ends = to_device(left[part]), to_device(right[part])
        joined.append(components.unite(*ends, parent).get())
    count = components.flatten(parent)
    return parent.get(), count, np.concatenate(joined)


def check(left, right, indices, calls=1):
    parent, count, joined = on_device(left, right, indices, calls)
    expected, expected_count = on_cpu(left, right, indices)
    assert np.array_equal(parent, expected) and count == expected_count
    # a forest: as many edges as there must be, and they alone connect the same
    assert set(np.unique(joined)) <= {0, 1} and joined.sum() == indices - count
    forest, _ = on_cpu(left[joined == 1], right[joined == 1], indices)
    assert np.array_equal(forest, expected)


def shapes():
    """Edges that make threads meet: paths, stars, circles, cliques, random ones, self-edges, all at once."""
    rng = np.random.default_rng(11)
    n = 96
    path = np.arange(n - 1), np.arange(1, n)
    star = np.full(n, 50), np.arange(n)
    circle = np.arange(n), np.roll(np.arange(n), 1)
    clique = tuple(np.triu_indices(14, 1))
    random = tuple(rng.integers(0, n, (2, 150)))
    pairs = np.arange(0, n, 2), np.arange(1, n, 2)
    same = np.arange(n), np.arange(n)
    for name, (left, right) in {
        "path": path, "star": star, "circle": circle, "clique": clique, "random": random, "pairs": pairs, "self": same,
        "none": (np.zeros(0, int), np.zeros(0, int)),
    }.items():  # fmt: skip
        order = rng.permutation(len(left))
        yield pytest.param(left[order].astype(np.uint32), right[order].astype(np.uint32), n, id=name)


def interleaved(text):
    """The kernels with a pause, in which other threads go on, around each plain access that may race."""
    pause = "host::between_atomics();"
    races = ("u32 above = parent[index];", "const u32 next = parent[above];")
    for line in races:
        assert text.count(line) == 1
        text = text.replace(line, f"{pause} {line} {pause}")
    assert text.count("parent[index] = next;") == 1
    for line in ("if (root != (u32)index) parent[index] = root;", "if (root != known) parent[index] = root;"):
        assert text.count(line) == 1
        text = text.replace(line, f"{pause} {line} {pause}")
    return text.replace(
        "if (next != above) parent[index] = next;", f"if (next != above) {{ {pause} parent[index] = next; {pause} }}"
    )


@pytest.mark.parametrize(("left", "right", "indices"), list(shapes()))
def test_parents_are_those_of_the_cpu(cuda, left, right, indices):
    cuda(order="rising")
    check(left, right, indices)
    cuda(order="mixed", change=interleaved)
    check(left, right, indices, calls=2)


@pytest.mark.parametrize("order", ["rising", "falling"])
def test_a_chain_takes_no_more_steps_than_a_tree(emulated, order):
    """Each page the neighbour of the next: a walk of its whole length for each index would never end."""
    count = 1 << 14

    def counting(text):
        for line in ("u32 above = parent[index];", "const u32 next = parent[above];", "root = above;"):
            assert text.count(line) == 1
        text = text.replace("u32 above = parent", "walked(); u32 above = parent")
        text = text.replace("const u32 next", "walked(); const u32 next")
        text = text.replace("root = above;", "{ walked(); root = above; }")
        most = f'if (++steps > {30 * count}) host::fail("too many steps");'
        return f"static long long steps; static void walked() {{ {most} }}\n{text}"

    emulated(order=order, change=counting, multiprocessors=1)
    chain = to_device(np.maximum(np.arange(count), 1).astype(np.uint32) - np.uint32(1))
    assert components.flatten(chain) == 1
    assert not chain.get().any()


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=120), st.integers(1, 3))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([(40, 0), (0, 40), (40, 40), (39, 40)], 2)
def test_any_edges_in_mixed_order(cuda, edges, calls):
    cuda(order="mixed", change=interleaved)
    left, right = np.array(edges, np.uint32).reshape(-1, 2).T.copy()
    check(left, right, 41, calls)


def test_a_thread_takes_several_edges(cuda):
    """More edges than a device of one multiprocessor has threads."""
    cuda(multiprocessors=1)
    rng = np.random.default_rng(4)
    left, right = rng.integers(0, 6000, (2, 5000)).astype(np.uint32)
    check(left, right, 6000)


def test_a_lost_hook_would_be_noticed(emulated):
    """A plain store in the place of the CAS loses edges when threads interleave."""

    def change(text):
        old = "const u32 before = atomicCAS(parent + higher, higher, lower);"
        assert old in text
        return text.replace(old, "const u32 before = higher; host::between_atomics(); parent[higher] = lower;")

    emulated(order="mixed", change=lambda text: change(interleaved(text)))
    left, right = np.array([1, 2, 3, 4, 5, 6, 7] * 6, np.uint32), np.array([0, 1, 0, 2, 1, 0, 3] * 6, np.uint32)
    expected, _ = on_cpu(left, right, 8)
    parent, _, joined = on_device(left, right, 8)
    assert not np.array_equal(parent, expected) or joined.sum() != 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"left": np.zeros(3, np.int32)}, "left must be one row of uint32"),
        ({"parent": np.zeros(3, np.uint64)}, "parent must be one row of uint32"),
        ({"left": np.zeros(2, np.uint32)}, "2 left ends and 3 right ends"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(cuda, change, message):
    cuda()
    arrays = {"left": np.zeros(3, np.uint32), "right": np.zeros(3, np.uint32), "parent": np.zeros(3, np.uint32)}
    with pytest.raises(ValueError, match=message):
        components.unite(**{name: to_device(array) for name, array in (arrays | change).items()})
