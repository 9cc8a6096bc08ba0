from pathlib import Path

import pandas as pd
import pytest

from tabattn.datasets import DATASETS, load_dataset
from tabattn.errors import ParameterError
from tests.conftest import DATA, run


@pytest.mark.parametrize("name", DATASETS)
def test_the_tables_of_the_folder_are_those_of_the_package(name: str, tmp_path: Path) -> None:
    made = tmp_path / f"{name}.csv"
    table = load_dataset(name)
    table.to_csv(made, index=False, lineterminator="\n")
    pd.testing.assert_frame_equal(pd.read_csv(made), pd.read_csv(DATA / f"{name}.csv"), rtol=1e-9)
    assert table.columns[-1] == DATASETS[name].target


def test_every_table_has_its_provenance() -> None:
    text = (DATA / "README.md").read_text(encoding="utf-8")
    for path in DATA.glob("*.csv"):
        assert path.name in text
        assert path.stem in DATASETS


def test_a_table_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ParameterError, match="Did you mean 'process'"):
        load_dataset("proces")


def test_tables_are_listed_and_written(tmp_path: Path) -> None:
    listed = run("datasets")
    assert listed.code == 0
    assert all(name in listed.out and each.target in listed.out for name, each in DATASETS.items())
    done = run("datasets", "wine", "--out", str(tmp_path / "wine.csv"))
    assert done.code == 0
    assert "--target cultivar" in done.out
    assert (tmp_path / "wine.csv").read_bytes() == (DATA / "wine.csv").read_bytes()
    assert run("datasets", "wine", "--out", str(tmp_path / "wine.csv" / "wine.csv")).code == 2
    assert "must end in .csv or .parquet" in run("datasets", "wine", "--out", str(tmp_path / "wine.doc")).err
    assert "Did you mean 'wine'" in run("datasets", "wines", "--out", str(tmp_path / "x.csv")).err
