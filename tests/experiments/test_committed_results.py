from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from experiments import accuracy, agreement, ground_truth, holes, kinds, whole_job
from experiments.result_file import RESULTS, read_rows
from experiments.stale import staleness


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.csv")), ids=lambda path: path.name)
def test_committed_results_are_read(path: Path) -> None:
    rows = read_rows(path)
    assert len(rows) > 1
    assert rows.shape[1] > 2
    assert not rows.columns.str.startswith("Unnamed").any()


@pytest.mark.parametrize(
    ("cells", "summary", "keys", "summarize"),
    [
        ("accuracy.csv", "accuracy_summary.csv", ["model"], accuracy.summarize),
        ("agreement_scores.csv", "agreement.csv", ["model", "method", "table"], agreement.summarize),
        (
            "ground_truth.csv",
            "ground_truth_summary.csv",
            ["part", "table", "columns", "measure", "method"],
            ground_truth.summarize,
        ),
        ("holes.csv", "holes_summary.csv", ["tables", "holes"], lambda x: holes.summarize(x, holes.INCOMPLETE_TABLES)),
        ("kinds.csv", "kinds_summary.csv", ["encoder", "pretrain", "known"], kinds.summarize),
        ("whole_job.csv", "whole_job_summary.csv", ["table"], whole_job.summarize),
    ],
)
def test_committed_summaries_follow_from_their_cells(
    cells: str, summary: str, keys: list[str], summarize: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    computed = summarize(read_rows(RESULTS / cells, ["feature"])).set_index(keys).sort_index().replace("", None)
    committed = read_rows(RESULTS / summary).set_index(keys).sort_index()
    pd.testing.assert_frame_equal(computed[committed.columns], committed, check_dtype=False, rtol=0, atol=6e-4)


def test_the_readme_says_when_its_numbers_are_stale() -> None:
    files = list(map(staleness, sorted(RESULTS.glob("*.csv"))))
    is_stale = any(each.other + each.unknown for each in files)
    readme = (RESULTS.parents[1] / "docs" / "measured.md").read_text(encoding="utf-8")
    assert ("numbers are stale" in readme) == is_stale
    lost = {commit for each in files for commit in each.lost_commits}
    assert all(commit in readme for commit in lost), "what can't be looked up is named"
