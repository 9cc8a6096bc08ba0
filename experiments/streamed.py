"""How fast is learning from rows on disk, beside the same rows in memory?

    python -m experiments.streamed
    python -m experiments.streamed --rows 400000 --columns 20

Trains the default model for tables of that size (4 members, shared tokens) on the same simulated rows, once from memory
and once from a stream on disk in buckets of 16 MB, in turns, and keeps rows a second and the ratio in
results/streamed.csv. What it takes to write the stream is its own column.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from experiments.result_file import ResultFile, add_result_arguments
from experiments.shapes import default_shape
from tabattn.nn.tokens import Cells
from tabattn.training.data import TrainingRows
from tabattn.training.fitting import train
from tabattn.training.holdout import HoldOut
from tabattn.training.settings import OptimizerSettings, TrainingSettings
from tabattn.training.sizes import auto_batch_size
from tabattn.training.streams import RowStream

COMMAND, KEYS = "python -m experiments.streamed", ("rows", "columns")
BUCKET_BYTES, N_VALIDATING, N_TURNS, RATE, N_MEMBERS = 16_000_000, 2_048, 3, 2e-3, 4


def made(n_rows: int, n_columns: int) -> TrainingRows:
    """Return rows of numbers whose sum, and a product, drive the target."""
    numeric = torch.randn(n_rows, n_columns, generator=torch.Generator().manual_seed(0))
    target = numeric[:, :1] + numeric[:, 1:2] * numeric[:, 2:3]
    cells = Cells(numeric, torch.zeros(n_rows, 0, dtype=torch.long), None)
    return TrainingRows.numbered(cells, target, torch.ones(n_rows))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--columns", type=int, default=20)
    add_result_arguments(parser, "streamed.csv")
    options = parser.parse_args(arguments)
    results = ResultFile(options.out, COMMAND, KEYS, options.stale)
    if results.is_measured(options.rows, options.columns):
        return
    rows, shape = made(options.rows + N_VALIDATING, options.columns), default_shape(options.columns, N_MEMBERS)
    is_held_out = torch.arange(len(rows)) >= options.rows
    held_out = HoldOut.of(is_held_out[:, None])
    size = auto_batch_size(options.rows)
    settings = TrainingSettings(OptimizerSettings(RATE, 0.0), size, 1, 1, seed=0, device="cpu")
    learned = rows.take(slice(options.rows))
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        stream = RowStream(Path(folder), options.columns, options.rows, 5 * options.columns + 8, 0, BUCKET_BYTES)
        for start in range(0, options.rows, 65_536):
            stream.add(learned.take(slice(start, start + 65_536)))
        written = time.perf_counter() - begun
        seconds: dict[str, list[float]] = {"memory": [], "disk": []}
        for turn in range(N_TURNS):
            for name, source in (("memory", None), ("disk", stream)):
                begun = time.perf_counter()
                train(shape, rows, held_out, replace(settings, seed=turn), stream=source)
                seconds[name].append(time.perf_counter() - begun)
    memory, disk = (float(np.median(each)) for each in seconds.values())
    results.keep(
        {
            "rows": options.rows, "columns": options.columns, "buckets": stream.n_buckets, "batch_size": size,
            "rows_per_second_memory": round(options.rows / memory), "rows_per_second_disk": round(options.rows / disk),
            "disk / memory": round(memory / disk, 3), "seconds_to_write": round(written, 2),
        }
    )  # fmt: skip


if __name__ == "__main__":
    main()
