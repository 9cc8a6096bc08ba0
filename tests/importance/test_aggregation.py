import numpy as np
import torch

from tabattn.importance.aggregation import mean_scores, norm_scores, normalize_rows, normalize_scores


def test_mean_is_the_average_of_attention_over_layers_and_heads() -> None:
    torch.manual_seed(0)
    attention = tuple(torch.rand(4, 3, 2, 5).softmax(dim=-1) for _ in range(3))
    scores = mean_scores(attention)
    for row in range(4):
        for member in range(3):
            plain = sum(layer[row, member, head] for layer in attention for head in range(2)) / 6
            torch.testing.assert_close(scores[row, member], plain)
    torch.testing.assert_close(scores.sum(dim=-1), torch.ones(4, 3))


def test_norm_weighs_attention_by_what_it_carries() -> None:
    attention = (torch.tensor([[[[0.5, 0.5]]]]),)
    norms = (torch.tensor([[[[1.0, 3.0]]]]),)
    assert norm_scores(attention, norms).tolist() == [[[0.5, 1.5]]]


def test_one_hot_attention_scores_one_hot() -> None:
    attention = (torch.eye(4)[2].expand(6, 3, 2, 4),) * 2
    norms = (torch.rand(6, 3, 2, 4) + 0.1,) * 2
    for raw in (mean_scores(attention), norm_scores(attention, norms)):
        assert normalize_scores(raw.mean(dim=0).numpy()).importance.tolist() == [0.0, 0.0, 1.0, 0.0]


def test_mean_of_local_scores_is_the_global_importance_and_sums_to_one() -> None:
    raw = np.random.default_rng(0).random((50, 3, 7))
    scores = normalize_scores(raw.mean(axis=0))
    np.testing.assert_allclose(normalize_rows(raw.mean(axis=1)).mean(axis=0), scores.importance)
    np.testing.assert_allclose(scores.importance.sum(), 1.0)


def test_std_is_that_of_the_members_each_on_its_own_scale() -> None:
    raw = np.array([[1.0, 3.0], [20.0, 20.0]])
    np.testing.assert_allclose(normalize_scores(raw).std, np.std([0.25, 0.5], ddof=1))
    assert np.isnan(normalize_scores(raw[:1]).std).all()
