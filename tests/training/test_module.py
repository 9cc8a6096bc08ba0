import torch

from tabattn.nn.model import TabAttnModel
from tabattn.nn.tokens import Cells
from tabattn.training.data import TrainingRows
from tabattn.training.module import OptimizerSettings, TrainingModule, column_attention
from tests.conftest import small_shape


def test_column_attention_averages_heads_and_layers_and_sums_rows_and_members_that_count() -> None:
    torch.manual_seed(0)
    attention = tuple(torch.rand(5, 3, 2, 4) for _ in range(2))
    counted = torch.randint(0, 2, (5, 3)).float()
    expected = (torch.stack(attention).mean(dim=(0, 3)) * counted[..., None]).sum(dim=(0, 1))
    torch.testing.assert_close(column_attention(attention, counted), expected)


def make_rows(held_out: torch.Tensor) -> TrainingRows:
    cells = Cells(torch.randn(6, 2), torch.randint(0, 3, (6, 1)), None)
    return TrainingRows(cells, torch.randn(6, 1), torch.rand(6) + 0.5, held_out)


def test_a_member_learns_nothing_from_the_rows_that_it_holds_out() -> None:
    torch.manual_seed(0)
    module = TrainingModule(TabAttnModel(small_shape()).eval(), OptimizerSettings(1e-3, 0.1))
    held_out = torch.zeros(6, 3, dtype=torch.bool)
    held_out[:, 1] = True
    held_out[:2, 2] = True
    rows = make_rows(held_out)
    module.training_step(rows, 0)["loss"].backward()
    gradient = module.model.head.weight.grad
    assert gradient is not None
    assert [bool(part.abs().max() > 0) for part in gradient] == [True, False, True]
    others = rows.take(slice(2, 6))
    module.zero_grad()
    module.training_step(others, 0)["loss"].backward()
    alone = module.model.head.weight.grad
    assert alone is not None
    torch.testing.assert_close(gradient[2] / gradient[2].norm(), alone[2] / alone[2].norm())


def test_weight_decay_spares_biases_and_embeddings() -> None:
    module = TrainingModule(TabAttnModel(small_shape()), OptimizerSettings(1e-3, 0.1))
    decayed, free = module.configure_optimizers().param_groups
    names = {id(parameter): name for name, parameter in module.model.named_parameters()}
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    assert len(decayed["params"]) + len(free["params"]) == len(names)
    assert {"encoder.layers.0.query.weight", "head.weight"} <= {names[id(parameter)] for parameter in decayed["params"]}
    assert {"encoder.cls", "head.bias", "tokens.column"} <= {names[id(parameter)] for parameter in free["params"]}


def test_attention_is_summed_in_full_precision_under_autocast() -> None:
    attention = (torch.full((2048, 1, 1, 2), 0.5),)
    with torch.autocast("cpu", torch.bfloat16):
        summed = (
            column_attention(attention, torch.ones(2048, 1)) + column_attention(attention, torch.ones(2048, 1))[0] / 512
        )
    assert summed.dtype == torch.float32
    assert summed.tolist() == [1026.0, 1026.0]
