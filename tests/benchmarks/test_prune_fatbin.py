"""Libraries keep the machine code of one architecture, and all else of them stays where it was."""

import struct
import subprocess

import cuda_on_host
import pytest


@pytest.fixture(scope="module")
def prune_fatbin(benchmark_module):
    return benchmark_module("prune_fatbin")


def entry(kind, arch, data):
    header = struct.pack("<HHIQ", kind, 0, 64, len(data)) + bytes(12) + struct.pack("<I", arch)
    return header.ljust(64, b"\0") + data


def fat_binary(*entries):
    body = b"".join(entries)
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


@pytest.fixture
def library(tmp_path):
    """Builds a shared library whose section .nv_fatbin holds bytes."""
    compiler = cuda_on_host.compiler()

    def build(content):
        (tmp_path / "code.bin").write_bytes(content)
        assembler = f'.section .nv_fatbin,\\"a\\"\\n.incbin \\"{tmp_path}/code.bin\\"\\n.text'
        source = f'asm("{assembler}");\nint seven() {{return 7;}}'
        command = [*compiler, "-shared", "-fPIC", "-xc", "-", "-o", tmp_path / "lib.so"]
        subprocess.run(command, input=source, text=True, check=True)
        return tmp_path / "lib.so"

    return build


def test_other_architectures_and_ptx_go(prune_fatbin, library):
    mine, other = entry(2, 90, b"mine" * 40), entry(2, 80, b"others!!" * 60)
    several = fat_binary(other, entry(1, 90, b"ptx!" * 10), mine)
    foreign = fat_binary(entry(2, 80, b"only" * 8))
    path = library(several + bytes(8) + foreign)
    before = path.read_bytes()
    pruned = bytearray(before)
    assert prune_fatbin.prune(pruned, 90) == (1, 1, len(several) - 16 - len(mine))
    assert len(pruned) == len(before)
    ((begin, end),) = prune_fatbin.sections(bytes(pruned))
    (place, first, last, kept), (_, _, _, left) = prune_fatbin.fat_binaries(bytes(pruned), begin, end)
    assert [(each.kind, each.arch) for each in kept] == [(2, 90)] and [each.arch for each in left] == [80]
    assert bytes(pruned[first:last]) == mine
    rest = place + len(several)
    assert not any(pruned[last:rest])
    assert pruned[:begin] == before[:begin] and pruned[rest:] == before[rest:]


def test_a_library_without_gpu_code_stays(prune_fatbin, library, monkeypatch, capsys):
    path = library(b"")
    before = path.read_bytes()
    monkeypatch.setattr("sys.argv", ["prune_fatbin", str(path)])
    prune_fatbin.main()
    assert path.read_bytes() == before and capsys.readouterr().out == ""
