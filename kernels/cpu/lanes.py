"""The hot loop of MinHash as explicit vectors, which Numba alone cannot ask for.

LLVM's vectoriser prefers half-width vectors on many processors that have AVX-512, by their name, whatever is faster.
Vectors of a stated width are split or kept as the processor's registers are: one register with AVX-512, two with AVX2,
four with SSE or NEON.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

#: Hash functions that go in step; tables of them are padded to a multiple.
LANES = 16

_WORD, _INDEX = ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(_WORD, LANES)


@intrinsic
def lower_minima(typing_context, multipliers, increments, minima, first, shingles, begin, end):
    """Lower the minima of ``LANES`` hash functions by some shingles; no bound is checked.

    The functions and their minima stay in registers while the shingles pass.

    Parameters
    ----------
    typing_context : Numba's, not given by the caller
    multipliers, increments : uint32, (functions,); function i is ``(multipliers[i] * x + increments[i]) % 2**32``
    minima : uint32, (functions,), lowered in place
    first : int64; the functions are ``first`` .. ``first + LANES - 1``
    shingles : uint32
    begin, end : int64; the shingles x are ``shingles[begin:end]``
    """
    signature = types.void(multipliers, increments, minima, first, shingles, begin, end)

    def generate(context, builder, signature, arguments):
        def data_of(argument):
            return context.make_array(signature.args[argument])(context, builder, arguments[argument]).data

        def vector_at(argument):
            return builder.bitcast(builder.gep(data_of(argument), [arguments[3]]), _VECTOR.as_pointer())

        factor = builder.load(vector_at(0), align=4)
        summand = builder.load(vector_at(1), align=4)
        lowest = cgutils.alloca_once_value(builder, builder.load(vector_at(2), align=4))
        source = data_of(4)
        one = ir.Constant(_INDEX, 1)
        with cgutils.for_range_slice(builder, arguments[5], arguments[6], one, _INDEX) as (position, _):
            shingle = builder.load(builder.gep(source, [position]))
            hashed = builder.add(builder.mul(factor, _in_all_lanes(builder, shingle)), summand)
            before = builder.load(lowest)
            builder.store(builder.select(builder.icmp_unsigned("<", hashed, before), hashed, before), lowest)
        builder.store(builder.load(lowest), vector_at(2), align=4)
        return context.get_dummy_value()

    return signature, generate


def _in_all_lanes(builder, value):
    """A vector with ``value`` in each lane."""
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    single = builder.insert_element(undefined, value, ir.Constant(_WORD, 0))
    return builder.shuffle_vector(single, undefined, ir.Constant(_VECTOR, None))
