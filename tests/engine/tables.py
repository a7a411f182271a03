"""What must be equal between two runs: all columns of all rows of refined/ and removed/, in any order of rows."""

import pandas as pd

from gpurefine.engine.results import Run


def sorted_tables(run: Run) -> dict[str, pd.DataFrame]:
    """Both tables as plain frames, rows sorted by all columns that identify them."""
    keys = ["file", "offset", "length", "id", "url"]
    return {
        name: plain(frame).sort_values(keys, ignore_index=True, key=lambda column: column.astype(str))
        for name, frame in (("refined", run.refined()), ("removed", run.removed()))
    }


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Python objects, None for what is missing."""
    return frame.astype(object).where(frame.notna(), None)


def assert_same_results(one: Run, other: Run) -> None:
    """Both runs kept and removed the same, bit for bit."""
    for name, table in sorted_tables(one).items():
        pd.testing.assert_frame_equal(table, sorted_tables(other)[name], check_exact=True)
