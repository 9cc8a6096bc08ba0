"""One model in a process of its own: `experiments.speed` asks it for timings, line by line, in turn with the others.

    python -m experiments.speed_worker NAME      # NAME is a key of CONTENDERS

Each line on the standard input is a JSON object: columns, kind ("numeric" or "mixed"), batch_size, what ("step",
"predict" or "attention") and n, the number of runs; null for "what" forgets the model. The answer is a line with the
list of milliseconds, or with the error. The other packages are imported inside, because each environment has some of
them only.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

N_LEVELS = 10
LEARNING_RATE = 1e-4


@dataclass(frozen=True)
class Setting:
    """What the model is to read."""

    columns: int
    kind: str
    batch_size: int

    @property
    def n_categorical(self) -> int:
        """Half of the columns in a mixed table."""
        return self.columns // 2 if self.kind == "mixed" else 0

    @property
    def n_numeric(self) -> int:
        """The others."""
        return self.columns - self.n_categorical

    def batch(self) -> tuple[Tensor, Tensor]:
        """Return random numbers and level codes."""
        numeric = torch.randn(self.batch_size, self.n_numeric)
        return numeric, torch.randint(0, N_LEVELS, (self.batch_size, self.n_categorical))


@dataclass(frozen=True)
class Model:
    """A network, what it predicts for the setting's batch, and how it reads attention, if it can."""

    network: nn.Module
    predict: Callable[[], Tensor]
    attention: Callable[[], Any] | None = None


def class_attention(setting: Setting, n_members: int, n_groups: int = 1) -> Model:
    """This project's model with its default sizes."""
    from tabattn.estimator import TabAttnRegressor
    from tabattn.nn.model import ModelShape, TabAttnModel
    from tabattn.nn.tokens import CellLayout, Cells
    from tabattn.training.module import column_attention

    defaults = TabAttnRegressor().get_params()
    sizes = ("n_layers", "n_heads", "d_token", "attention_dropout", "ffn_dropout")
    shape = ModelShape(
        encoder="class",
        layout=CellLayout(setting.n_numeric, (), (N_LEVELS,) * setting.n_categorical),
        loss="squared",
        quantile=0.5,
        n_outputs=1,
        n_members=n_members,
        n_groups=n_groups,
        **{name: defaults[name] for name in sizes},
    )
    model = TabAttnModel(shape)
    numeric, codes = setting.batch()
    cells = Cells(numeric, codes, missing=None)
    return Model(model, lambda: model(cells).prediction, lambda: column_attention(model(cells).attention))


def rtdl(setting: Setting, **changes: Any) -> Model:
    """rtdl_revisiting_models' FT-Transformer."""
    from rtdl_revisiting_models import FTTransformer

    arguments = FTTransformer.get_default_kwargs() | changes
    model = FTTransformer(
        n_cont_features=setting.n_numeric,
        cat_cardinalities=[N_LEVELS] * setting.n_categorical,
        d_out=1,
        **arguments,
    )
    numeric, codes = setting.batch()
    return Model(model, lambda: model(numeric, codes if setting.n_categorical else None))


def deeptab(setting: Setting) -> Model:
    """The FTTransformer of deeptab."""
    from deeptab.architectures.ft_transformer import FTTransformer

    numeric_info = {f"x{i}": {"dimension": 1, "categories": None} for i in range(setting.n_numeric)}
    level_info = {f"c{i}": {"dimension": 1, "categories": N_LEVELS} for i in range(setting.n_categorical)}
    model = FTTransformer((numeric_info, level_info, {}), num_classes=1)
    numeric, codes = setting.batch()
    numbers, levels = list(numeric.split(1, dim=1)), list(codes.split(1, dim=1))
    return Model(model, lambda: model(numbers, levels, []))


def pytorch_tabular(setting: Setting) -> Model:
    """The FTTransformerModel of pytorch-tabular."""
    import pandas as pd
    from pytorch_tabular import TabularModel
    from pytorch_tabular.config import DataConfig, OptimizerConfig, TrainerConfig
    from pytorch_tabular.models import FTTransformerConfig

    numeric, codes = setting.batch()
    numbers = [f"x{i}" for i in range(setting.n_numeric)]
    levels = [f"c{i}" for i in range(setting.n_categorical)]
    n_rows = 2 * N_LEVELS
    table = pd.DataFrame({name: torch.randn(n_rows).numpy() for name in [*numbers, "y"]})
    table[levels] = pd.DataFrame({name: [str(i % N_LEVELS) for i in range(n_rows)] for name in levels})
    whole = TabularModel(
        data_config=DataConfig(target=["y"], continuous_cols=numbers, categorical_cols=levels),
        model_config=FTTransformerConfig(task="regression"),
        optimizer_config=OptimizerConfig(),
        trainer_config=TrainerConfig(),
        verbose=False,
    )
    model = whole.prepare_model(whole.prepare_dataloader(train=table, validation=table))
    batch = {"continuous": numeric, "categorical": codes}
    return Model(model, lambda: model(batch)["logits"])


CONTENDERS: Mapping[str, Callable[[Setting], Model]] = {
    "tabattn, 1 member": lambda setting: class_attention(setting, 1),
    "tabattn, 8 members": lambda setting: class_attention(setting, 8),
    "tabattn, 8 members, own tokens": lambda setting: class_attention(setting, 8, 8),
    "rtdl, default": rtdl,
    "rtdl, same width": lambda setting: rtdl(setting, d_block=64, attention_n_heads=8),
    "deeptab, default": deeptab,
    "pytorch-tabular, default": pytorch_tabular,
}


def runner(model: Model, what: str) -> Callable[[], Any]:
    """Return what is to be timed: a training step, a prediction, or a reading of attention."""
    if what == "step":
        model.network.train()
        optimizer = torch.optim.AdamW(model.network.parameters(), lr=LEARNING_RATE, fused=True)
        target = torch.randn_like(model.predict())

        def step() -> None:
            optimizer.zero_grad()
            (model.predict() - target).square().mean().backward()
            optimizer.step()

        return step
    model.network.eval()
    return _inference(model.predict if what == "predict" else model.attention)


def _inference(function: Callable[[], Any] | None) -> Callable[[], Any]:
    if function is None:
        raise ValueError("this model does not return its attention")
    return torch.inference_mode()(function)


def milliseconds(function: Callable[[], Any], n: int) -> list[float]:
    """Return the time of each of n runs."""
    times = []
    for _ in range(n):
        start = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - start))
    return times


def main() -> None:
    """Answer line by line until the standard input ends."""
    build = CONTENDERS[sys.argv[1]]
    built: tuple[Setting, Model] | None = None
    function: tuple[str, Callable[[], Any]] | None = None
    answers = sys.stdout
    sys.stdout = sys.stderr
    torch.manual_seed(0)
    for line in sys.stdin:
        asked = json.loads(line)
        what, n = asked.pop("what"), asked.pop("n")
        try:
            if what is None:
                built = function = None
                print("[]", file=answers, flush=True)
                continue
            setting = Setting(**asked)
            if built is None or built[0] != setting:
                built, function = (setting, build(setting)), None
            if function is None or function[0] != what:
                function = what, runner(built[1], what)
            print(json.dumps(milliseconds(function[1], n)), file=answers, flush=True)
        except Exception as error:  # noqa: BLE001 - whatever another package raises is an answer
            print(json.dumps(f"{type(error).__name__}: {error}"), file=answers, flush=True)


if __name__ == "__main__":
    main()
