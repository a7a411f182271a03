"""The machine code of the CUDA kernels: how it is read, and that hot loops hold their limits."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from gpurefine.kernels.cuda import source
from gpurefine.kernels.cuda.minhash import Sizes

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
    from cuda_limits import KERNELS, KernelLimit

#: As the disassembler writes it, made up: a loop in a loop, a predicate, a backward branch out of the second function.
TEXT = """\
	.section	.text.first,"ax",@progbits
first:
.text.first:
        /*0000*/                   LDC R1, c[0x0][0x28] ;
.L_x_1:
        /*0010*/                   IMAD.MOV.U32 R2, RZ, RZ, R1 ;
.L_x_2:
        /*0020*/                   LDS.128 R4, [R3] ;
        /*0030*/                   IMAD R5, R4, R6, R7 ;
        /*0040*/                   IMAD.IADD R8, R5, 0x1, R2 ;
        /*0050*/                   VIMNMX3.U32 R9, R5, R8, R9, PT ;
        /*0060*/               @P0 BRA `(.L_x_2) ;
        /*0070*/              @!P1 BRA `(.L_x_1) ;
        /*0080*/                   BRA `(.L_x_3) ;
.L_x_3:
        /*0090*/                   EXIT ;
	.section	.text.second,"ax",@progbits
.text.second:
        /*0000*/                   IADD3 R0, R0, 0x1, RZ ;
        /*0010*/                   BRA 0x0 ;
"""

#: Sizes of the band keys' kernel.
TINY = Sizes(3, 2, slice_bands=3, per_thread=1, threads=32, blocks=1).macros()


@pytest.fixture(scope="module")
def machine_code(benchmark_module):
    return benchmark_module("machine_code")


@pytest.fixture(scope="module")
def cuda_code(benchmark_module, machine_code):
    """The program; skips where nothing can be compiled."""
    module = benchmark_module("cuda_code")
    try:
        machine_code.disassemble(machine_code.compile_kernels('extern "C" __global__ void f() {}', (), 90)[0])
    except machine_code.ToolsMissing as error:
        pytest.skip(str(error))
    return module


def test_functions_and_their_labels(machine_code):
    functions = machine_code.read_functions(TEXT)
    assert {name: len(function.instructions) for name, function in functions.items()} == {"first": 10, "second": 2}
    assert functions["first"].labels == {".L_x_1": 0x10, ".L_x_2": 0x20, ".L_x_3": 0x90}
    names = [each.name for each in functions["first"].instructions]
    assert names[:3] == ["LDC", "IMAD.MOV.U32", "LDS.128"] and names[-1] == "EXIT"


def test_the_innermost_loops(machine_code):
    functions = machine_code.read_functions(TEXT)
    (loop,) = machine_code.innermost_loops(functions["first"])
    assert loop == Counter({"LDS.128": 1, "IMAD": 1, "IMAD.IADD": 1, "VIMNMX3.U32": 1, "BRA": 1})
    assert machine_code.multiply_adds(loop) == 1 and machine_code.count(loop, "VIMNMX", "LDS") == 2
    (loop,) = machine_code.innermost_loops(functions["second"])
    assert loop == Counter({"IADD3": 1, "BRA": 1})


def test_a_loop_without_the_loops_in_it(machine_code):
    outer, inner = machine_code.loops(machine_code.read_functions(TEXT)["first"])
    assert outer == Counter({"IMAD.MOV.U32": 1, "BRA": 1})
    assert [inner] == machine_code.innermost_loops(machine_code.read_functions(TEXT)["first"])


def test_hot_loops_hold_their_limits(cuda_code):
    for shape, most_issued in cuda_code.SHAPES.items():
        code = cuda_code.band_keys_code(*shape)
        assert code.above_limits(most_issued) == []
        assert code.issued > 1.5 and code.multiply_adds == 1 and code.minima_of_three == 0.5
        assert 0 < code.registers <= 128


@pytest.mark.parametrize("limit", KERNELS, ids=str)
def test_kernels_hold_their_limits(cuda_code, limit):
    code = cuda_code.kernel_code(limit)
    assert code.above_limits() == []
    # a limit that is far off guards nothing
    assert code.issued > limit.most * 0.75 and code.registers > limit.registers / 2


def test_every_kernel_has_its_limits():
    kernels = set()
    for file in Path(source.__file__).parent.glob("*.cu"):
        text = file.read_text("utf-8")
        names = re.findall(r'^extern "C" __global__ void\s+(?:__launch_bounds__\([^()]*\)\s+)?(\w+)\(', text, re.M)
        assert len(names) == text.count("__global__"), f"{file.name} declares a kernel in another way"
        kernels |= {(file.stem, name) for name in names}
    band_keys = ("minhash", "band_keys")
    assert band_keys in kernels
    assert kernels - {band_keys} == {(limit.file, limit.function) for limit in KERNELS}


#: Made up: a sum, an array that is indexed at run time, and two loops of which the mark picks one.
KERNELS_TO_READ = """
extern "C" __global__ void sum(const int* x, int* y, long long n) {
    int total = 0;
#pragma unroll 1
    for (long long i = 0; i < n; i += 4) total += x[i] + x[i + 1] + x[i + 2] + x[i + 3];
    *y = total;
}
extern "C" __global__ void local(const int* x, int* y, long long n) {
    int array[64];
    for (int i = 0; i < 64; ++i) array[i] = 0;
    for (long long i = 0; i < n; ++i) array[x[i] & 63] += x[i];
    for (int i = 0; i < 64; ++i) y[i] = array[y[i] & 63];
}
extern "C" __global__ void two(const int* x, int* y, long long n) {
    __shared__ int s[SIZE];
    for (int i = threadIdx.x; i < SIZE; i += blockDim.x) s[i] = 0;
    __syncthreads();
#pragma unroll 1
    for (long long i = 0; i < n; ++i) atomicAdd(s + (x[i] & (SIZE - 1)), 1);
    __syncthreads();
#pragma unroll 1
    for (int i = 0; i < SIZE; ++i) y[i] += s[i];
}
"""


@pytest.fixture
def read_kernel(cuda_code, monkeypatch):
    """A function that reads the code of one of the kernels above."""
    monkeypatch.setattr(cuda_code, "kernel_source", lambda name: KERNELS_TO_READ)
    limit = KernelLimit("made_up", "sum", mark="LDG", items=4, most=6, registers=40, macros={"SIZE": 128})
    return lambda **changes: cuda_code.kernel_code(replace(limit, **changes))


def test_instructions_registers_and_shared_memory_are_counted(read_kernel):
    code = read_kernel()
    assert code.above_limits() == [] and (code.shared, code.local) == (0, 0)
    assert 2 <= code.issued <= 6 and read_kernel(items=1).issued == 4 * code.issued
    assert "instructions an item, more than 1" in read_kernel(most=1).above_limits()[0]
    assert "registers, more than 3" in read_kernel(registers=3).above_limits()[0]
    assert read_kernel(function="two", mark="ATOM").shared == 512
    # the loop of the atomic holds no store, that of the store no atomic
    assert read_kernel(function="two", mark="ATOM").issued != read_kernel(function="two", mark="STG").issued


def test_local_memory_is_noticed(read_kernel):
    code = read_kernel(function="local", mark="LDL", items=1, most=1000, registers=200)
    assert code.local > 256 and any("local memory" in line for line in code.above_limits())


def test_an_entry_without_a_kernel_or_a_loop_is_an_error(read_kernel):
    with pytest.raises(ValueError, match="no kernel none"):
        read_kernel(function="none")
    with pytest.raises(ValueError, match="no loop has an instruction HMMA"):
        read_kernel(mark="HMMA")


def test_too_few_registers_are_noticed(cuda_code, monkeypatch):
    crowded = Sizes(450, 20, slice_bands=225, per_thread=18, threads=256, blocks=4)
    monkeypatch.setattr(cuda_code, "choose_sizes", lambda bands, rows: crowded)
    code = cuda_code.band_keys_code(450, 20)
    assert code.local > 0 and any("local memory" in line for line in code.above_limits(1.6))


def test_minima_of_two_numbers_are_noticed(cuda_code, monkeypatch):
    source = cuda_code.kernel_source("minhash").replace("__vimin3_u32(", "two(")
    source = source.replace(
        'extern "C"', '__device__ u32 two(u32 a, u32 b, u32 c) { return min(a, b) ^ c; }\nextern "C"'
    )
    monkeypatch.setattr(cuda_code, "kernel_source", lambda name: source)
    found = cuda_code.band_keys_code(450, 20).above_limits(1.6)
    assert any("minima of two" in line for line in found)


def test_the_limit_is_that_of_the_same_instructions(cuda_code, machine_code, benchmark_module):
    source = Path(benchmark_module("band_keys_device").__file__).with_name("integer_limit.cu").read_text()
    options = ("--std=c++17", "-DPER_THREAD=18", "-DTHREADS=256", "-DBLOCKS=2")
    cubin, resources = machine_code.compile_kernels(source, options, 90)
    function = machine_code.read_functions(machine_code.disassemble(cubin))["integer_limit"]
    used = resources["integer_limit"]
    (loop,) = machine_code.innermost_loops(function)
    assert machine_code.multiply_adds(loop) == 72 and machine_code.count(loop, "VIMNMX3") == 36
    assert loop.total() <= 72 * 1.6 and used["stack"] == used["spills"] == 0


def test_text_that_does_not_compile_is_an_error(cuda_code, machine_code):
    with pytest.raises(RuntimeError, match="undefined"):
        machine_code.compile_kernels('extern "C" __global__ void f() { g(); }', (), 90)


def test_the_report_names_each_shape(cuda_code):
    code = cuda_code.band_keys_code(9, 13)
    limit = KernelLimit("minhash", "band_keys", mark="VIMNMX", items=1, most=1, registers=1, macros=TINY)
    text = cuda_code.report([code], [cuda_code.kernel_code(limit)], 90)
    assert "| 9 x 13 |" in text and f"| {limit} |" in text and "sm_90" in text and "NVRTC" in text
