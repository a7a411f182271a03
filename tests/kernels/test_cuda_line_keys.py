"""Keys of lines of the CUDA kernels: those of Python's strings and hashlib, to the bit."""

import cuda_on_host
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from line_oracle import CHARACTERS, RULES, by_hashlib, folded, found, joined, lines, lower

from gpurefine.kernels.cuda import linekeys as on_device
from gpurefine.kernels.cuda.device import to_device
from gpurefine.text.ccnet import comparable_characters
from gpurefine.text.linetables import digests_of_lines, line_table


@pytest.mark.parametrize(("rule", "becomes", "md5"), RULES)
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(lines, max_size=5), order=st.sampled_from(["rising", "falling"]))
@example(
    texts=["", "\n", "a\n", "\n\na", "Σ", "ΑΣ", "ΑΣΣ", "ΑΣ'Σ' Α'Σ’\n'Σ", "Σ\u0345", "\u0345Σ\u0345Α"], order="rising"
)
def test_a_device_gives_the_same_keys(cuda, rule, becomes, md5, texts, order):
    cuda(order=order)
    assert found(texts, rule, md5, to_device) == by_hashlib(texts, becomes, md5)
    around = {"before": "Éa\n".encode(), "behind": "\u0345a\n".encode()}
    assert found(texts, rule, md5, to_device, **around) == by_hashlib(texts, becomes, md5)


@pytest.mark.parametrize(("rule", "becomes", "md5"), RULES)
def test_a_device_gives_the_same_keys_of_lines_of_every_length(cuda, rule, becomes, md5):
    cuda(order="falling")
    texts = [letter * length for letter in ("x", "é", "İ", "가") for length in range(0, 140, 3)]
    texts += ["\n".join(CHARACTERS[number:] for number in range(len(CHARACTERS))), *CHARACTERS]
    assert found(texts, rule, md5, to_device) == by_hashlib(texts, becomes, md5)


def test_lines_that_are_too_long_for_a_thread_are_hashed_by_the_host(cuda):
    cuda()
    texts = [f"a\n {'Éx' * 15_000} \nb", "c" * (1 << 15), "d" * (1 << 15 | 1), "", "\n" * 9, " " * 40_000]
    assert found(texts, str.lower, True, to_device) == by_hashlib(texts, lower, True)
    assert found(texts, comparable_characters, False, to_device) == by_hashlib(texts, folded, False)


def test_a_device_reads_nothing_outside_of_what_it_was_given(emulated, programs):
    """Bytes that are no UTF-8 at all borders, under tools that end a program at an access out of bounds."""
    table = line_table(str.lower)
    texts = [b"\xe3", b"\xf0\x9f\x98\n\xce\xa3\xcc", b"\x80\x80a\n\xe3\x80", b"\xce\xa3", b"\xff" * 70, b"\xf0"]
    emulated(extra_options=(*cuda_on_host.sanitizers(programs), "-O0"))
    for md5 in (False, True):
        own = digests_of_lines(*map(to_device, joined(texts)), table, md5)
        for one, other in zip(own, digests_of_lines(*joined(texts), table, md5), strict=True):
            assert np.array_equal(one, other)


def test_tables_of_another_size_are_refused(cuda):
    cuda()
    data, offsets = map(to_device, joined(["a"]))
    table = line_table(str.lower)
    tables = [to_device(each) for each in (table.classes, table.ascii_map, table.place[:9].copy(), table.replacements)]
    with pytest.raises(ValueError, match="0x110000 code points"):
        on_device.line_keys(data, offsets, *tables, md5=False)
    with pytest.raises(ValueError, match="place must be one row of uint32"):
        on_device.line_keys(data, offsets, *tables[:2], tables[1], tables[3], md5=False)
