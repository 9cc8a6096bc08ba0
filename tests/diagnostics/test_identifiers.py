import numpy as np
import pandas as pd

from tabattn.diagnostics.identifiers import identifier_names
from tabattn.table.inference import infer_table


def names_of(X: pd.DataFrame) -> list[str]:
    table = infer_table(X)
    return identifier_names(table, table.schema)


def test_identifiers_are_found_and_others_are_not() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "counter": range(100, 200),
            "shuffled": rng.permutation(100),
            "lot": [f"L{i}" for i in range(100)],
            "count": rng.integers(0, 50, 100),
            "price": rng.normal(size=100).cumsum(),
            "line": rng.choice(["A", "B"], 100),
            "sparse": np.sort(rng.choice(100_000, 100, replace=False)),
            "tens": range(0, 1000, 10),
            "gap": [*range(40), *range(1000, 1060)],
            "beyond": [2**60 + i for i in range(100)],
            "code": rng.choice(np.arange(10_000_000, 99_999_999), 100, replace=False),
        }
    )
    named = ["counter", "shuffled", "lot", "tens", "gap", "beyond", "code"]
    assert names_of(X) == named
    kept = X[rng.random(100) < 0.8]
    assert names_of(kept) == named


def test_numbers_that_were_not_read_are_no_names_of_rows() -> None:
    X = pd.DataFrame(
        {"mass": [f"{i} {'kg' if i % 2 else 'g'}" for i in range(60)], "lot": [f"L{i}" for i in range(60)]}
    )
    table = infer_table(X)
    assert identifier_names(table, table.schema) == ["lot"]
