"""Rows per second of training on a GPU, and the time of one epoch over 11 million rows.

    python -m experiments.gpu            # writes experiments/results/gpu.csv; needs a CUDA GPU

The same `train` as everywhere, 28 numeric columns, random rows that lie on the GPU. The time of an epoch is what
--epochs more epochs over --rows rows add to a fit of one epoch, so that what a fit costs once is not counted.
"""

import argparse
import time
from collections.abc import Sequence

import torch

from experiments.result_file import ResultFile, add_result_arguments, with_sizes
from experiments.shapes import default_shape
from tabattn.nn.devices import resolve_device
from tabattn.nn.tokens import Cells
from tabattn.training import fitting
from tabattn.training.data import TrainingRows
from tabattn.training.holdout import HoldOut
from tabattn.training.settings import OptimizerSettings, TrainingSettings

COMMAND = "python -m experiments.gpu"
N_COLUMNS = 28
HIGGS_ROWS = 11_000_000
BATCH_SIZES = (1_024, 4_096, 16_384, 65_536)
N_VALIDATION = 1_024


def rows_of(n_rows: int, device: torch.device) -> TrainingRows:
    """Return random rows with a linear target."""
    numeric = torch.randn(n_rows, N_COLUMNS, device=device)
    codes = torch.zeros(n_rows, 0, dtype=torch.long, device=device)
    target = numeric[:, :1] - numeric[:, 1:2]
    return TrainingRows.numbered(Cells(numeric, codes, None), target, torch.ones(n_rows, device=device))


def rows_per_second(n_rows: int, n_members: int, batch_size: int, n_epochs: int, device: str) -> float:
    """Return the speed of training once it runs."""
    shape = default_shape(N_COLUMNS, n_members)
    where = resolve_device(device)
    rows, held_out = rows_of(n_rows, where), torch.arange(n_rows)[:, None] < N_VALIDATION

    def seconds(n: int) -> float:
        settings = TrainingSettings(OptimizerSettings(1e-3, 1e-5), batch_size, n, n, 0, device)
        start = time.perf_counter()
        fitting.train(shape, rows, HoldOut.of(held_out), settings)
        return time.perf_counter() - start

    seconds(1)
    return n_rows * n_epochs / (seconds(1 + n_epochs) - seconds(1))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=BATCH_SIZES)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    add_result_arguments(parser, "gpu.csv", restartable=False)
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("--device must be cpu where torch sees no GPU, got cuda.")
    machine = torch.cuda.get_device_name() if options.device == "cuda" else "no GPU"
    rows = []
    for n_members in (1, 8):
        for batch_size in options.batch_sizes:
            speed = rows_per_second(options.rows, n_members, batch_size, options.epochs, options.device)
            rows.append(
                {
                    "members": n_members,
                    "batch_size": batch_size,
                    "rows_per_second": round(speed),
                    "seconds_per_11M_rows": round(HIGGS_ROWS / speed, 1),
                }
            )
            print(rows[-1], flush=True)
    command = with_sizes(COMMAND, parser, options, ["rows", "epochs", "batch_sizes"])
    ResultFile(options.out, f"{command}; {N_COLUMNS} numeric columns; {machine}").write(rows)


if __name__ == "__main__":
    main()
