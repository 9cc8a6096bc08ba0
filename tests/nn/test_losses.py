import math

import numpy as np
import torch
from sklearn.metrics import log_loss

from tabattn.nn.losses import average_members, ensemble_losses, row_losses


def test_losses_of_numbers_are_squared_errors() -> None:
    prediction = torch.tensor([[[1.0], [3.0]]])
    target = torch.tensor([0.0])
    assert row_losses(prediction, target).tolist() == [[1.0, 9.0]]
    assert ensemble_losses(prediction, target, torch.ones(1, 2)).tolist() == [4.0]
    assert ensemble_losses(prediction, target, torch.tensor([[0.0, 1.0]])).tolist() == [9.0]


def test_losses_of_classes_are_scikit_learns() -> None:
    torch.manual_seed(0)
    prediction, target = torch.randn(20, 3, 4).double(), torch.arange(20) % 4
    for member in range(3):
        expected = log_loss(target, prediction[:, member].softmax(dim=-1), labels=range(4))
        np.testing.assert_allclose(row_losses(prediction, target)[:, member].mean(), expected)
    averaged = average_members(prediction, is_regression=False)
    torch.testing.assert_close(averaged.sum(dim=1), torch.ones(20).double())
    every_member = torch.ones(20, 3).double()
    np.testing.assert_allclose(ensemble_losses(prediction, target, every_member).mean(), log_loss(target, averaged))
    second = prediction[:, 1].softmax(dim=-1)
    only_one = torch.tensor([0.0, 1.0, 0.0]).double().expand(20, 3)
    np.testing.assert_allclose(ensemble_losses(prediction, target, only_one).mean(), log_loss(target, second))


def test_an_impossible_class_costs_much_but_not_infinitely() -> None:
    losses = ensemble_losses(torch.tensor([[[1000.0, 0.0]]]), torch.tensor([1]), torch.ones(1, 1))
    assert 50 < losses.item() < float("inf")


def test_probabilities_are_averaged_and_not_logits() -> None:
    logits = torch.tensor([[[0.0, 0.0], [math.log(9.0), 0.0]]])
    torch.testing.assert_close(average_members(logits, is_regression=False), torch.tensor([[0.7, 0.3]]))
