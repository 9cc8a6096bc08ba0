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
from collections.abc import Sequence
from pathlib import Path

from experiments.fit_worker import CONTENDERS
from experiments.machine import ROOT
from experiments.result_file import ResultFile, add_result_arguments, with_sizes
from experiments.splits import split_table
from experiments.tables import add_data_argument, load_catalog

COMMAND = "python -m experiments.whole_fit --data DIR --peers-python PYTHON"
KEYS = ("model",)
TABLE = "california_housing"


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit what is not measured yet, and keep each result at once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add_data_argument(parser)
    parser.add_argument("--peers-python", help="interpreter of the environment of experiments/peers.txt")
    parser.add_argument("--table", default=TABLE)
    parser.add_argument("--models", nargs="+", default=list(CONTENDERS), choices=list(CONTENDERS))
    add_result_arguments(parser, "whole_fit.csv")
    options = parser.parse_args(arguments)
    table = split_table(load_catalog(options.data)[options.table])
    rows = table.problem.X.assign(**{str(table.problem.y.name): table.problem.y})
    results = ResultFile(options.out, with_sizes(COMMAND, parser, options, ["table"]), KEYS, options.stale)
    with tempfile.TemporaryDirectory() as directory:
        for part, positions in {"train": table.train, "validation": table.validation, "test": table.test}.items():
            rows.iloc[positions].to_csv(Path(directory) / f"{part}.csv", index=False)
        for model in options.models:
            python = sys.executable if model.startswith("tabattn") else options.peers_python
            if python is None or results.is_measured(model):
                continue
            command = [python, "-m", "experiments.fit_worker", model, directory]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            answer = subprocess.run(
                command, cwd=directory, env=environment, stdout=subprocess.PIPE, text=True, check=True
            ).stdout
            fitted = json.loads(answer.splitlines()[-1])
            results.keep({"model": model, "seconds": round(fitted["seconds"], 1), "rmse": round(fitted["rmse"], 4)})
    print(results.read().to_string(index=False))


if __name__ == "__main__":
    main()
