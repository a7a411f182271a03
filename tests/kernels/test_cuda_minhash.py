"""Band keys of the CUDA kernel, to the bit those of the CPU: its own text on the CPU, and on a device where one is."""

import subprocess
import sys

import cuda_on_host
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gpurefine import kernels
from gpurefine.dedup.permutations import permutations
from gpurefine.kernels.cuda import minhash
from gpurefine.kernels.cuda.device import to_device
from gpurefine.kernels.cuda.minhash import MOST_ROWS, Sizes, choose_grid, choose_sizes

#: The tails of fours and of chunks of any size, and documents without shingles at both ends.
LENGTHS = [0, 1, 3, 4, 5, 7, 0, 0, 31, 32, 33, 130, 255, 256, 257, 2, 511, 512, 513, 1030, 2047, 2048, 2049, 0]
SHORT = [0, 9, 64, 0, 65, 200, 63, 1, 31, 128, 129, 5, 0]
RUBBISH = np.uint64(0xDEADBEEFDEADBEEF)


def documents(lengths, seed=5):
    """Shingles of documents of these lengths and their offsets."""
    offsets = np.cumsum([0, *lengths], dtype=np.int64)
    return np.random.default_rng(seed).integers(0, 1 << 32, offsets[-1], dtype=np.uint32), offsets


def cpu_keys(shingles, offsets, family):
    out = np.empty((family.bands, offsets.size - 1), np.uint64)
    kernels.band_keys(shingles, offsets, family.multipliers, family.increments, family.bands, family.rows, out)
    return out


def cuda_keys(shingles, offsets, family):
    out = to_device(np.full((family.bands, offsets.size - 1), RUBBISH, np.uint64))
    arrays = map(to_device, (shingles, offsets, family.multipliers, family.increments))
    minhash.band_keys(*arrays, family.bands, family.rows, out)
    return out.get()


@pytest.mark.parametrize("order", ["rising", "falling"])
def test_keys_at_full_size(emulated, order):
    emulated(order=order)
    shingles, offsets = documents(LENGTHS)
    family = permutations(1, 450, 20)
    assert np.array_equal(cuda_keys(shingles, offsets, family), cpu_keys(shingles, offsets, family))


@pytest.mark.parametrize("shape", [(14, 8), (20, 13), (9, 13), (1, 10), (1, 1), (450, 9), (7, 601), (1, MOST_ROWS)])
def test_keys_of_other_shapes_within_bounds(emulated, programs, shape):
    emulated(extra_options=cuda_on_host.sanitizers(programs))
    shingles, offsets = documents(LENGTHS if shape[0] * shape[1] < 1000 else SHORT)
    family = permutations(2, *shape)
    assert np.array_equal(cuda_keys(shingles, offsets, family), cpu_keys(shingles, offsets, family))


@pytest.mark.parametrize(
    "sizes",
    [
        Sizes(14, 8, slice_bands=4, per_thread=1, threads=32, blocks=1),  # 4, 4, 4, 2 bands
        Sizes(5, 3, slice_bands=5, per_thread=18, threads=8, blocks=1),  # fewer bands than threads, much padding
        Sizes(20, 13, slice_bands=7, per_thread=12, threads=8, blocks=1),  # as many bands as threads less one
        Sizes(33, 2, slice_bands=33, per_thread=9, threads=8, blocks=1),  # more bands than threads
    ],
    ids=str,
)
def test_keys_at_odd_sizes_within_bounds(emulated, programs, monkeypatch, sizes):
    emulated(extra_options=cuda_on_host.sanitizers(programs), order="falling")
    monkeypatch.setattr(minhash, "choose_sizes", lambda bands, rows: sizes)
    shingles, offsets = documents(SHORT)
    family = permutations(3, sizes.bands, sizes.rows)
    assert np.array_equal(cuda_keys(shingles, offsets, family), cpu_keys(shingles, offsets, family))


@pytest.mark.parametrize("barrier", [0, 1, 2])
def test_each_barrier_is_needed(emulated, barrier):
    """The emulation would notice a missing one."""

    def without(text):
        pieces = text.split("__syncthreads();")
        assert len(pieces) == 4
        pieces[barrier : barrier + 2] = [pieces[barrier] + pieces[barrier + 1]]
        return "__syncthreads();".join(pieces)

    shingles, offsets = documents([513, 9, 0, 700, 64])
    family = permutations(1, 20, 13)
    expected = cpu_keys(shingles, offsets, family)
    found = []
    for order in ("rising", "falling"):
        emulated(change=without, order=order)
        found.append(np.array_equal(cuda_keys(shingles, offsets, family), expected))
    assert not all(found)


def test_a_barrier_that_only_some_threads_reach_is_an_error(emulated):
    emulated(change=lambda text: text.replace("__syncthreads();", "if (thread) __syncthreads();", 1))
    shingles, offsets = documents([3])
    with pytest.raises(RuntimeError, match="different barriers"):
        cuda_keys(shingles, offsets, permutations(1, 20, 13))


def test_an_access_out_of_bounds_is_an_error(emulated, programs):
    options = cuda_on_host.sanitizers(programs)
    if not options:
        pytest.skip("this compiler has no sanitizers")
    emulated(extra_options=options, change=lambda text: text.replace("i < count ? i : count - 1", "i"))
    shingles, offsets = documents([64, 3])
    with pytest.raises(RuntimeError, match="heap-buffer-overflow"):
        cuda_keys(shingles, offsets, permutations(1, 20, 13))


@pytest.mark.parametrize("multiprocessors", [1, 3, 1000])
def test_keys_are_the_same_on_any_number_of_multiprocessors(emulated, monkeypatch, multiprocessors):
    emulated(multiprocessors=multiprocessors)
    sizes = Sizes(14, 8, slice_bands=7, per_thread=2, threads=32, blocks=2)
    monkeypatch.setattr(minhash, "choose_sizes", lambda bands, rows: sizes)
    shingles, offsets = documents(SHORT)
    family = permutations(1, 14, 8)
    assert np.array_equal(cuda_keys(shingles, offsets, family), cpu_keys(shingles, offsets, family))


def test_offsets_may_begin_anywhere_and_keys_go_into_any_columns(emulated):
    emulated()
    shingles, offsets = documents(SHORT)
    family = permutations(1, 9, 13)
    whole = cpu_keys(shingles, offsets, family)
    out = to_device(np.full((9, len(SHORT)), RUBBISH, np.uint64))
    tables = to_device(family.multipliers), to_device(family.increments)
    shingles, offsets = to_device(shingles), to_device(offsets)
    minhash.band_keys(shingles, offsets[3:9], *tables, 9, 13, out[:, 3:8])
    assert np.array_equal(out.get()[:, 3:8], whole[:, 3:8])
    assert np.all(out.get()[:, :3] == RUBBISH) and np.all(out.get()[:, 8:] == RUBBISH)
    minhash.band_keys(shingles, offsets[8:10], *tables, 9, 13, out[:, 8:9])
    assert np.array_equal(out.get()[:, 3:9], whole[:, 3:9]) and np.all(out.get()[:, 9:] == RUBBISH)


def test_no_documents_and_no_shingles(emulated):
    emulated()
    family = permutations(1, 9, 13)
    assert cuda_keys(np.zeros(0, np.uint32), np.zeros(1, np.int64), family).shape == (9, 0)
    assert not cuda_keys(np.zeros(0, np.uint32), np.zeros(5, np.int64), family).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shingles": np.zeros(4, np.int32)}, "shingles must be one row of uint32"),
        ({"shingles": np.zeros(8, np.uint32)[::2]}, "without gaps"),
        ({"offsets": np.array([0, 4], np.int32)}, "offsets must be one row of int64"),
        ({"multipliers": np.ones((1, 16), np.uint32)}, "multipliers must be one row"),
        ({"multipliers": np.ones(32, np.uint32)}, "padded to a multiple"),
        ({"offsets": np.array([0, 5])}, "within the 4 items"),
        ({"offsets": np.array([-1, 4])}, "begin at 0"),
        ({"offsets": np.array([0, 4, 2]), "out": np.zeros((3, 2), np.uint64)}, "not fall"),
        ({"out": np.zeros((3, 2), np.uint64)}, "column for each document"),
        ({"out": np.zeros((3, 1), np.int64)}, "row of uint64"),
        ({"offsets": np.array([0, 2, 4]), "out": np.zeros((2, 3), np.uint64).T}, "beside each other"),
        ({"bands": 6, "rows": 3}, "bands \\* rows entries"),
        ({"bands": 1, "rows": MOST_ROWS + 1}, "take fewer rows, or the CPU"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(emulated, change, message):
    cupy = emulated()

    def on_device(value):
        return cupy.ndarray(value) if isinstance(value, np.ndarray) else value  # with its gaps

    functions = np.ones(16, np.uint32)
    arguments = {
        "shingles": np.zeros(4, np.uint32),
        "offsets": np.array([0, 4]),
        "multipliers": functions,
        "increments": functions,
        "bands": 3,
        "rows": 2,
        "out": np.zeros((3, 1), np.uint64),
    }
    with pytest.raises(ValueError, match=message):
        minhash.band_keys(**{name: on_device(value) for name, value in (arguments | change).items()})


@given(bands=st.integers(1, 3000), rows=st.integers(1, MOST_ROWS))
@example(450, 20)
@example(65536, 16)
@example(1, MOST_ROWS)
@example(3, MOST_ROWS // 2 + 1)
@example(1 << 16, 1)
def test_sizes_fit_the_kernel_and_a_multiprocessor(bands, rows):
    sizes = choose_sizes(bands, rows)
    macros = sizes.macros()
    assert (sizes.bands, sizes.rows) == (bands, rows)
    assert sizes.slices * sizes.slice_bands >= bands > (sizes.slices - 1) * sizes.slice_bands
    assert sizes.threads * sizes.per_thread >= sizes.slice_bands * rows
    assert sizes.threads % 32 == 0 and 1 <= sizes.blocks <= 32 and macros["CHUNK"] % 4 == 0
    # 65,536 registers; three a function, and what the rest of the kernel takes (tested on machine code elsewhere)
    assert 65536 // (sizes.threads * sizes.blocks) >= 3 * sizes.per_thread + 36
    shared = 4 * (macros["CHUNK"] + sizes.threads * sizes.per_thread)
    assert shared <= 48 << 10 and sizes.blocks * (shared + 1024) <= 227 << 10


@pytest.mark.parametrize(
    ("shape", "least"), [((450, 20), 0.976), ((14, 8), 0.87), ((20, 13), 0.9), ((9, 13), 0.91), ((1000, 9), 0.97)]
)
def test_little_of_the_work_is_padding(shape, least):
    sizes = choose_sizes(*shape)
    assert least <= sizes.use <= 1


def test_sizes_of_refinedweb():
    assert choose_sizes(450, 20) == Sizes(450, 20, slice_bands=225, per_thread=18, threads=256, blocks=2)


@pytest.mark.parametrize("shape", [(0, 1), (1, 0), (1, MOST_ROWS + 1)])
def test_shapes_that_no_block_can_fold_are_refused(shape):
    with pytest.raises(ValueError, match="take fewer rows"):
        choose_sizes(*shape)


def test_the_grid_fills_the_device_and_no_more():
    sizes = choose_sizes(450, 20)
    assert choose_grid(sizes, 10**6, 132) == (132, 2)
    assert choose_grid(sizes, 5, 132) == (5, 2)
    assert choose_grid(choose_sizes(65536, 16), 10**6, 100)[0] == 1


def test_importing_the_launcher_asks_for_no_cuda_library():
    program = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("cupy", "cudf", "rmm", "cuda") or name.startswith("numba.cuda.cudadrv"):
            raise ImportError(name + " is not to be imported here")
sys.meta_path.insert(0, Refuse())
from gpurefine.kernels.cuda import minhash
from gpurefine.kernels.cuda.device import to_device
minhash.choose_sizes(450, 20)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [(450, 20), (14, 8), (20, 13), (9, 13), (1, 10), (7, 601), (1, MOST_ROWS)])
def test_keys_on_a_device(shape):
    cupy = pytest.importorskip("cupy", reason="CuPy is not here")
    if not cupy.cuda.is_available():
        pytest.skip("no CUDA device is here")
    shingles, offsets = documents(LENGTHS * 30)
    family = permutations(4, *shape)
    out = cupy.full((shape[0], offsets.size + 3), RUBBISH, cupy.uint64)
    arrays = map(cupy.asarray, (shingles, offsets, family.multipliers, family.increments))
    minhash.band_keys(*arrays, *shape, out[:, 2:-2])
    found = out.get()
    assert np.array_equal(found[:, 2:-2], cpu_keys(shingles, offsets, family))
    assert np.all(found[:, :2] == RUBBISH) and np.all(found[:, -2:] == RUBBISH)
