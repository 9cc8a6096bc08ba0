from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments import fuzz
from tests.experiments.helpers import read, write_catalog


def test_changed_files_are_ranked_or_refused(tmp_path: Path) -> None:
    fuzz.main(f"--n 8 --seed 1 --out {tmp_path / 'fuzz.csv'}".split())
    counts = read(tmp_path / "fuzz.csv")
    assert counts["files"].sum() == 8
    assert set(counts["outcome"]) == {"ranked", "refused"}
    whole = b"a,b\n1,2\n" * 20
    changed = [fuzz.mutate(whole, np.random.default_rng(seed)) for seed in range(20)]
    assert all(each != whole for each in changed)


@pytest.mark.filterwarnings("ignore:The model predicts no better than a constant")
def test_the_model_that_ranks_changed_files_is_small() -> None:
    path = fuzz.DATA / "wine.csv"
    parameters = fuzz.rank_small(path, "cultivar", max_epochs=1, n_repeats=1).estimator.get_params()
    assert fuzz.SMALL.items() <= parameters.items()
    assert parameters["max_epochs"] == 1


def test_tables_of_any_catalog_are_changed(tmp_path: Path) -> None:
    write_catalog(tmp_path, "wine")
    assert fuzz.sources(tmp_path) == {"wine": ((fuzz.DATA / "wine.csv").read_bytes(), "cultivar")}


def test_a_traceback_is_a_defect(tmp_path: Path) -> None:
    def broken(*_: object, **__: object) -> Any:
        raise KeyError("no")

    fuzz.main(f"--n 1 --out {tmp_path / 'fuzz.csv'}".split(), broken)
    assert read(tmp_path / "fuzz.csv")["outcome"].tolist() == ["defect"]
    assert (tmp_path / "fuzz_defect_0.csv").exists()
