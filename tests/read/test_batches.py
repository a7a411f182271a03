"""Splits to batches: the limits of the input options hold from the file to the page."""

import pytest
from warc_tools import member, record

from gpurefine.read.batches import SplitCounts, read_batches
from gpurefine.read.inputs import find_inputs
from gpurefine.read.options import InputOptions
from gpurefine.read.records import MAX_BLOCK


@pytest.mark.parametrize("write", [member, bytes], ids=["gzip", "plain"])
def test_a_body_limit_above_what_the_reader_keeps_by_default_holds(tmp_path, write):
    body = b"<p>" + b"x" * MAX_BLOCK
    path = tmp_path / "large.warc"
    path.write_bytes(write(record(1, body)))
    (file,) = find_inputs([path])
    for max_body, pages in ((len(body), 1), (len(body) - 1, 0)):
        counts = SplitCounts()
        batches = list(read_batches(file, 0, file.size, None, InputOptions(max_body=max_body), counts))
        assert sum(batch.pages.num_rows for batch in batches) == pages
        assert counts.records == 1
        for removed in (batch.removed for batch in batches if not pages):
            assert removed["rule"].to_pylist() == ["too_large"]
            assert removed["value"][0].as_py() == len(body) > removed["limit"][0].as_py()
