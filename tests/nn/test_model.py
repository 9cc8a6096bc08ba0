import torch

from tabattn.nn.encoder import ClassAttentionEncoder, ClassAttentionLayer
from tabattn.nn.model import TabAttnModel
from tabattn.nn.tokens import Cells
from tests.conftest import small_shape


def test_results_do_not_depend_on_batch_size() -> None:
    torch.manual_seed(0)
    model = TabAttnModel(small_shape()).eval()
    cells = Cells(torch.randn(10, 2), torch.randint(0, 3, (10, 1)), torch.rand(10, 3) < 0.2)
    whole = model(cells)
    halves = [model(cells.take(slice(0, 3))), model(cells.take(slice(3, 10)))]
    torch.testing.assert_close(torch.cat([half.prediction for half in halves]), whole.prediction)
    for layer, attention in enumerate(whole.attention):
        torch.testing.assert_close(torch.cat([half.attention[layer] for half in halves]), attention)


def test_attention_is_ordered_by_kind() -> None:
    """A model whose queries look for the categorical column attends to the last position."""
    torch.manual_seed(0)
    model = TabAttnModel(small_shape(n_members=1, n_heads=1, n_layers=1)).eval()
    with torch.no_grad():
        model.tokens.column.zero_()
        model.tokens.column[0, 2, 0, 0] = 1000.0
        assert isinstance(model.encoder, ClassAttentionEncoder)
        layer = model.encoder.layers[0]
        assert isinstance(layer, ClassAttentionLayer)
        layer.query.weight.zero_()
        layer.query.bias.zero_()[..., 0] = 100.0
    attention = model(Cells(torch.randn(4, 2), torch.zeros(4, 1, dtype=torch.long), None)).attention[0]
    assert attention[:, 0, 0].round().tolist() == [[0.0, 0.0, 1.0]] * 4


def test_groups_are_models_side_by_side() -> None:
    torch.manual_seed(0)
    sizes = {"n_members": 4, "n_groups": 2}
    both = TabAttnModel(small_shape(**sizes)).eval()
    assert isinstance(both.encoder, ClassAttentionEncoder)
    for parameter in both.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    cells = Cells(torch.randn(10, 2), torch.randint(0, 3, (10, 1)), torch.rand(10, 3) < 0.2)
    output, norms = both(cells), both.encoder.value_norms(both.embed(cells))
    for group in range(2):
        one = TabAttnModel(small_shape(n_members=2, n_groups=1)).eval()
        assert isinstance(one.encoder, ClassAttentionEncoder)
        weights = both.state_dict()
        one.load_state_dict(
            {name: weights[name].tensor_split(2)[group] for name in one.state_dict()},
        )
        expected, expected_norms = one(cells), one.encoder.value_norms(one.embed(cells))
        members = slice(2 * group, 2 * group + 2)
        torch.testing.assert_close(output.prediction[:, members], expected.prediction)
        for layer in range(2):
            torch.testing.assert_close(output.attention[layer][:, members], expected.attention[layer])
            torch.testing.assert_close(norms[layer][:, members], expected_norms[layer])
