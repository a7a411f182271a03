"""Opening inputs: local files and URLs give the same bytes; what cannot be opened is named."""

import pytest

from gpurefine.errors import InputError
from gpurefine.read.opening import open_binary


def test_open_local_and_url(tmp_path):
    """Both ways of naming a file give its bytes and its size."""
    path = tmp_path / "file"
    path.write_bytes(b"some bytes")
    for name in (str(path), f"file://{path}"):
        file, size = open_binary(name)
        with file:
            assert (file.read(), size) == (b"some bytes", 10)


@pytest.mark.parametrize("name", ["missing.warc.gz", "file:///missing.warc.gz", "nosuchprotocol://x/y"])
def test_what_cannot_be_opened_is_named(name):
    with pytest.raises(InputError, match=name):
        open_binary(name)
