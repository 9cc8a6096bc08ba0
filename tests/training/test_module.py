from dataclasses import replace
from typing import Any

import torch

from tabattn.nn.model import TabAttnModel
from tabattn.nn.tokens import Cells
from tabattn.training.data import TrainingRows
from tabattn.training.module import HeldOutPredictions, TrainingModule, column_attention
from tabattn.training.settings import OptimizerSettings
from tests.conftest import small_shape


def test_column_attention_averages_heads_and_layers_and_sums_rows_and_members() -> None:
    torch.manual_seed(0)
    attention = tuple(torch.rand(5, 3, 2, 4) for _ in range(2))
    torch.testing.assert_close(column_attention(attention), torch.stack(attention).mean(dim=(0, 3)).sum(dim=(0, 1)))


def make_rows() -> TrainingRows:
    cells = Cells(torch.randn(6, 2), torch.randint(0, 3, (6, 1)), None)
    return TrainingRows.numbered(cells, torch.randn(6, 1), torch.rand(6) + 0.5)


def make_module(**changes: Any) -> TrainingModule:
    held_out = HeldOutPredictions(make_rows(), torch.ones(6, dtype=torch.long), torch.arange(6) % 2 == 1)
    return TrainingModule(TabAttnModel(small_shape(**changes)).eval(), OptimizerSettings(1e-3, 0.1), held_out)


def test_every_group_learns_from_its_own_rows_and_no_others() -> None:
    torch.manual_seed(0)
    rows, module = make_rows(), make_module(n_groups=3)
    own = torch.tensor([[0, 1], [2, 3], [4, 5]])

    def head_gradient(rows: TrainingRows) -> torch.Tensor:
        module.zero_grad()
        module.training_step(rows.take(own), 0)["loss"].backward()
        gradient = module.model.head.weight.grad
        assert gradient is not None
        return gradient.clone()

    target = rows.target.clone()
    target[2:4] += 1
    before, after = head_gradient(rows), head_gradient(replace(rows, target=target))
    assert [bool((part != other).any()) for part, other in zip(before, after, strict=True)] == [False, True, False]


def test_the_loss_of_a_step_is_the_weighted_mean_over_rows_and_members() -> None:
    torch.manual_seed(0)
    rows, module = make_rows(), make_module(n_groups=1)
    with torch.inference_mode():
        errors = (module.model(rows.cells).prediction - rows.target[:, None]).square().mean(dim=(1, 2))
        loss = module.training_step(rows.take(torch.arange(6)[None]), 0)["loss"]
    torch.testing.assert_close(loss, (errors * rows.weight).sum() / rows.weight.sum())


def test_weight_decay_spares_biases_and_embeddings() -> None:
    module = make_module()
    decayed, free = module.configure_optimizers().param_groups
    names = {id(parameter): name for name, parameter in module.model.named_parameters()}
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    assert len(decayed["params"]) + len(free["params"]) == len(names)
    assert {"encoder.layers.0.query.weight", "head.weight"} <= {names[id(parameter)] for parameter in decayed["params"]}
    assert {"encoder.cls", "head.bias", "tokens.column"} <= {names[id(parameter)] for parameter in free["params"]}


def test_attention_is_summed_in_full_precision_under_autocast() -> None:
    attention = (torch.full((2048, 1, 1, 2), 0.5),)
    with torch.autocast("cpu", torch.bfloat16):
        summed = column_attention(attention) + column_attention(attention)[0] / 512
    assert summed.dtype == torch.float32
    assert summed.tolist() == [1026.0, 1026.0]
