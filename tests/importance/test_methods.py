"""The methods against slow and obvious computations, row by row and column by column, in double precision."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from tabattn.choices import Method
from tabattn.importance.background import Background, read_background
from tabattn.importance.contribution import GAUSS, divergence_parts
from tabattn.importance.methods import METHODS, ScoringInputs
from tabattn.importance.shapley import additive_values, shapley_scores
from tabattn.importance.swap import conditional_scores, swap_scores
from tabattn.nn.encoder import ClassAttentionEncoder, normalize
from tabattn.nn.losses import LossName, loss_of
from tabattn.nn.model import TabAttnModel
from tabattn.nn.tokens import Cells
from tests.conftest import small_shape

N_ROWS, N_MEMBERS, N_HEADS, N_COLUMNS, D = 4, 4, 2, 3, 8
TINY_STEP = 1e-6


QUANTILE = 0.3
EVERY_LOSS: list[tuple[LossName, int]] = [
    ("squared", 1),
    ("squared", 2),
    ("absolute", 1),
    ("pinball", 2),
    ("poisson", 1),
    ("poisson", 2),
    ("labels", 2),
    ("classes", 2),
    ("classes", 3),
    ("classes", 5),
]
IN_UNITS = torch.tensor([0, 1, 0])


def make_model(n_outputs: int, n_groups: int, loss: LossName | None = None) -> TabAttnModel:
    torch.manual_seed(1)
    name = loss or ("squared" if n_outputs == 1 else "classes")
    sizes = {"loss": name, "quantile": QUANTILE, "n_outputs": n_outputs, "n_groups": n_groups}
    shape = small_shape(n_members=N_MEMBERS, n_heads=N_HEADS, d_token=D, **sizes)
    model = TabAttnModel(shape).eval().double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model


def class_encoder(model: TabAttnModel) -> ClassAttentionEncoder:
    assert isinstance(model.encoder, ClassAttentionEncoder)
    return model.encoder


def make_cells(n_rows: int) -> Cells:
    return Cells(torch.randn(n_rows, 2).double(), torch.randint(0, 3, (n_rows, 1)), torch.rand(n_rows, 3) < 0.1)


def make_target(model: TabAttnModel) -> Tensor:
    name, n_outputs = model.shape.loss, model.shape.n_outputs
    if name == "classes":
        return torch.arange(N_ROWS) % n_outputs
    numbers = torch.randn(N_ROWS, n_outputs).double()
    if name == "labels":
        return (numbers > 0).double()
    return numbers.abs() if name == "poisson" else numbers


def make_question(model: TabAttnModel, with_target: bool, units: Tensor | None = None) -> ScoringInputs:
    torch.manual_seed(2)
    target = make_target(model)
    background = make_cells(5)
    member_weight = torch.ones(N_ROWS, N_MEMBERS).double()
    member_weight[0, 1] = 0
    baseline_rows = torch.tensor([[0, 1, 4, 2, 3], [2, 3, 0, 1, 4], [4, 0, 2, 1, 3], [1, 2, 3, 4, 0]])
    with torch.no_grad():
        read = read_background(model, background)
    cells, draws = make_cells(N_ROWS), [make_cells(N_ROWS) for _ in range(2)]
    n_units = N_COLUMNS if units is None else int(units.max()) + 1
    orders = torch.rand(N_ROWS, 1, n_units).argsort(dim=2)
    return ScoringInputs(
        cells,
        target if with_target else None,
        member_weight,
        lambda: read,
        baseline_rows,
        lambda: draws,
        lambda: orders,
        units,
    )


Edit = Callable[[int, int, int, Tensor, Tensor], Tensor]


def run_row(model: TabAttnModel, tokens: Tensor, edit: Edit) -> tuple[Tensor, list[Tensor]]:
    """Predict one row (tokens of shape group, column, d) member by member, head by head; `edit` changes the mixtures.

    `edit` gets layer, member, head, the weights and the tokens, and returns what the head reads.
    """
    predictions, weights_of = [], []
    for member in range(N_MEMBERS):
        own = tokens[member * model.shape.n_groups // N_MEMBERS]
        state = class_encoder(model).cls[member, 0]
        for number, layer in enumerate(class_encoder(model).class_layers()):
            query = normalize(state) @ layer.query.weight[member] + layer.query.bias[member, 0]
            mixtures = []
            for head in range(N_HEADS):
                scores = own @ query[head * D : (head + 1) * D] / math.sqrt(D)
                weights = scores.exp() / scores.exp().sum()
                weights_of.append(weights)
                mixtures.append(edit(number, member, head, weights, own))
            state = state + torch.cat(mixtures) @ layer.output.weight[member] + layer.output.bias[member, 0]
            normal = normalize(state)
            value = normal @ layer.ffn_value.weight[member] + layer.ffn_value.bias[member, 0]
            gate = normal @ layer.ffn_gate.weight[member] + layer.ffn_gate.bias[member, 0]
            state = state + (value * gate.relu()) @ layer.ffn_out.weight[member] + layer.ffn_out.bias[member, 0]
        predictions.append(normalize(state).relu() @ model.head.weight[member] + model.head.bias[member, 0])
    return torch.stack(predictions), weights_of


def mixed(cells: Cells, others: Cells, columns: list[int]) -> Cells:
    """Return rows in which some columns are those of other rows."""
    numeric, codes = cells.numeric.clone(), cells.codes.clone()
    assert cells.missing is not None
    assert others.missing is not None
    missing = cells.missing.clone()
    for column in columns:
        if column < numeric.shape[1]:
            numeric[:, column] = others.numeric[:, column]
        else:
            codes[:, column - numeric.shape[1]] = others.codes[:, column - numeric.shape[1]]
        missing[:, column] = others.missing[:, column]
    return Cells(numeric, codes, missing)


def loss_of_cells(model: TabAttnModel, question: ScoringInputs, cells: Cells) -> Tensor:
    """Return the loss of the ensemble for each row."""
    assert question.target is not None
    averaged_rows = model.loss.average(model(cells).prediction, question.member_weight)
    return model.loss.of_average(averaged_rows, question.target)


def plain(layer: int, member: int, head: int, weights: Tensor, tokens: Tensor) -> Tensor:
    return weights @ tokens


def read_of_column(model: TabAttnModel, tokens: Tensor, column: int) -> dict[tuple[int, int, int], Tensor]:
    """Weight times token of a column for every layer, member and head."""
    found = {}

    def note(layer: int, member: int, head: int, weights: Tensor, own: Tensor) -> Tensor:
        found[layer, member, head] = weights[column] * own[column]
        return weights @ own

    run_row(model, tokens, note)
    return found


def change_of_reading(
    model: TabAttnModel, tokens: Tensor, moved: Tensor, column: int
) -> dict[tuple[int, int, int], Tensor]:
    """What every head reads from a column of other tokens instead, and more or less of the mean of its other ones."""
    became = weights_of_column(model, moved, column)
    found = {}

    def note(layer: int, member: int, head: int, weights: Tensor, own: Tensor) -> Tensor:
        others = [i for i in range(len(own)) if i != column]
        mean = (weights[others] / weights[others].sum()) @ own[others]
        before, after = weights[column], became[layer, member, head]
        theirs = moved[member * model.shape.n_groups // N_MEMBERS][column]
        found[layer, member, head] = after * theirs - before * own[column] - (after - before) * mean
        return weights @ own

    run_row(model, tokens, note)
    return found


def weights_of_column(model: TabAttnModel, tokens: Tensor, column: int) -> dict[tuple[int, int, int], Tensor]:
    found = {}

    def note(layer: int, member: int, head: int, weights: Tensor, own: Tensor) -> Tensor:
        found[layer, member, head] = weights[column]
        return weights @ own

    run_row(model, tokens, note)
    return found


def run_shifted(model: TabAttnModel, tokens: Tensor, shift: dict[tuple[int, int, int], Tensor], size: float) -> Tensor:
    """Predict one row with something added to what each head reads."""
    return run_row(
        model, tokens, lambda layer, member, head, weights, own: weights @ own + size * shift[layer, member, head]
    )[0]


def run_weighted(
    model: TabAttnModel, tokens: Tensor, place: tuple[int, int, int], column: int, factor: float
) -> Tensor:
    """Predict one row with the attention of one head to one column multiplied."""

    def edit(layer: int, member: int, head: int, weights: Tensor, own: Tensor) -> Tensor:
        changed = weights.clone()
        changed[column] *= factor if (layer, member, head) == place else 1.0
        return changed @ own

    return run_row(model, tokens, edit)[0]


def difference(
    first: dict[tuple[int, int, int], Tensor], second: dict[tuple[int, int, int], Tensor]
) -> dict[tuple[int, int, int], Tensor]:
    return {key: first[key] - second[key] for key in first}


def typical_of(model: TabAttnModel, background: Background, column: int) -> dict[tuple[int, int, int], Tensor]:
    everyone = [read_of_column(model, background.tokens[:, other], column) for other in range(len(background))]
    return {key: torch.stack([each[key] for each in everyone]).mean(dim=0) for key in everyone[0]}


def averaged(model: TabAttnModel, prediction: Tensor, member_weight: Tensor) -> Tensor:
    name = model.shape.loss
    values = {"classes": prediction.softmax(dim=-1), "labels": prediction.sigmoid(), "poisson": prediction.exp()}
    mean: Tensor = (values.get(name, prediction) * member_weight[:, None]).sum(dim=0) / member_weight.sum()
    return mean


def outputs_of(model: TabAttnModel, values: Tensor, classes: list[int]) -> Tensor:
    """Numbers; logarithms of rates; log odds; or log probabilities of some classes and of the rest."""
    name = model.shape.loss
    if name == "poisson":
        return values.log()
    if name == "labels":
        return (values / (1 - values)).log()
    if name != "classes":
        return values
    if len(values) == 2:
        return (values[1] / values[0]).log()[None]
    rest = [values.sum() - values[classes].sum()] if len(classes) < len(values) else []
    return torch.stack([*values[classes], *rest]).log()


def cost_of(name: LossName, values: Tensor, target: Tensor) -> Tensor:
    """The loss of one row by its definition, given the averaged prediction."""
    if name == "classes":
        return -values[target].log()
    error = values - target
    by_output = {
        "squared": lambda: error**2,
        "absolute": lambda: error.abs(),
        "pinball": lambda: torch.where(error > 0, (1 - QUANTILE) * error, -QUANTILE * error),
        "poisson": lambda: values - target * values.log(),
        "labels": lambda: -torch.where(target == 1, values, 1 - values).log(),
    }[name]()
    mean: Tensor = by_output.mean()
    return mean


def cost(model: TabAttnModel, prediction: Tensor, target: Tensor, member_weight: Tensor) -> Tensor:
    return cost_of(model.shape.loss, averaged(model, prediction, member_weight), target)


def kl(before: Tensor, after: Tensor) -> Tensor:
    p, q = before.softmax(dim=0), after.softmax(dim=0)
    total: Tensor = (p * (p / q).log()).sum()
    return total


def divergence(model: TabAttnModel, before: Tensor, after: Tensor, target: Tensor | None) -> Tensor:
    """Squared difference, Kullback-Leibler divergence, or the loss beyond its tangent."""
    name = model.shape.loss
    if name == "squared":
        return (after - before).square().mean()
    if name == "poisson":
        return (after.exp() - before.exp() - before.exp() * (after - before)).mean()
    if name == "classes" and len(before) > 1:
        return kl(before, after)
    if name in {"labels", "classes"}:
        with_zeros = [torch.stack([torch.zeros_like(each), each]) for each in (before, after)]
        return torch.stack([kl(*pair) for pair in zip(*(each.T for each in with_zeros), strict=True)]).mean()
    known = before if target is None else target
    slopes = {"absolute": (1.0, -1.0), "pinball": (1 - QUANTILE, -QUANTILE)}[name]
    slope = torch.where(before > known, slopes[0], slopes[1]) * (before != known)
    return cost_of(name, after, known) - cost_of(name, before, known) - (slope * (after - before)).mean()


def sum_of(reads: list[dict[tuple[int, int, int], Tensor]]) -> dict[tuple[int, int, int], Tensor]:
    return {key: torch.stack([each[key] for each in reads]).sum(dim=0) for key in reads[0]}


def columns_of(unit: int, units: Tensor | None) -> list[int]:
    return [unit] if units is None else (units == unit).nonzero().flatten().tolist()


@pytest.mark.parametrize(("n_groups", "units"), [(1, None), (2, None), (2, IN_UNITS)])
@pytest.mark.parametrize(("loss", "n_outputs"), EVERY_LOSS)
@pytest.mark.parametrize("with_target", [False, True])
@torch.no_grad()
def test_contribution_is_its_definition(
    loss: LossName,
    n_outputs: int,
    n_groups: int,
    units: Tensor | None,
    with_target: bool,
) -> None:
    model = make_model(n_outputs, n_groups, loss)
    n_units = N_COLUMNS if units is None else 2
    question = make_question(model, with_target, units)
    places = torch.rand(*question.baseline_rows.shape, n_units).argsort(dim=2)
    question = replace(question, orders=lambda: places)
    scores = METHODS["contribution"](model, question)
    background: Background = question.background()
    tokens = model.embed(question.cells)
    assert scores.shape == (N_ROWS, N_MEMBERS, n_units)
    for row in range(N_ROWS):
        member_weight = question.member_weight[row]
        values = averaged(model, run_row(model, tokens[:, row], plain)[0], member_weight)
        classes = values.argsort(descending=True)[:3].tolist()
        before = outputs_of(model, values, classes)
        known = torch.stack([before, *(outputs_of(model, each, classes) for each in background.averaged)])
        target = None if question.target is None else question.target[row]
        for unit in range(n_units):
            columns = columns_of(unit, units)
            own = sum_of([read_of_column(model, tokens[:, row], column) for column in columns])
            expected = torch.zeros(()).double()
            for place, partner in enumerate(question.baseline_rows[row]):
                together = [
                    other for other in range(n_units) if (places[row, place, other] - places[row, place, unit]) % 2 == 0
                ]
                moving = [column for other in together for column in columns_of(other, units)]
                moved = tokens[:, row].clone()
                moved[:, moving] = background.tokens[:, partner][:, moving]
                step = sum_of([change_of_reading(model, tokens[:, row], moved, column) for column in columns])
                after = before.clone()
                for point, share in GAUSS:
                    between = (1 - point) * tokens[:, row] + point * moved
                    ends = [run_shifted(model, between, step, size) for size in (TINY_STEP, -TINY_STEP)]
                    forth, back = (outputs_of(model, averaged(model, end, member_weight), classes) for end in ends)
                    after += share * (forth - back) / (2 * TINY_STEP)
                after = after.clamp(known.amin(dim=0), known.amax(dim=0))
                expected += divergence(model, before, after, target) / question.baseline_rows.shape[1]
            if target is not None:
                step = difference(sum_of([typical_of(model, background, column) for column in columns]), own)
                forth, back = (
                    cost(model, run_shifted(model, tokens[:, row], step, size), target, member_weight)
                    for size in (TINY_STEP, -TINY_STEP)
                )
                expected += (forth - back) / (2 * TINY_STEP)
            np.testing.assert_allclose(scores[row, :, unit].sum(), expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("max_weights", [1, 4_000_000])
@pytest.mark.parametrize(("n_groups", "units"), [(1, None), (2, None), (2, IN_UNITS)])
@pytest.mark.parametrize(("loss", "n_outputs"), EVERY_LOSS)
@torch.no_grad()
def test_swap_is_the_rise_of_the_loss_with_the_column_of_other_rows(
    loss: LossName,
    n_outputs: int,
    n_groups: int,
    units: Tensor | None,
    max_weights: int,
) -> None:
    model = make_model(n_outputs, n_groups, loss)
    question = make_question(model, with_target=True, units=units)
    assert question.target is not None
    background = question.background()
    compared = (question.baseline_rows, question.cells, question.target, question.member_weight)
    scores = swap_scores(model, background, *compared, units, max_weights)
    torch.testing.assert_close(METHODS["swap"](model, question), scores)
    tokens = model.embed(question.cells)
    for unit in range(scores.shape[2]):
        columns = columns_of(unit, units)
        for row in range(N_ROWS):
            target, member_weight = question.target[row], question.member_weight[row]
            whole = cost(model, run_row(model, tokens[:, row], plain)[0], target, member_weight)
            own = sum_of([read_of_column(model, tokens[:, row], column) for column in columns])
            tangents = []
            for other in range(len(background)):
                theirs = [read_of_column(model, background.tokens[:, other], column) for column in columns]
                step = difference(sum_of(theirs), own)
                forth, back = (
                    cost(model, run_shifted(model, tokens[:, row], step, size), target, member_weight)
                    for size in (TINY_STEP, -TINY_STEP)
                )
                tangents.append(float(forth - back) / (2 * TINY_STEP))
            rises = []
            for partner in question.baseline_rows[row].tolist():
                changed = tokens[:, row].clone()
                changed[:, columns] = background.tokens[:, partner, columns]
                rise = cost(model, run_row(model, changed, plain)[0], target, member_weight) - whole
                rises.append(float(rise) - tangents[partner])
            expected = np.mean(rises) + np.mean(tangents)
            np.testing.assert_allclose(scores[row, :, unit].sum(), expected, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("max_weights", [1, 4_000_000])
@pytest.mark.parametrize("units", [None, IN_UNITS])
@pytest.mark.parametrize(("loss", "n_outputs"), EVERY_LOSS)
@torch.no_grad()
def test_conditional_is_the_mean_rise_of_the_loss_over_draws(
    loss: LossName, n_outputs: int, units: Tensor | None, max_weights: int
) -> None:
    model = make_model(n_outputs, 2, loss)
    question = make_question(model, with_target=True, units=units)
    assert question.target is not None
    draws = question.draws()
    scores = conditional_scores(
        model, draws, question.cells, question.target, question.member_weight, units, max_weights
    )
    torch.testing.assert_close(METHODS["conditional"](model, question), scores)
    whole = loss_of_cells(model, question, question.cells)
    for unit in range(scores.shape[2]):
        columns = columns_of(unit, units)
        rises = [loss_of_cells(model, question, mixed(question.cells, drawn, columns)) - whole for drawn in draws]
        torch.testing.assert_close(scores[:, :, unit].sum(dim=1), torch.stack(rises).mean(dim=0))


@pytest.mark.parametrize("max_elements", [1, 8_000_000])
@pytest.mark.parametrize("units", [None, IN_UNITS])
@pytest.mark.parametrize(("loss", "n_outputs"), EVERY_LOSS)
@torch.no_grad()
def test_all_orders_give_the_shapley_values_of_the_loss(
    loss: LossName, n_outputs: int, units: Tensor | None, max_elements: int
) -> None:
    """Against the formula with binomial coefficients, over all sets of units."""
    model = make_model(n_outputs, 2, loss)
    question = make_question(model, with_target=True, units=units)
    assert question.target is not None
    background = question.background()
    n_units = N_COLUMNS if units is None else 2
    every = torch.tensor(list(itertools.permutations(range(n_units)))).expand(N_ROWS, -1, -1)
    donors = question.baseline_rows[:, :4].repeat(1, every.shape[1])
    scores = shapley_scores(
        model, background, donors, every, question.cells, question.target, question.member_weight, units, max_elements
    ).sum(dim=1)
    worth: dict[frozenset[int], Tensor] = {}
    for size in range(n_units + 1):
        for known in itertools.combinations(range(n_units), size):
            unknown = [column for unit in set(range(n_units)) - set(known) for column in columns_of(unit, units)]
            predicted = []
            for donor in question.baseline_rows[:, :4].T:
                tokens = model.embed(question.cells).clone()
                tokens[:, :, unknown] = background.tokens[:, donor][:, :, unknown]
                predicted.append(model.loss.average(model.predict(tokens).prediction, question.member_weight))
            averaged_by_donor = torch.stack(predicted)
            whole, first, second = (
                model.loss.of_average(part.mean(dim=0), question.target)
                for part in (averaged_by_donor, averaged_by_donor[:2], averaged_by_donor[2:])
            )
            worth[frozenset(known)] = -(2 * whole - (first + second) / 2)
    for unit in range(n_units):
        value = torch.zeros(N_ROWS).double()
        for present, before in worth.items():
            if unit not in present:
                n_orders = math.factorial(len(present)) * math.factorial(n_units - len(present) - 1)
                value += (worth[present | {unit}] - before) * n_orders / math.factorial(n_units)
        torch.testing.assert_close(scores[:, unit], value)
    torch.testing.assert_close(scores.sum(dim=1), worth[frozenset(range(n_units))] - worth[frozenset()])


@pytest.mark.parametrize("units", [None, IN_UNITS])
@torch.no_grad()
def test_additive_values_add_up_to_the_prediction_less_the_mean(units: Tensor | None) -> None:
    for loss, n_outputs in EVERY_LOSS:
        model = make_model(n_outputs, 2, loss)
        question = make_question(model, with_target=False, units=units)
        background = question.background()
        values = additive_values(model, background, question.orders(), question.cells, np.exp, units)
        predicted = model.loss.average(model(question.cells).prediction).exp()
        expected = predicted - background.averaged.exp().mean(dim=0)
        torch.testing.assert_close(values.sum(dim=1), expected)


@torch.no_grad()
def test_swap_without_a_target_expects_what_the_model_predicts() -> None:
    for loss, n_outputs in EVERY_LOSS:
        model = make_model(n_outputs, n_groups=1, loss=loss)
        question = make_question(model, with_target=False)
        scores = METHODS["swap"](model, question).sum(dim=1)
        assert (scores > -1e-12).all(), "nothing predicts what a model says better than the model itself"
        assert (scores[:, :2] > 0).all(), "two rows may have the same level, but not the same number"


@pytest.mark.parametrize(("loss", "n_outputs"), EVERY_LOSS)
@torch.no_grad()
def test_gradient_is_attention_times_its_derivative(loss: LossName, n_outputs: int) -> None:
    model = make_model(n_outputs, n_groups=2, loss=loss)
    question = make_question(model, with_target=True)
    assert question.target is not None
    scores = METHODS["gradient"](model, question)
    tokens = model.embed(question.cells)
    for row in range(N_ROWS):
        target, member_weight = question.target[row], question.member_weight[row]
        for member in range(N_MEMBERS):
            for column in range(N_COLUMNS):
                expected = 0.0
                for layer, head in ((layer, head) for layer in range(2) for head in range(N_HEADS)):
                    forth, back = (
                        run_weighted(model, tokens[:, row], (layer, member, head), column, 1 + size)
                        for size in (TINY_STEP, -TINY_STEP)
                    )
                    losses = [float(cost(model, each, target, member_weight)) for each in (forth, back)]
                    expected += abs(losses[0] - losses[1]) / (2 * TINY_STEP)
                np.testing.assert_allclose(scores[row, member, column], expected, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
@torch.no_grad()
def test_members_that_do_not_judge_a_row_have_no_share(method: Method) -> None:
    for n_outputs in (1, 2, 3):
        model = make_model(n_outputs, n_groups=2)
        question = make_question(model, with_target=True)
        if method == "contribution":
            places = torch.rand(*question.baseline_rows.shape, N_COLUMNS).argsort(dim=2)
            question = replace(question, orders=partial(torch.clone, places))
        scores = METHODS[method](model, question)
        assert (scores[0, 1] == 0).all()
        assert (scores[0, 0] != 0).all()


@pytest.mark.parametrize("log_odds", [0.0, 5.0, -18.0, 18.0, 60.0])
@pytest.mark.parametrize("change", [1e-3, -1e-3, 5.0, -30.0, 120.0, -120.0])
def test_divergences_are_exact_where_probabilities_are_0_or_1(log_odds: float, change: float) -> None:
    """In single precision, for two and for three classes, and the same when the classes change places."""

    def divergence_of(before: list[float], after: list[float]) -> float:
        p, q = (torch.tensor(each, dtype=torch.float64).log_softmax(dim=0) for each in (before, after))
        return float((p.exp() * (p - q)).sum())

    changes = torch.full((1, 1, 1, 1), change)
    anything = torch.tensor([[-1e9]]), torch.tensor([[1e9]])
    odds = torch.tensor([[log_odds]])
    classes = loss_of("classes")
    two = divergence_parts(classes, odds, anything, changes, None)
    np.testing.assert_allclose(
        two.item(), divergence_of([0.0, log_odds], [0.0, log_odds + change]), rtol=1e-6, atol=1e-9
    )
    swapped = divergence_parts(classes, -odds, anything, -changes, None)
    np.testing.assert_allclose(two, swapped, rtol=1e-6, atol=1e-9)
    before, only_second = torch.tensor([[0.0, log_odds, -3.0]]).log_softmax(dim=1), torch.eye(3)[1][None, :, None, None]
    limits = before - 1e9, before + 1e9
    three = divergence_parts(classes, before, limits, changes * only_second, None)
    expected = divergence_of([0.0, log_odds, -3.0], [0.0, log_odds + change, -3.0])
    np.testing.assert_allclose(three.item(), expected, rtol=1e-5, atol=1e-7)


def test_no_change_goes_beyond_what_background_rows_are_predicted() -> None:
    low, high = torch.tensor([[-1.0]]), torch.tensor([[2.0]])
    changes = torch.tensor([[[[50.0, -50.0, 1.0]]]])
    shares = divergence_parts(loss_of("squared"), torch.tensor([[0.0]]), (low, high), changes, None)
    assert shares.tolist() == [[[4.0, 1.0, 1.0]]]


def test_members_share_a_divergence_by_their_part_in_the_change() -> None:
    changes = torch.tensor([[[[3.0], [-1.0]]]])
    anything = torch.tensor([[-1e9]]), torch.tensor([[1e9]])
    shares = divergence_parts(loss_of("squared"), torch.tensor([[0.0]]), anything, changes, None)
    assert shares.flatten().tolist() == [6.0, -2.0]


@pytest.mark.parametrize("method", METHODS)
@torch.no_grad()
def test_only_attention_alone_pays_for_a_column_whose_token_never_varies(method: Method) -> None:
    """With queries that look nowhere, what is read from such a column is the same in every row."""
    model = make_model(2, n_groups=1)
    torch.manual_seed(0)
    cells = make_cells(N_ROWS)
    constant = Cells(cells.numeric.index_fill(1, torch.tensor([0]), 0.5), cells.codes, None)
    for layer in class_encoder(model).class_layers():
        layer.query.weight.zero_()
        layer.query.bias.zero_()
    read = read_background(model, constant)
    member_weight, baseline_rows = torch.ones(N_ROWS, N_MEMBERS).double(), torch.tensor([[1], [2], [3], [0]])
    orders = torch.rand(*baseline_rows.shape, N_COLUMNS).argsort(dim=2)
    draws = [constant.take(torch.tensor([1, 2, 3, 0]))]
    question = ScoringInputs(constant, None, member_weight, lambda: read, baseline_rows, lambda: draws, lambda: orders)
    scores = METHODS[method](model, question).sum(dim=1)
    if method in {"contribution", "swap", "conditional", "shapley"}:
        np.testing.assert_allclose(scores[:, 0], 0.0, atol=1e-12)
        assert (scores[:, 1] > 1e-6).all()
    else:
        assert (scores[:, 0] > 1e-3).all()


@pytest.mark.parametrize("method", ["gradient", "norm", "mean", "rollout"])
@torch.no_grad()
def test_the_other_methods_add_up_the_columns_of_a_unit(method: Method) -> None:
    model = make_model(3, n_groups=2)
    alone = METHODS[method](model, make_question(model, with_target=True))
    joined = METHODS[method](model, make_question(model, with_target=True, units=IN_UNITS))
    torch.testing.assert_close(joined[..., 0], alone[..., 0] + alone[..., 2])
    torch.testing.assert_close(joined[..., 1], alone[..., 1])


@torch.no_grad()
def test_rollout_halves_the_attention_of_every_earlier_layer() -> None:
    model = make_model(1, n_groups=1)
    question = make_question(model, with_target=False)
    first, second = (layer.mean(dim=2) for layer in model(question.cells).attention)
    share = question.member_weight / question.member_weight.sum(dim=1, keepdim=True)
    torch.testing.assert_close(METHODS["rollout"](model, question), share[..., None] * (first / 3 + 2 * second / 3))
