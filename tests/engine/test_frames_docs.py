"""The examples of docs/frames.md, in their order."""

import re

import dask


def test_the_page_tells_what_happens(request, cudf):
    page = (request.config.rootpath / "docs" / "frames.md").read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 6
    names, kept = {}, []
    with dask.config.set(scheduler="synchronous"):
        for block in blocks:
            exec(compile(block, "docs/frames.md", "exec"), names)
            marked = names["marked"]
            marked = marked.compute() if hasattr(marked, "compute") else marked
            marked = marked.to_pandas() if hasattr(marked, "to_pandas") else marked
            kept.append((marked["keep"].tolist(), list(marked.columns)))
    columns = ["text", "url", "keep", "reason", "cluster", "survivor"]
    assert kept[0] in (([True, False, True], columns), ([False, True, True], columns))
    assert kept[1] == ([False, False, True], ["text", "url", "keep", "reason", "spans", "edited"])
    assert kept[2][0] == [True, True, True] and "quality:words" in kept[2][1]
    assert kept[4] == ([True, True, True], columns) and len(names["refined"]) == 3
    assert kept[5][0] == [False, False, False] and "quality:words" in kept[5][1]
    assert gives_the_stages(names["stages"])


def gives_the_stages(stages):
    """Whether these are the preset's stages that ``annotate`` takes, but for the one that needs URLs."""
    from gpurefine.config import load_pipeline

    kinds = [stage.kind for stage in load_pipeline("refinedweb").stages]
    return ["urls", "extract", *stages] == [kind for kind in kinds if not kind.startswith("dedup.")]
