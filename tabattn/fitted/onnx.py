"""Fitted models as ONNX graphs: raw numbers and level codes in, predictions and attention out, without Python.

A graph takes "numbers" (float64, shape (row, number), NaN where missing) and "codes" (int64, shape (row, categorical),
-1 where missing, 0 for levels that are rare or new), each only where there are such columns. Numbers are those of the
table: the graph contains the transform. But the "offset" in the metadata must be subtracted from columns with integers
beyond 2**53, and dates and texts, which libraries that a graph can't hold turn into several numbers each, must come
from `model_inputs`. It returns "prediction", as `predict` or `predict_proba` do, and "attention", as `attention` does.
Its metadata has names and kinds of the columns, the code of each level, and the classes.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tabattn.arrays import Array
from tabattn.encoding.preprocessing import MISSING, RawCells
from tabattn.encoding.quantiles import NormalScores
from tabattn.encoding.rows import RowEncoder
from tabattn.encoding.target import ClassEncoding, NumberEncoding
from tabattn.errors import OutputError
from tabattn.files import write_atomic
from tabattn.nn.model import TabAttnModel
from tabattn.nn.tokens import LIMIT, CellLayout, Cells
from tabattn.process_state import loggers_quiet, warnings_ignored

METADATA = "tabattn"
NUMBERS, CODES = "numbers", "codes"
N_EXAMPLE_ROWS = 3
OPSET = 18
CENTRAL = 0.425
CENTRAL_SQUARE = 0.180625
TAIL_START = 1.6
CENTRAL_NUMERATOR = (
    3.3871328727963666080e0,
    1.3314166789178437745e2,
    1.9715909503065514427e3,
    1.3731693765509461125e4,
    4.5921953931549871457e4,
    6.7265770927008700853e4,
    3.3430575583588128105e4,
    2.5090809287301226727e3,
)
CENTRAL_DENOMINATOR = (
    1.0,
    4.2313330701600911252e1,
    6.8718700749205790830e2,
    5.3941960214247511077e3,
    2.1213794301586595867e4,
    3.9307895800092710610e4,
    2.8729085735721942674e4,
    5.2264952788528545610e3,
)
TAIL_NUMERATOR = (
    1.42343711074968357734e0,
    4.63033784615654529590e0,
    5.76949722146069140550e0,
    3.64784832476320460504e0,
    1.27045825245236838258e0,
    2.41780725177450611770e-1,
    2.27238449892691845833e-2,
    7.74545014278341407640e-4,
)
TAIL_DENOMINATOR = (
    1.0,
    2.05319162663775882187e0,
    1.67638483018380384940e0,
    6.89767334985100004550e-1,
    1.48103976427480074590e-1,
    1.51986665636164571966e-2,
    5.47593808499534494600e-4,
    1.05075007164441684324e-9,
)


def normal_scores(p: Float[Tensor, "*axes"]) -> Float[Tensor, "*axes"]:
    """Quantiles of the normal distribution by operations that ONNX has, to 16 digits.

    Args:
        p: Probabilities between those of -4 and 4.

    Example:
        >>> normal_scores(torch.tensor([0.5, 0.975], dtype=torch.float64)).round(decimals=6).tolist()
        [0.0, 1.959964]

    Source: Wichura 1988 (The Percentage Points of the Normal Distribution), algorithm AS 241, PPND16, without its
        outermost part.
    """
    centred = p - 0.5
    square = CENTRAL_SQUARE - centred.clamp(-CENTRAL, CENTRAL).square()
    central = centred * _polynomial(CENTRAL_NUMERATOR, square) / _polynomial(CENTRAL_DENOMINATOR, square)
    depth = (-torch.minimum(p, 1 - p).log()).sqrt() - TAIL_START
    tail = centred.sign() * _polynomial(TAIL_NUMERATOR, depth) / _polynomial(TAIL_DENOMINATOR, depth)
    return torch.where(centred.abs() <= CENTRAL, central, tail)


def _polynomial(coefficients: Sequence[float], x: Tensor) -> Tensor:
    value = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value


class QuantileScores(nn.Module):
    """The transform of `NormalScores` by operations that ONNX has.

    Args:
        scores: The fitted transform.
    """

    def __init__(self, scores: NormalScores) -> None:
        super().__init__()
        bounds = torch.special.ndtr(torch.tensor([-LIMIT, LIMIT], dtype=torch.float64))
        self.low, self.high = bounds.tolist()
        self.register_buffer("quantiles", torch.tensor(scores.quantiles.T.copy(), dtype=torch.float64))
        self.register_buffer("ranks", torch.tensor(scores.ranks, dtype=torch.float64))

    quantiles: Tensor
    ranks: Tensor

    def forward(self, x: Float[Tensor, "batch number"]) -> Float[Tensor, "batch number"]:
        """Return scores between -3 and 3.

        A number between two quantiles has a rank between theirs; one equal to several, the middle of theirs.
        """
        n_last = self.quantiles.shape[1] - 1
        by_number = x.t().contiguous()[..., None]
        quantiles = self.quantiles[:, None]
        above = (quantiles < by_number).sum(dim=2)
        upto = (quantiles <= by_number).sum(dim=2) - 1
        lower, upper = (above - 1).clamp(0, n_last), above.clamp(0, n_last)
        low, high = self.quantiles.gather(1, lower), self.quantiles.gather(1, upper)
        step = torch.where(high > low, (x.t() - low) / torch.where(high > low, high - low, 1.0), 0.0)
        between = self.ranks[lower] + step.clamp(0, 1) * (self.ranks[upper] - self.ranks[lower])
        tied = (self.ranks[upper] + self.ranks[upto.clamp(0, n_last)]) / 2
        rank = torch.where(x.t() == high, tied, between)
        rank = torch.where(x.t() >= self.quantiles[:, -1:], 1.0, rank)
        rank = torch.where(x.t() <= self.quantiles[:, :1], 0.0, rank)
        return normal_scores(rank.clamp(self.low, self.high)).t()


class ExportedModel(nn.Module):
    """Raw inputs to predictions and attention.

    Args:
        model: The fitted model.
        encoder: How tables become rows.
    """

    def __init__(self, model: TabAttnModel, encoder: RowEncoder) -> None:
        super().__init__()
        schema, target = encoder.preprocessor.schema, encoder.target
        self.model = model
        self.loss = model.loss
        self.layout: CellLayout = model.shape.layout
        scores = encoder.preprocessor.normal_scores
        self.scores = None if scores is None else QuantileScores(scores)
        self.register_buffer("first_numbers", torch.tensor(self.layout.first_numbers, dtype=torch.long))
        self.register_buffer("n_levels", torch.tensor(self.layout.n_levels, dtype=torch.long))
        position_of = {column: place for place, column in enumerate(schema.model_positions)}
        n_read = len(position_of)
        places = [position_of.get(i, n_read) for i in range(len(schema.columns))]
        self.register_buffer("places", torch.tensor(places, dtype=torch.long))
        scale = target if isinstance(target, NumberEncoding) else None
        self.is_single = scale is not None and scale.is_single
        self.is_logarithm = target.loss == "squared_log"
        self.register_buffer("mean", torch.tensor(scale.mean if scale else (0.0,), dtype=torch.float64))
        self.register_buffer("scale", torch.tensor(scale.scale if scale else (1.0,), dtype=torch.float64))

    first_numbers: Tensor
    n_levels: Tensor
    places: Tensor
    mean: Tensor
    scale: Tensor

    def forward(
        self, numbers: Float[Tensor, "batch number"] | None, codes: Int[Tensor, "batch categorical"] | None
    ) -> tuple[Float[Tensor, "batch *output"], Float[Tensor, "batch member layer head column"]]:
        """Return the prediction and the attention to each column of the table.

        Args:
            numbers: NaN where missing; None if there are no columns of numbers.
            codes: -1 where missing, 0 for a level that is rare or new; None if there are no categories.
        """
        some = numbers if numbers is not None else codes
        assert some is not None, "there is at least one column"
        n_rows = some.shape[0]
        missing, numeric = [], self.mean.new_zeros(n_rows, 0).float()
        known = self.n_levels.new_zeros(n_rows, 0)
        if numbers is not None and self.scores is not None:
            is_missing = numbers.isnan()
            scores = self.scores(torch.where(is_missing, 0.0, numbers))
            numeric = torch.where(is_missing, 0.0, scores).float()
            missing.append(is_missing[:, self.first_numbers])
        if codes is not None:
            missing.append(codes == MISSING)
            known = torch.where((codes < 0) | (codes >= self.n_levels), 0, codes)
        output = self.model(Cells(numeric, known, torch.cat(missing, dim=1)))
        averaged = self.loss.average(output.prediction.double()) * self.scale + self.mean
        if self.is_logarithm:
            averaged = averaged.exp()
        weights = torch.stack(output.attention, dim=2)
        spread = torch.cat([weights, torch.zeros_like(weights[..., :1])], dim=-1)[..., self.places]
        return averaged.squeeze(1) if self.is_single else averaged, spread


def model_inputs(raw: RawCells) -> dict[str, Array]:
    """Return the inputs of the graph for some rows.

    Args:
        raw: Their numbers and codes.

    Returns:
        "numbers" (float64, NaN where missing) and "codes" (int64, -1 where missing, 0 for rare and new levels), each
        only where there are such columns.
    """
    inputs = {NUMBERS: raw.numbers, CODES: raw.codes}
    return {name: array for name, array in inputs.items() if array.shape[1]}


def write_onnx(path: Path, model: TabAttnModel, encoder: RowEncoder) -> None:
    """Write a fitted model as an ONNX graph, atomically.

    Args:
        path: The file; replaced if it exists.
        model: The fitted model.
        encoder: How tables become rows.

    Raises:
        OutputError: The file can't be written, or the packages of the extra "onnx" are not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise OutputError(
            f"Writing ONNX must have onnx and onnxscript, got {error}. Run: pip install 'tabattn[onnx]'"
        ) from error
    exported = ExportedModel(model, encoder).eval()
    n_numbers, n_categories = exported.layout.n_numbers, len(exported.layout.n_levels)
    examples: dict[str, Tensor | None] = {
        NUMBERS: torch.zeros(N_EXAMPLE_ROWS, n_numbers, dtype=torch.float64) if n_numbers else None,
        CODES: torch.zeros(N_EXAMPLE_ROWS, n_categories, dtype=torch.long) if n_categories else None,
    }
    rows = torch.export.Dim("row")
    with warnings_ignored(), loggers_quiet("torch.onnx", "onnxscript", "onnx_ir"), torch.no_grad():
        program = torch.onnx.export(
            exported,
            tuple(examples.values()),
            input_names=[name for name, example in examples.items() if example is not None],
            output_names=["prediction", "attention"],
            dynamic_shapes=tuple(None if each is None else {0: rows} for each in examples.values()),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    onnx.helper.set_model_props(
        graph, {METADATA: json.dumps(_description(encoder, exported.layout), ensure_ascii=False)}
    )
    onnx.checker.check_model(graph)

    def write(staged: Path) -> None:
        staged.write_bytes(graph.SerializeToString())

    write_atomic(path, write)


def _description(encoder: RowEncoder, layout: CellLayout) -> dict[str, Any]:
    """Return the metadata of the graph: its inputs and outputs."""
    schema, target = encoder.preprocessor.schema, encoder.target
    numbered = [schema.columns[i] for i in schema.number_positions + schema.block_positions]
    categories = [schema.columns[i] for i in schema.code_positions]
    return {
        NUMBERS: [
            {"column": column.name, "kind": column.kind.value, "n_numbers": n, "offset": column.offset}
            for column, n in zip(numbered, layout.widths, strict=True)
        ],
        CODES: [
            {"column": column.name, "codes": {level: code for code, level in enumerate(column.categories, start=1)}}
            for column in categories
        ],
        "attention": list(schema.names),
        "classes": target.classes.tolist() if isinstance(target, ClassEncoding) else None,
    }
