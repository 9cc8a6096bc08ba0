import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, mean_pinball_loss, mean_poisson_deviance

from tabattn.nn.losses import LossName, loss_of

NAMES: list[LossName] = ["squared", "absolute", "pinball", "poisson", "labels", "classes"]


def test_losses_of_numbers_are_means_of_errors_over_outputs() -> None:
    outputs = torch.tensor([[[1.0, 0.0], [3.0, 4.0]]])
    target, member_weight = torch.tensor([[0.0, 0.0]]), torch.ones(1, 2)
    squared, absolute, pinball = (loss_of(name, 0.9) for name in ("squared", "absolute", "pinball"))
    assert squared.of_members(outputs, target).tolist() == [[0.5, 12.5]]
    assert squared.ensemble(outputs, target, member_weight).tolist() == [4.0]
    assert squared.ensemble(outputs, target, torch.tensor([[0.0, 1.0]])).tolist() == [12.5]
    assert absolute.of_members(outputs, target).tolist() == [[0.5, 3.5]]
    assert pinball.of_members(-outputs, target).tolist() == [pytest.approx([0.45, 3.15])]
    assert pinball.of_members(outputs, target).tolist() == [pytest.approx([0.05, 0.35])]


def test_losses_are_scikit_learns() -> None:
    torch.manual_seed(0)
    outputs, numbers = torch.randn(20, 3, 1).double(), torch.randn(20, 1).double()
    for quantile in (0.1, 0.5, 0.8):
        losses = loss_of("pinball", quantile).of_members(outputs, numbers)
        expected = partial(mean_pinball_loss, numbers, alpha=quantile)
        np.testing.assert_allclose(losses.mean(dim=0), [expected(outputs[:, member]) for member in range(3)])
    counts = numbers.abs().round()
    losses = loss_of("poisson").of_average(outputs.exp().mean(dim=1), counts)
    least = counts - torch.special.xlogy(counts, counts)
    deviance = mean_poisson_deviance(counts[:, 0], outputs.exp().mean(dim=1)[:, 0])
    np.testing.assert_allclose(2 * (losses.mean() - least.mean()), deviance)


def test_losses_of_classes_are_scikit_learns() -> None:
    torch.manual_seed(0)
    loss = loss_of("classes")
    outputs, target = torch.randn(20, 3, 4).double(), torch.arange(20) % 4
    for member in range(3):
        expected = log_loss(target, outputs[:, member].softmax(dim=-1), labels=range(4))
        np.testing.assert_allclose(loss.of_members(outputs, target)[:, member].mean(), expected)
    averaged = loss.average(outputs)
    torch.testing.assert_close(averaged.sum(dim=1), torch.ones(20).double())
    every_member = torch.ones(20, 3).double()
    np.testing.assert_allclose(loss.ensemble(outputs, target, every_member).mean(), log_loss(target, averaged))
    second = outputs[:, 1].softmax(dim=-1)
    only_one = torch.tensor([0.0, 1.0, 0.0]).double().expand(20, 3)
    np.testing.assert_allclose(loss.ensemble(outputs, target, only_one).mean(), log_loss(target, second))


def test_losses_of_labels_are_scikit_learns() -> None:
    torch.manual_seed(0)
    loss = loss_of("labels")
    outputs, target = torch.randn(20, 2, 3), (torch.randn(20, 3) > 0).float()
    averaged = loss.average(outputs)
    expected = np.mean([log_loss(target[:, i], averaged[:, i]) for i in range(3)])
    np.testing.assert_allclose(loss.of_average(averaged, target).mean(), expected)
    members = loss.of_members(outputs, target)
    alone = [loss.of_average(loss.natural(outputs[:, i]), target) for i in range(2)]
    np.testing.assert_allclose(members, torch.stack(alone, dim=1), rtol=1e-5)


def test_an_impossible_class_costs_much_but_not_infinitely() -> None:
    losses = loss_of("classes").ensemble(torch.tensor([[[1000.0, 0.0]]]), torch.tensor([1]), torch.ones(1, 1))
    assert 50 < losses.item() < float("inf")
    losses = loss_of("labels").ensemble(torch.tensor([[[1000.0]]]), torch.tensor([[0.0]]), torch.ones(1, 1))
    assert 50 < losses.item() < float("inf")


def test_probabilities_and_rates_are_averaged_and_not_logarithms() -> None:
    logits = torch.tensor([[[0.0, 0.0], [math.log(9.0), 0.0]]])
    torch.testing.assert_close(loss_of("classes").average(logits), torch.tensor([[0.7, 0.3]]))
    torch.testing.assert_close(loss_of("poisson").average(logits), torch.tensor([[5.0, 1.0]]))
    torch.testing.assert_close(loss_of("labels").average(logits), torch.tensor([[0.7, 0.5]]).double())


@pytest.mark.parametrize(
    ("name", "n_outputs"), [(name, n) for name in NAMES for n in (1, 2, 3, 5) if (name, n) != ("classes", 1)]
)
def test_a_tangent_and_the_divergence_are_the_whole_rise_of_the_loss(name: LossName, n_outputs: int) -> None:
    """For changes of canonical outputs of any size; the curvature is that of the divergence at 0."""
    torch.manual_seed(0)
    loss = loss_of(name, 0.3)
    averaged = loss.natural(torch.randn(7, n_outputs).double())
    target = {
        "classes": torch.arange(7) % n_outputs,
        "labels": (torch.randn(7, n_outputs) > 0).double(),
        "poisson": torch.randn(7, n_outputs).double().abs(),
    }.get(name, torch.randn(7, n_outputs).double())
    change = torch.randn(7, n_outputs).double()
    if name == "classes":
        before = averaged.log()
        logs = before + change
        after = logs.softmax(dim=1)
        followed = torch.arange(n_outputs).expand(7, -1)  # all of them, in their order
        canonical = loss.canonical(averaged, followed)
        change = change[:, 1:] - change[:, :1] if n_outputs == 2 else change
        slope = averaged - torch.eye(n_outputs).double()[target]
        tangent = (slope * (logs - before)).sum(dim=1)
    else:
        canonical = loss.canonical(averaged, loss.followed(averaged)).requires_grad_()
        inverse = {"poisson": torch.exp, "labels": torch.sigmoid}.get(name, lambda x: x)
        (slope,) = torch.autograd.grad(loss.of_average(inverse(canonical), target).sum(), canonical)
        canonical = canonical.detach()
        after, tangent = inverse(canonical + change), (slope * change).sum(dim=1)
    rise = loss.of_average(after, target) - loss.of_average(averaged, target)
    divergence = loss.divergence(canonical, change[..., None], target).squeeze(1)
    torch.testing.assert_close(divergence + tangent, rise)
    assert (divergence > -1e-12).all()
    if name not in {"absolute", "pinball"}:
        small = 1e-4 * torch.eye(canonical.shape[1]).double().expand(7, -1, -1)
        by_output = loss.divergence(canonical, small, target)
        curvature = loss.curvature(canonical)
        ratio = by_output / curvature
        if name == "classes" and n_outputs > 2:  # what one class gains the others lose
            ratio = ratio / (1 - averaged)
        torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio) if n_outputs > 1 else ratio, rtol=1e-3, atol=0)


def test_the_limits_of_classes_are_those_of_their_log_probabilities() -> None:
    loss = loss_of("classes")
    others = torch.tensor([[0.1, 0.2, 0.3, 0.3, 0.1], [0.2, 0.1, 0.5, 0.1, 0.1]]).double()
    low, high = loss.limits(others, torch.tensor([[2, 0, 1]]))
    torch.testing.assert_close(low.exp(), torch.tensor([[0.3, 0.1, 0.1, 0.2]]).double())
    torch.testing.assert_close(high.exp(), torch.tensor([[0.5, 0.2, 0.2, 0.4]]).double())


DEFINITIONS: dict[LossName, Callable[[np.ndarray[Any, Any]], Any]] = {
    "squared": lambda numbers: numbers.sum(axis=1),
    "absolute": lambda numbers: numbers.sum(axis=1),
    "pinball": lambda numbers: numbers.sum(axis=1),
    "poisson": lambda rates: np.log(rates).sum(axis=1),
    "labels": lambda odds: np.log(np.maximum(odds, 1 - odds)).sum(axis=1),
    "classes": lambda shares: np.log(shares.max(axis=1)),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n_outputs", [2, 4])
def test_the_objective_without_a_target_is_the_prediction_or_the_log_probability_of_what_is_predicted(
    name: LossName, n_outputs: int
) -> None:
    torch.manual_seed(0)
    loss = loss_of(name, 0.3)
    averaged = loss.average(3 * torch.randn(200, 3, n_outputs).double())
    objective = loss.self_target_objective(averaged)
    np.testing.assert_allclose(objective, DEFINITIONS[name](averaged.numpy()), rtol=1e-12)
    if name in {"labels", "classes"}:
        predicted = averaged.round() if name == "labels" else averaged.argmax(dim=1)
        n_summed = n_outputs if name == "labels" else 1  # the loss of labels is their mean
        np.testing.assert_allclose(objective, -n_summed * loss.of_average(averaged, predicted), rtol=1e-12)
