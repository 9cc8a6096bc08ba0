"""Time of one training step against rtdl_revisiting_models' FT-Transformer with its default arguments, in one run.

    python -m experiments.speed            # writes experiments/results/speed.csv

Forward, backward and optimizer step of a batch of 256 rows. The two models take turns, so that a machine whose speed
drifts does not favour either; the ratio is that of the medians.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
from rtdl_revisiting_models import FTTransformer
from torch import Tensor, nn

from experiments.machine import describe_machine
from tabattn.nn.model import ModelShape, TabAttnModel
from tabattn.nn.tokens import Cells

RESULT = Path(__file__).parent / "results" / "speed.csv"
BATCH_SIZE = 256
N_COLUMNS = (8, 28, 100)
N_WARM_UP = 3
N_STEPS = 15
N_LAYERS, N_HEADS, D_TOKEN, DROPOUT = 3, 2, 64, 0.1


def class_attention(n_columns: int, n_members: int) -> tuple[nn.Module, Callable[[], Tensor]]:
    """Return this project's model and its loss on random rows."""
    shape = ModelShape(
        n_numeric=n_columns,
        n_levels=(),
        n_outputs=1,
        n_layers=N_LAYERS,
        n_members=n_members,
        n_heads=N_HEADS,
        d_token=D_TOKEN,
        attention_dropout=DROPOUT,
        ffn_dropout=DROPOUT,
    )
    model = TabAttnModel(shape)
    cells = Cells(torch.randn(BATCH_SIZE, n_columns), torch.zeros(BATCH_SIZE, 0, dtype=torch.long), missing=None)
    target = torch.randn(BATCH_SIZE, n_members, 1)
    return model, lambda: (model(cells).prediction - target).square().mean()


def ft_transformer(n_columns: int) -> tuple[nn.Module, Callable[[], Tensor]]:
    """Return rtdl's FT-Transformer with its default arguments and its loss on random rows."""
    model = FTTransformer(
        n_cont_features=n_columns, cat_cardinalities=[], d_out=1, **FTTransformer.get_default_kwargs()
    )
    x, target = torch.randn(BATCH_SIZE, n_columns), torch.randn(BATCH_SIZE, 1)
    return model, lambda: (model(x, None) - target).square().mean()


def measure(n_columns: int, n_steps: int) -> list[dict[str, object]]:
    """Return the median milliseconds per step of each model at one number of columns."""
    models = {
        "class attention, 1 member": class_attention(n_columns, 1),
        "class attention, 8 members": class_attention(n_columns, 8),
        "rtdl FT-Transformer, default": ft_transformer(n_columns),
    }
    steppers = {name: stepper(model, loss) for name, (model, loss) in models.items()}
    times: dict[str, list[float]] = {name: [] for name in steppers}
    for i in range(N_WARM_UP + n_steps):
        for name, step in steppers.items():
            start = time.perf_counter()
            step()
            if i >= N_WARM_UP:
                times[name].append(1000 * (time.perf_counter() - start))
    medians = {name: statistics.median(values) for name, values in times.items()}
    baseline = medians["rtdl FT-Transformer, default"]
    return [
        {"columns": n_columns, "model": name, "ms_per_step": round(median, 2), "ratio": round(median / baseline, 4)}
        for name, median in medians.items()
    ]


def stepper(model: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    """Return a function that makes one training step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return step


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=N_STEPS, help="counted steps per model and number of columns")
    parser.add_argument("--columns", type=int, nargs="+", default=N_COLUMNS)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    table = pd.DataFrame([row for n_columns in arguments.columns for row in measure(n_columns, arguments.steps)])
    print(table.to_string(index=False))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    note = f"# python -m experiments.speed; {BATCH_SIZE} rows per step; {describe_machine()}\n"
    arguments.out.write_text(note + table.to_csv(index=False, lineterminator="\n"), encoding="utf-8")


if __name__ == "__main__":
    main()
