"""Pretraining: columns are learned from other columns, on rows that need no target.

Each kind of encoder has its own task. All predict cells: numbers on their transformed scale by squared errors, levels
by cross-entropy; missing cells are not predicted.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import lightning
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from tabattn.choices import EncoderKind
from tabattn.nn.devices import resolve_device
from tabattn.nn.encoder import MemberLinear, normalize
from tabattn.nn.mixing import ColumnMixer, EncoderDecoder, MixingEncoder
from tabattn.nn.model import ModelShape, TabAttnModel
from tabattn.nn.tokens import Cells
from tabattn.progress import Job
from tabattn.training.callbacks import WatchTime
from tabattn.training.data import ChosenRows, OrderedBatches, ShuffledBatches, TrainingRows
from tabattn.training.fitting import interruptible, new_trainer, quiet_lightning, reproducible
from tabattn.training.settings import TrainingSettings

MASKED_FRACTION, HIDDEN_FRACTION, SWAPPED_FRACTION = 0.15, 0.8, 0.1
PREDICTED_PART = 6
SPAN_LENGTH = 3
VALIDATION_FRACTION, MAX_VALIDATION_ROWS = 0.1, 2_048
VALIDATION_BATCH = 1024
KEEP, MASK, SWAP = 0, 1, 2
PRETRAINING_SHARE = 0.3


class Reconstruction(nn.Module):
    """Predict cells from states of columns; holds the tokens that replace hidden cells.

    Args:
        shape: Sizes of the model.
    """

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        n_members, d_token, n_columns = shape.n_members, shape.d_token, shape.n_columns
        layout = shape.layout
        bound = d_token**-0.5
        self.first_level_column = layout.n_numbered
        self.hidden = nn.Parameter(torch.empty(shape.n_groups, 1, n_columns, d_token).uniform_(-bound, bound))
        self.sentinels = nn.Parameter(torch.empty(shape.n_groups, n_columns, d_token).uniform_(-bound, bound))
        self.number_weight = nn.Parameter(torch.empty(n_members, layout.n_numbers, d_token).uniform_(-bound, bound))
        self.number_bias = nn.Parameter(torch.zeros(n_members, 1, layout.n_numbers))
        self.levels = nn.ModuleList(MemberLinear(n_members, d_token, n) for n in layout.n_levels)
        self.same_row = MemberLinear(n_members, d_token, 1)
        column_of = torch.tensor(layout.column_of_number, dtype=torch.long)
        widths = torch.tensor(layout.widths, dtype=torch.long)
        self.register_buffer("column_of", column_of)
        self.register_buffer("number_fraction", 1 / widths[column_of].float())

    column_of: Tensor
    number_fraction: Tensor

    def loss(
        self, states: Float[Tensor, "member batch column d"], cells: Cells, predicted: Bool[Tensor, "batch column"]
    ) -> Float[Tensor, ""]:
        """Return the mean loss of the cells that are predicted and not missing.

        Args:
            states: What each cell is predicted from.
            cells: The cells as they are.
            predicted: Which of them are predicted.
        """
        known = predicted if cells.missing is None else predicted & ~cells.missing
        total, n_members = states.new_zeros(()), states.shape[0]
        if len(self.column_of):
            read = torch.einsum("mbnd,mnd->mbn", states[:, :, self.column_of], self.number_weight) + self.number_bias
            weight = known[:, self.column_of] * self.number_fraction
            total = total + ((read - cells.numeric).square() * weight).sum()
        for i, layer in enumerate(self.levels):
            column = self.first_level_column + i
            logits = layer(states[:, :, column])
            codes = cells.codes[:, i].expand(n_members, -1)
            losses = cross_entropy(logits.flatten(0, 1), codes.flatten(), reduction="none")
            total = total + (losses.unflatten(0, (n_members, -1)) * known[:, column]).sum()
        return total / (n_members * known.sum()).clamp_min(1)


Task = Callable[[TabAttnModel, Reconstruction, Cells, Tensor, torch.Generator], Tensor]


def hidden_cells(n_rows: int, n_columns: int, generator: torch.Generator) -> Int[Tensor, "row column"]:
    """Choose cells to predict, 15 % of each row and at least one, and what to put in their place.

    Of the chosen, 80 % are hidden (`MASK`), 10 % come from another row (`SWAP`), 10 % stay (`-KEEP - 1`), so that the
    model can't rely on seeing what it has to predict.

    Returns:
        For each cell `MASK`, `SWAP`, -1 if it is predicted as it is, or `KEEP` if it is not predicted.

    Source: Devlin et al. 2018 (arXiv 1810.04805), section 3.1.
    """
    n_chosen = max(1, round(MASKED_FRACTION * n_columns))
    order = torch.rand(n_rows, n_columns, generator=generator).argsort(dim=1)
    chosen = order.argsort(dim=1) < n_chosen
    draw = torch.rand(n_rows, n_columns, generator=generator)
    action = torch.full((n_rows, n_columns), -1)
    action[draw < HIDDEN_FRACTION + SWAPPED_FRACTION] = SWAP
    action[draw < HIDDEN_FRACTION] = MASK
    return torch.where(chosen, action, KEEP)


def _masked_task(
    model: TabAttnModel, head: Reconstruction, cells: Cells, rows: Tensor, generator: torch.Generator
) -> Tensor:
    """Predict hidden cells from the others; drawn again at every step."""
    action = hidden_cells(len(cells), model.shape.n_columns, generator).to(rows.device)
    return _predict_hidden(model, head, cells, action)


def _predict_hidden(model: TabAttnModel, head: Reconstruction, cells: Cells, action: Tensor) -> Tensor:
    states, _ = _read_with_hidden(model, head, model.embed(cells), action)
    return head.loss(states, cells, action != KEEP)


def _read_with_hidden(
    model: TabAttnModel, head: Reconstruction, tokens: Tensor, action: Tensor
) -> tuple[Float[Tensor, "member batch column d"], Float[Tensor, "member batch d"]]:
    """Return states of columns (of CLS, where columns have no states), and of CLS, with cells hidden or swapped."""
    swapped = tokens.roll(1, dims=1)
    by_action = torch.where((action == SWAP)[..., None], swapped, tokens)
    shown = torch.where((action == MASK)[..., None], normalize(head.hidden), by_action)
    return model.encoder.column_states(shown)


class BertTask:
    """Predict cells that were hidden once for all epochs, and classify whether the halves of a row belong together.

    Args:
        n_rows: Number of rows.
        n_columns: Number of columns.
        generator: Source of randomness.
    """

    def __init__(self, n_rows: int, n_columns: int, generator: torch.Generator) -> None:
        self._action = hidden_cells(n_rows, n_columns, generator)
        self._is_torn = torch.rand(n_rows, generator=generator) < 0.5
        self._is_second_half = torch.arange(n_columns) >= n_columns // 2

    def __call__(
        self, model: TabAttnModel, head: Reconstruction, cells: Cells, rows: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Return the loss of a step."""
        numbers = rows.cpu()
        action, is_torn = self._action[numbers].to(rows.device), self._is_torn[numbers].to(rows.device)
        is_second = self._is_second_half.to(rows.device)
        tokens = model.embed(cells)
        is_foreign = is_torn[:, None] & is_second & (len(cells) > 1)
        torn = torch.where(is_foreign[..., None], tokens.roll(1, dims=1), tokens)
        states, cls = _read_with_hidden(model, head, torn, action)
        odds = head.same_row(cls).squeeze(-1)
        halves = binary_cross_entropy_with_logits(odds, is_foreign.any(dim=1).float().expand_as(odds))
        return head.loss(states, cells, (action != KEEP) & ~is_foreign) + halves


def _mixing(model: TabAttnModel) -> MixingEncoder:
    """Return the encoder of a model whose task needs columns that attend."""
    assert isinstance(model.encoder, MixingEncoder), "the tasks of the encoder 'class' do not ask for it"
    return model.encoder


def _next_column_task(
    model: TabAttnModel,
    head: Reconstruction,
    cells: Cells,
    rows: Tensor,
    generator: torch.Generator,  # noqa: ARG001
) -> Tensor:
    """Predict each column from those before it, but for the first.

    Source: Radford et al. 2018 (Improving Language Understanding by Generative Pre-Training), section 3.1.
    """
    encoder = _mixing(model)
    states = encoder.mix(encoder.by_member(model.embed(cells))).columns
    n_columns = states.shape[2]
    order = torch.arange(n_columns, device=rows.device) if encoder.order is None else encoder.order
    before = states.new_zeros(states.shape).index_copy(2, order[1:], states[:, :, order[:-1]])
    predicted = torch.ones(len(cells), n_columns, dtype=torch.bool, device=rows.device)
    predicted[:, order[0]] = False
    return head.loss(before, cells, predicted)


def _permutation_task(
    model: TabAttnModel, head: Reconstruction, cells: Cells, rows: Tensor, generator: torch.Generator
) -> Tensor:
    """Predict the last sixth of the columns in an order drawn for each row, each from those before it.

    Source: Yang et al. 2019 (arXiv 1906.08237), section 2.3.
    """
    encoder = _mixing(model)
    assert isinstance(encoder.body, ColumnMixer), "only XLNet has this task"
    n_columns = model.shape.n_columns
    rank = torch.rand(len(cells), n_columns, generator=generator).argsort(dim=1).to(rows.device)
    tokens = model.embed(cells)
    places = normalize(head.hidden).expand_as(tokens)
    _, query = encoder.body.two_streams(encoder.by_member(tokens), encoder.by_member(places), rank)
    return head.loss(query, cells, rank >= n_columns - max(1, n_columns // PREDICTED_PART))


def _span_task(
    model: TabAttnModel, head: Reconstruction, cells: Cells, rows: Tensor, generator: torch.Generator
) -> Tensor:
    """Replace spans of columns by sentinels and generate what was in them, column by column.

    Source: Raffel et al. 2020 (arXiv 1910.10683), section 3.1.4.
    """
    encoder = _mixing(model)
    assert isinstance(encoder.body, EncoderDecoder), "only T5 has this task"
    n_rows, n_columns = len(cells), model.shape.n_columns
    columns, spans = (each.to(rows.device) for each in drawn_spans(n_rows, n_columns, generator))
    tokens = model.embed(cells)
    width = tokens.shape[-1]
    where = columns[None, :, :, None].expand(len(tokens), -1, -1, width)
    sentinels = normalize(head.sentinels)[:, None].expand(-1, n_rows, -1, -1)
    of_span = sentinels.gather(2, spans[None, :, :, None].expand_as(where))
    shown = tokens.scatter(2, where, of_span)
    true = tokens.gather(2, where)
    is_first = torch.cat([torch.ones_like(spans[:, :1], dtype=torch.bool), spans[:, 1:] != spans[:, :-1]], dim=1)
    before = torch.where(is_first[..., None], of_span, true.roll(1, dims=2))
    places = normalize(head.hidden).expand(-1, n_rows, -1, -1).gather(2, where)
    states = encoder.body.generate(encoder.by_member(shown), encoder.by_member(before + places))
    of_columns = states.new_zeros(len(states), *tokens.shape[1:]).scatter(2, encoder.by_member(where), states)
    predicted = torch.zeros(n_rows, n_columns, dtype=torch.bool, device=rows.device).scatter(1, columns, True)
    return head.loss(of_columns, cells, predicted)


def drawn_spans(
    n_rows: int, n_columns: int, generator: torch.Generator
) -> tuple[Int[Tensor, "row predicted"], Int[Tensor, "row predicted"]]:
    """Draw spans of neighbouring columns, about 15 % of them and about three long, each in a part of the row.

    Args:
        n_rows: Number of rows.
        n_columns: Number of columns.
        generator: Source of randomness.

    Returns:
        The columns in ascending order, and the number of the span of each.

    Example:
        >>> columns, spans = drawn_spans(1, 40, torch.Generator().manual_seed(0))
        >>> spans.tolist(), columns.diff().eq(1).sum().item()
        ([[0, 0, 0, 1, 1, 1]], 4)
    """
    n_chosen = max(1, round(MASKED_FRACTION * n_columns))
    n_spans = max(1, round(n_chosen / SPAN_LENGTH))
    length = n_chosen // n_spans
    starts = torch.arange(n_spans + 1) * n_columns // n_spans
    room = starts.diff() - length + 1
    offset = (torch.rand(n_rows, n_spans, generator=generator) * room).long()
    columns = (starts[:-1] + offset)[..., None] + torch.arange(length)
    spans = torch.arange(n_spans)[:, None].expand(-1, length)
    return columns.flatten(1), spans.flatten().expand(n_rows, -1)


TASKS: Mapping[EncoderKind, Task] = {
    "class": _masked_task,
    "roberta": _masked_task,
    "gpt": _next_column_task,
    "xlnet": _permutation_task,
    "t5": _span_task,
}


class PretrainingModule(lightning.LightningModule):
    """Learn columns from columns, and record the loss of each epoch.

    Args:
        model: The model.
        head: What predicts cells.
        task: Task to learn.
        seed: Determines what is hidden, in validation rows the same in every epoch.
        learning_rate: Step size of AdamW.
        weight_decay: Weight decay of AdamW.
    """

    def __init__(
        self,
        model: TabAttnModel,
        head: Reconstruction,
        task: Task,
        *,
        seed: int,
        learning_rate: float,
        weight_decay: float,
    ) -> None:
        super().__init__()
        self.model = model
        self.head = head
        self.history: dict[str, list[float]] = {"train": [], "validation": []}
        self._task = task
        self._seed = seed
        self._draws = torch.Generator().manual_seed(seed)
        self._validation_draws = torch.Generator()
        self._sizes = (learning_rate, weight_decay)
        self._sums: dict[str, list[tuple[float, int]]] = {"train": [], "validation": []}

    def training_step(self, batch: TrainingRows, batch_idx: int) -> Tensor:
        """Return the loss of the task."""
        loss = self._task(self.model, self.head, batch.cells, batch.number, self._draws)
        self._sums["train"].append((float(loss.detach()), len(batch)))
        return loss

    def on_validation_epoch_start(self) -> None:
        """Hide the same cells of validation rows in every epoch."""
        self._validation_draws.manual_seed(self._seed)

    def validation_step(self, batch: TrainingRows, batch_idx: int) -> None:
        """Record the loss of the task."""
        loss = self._task(self.model, self.head, batch.cells, batch.number, self._validation_draws)
        self._sums["validation"].append((float(loss), len(batch)))

    def on_train_epoch_end(self) -> None:
        """Close the epoch; Lightning validates before it calls this."""
        for mode in self.history:
            losses, counts = zip(*self._sums[mode], strict=True)
            self.history[mode].append(sum(a * b for a, b in zip(losses, counts, strict=True)) / sum(counts))
            self._sums[mode] = []

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Decay all matrices alike."""
        learning_rate, weight_decay = self._sizes
        return torch.optim.AdamW(self.parameters(), lr=learning_rate, weight_decay=weight_decay, fused=True)


@dataclass(frozen=True)
class Pretrained:
    """A model that was pretrained to predict columns from columns.

    Args:
        model: The model, its head for the target still untrained.
        head: What predicts cells.
        history: Loss of each epoch on the rows that were learned from ("train"), and on a tenth that was not
            ("validation").
    """

    model: TabAttnModel
    head: Reconstruction
    history: Mapping[str, list[float]]


def pretrain(shape: ModelShape, cells: Cells, settings: TrainingSettings, job: Job | None = None) -> Pretrained:
    """Pretrain a model on rows without a target.

    The same arguments give the same weights on the same machine. The global random state is restored.

    Args:
        shape: Sizes of the model.
        cells: The rows, at least two.
        settings: How to train; there is no early stopping, and `patience` does not matter.
        job: The job that this is the phase "pretraining" of; a share of the time left is taken at most.

    Returns:
        The pretrained model, on the CPU.

    Raises:
        KeyboardInterrupt: Training was interrupted.
    """
    n_rows, job = len(cells), job or Job()
    generator = torch.Generator().manual_seed(settings.seed)
    order = torch.randperm(n_rows, generator=generator)
    n_validation = max(1, min(round(VALIDATION_FRACTION * n_rows), MAX_VALIDATION_ROWS))
    no_target, weight = torch.zeros(n_rows, 0), torch.ones(n_rows)
    with reproducible(settings.seed), quiet_lightning():
        model, head = TabAttnModel(shape), Reconstruction(shape)
        task = BertTask(n_rows, shape.n_columns, generator) if shape.encoder == "bert" else TASKS[shape.encoder]
        module = PretrainingModule(
            model,
            head,
            task,
            seed=settings.seed,
            learning_rate=settings.optimizer.learning_rate,
            weight_decay=settings.optimizer.weight_decay,
        )
        device = resolve_device(settings.device)
        rows = TrainingRows.numbered(cells, no_target, weight).to(device)
        batches = ShuffledBatches(rows, ChosenRows.all_of(order[n_validation:]), settings.batch_size, settings.seed)
        validation = OrderedBatches(rows, ChosenRows.all_of(order[:n_validation]), VALIDATION_BATCH)
        with interruptible(), job.phase("pretraining", settings.max_epochs, PRETRAINING_SHARE) as phase:
            watch = WatchTime(phase)
            new_trainer(device, settings.max_epochs, [watch]).fit(module, batches, validation)
            if watch.has_ended_it:
                job.shortened.append(f"pretraining ended in epoch {phase.n_done}")
    return Pretrained(module.model.eval().cpu(), module.head.eval().cpu(), module.history)
