"""Time and test error of whole fits on California housing, against the FT-Transformers of deeptab and pytorch-tabular.

    python -m venv peers && peers/bin/pip install -r experiments/peers.txt
    python -m experiments.whole_fit --data DIR --peers-python peers/bin/python

With --peers-python the other packages are fitted too. Everyone fits with the defaults of its package on the training
rows of the published split, stops by its validation rows (this project gets both and holds out 2,048 rows by itself),
and predicts the published test rows. One after the other, each in a process of its own; importing is not counted. "12
epochs" is this project's fit cut short: how soon does it reach what the others reach? Restartable: what
experiments/results/whole_fit.csv holds is not measured again.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from experiments.fit_worker import CONTENDERS
from experiments.machine import describe_machine
from experiments.splits import split_table
from experiments.tables import add_data_argument, load_catalog

RESULT = Path(__file__).parent / "results" / "whole_fit.csv"
ROOT = Path(__file__).parent.parent
TABLE = "california_housing"


def main() -> None:
    """Fit what is not measured yet, and keep each result at once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_data_argument(parser)
    parser.add_argument("--peers-python", help="interpreter of the environment of experiments/peers.txt")
    parser.add_argument("--table", default=TABLE)
    parser.add_argument("--models", nargs="+", default=list(CONTENDERS), choices=list(CONTENDERS))
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    table = split_table(load_catalog(arguments.data)[arguments.table])
    rows = table.problem.X.assign(**{str(table.problem.y.name): table.problem.y})
    done = pd.read_csv(arguments.out, comment="#").to_dict("records") if arguments.out.exists() else []
    with tempfile.TemporaryDirectory() as directory:
        for part, positions in {"train": table.train, "validation": table.validation, "test": table.test}.items():
            rows.iloc[positions].to_csv(Path(directory) / f"{part}.csv", index=False)
        for model in arguments.models:
            python = sys.executable if model.startswith("tabattn") else arguments.peers_python
            if python is None or model in {record["model"] for record in done}:
                continue
            command = [python, "-m", "experiments.fit_worker", model, directory]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            answer = subprocess.run(
                command, cwd=directory, env=environment, stdout=subprocess.PIPE, text=True, check=True
            ).stdout
            fitted = json.loads(answer.splitlines()[-1])
            done.append({"model": model, "seconds": round(fitted["seconds"], 1), "rmse": round(fitted["rmse"], 4)})
            arguments.out.parent.mkdir(parents=True, exist_ok=True)
            note = f"# python -m experiments.whole_fit --data DIR --peers-python PYTHON; {describe_machine()}\n"
            csv = pd.DataFrame(done).to_csv(index=False, lineterminator="\n")
            arguments.out.write_text(note + csv, encoding="utf-8")
    print(pd.DataFrame(done).to_string(index=False))


if __name__ == "__main__":
    main()
