"""The training view for text: attention to the words of a sentence while a model learns from labelled sentences.

The model and a linear head on the state that reads are trained for a few epochs, with Lightning. Before the first step
and after each of them the sentence is read twice: in train mode, with dropout, and in eval mode.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset
from typing_extensions import override

from tabattn.choices import Language
from tabattn.errors import ParameterError
from tabattn.importance.maps import history_table
from tabattn.nn.torch_state import torch_defaults
from tabattn.output.results import ResultFiles, result_writers
from tabattn.process_state import warnings_ignored
from tabattn.table.cells import level_name
from tabattn.table.reading import read_table
from tabattn.text import PreparedSentence, TextReading, prepare, run_model, text_attention
from tabattn.training.fitting import interruptible, new_trainer, quiet_lightning, reproducible

MIN_SENTENCES, TEST_FRACTION, BATCH_SIZE, MAX_READINGS = 10, 0.2, 8, 60
RATE, HEAD_RATE = 5e-5, 1e-3
MODES = ("train", "eval")


@dataclass(frozen=True, eq=False)
class TextTraining(ResultFiles):
    """Attention to the words of a sentence over the steps of a training.

    Args:
        reading: The sentence as the trained model reads it.
        history: Mean attention of the state that reads to each word, index (mode, step); step 0 is before training.
        accuracy: Fraction of the held-out sentences whose label is predicted.
        constant_accuracy: The same if the most frequent label of the others is predicted for all.
        n_train: Number of sentences to learn from.
        n_held_out: Number of held-out ones.
    """

    reading: TextReading
    history: pd.DataFrame
    accuracy: float
    constant_accuracy: float
    n_train: int
    n_held_out: int

    @override
    def writers(self, *, excel_safe: bool = False, language: Language = "en") -> dict[str, Callable[[Path], None]]:
        from tabattn.output.plots import plot_history

        tables = {"training_attention": self.history.reset_index()}
        own = result_writers(
            tables, {"training": lambda: plot_history(self.history, language=language)}, excel_safe=excel_safe
        )
        return self.reading.writers(excel_safe=excel_safe, language=language) | own


def read_labelled(path: str | Path, label: str, column: str | None = None) -> tuple[list[str], list[str]]:
    """Read sentences and their labels from a table.

    Args:
        path: The file.
        label: Name of the column of labels.
        column: Name of the column of sentences; None for the only other one.

    Returns:
        Sentences and labels, without rows where one of them is missing.

    Raises:
        TableError: The file can't be read.
        ParameterError: A column does not exist, or it is not clear which has the sentences.
    """
    table = read_table(path)
    others = [str(name) for name in table.columns if str(name) != label]
    if label not in table.columns:
        raise ParameterError(f"label must be a column of the table, got {label!r}. The columns are {others}.")
    if column is None and len(others) != 1:
        raise ParameterError(f"column must name the column of sentences, one of {others}.")
    name = others[0] if column is None else column
    if name not in others:
        raise ParameterError(f"column must be another column of the table, got {name!r}. The others are {others}.")
    known = table[[name, label]].dropna()
    return [str(each) for each in known[name]], [level_name(each) for each in known[label]]


@torch_defaults()
def text_training(
    model: Any,
    tokenizer: Any,
    sentence: str,
    sentences: Sequence[str],
    labels: Sequence[str],
    *,
    n_epochs: int = 3,
    random_state: int = 0,
) -> TextTraining:
    """Train a model on labelled sentences, and follow its attention to the words of one sentence.

    Args:
        model: Any model that `text_attention` reads; its weights are changed.
        tokenizer: Its fast tokenizer.
        sentence: The text to follow.
        sentences: Texts to learn from; a fifth of them is held out.
        labels: Their labels.
        n_epochs: Passes over the sentences, at least 1.
        random_state: Seed of the head, the order, the dropout and the held-out sentences.

    Returns:
        Attention over the steps, and how well labels of held-out sentences are predicted.

    Raises:
        ParameterError: There are fewer than ten sentences or two labels, or a text can't be read, see `text_attention`.
    """
    if len(sentences) != len(labels) or len(sentences) < MIN_SENTENCES or len(set(labels)) < 2 or n_epochs < 1:
        raise ParameterError(
            f"Training must have at least {MIN_SENTENCES} sentences with 2 different labels, and 1 epoch, got "
            f"{len(sentences)} sentences, {len(set(labels))} label(s) and {n_epochs} epoch(s)."
        )
    followed = prepare(model, tokenizer, sentence)
    classes = sorted(set(labels))
    prepared = [prepare(model, tokenizer, each) for each in sentences]
    codes = torch.tensor([classes.index(each) for each in labels])
    order = np.random.default_rng(random_state).permutation(len(sentences))
    n_held_out = max(1, round(TEST_FRACTION * len(sentences)))
    held_out, train = order[:n_held_out].tolist(), order[n_held_out:].tolist()
    with reproducible(random_state):
        width = run_model(model, tokenizer, followed.inputs).state.shape[-1]
        module = _FineTuning(model, tokenizer, nn.Linear(width, len(classes)), followed, prepared, codes)
        batches = DataLoader(TensorDataset(torch.tensor(train)), BATCH_SIZE, shuffle=True)
        module.every = max(1, n_epochs * len(batches) // MAX_READINGS)
        module.follow()
        with interruptible(), quiet_lightning(), warnings_ignored():
            new_trainer(torch.device("cpu"), n_epochs).fit(module, batches)
        model.eval()
        with torch.no_grad():
            right = [int(module.logits(prepared[i], in_training=False).argmax()) == int(codes[i]) for i in held_out]
    most_frequent = int(torch.bincount(codes[train]).argmax())
    history = history_table({mode: np.stack(module.attention[mode]) for mode in MODES}, followed.names)
    steps = pd.MultiIndex.from_product([MODES, module.steps], names=["mode", "step"])
    return TextTraining(
        reading=text_attention(model, tokenizer, sentence),
        history=history.set_axis(steps),
        accuracy=float(np.mean(right)),
        constant_accuracy=float((codes[held_out] == most_frequent).float().mean()),
        n_train=len(train),
        n_held_out=n_held_out,
    )


class _FineTuning(lightning.LightningModule):
    """A model and a linear head, which remember attention to the words of one sentence.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        head: From the state that reads to the labels.
        followed: The sentence.
        sentences: Those to learn from.
        codes: Number of the label of each.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        head: nn.Linear,
        followed: PreparedSentence,
        sentences: Sequence[PreparedSentence],
        codes: Int[Tensor, " sentence"],
    ) -> None:
        super().__init__()
        self.model = model
        self.head = head
        self._tokenizer = tokenizer
        self._followed = followed
        self._sentences = sentences
        self._codes = codes
        self.every = 1
        self.steps: list[int] = []
        self.attention: dict[str, list[np.ndarray[Any, np.dtype[np.float64]]]] = {mode: [] for mode in MODES}

    def logits(self, sentence: PreparedSentence, *, in_training: bool = True) -> Float[Tensor, " label"]:
        """Return the log odds of the labels of a sentence.

        Args:
            sentence: The sentence.
            in_training: Whether to read it with dropout.
        """
        read = run_model(
            self.model, self._tokenizer, sentence.inputs, in_training=in_training, keep_graph=torch.is_grad_enabled()
        )
        found: Tensor = self.head(read.state.float())
        return found

    @override
    def training_step(self, batch: tuple[Int[Tensor, " batch"]]) -> Tensor:
        logits = torch.stack([self.logits(self._sentences[number]) for number in batch[0].tolist()])
        return cross_entropy(logits, self._codes[batch[0]])

    @override
    def on_train_batch_end(self, *_: Any) -> None:
        if self.global_step % self.every == 0:
            self.follow()

    def follow(self) -> None:
        """Read the sentence in both modes, and remember its attention."""
        self.steps.append(self.global_step if self.steps else 0)
        for mode in MODES:
            inputs = self._followed.inputs
            read = run_model(self.model, self._tokenizer, inputs, in_training=mode == "train")
            weights = torch.stack(read.attention).mean(dim=(0, 2))
            self.attention[mode].append(self._followed.of_words(weights)[0].double().numpy())

    @override
    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            [{"params": self.model.parameters(), "lr": RATE}, {"params": self.head.parameters(), "lr": HEAD_RATE}]
        )
