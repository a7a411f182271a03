"""The kernels in CUDA C and what launches them; nothing here imports a CUDA library before a kernel is launched."""
