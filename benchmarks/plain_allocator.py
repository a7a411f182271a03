"""A plug-in of pytest for compute-sanitizer: each CuPy array has device memory of its own, so that its end is known.

    compute-sanitizer --tool memcheck python -m pytest -p plain_allocator -m gpu tests/kernels

CuPy's pool cuts arrays from larger blocks, in which an access behind an array meets another one and is not seen.
"""

import cupy

cupy.cuda.set_allocator(None)
