"""A stand-in for CuPy without a device: arrays that keep apart from NumPy's, kernels through cuda_on_host.

``DeviceArray`` is as strict as CuPy where it matters: a NumPy array (of one dimension or more) in one operation with
it, or its silent conversion to one, is a TypeError. So code that would mix host and device fails here too.
"""

from types import SimpleNamespace

import cuda_on_host
import numpy as np

#: What NumPy gives when asked for an array and CuPy does too; anything else is not known here.
MAKERS = ("empty", "zeros", "ones", "full", "arange", "empty_like", "zeros_like", "full_like", "ones_like")
TYPES = (
    "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64", "float32", "float64", "bool_",
)  # fmt: skip
FUNCTIONS = (
    "add", "argsort", "bincount", "concatenate", "count_nonzero", "cumsum", "diff", "flatnonzero", "lexsort", "maximum",
    "minimum", "nonzero", "repeat", "searchsorted", "sort", "sum", "take", "unique", "where", "stack", "clip",
)  # fmt: skip
METHODS = (
    "all", "any", "argmax", "argmin", "argsort", "astype", "copy", "cumsum", "fill", "max", "mean", "min", "nonzero",
    "ravel", "repeat", "reshape", "sort", "sum", "take", "tolist", "view",
)  # fmt: skip
ATTRIBUTES = ("dtype", "shape", "size", "ndim", "nbytes", "itemsize", "strides", "flags")


def _wrap(value):
    if isinstance(value, tuple):
        return tuple(map(_wrap, value))
    return DeviceArray(np.asarray(value)) if isinstance(value, np.ndarray | np.generic) else value


def _unwrap(value):
    if isinstance(value, DeviceArray):
        return value.host
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    if isinstance(value, list | tuple):
        return type(value)(map(_unwrap, value))
    if isinstance(value, slice):
        return slice(*(None if each is None else int(each) for each in (value.start, value.stop, value.step)))
    return value


class DeviceArray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array that says it lies on a device."""

    def __init__(self, host):
        self.host = host

    def __array__(self, *_, **__):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __array_ufunc__(self, ufunc, method, *inputs, **keywords):
        if "out" in keywords:
            keywords["out"] = _unwrap(keywords["out"])
            getattr(ufunc, method)(*map(_unwrap, inputs), **keywords)
            return inputs[0]
        return _wrap(getattr(ufunc, method)(*map(_unwrap, inputs), **keywords))

    def __array_function__(self, function, types, arguments, keywords):
        raise TypeError(f"NumPy's {function.__name__} got an array of the device: use cupy.{function.__name__}")

    def __getattr__(self, name):
        if name in ATTRIBUTES:
            return getattr(self.host, name)
        if name in METHODS:
            method = getattr(self.host, name)
            return lambda *arguments, **keywords: _wrap(
                method(*_unwrap(arguments), **{key: _unwrap(value) for key, value in keywords.items()})
            )
        raise AttributeError(f"the stand-in for CuPy's arrays has no {name}")

    @property
    def __cuda_array_interface__(self):
        return self.host.__array_interface__

    def get(self):
        return self.host.copy()

    def item(self):
        return self.host.item()

    def __getitem__(self, key):
        return _wrap(self.host[_unwrap(key)])

    def __setitem__(self, key, value):
        self.host[_unwrap(key)] = _unwrap(value)

    def __len__(self):
        return len(self.host)

    def __bool__(self):
        return bool(self.host)

    def __int__(self):
        return int(self.host)

    def __index__(self):
        return int(self.host)

    def __float__(self):
        return float(self.host)


def _function(name):
    function = getattr(np, name)

    def call(*arguments, **keywords):
        return _wrap(function(*_unwrap(arguments), **{key: _unwrap(value) for key, value in keywords.items()}))

    return call


def _asarray(value, dtype=None):
    return value if isinstance(value, DeviceArray) and dtype in (None, value.dtype) else _array(value, dtype)


def _array(value, dtype=None):
    host = value.host if isinstance(value, DeviceArray) else value
    return DeviceArray(np.array(host, dtype=dtype, order="C"))


def stand_in(folder, multiprocessors=2, order="rising", extra_options=(), change=lambda text: text, memory=1 << 30):
    """What the launchers use of CuPy, on the CPU.

    Parameters
    ----------
    folder : where programs are kept
    multiprocessors : how many the device says it has
    order : ``rising``, ``falling`` or ``mixed``: see cuda_on_host.hpp
    extra_options : for g++, behind those of the launcher
    change : what becomes of a kernel's text before it is compiled
    memory : bytes that the device says it has
    """

    def raw_kernel(code, name, options=()):
        def launch(grid, block, arguments):
            program = cuda_on_host.build(folder, change(code), (*options, *extra_options))
            for each in arguments:
                if isinstance(each, np.ndarray) or (isinstance(each, int) and not isinstance(each, bool)):
                    raise TypeError(f"argument of {name}: {type(each)} instead of an array of the device or int64")
            hosts = [each.host if isinstance(each, DeviceArray) else each for each in arguments]
            cuda_on_host.run(program, name, (*grid, 1)[:2], block[0], hosts, order)

        return launch

    device = SimpleNamespace(attributes={"MultiProcessorCount": multiprocessors}, id=0)
    cuda = SimpleNamespace(
        Device=lambda number=0: device,
        is_available=lambda: True,
        memory=SimpleNamespace(OutOfMemoryError=MemoryError),
        runtime=SimpleNamespace(memGetInfo=lambda: (memory // 2, memory)),
        get_current_stream=lambda: SimpleNamespace(synchronize=lambda: None),
    )
    made = {name: _function(name) for name in (*MAKERS, *FUNCTIONS)}
    types = {name: getattr(np, name) for name in TYPES}
    return SimpleNamespace(
        RawKernel=raw_kernel, ndarray=DeviceArray, asarray=_asarray, array=_array, ascontiguousarray=_asarray,
        asnumpy=lambda value: value.get(), cuda=cuda, __name__="cupy", **made, **types,
    )  # fmt: skip
