"""Write the tables of this folder: `python data/make_data.py`.

The same versions of NumPy and scikit-learn give the same bytes.
"""

from pathlib import Path

from tabattn.datasets import DATASETS, load_dataset

HERE = Path(__file__).parent


def main() -> None:
    """Write all tables."""
    for name in DATASETS:
        load_dataset(name).to_csv(HERE / f"{name}.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
