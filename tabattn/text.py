"""The same for text: attention of Hugging Face's encoders, decoders and encoder-decoders, with words as columns.

Needs `pip install 'tabattn[text]'`. `tabattn.text_models` loads a model, of which no code is run.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from typing_extensions import override

from tabattn.choices import Language, TextMethod
from tabattn.errors import ParameterError, in_one_line
from tabattn.importance.aggregation import normalize_scores, rollout_matrix
from tabattn.importance.maps import AttentionMaps
from tabattn.importance.table import ImportanceTable, importance_table
from tabattn.importance.units import Units
from tabattn.nn.torch_state import torch_defaults
from tabattn.output.results import ResultFiles, result_writers
from tabattn.text_models import load_text_model, refuse_other_attention
from tabattn.translations import translate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["TextReading", "load_text_model", "text_attention"]

WORD_PREFIXES = ("▁", "Ġ")
LEAST_DIFFERENCE = 1e-6
REFUSED: Mapping[str, str] = {
    "norm": "it needs the value projections, which models of this library do not return",
    "contribution": "it needs a target and other sentences to compare with",
    "swap": "it needs a target and other sentences to compare with",
    "conditional": "it needs a target and other sentences to compare with",
    "shapley": "it needs a target and other sentences to compare with",
}


@dataclass(frozen=True, eq=False)
class TextReading(ResultFiles):
    """Attention of a model to the words of a sentence.

    Args:
        maps: Attention of the state that reads to the words, and of words to words; one row, one member.
        table: The ImportanceTable of the words.
    """

    maps: AttentionMaps
    table: ImportanceTable

    @override
    def writers(self, *, excel_safe: bool = False, language: Language = "en") -> dict[str, Callable[[Path], None]]:
        from tabattn.output.fonts import warn_of_missing_glyphs
        from tabattn.output.plots import plot_attention, plot_importance

        warn_of_missing_glyphs(self.maps.feature_names)
        by_head, between = self.maps.mean_by_head(), self.maps.between_columns()
        tables = {"importance": self.table, "attention": by_head.reset_index(), "words": between.reset_index()}
        plots: Mapping[str, Callable[[], Axes]] = {
            "importance": lambda: _titled(
                plot_importance(self.table, language=language), translate(language, "Which words the model looks at")
            ),
            "attention": lambda: _titled(
                plot_attention(by_head, language=language),
                translate(language, "Attention of the state that reads to each word"),
            ),
            "words": lambda: _titled(
                plot_attention(between, language=language),
                translate(language, "Attention of words (left) to words (below)"),
            ),
        }
        return result_writers(tables, plots, excel_safe=excel_safe)


@torch_defaults()
def text_attention(
    model: Any,
    tokenizer: Any,
    sentence: str,
    *,
    method: TextMethod = "mean",
    keep_special: bool = False,
    merge_words: bool = True,
) -> TextReading:
    """Read the attention that a model pays to the words of a sentence.

    The state that reads is the one that stands for the sentence: that of the class token, where the tokenizer adds one
    (BERT, RoBERTa, XLNet); that of the last token, which alone has seen all others, where tokens attend to those before
    them only (GPT-2), with a class token in front or without; the first of the decoder, through its attention to the
    encoder, in an encoder-decoder (T5).

    Args:
        model: Any model of transformers that returns attention.
        tokenizer: Its fast tokenizer.
        sentence: The text.
        method: "mean": attention, averaged over layers and heads; "rollout": what is left of each word in the state
            that reads; "gradient": attention times the gradient of what the model predicts (the log probability of
            its most probable output, or its only output), over all states; not for models without outputs.
        keep_special: Whether to keep tokens that the tokenizer added.
        merge_words: Whether to add up the pieces of a word: attention to a word is that to all of its pieces, attention
            of a word the mean over them.

    Returns:
        Maps and table. Attention to tokens that are left out is not given to others.

    Raises:
        ParameterError: The method is unknown or not one for text, the tokenizer is slow, the sentence has no words, or
            the model returns no attention of tokens to tokens, or none that tells words apart.

    Source: as in `tabattn.importance`; merging of word pieces: Clark et al. 2019 (arXiv 1906.04341), section 4.1.
    """
    if method not in get_args(TextMethod):
        reason = f": {REFUSED[method]}" if method in REFUSED else ""
        raise ParameterError(f"method must be 'mean', 'rollout' or 'gradient' for text, got {method!r}{reason}.")
    prepared = prepare(model, tokenizer, sentence, keep_special=keep_special, merge_words=merge_words)
    names, groups = prepared.names, prepared.groups
    read = run_model(model, tokenizer, prepared.inputs, with_gradient=method == "gradient")
    weights = _to_groups(torch.stack(read.attention, dim=1), groups)
    _refuse_blind(torch.stack(read.attention))
    between = _from_groups(_to_groups(torch.stack(read.between, dim=1), groups), groups)
    maps = AttentionMaps(weights[:, None].numpy(), names, between[:, None].numpy())
    raw = {
        "mean": lambda: torch.stack(read.attention).mean(dim=(0, 2)),
        "rollout": lambda: _rollout(read),
        "gradient": lambda: _attributed(read),
    }[method]()
    scores = normalize_scores(_to_groups(raw, groups).double().numpy())
    places = tuple(range(len(names)))
    units = Units(names, ("word" if merge_words else "token",) * len(names), places, places, places)
    return TextReading(maps, importance_table(units, scores))


@dataclass(frozen=True)
class PreparedSentence:
    """A sentence as a model takes it.

    Args:
        inputs: What the model takes.
        names: Names of words or tokens.
        groups: For each, the positions of its tokens.
    """

    inputs: dict[str, Tensor]
    names: tuple[str, ...]
    groups: list[list[int]]

    def of_words(self, weights: Float[Tensor, "*axes token"]) -> Float[Tensor, "*axes word"]:
        """Add up attention to the tokens of each word.

        Args:
            weights: Attention to tokens, on the last axis.
        """
        return _to_groups(weights, self.groups)


def prepare(
    model: Any, tokenizer: Any, sentence: str, *, keep_special: bool = False, merge_words: bool = True
) -> PreparedSentence:
    """Cut a sentence into tokens and words.

    Args:
        model: The model that is to read it.
        tokenizer: Its tokenizer.
        sentence: The text.
        keep_special: See `text_attention`.
        merge_words: See `text_attention`.

    Raises:
        ParameterError: It is no text, too long or without words, or the model or tokenizer is of another kind.
    """
    if not isinstance(sentence, str):
        raise ParameterError(f"sentence must be one text, got {type(sentence).__name__}. Read one after another.")
    if not getattr(tokenizer, "is_fast", False):
        raise ParameterError(
            f"tokenizer must be a fast one, got {type(tokenizer).__name__}. Load it with AutoTokenizer.from_pretrained."
        )
    refuse_other_attention(model.config)
    wanted = {"return_special_tokens_mask": True, "return_offsets_mapping": True, "verbose": False}
    encoded = tokenizer(sentence, return_tensors="pt", **wanted)
    is_special = encoded.pop("special_tokens_mask")[0].bool().numpy()
    offsets = encoded.pop("offset_mapping")[0].numpy()
    n_tokens, n_places = len(is_special), _n_places(model)
    if n_places is not None and n_places < n_tokens:
        raise ParameterError(
            f"sentence must have at most {n_places} tokens for this model, got {n_tokens}. Shorten it."
        )
    tokens = _tokens(
        tokenizer, encoded, offsets, sentence, is_special, keep_special=keep_special, merge_words=merge_words
    )
    if not tokens:
        raise ParameterError(f"sentence must have at least one word, got {sentence!r}.")
    return PreparedSentence(
        dict(encoded), _unique([name for name, _ in tokens]), [positions for _, positions in tokens]
    )


@dataclass(frozen=True)
class ModelReading:
    """Attention, and the state that reads, of one sentence.

    Args:
        attention: What the state that reads pays to each token, layer by layer.
        between: What each token pays to each, layer by layer.
        cross: What the first state of the decoder pays to each token, layer by layer; empty without a decoder.
        place: Position of the state that reads, in an encoder or decoder alone.
        gradients: Of what the model predicts, with respect to `between` and `cross`.
        state: The state that reads, after the last layer.
    """

    attention: tuple[Float[Tensor, "1 head token"], ...]
    between: tuple[Float[Tensor, "1 head query token"], ...]
    cross: tuple[Float[Tensor, "1 head 1 token"], ...]
    place: int
    gradients: tuple[Tensor | None, ...]
    state: Float[Tensor, " d"]


def run_model(
    model: Any,
    tokenizer: Any,
    inputs: Mapping[str, Tensor],
    *,
    with_gradient: bool = False,
    in_training: bool = False,
    keep_graph: bool = False,
) -> ModelReading:
    """Run the model on one sentence with attention that returns its weights, and restore it.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        inputs: What `prepare` returned.
        with_gradient: Whether to differentiate what it predicts.
        in_training: Whether to run it in train mode, with dropout.
        keep_graph: Whether the state can be differentiated.

    Raises:
        ParameterError: It does not return attention of tokens to tokens.
    """
    ids = inputs["input_ids"][0]
    is_encoder_decoder = bool(model.config.is_encoder_decoder)
    if is_encoder_decoder:
        start = getattr(model.config, "decoder_start_token_id", None)
        first = model.config.pad_token_id if start is None else start
        inputs = dict(inputs) | {"decoder_input_ids": torch.tensor([[first]])}
    classes = [] if tokenizer.cls_token_id is None else (ids == tokenizer.cls_token_id).nonzero().flatten().tolist()
    # transformers has a public setter, but no public getter
    implementation, was_training = model.config._attn_implementation, model.training
    try:
        model.set_attn_implementation("eager")
        model.train(in_training)
        with torch.set_grad_enabled(with_gradient or keep_graph):
            output = _output(model, inputs)
            own = _matrices(output, "encoder_attentions" if is_encoder_decoder else "attentions", len(ids), len(ids))
            cross = _matrices(output, "cross_attentions", 1, len(ids)) if is_encoder_decoder else ()
            sees_all = all(each.detach().triu(1).any() for each in own) or len(ids) == 1
            place = classes[0] if classes and sees_all else len(ids) - 1
            hidden = (
                output.decoder_hidden_states[-1][0, 0] if is_encoder_decoder else output.hidden_states[-1][0, place]
            )
            gradients: tuple[Tensor | None, ...] = ()
            if with_gradient:
                objective = _objective(output, 0 if is_encoder_decoder else place)
                gradients = torch.autograd.grad(objective, (*own, *cross), allow_unused=True)
    finally:
        model.set_attn_implementation(implementation)
        model.train(was_training)
    between, cross = (tuple(each.detach().float() for each in many) for many in (own, cross))
    attention = tuple(each[:, :, 0] for each in cross) if cross else tuple(each[:, :, place] for each in between)
    return ModelReading(attention, between, cross, place, gradients, hidden if keep_graph else hidden.detach())


def _output(model: Any, inputs: Mapping[str, Tensor]) -> Any:
    """Run the model, whose forward pass is code that we do not know."""
    try:
        return model(**inputs, output_attentions=True, output_hidden_states=True)
    except (TypeError, ValueError, RuntimeError, LookupError, AttributeError) as error:
        raise ParameterError(
            f"model must be one of transformers that returns attention for one sentence, got {type(model).__name__}: "
            f"{in_one_line(error)[:200]}."
        ) from error


def _matrices(output: Any, name: str, n_rows: int, n_columns: int) -> tuple[Tensor, ...]:
    """Return attention layer by layer, of tokens to tokens."""
    layers = getattr(output, name, None) or ()
    shapes = [getattr(each, "shape", None) for each in layers]
    if not layers or any(
        shape is None or (len(shape), *shape[:1], *shape[2:]) != (4, 1, n_rows, n_columns) for shape in shapes
    ):
        raise ParameterError(
            "model must return attention of every token to every other, which this one does not (windows, state spaces "
            "and other mixers do not). Choose one such as BERT, RoBERTa, GPT-2, T5 or XLNet."
        )
    return tuple(layers)


def _refuse_blind(weights: Float[Tensor, "layer 1 head token"]) -> None:
    """Refuse attention that is the same for all tokens, or none: it ranks nothing."""
    if weights.shape[-1] > 1 and (weights.amax(dim=-1) - weights.amin(dim=-1)).max() < LEAST_DIFFERENCE:
        raise ParameterError(
            "The attention of this model to all tokens of the sentence is the same, or 0, so that it tells no words "
            "apart. Is it trained, and are its weights complete?"
        )


def _objective(output: Any, place: int) -> Float[Tensor, ""]:
    """Return the log probability of the most probable output of a state, or its only output."""
    logits = getattr(output, "logits", None)
    if logits is None:
        raise ParameterError(
            "method must be 'mean' or 'rollout' for a model without outputs, got 'gradient': there is nothing to "
            "differentiate. Load the model with its head."
        )
    outputs: Tensor = logits[0, place] if logits.ndim == 3 else logits[0]
    return outputs.squeeze() if outputs.numel() == 1 else outputs.log_softmax(dim=-1).amax()


def _rollout(read: ModelReading) -> Float[Tensor, "1 token"]:
    left = rollout_matrix(tuple(each[None] for each in read.between))[0]
    if not read.cross:
        return left[:, read.place]
    layer_weights = [0.5 ** (len(read.cross) - layer) for layer in range(len(read.cross))]
    by_layer = [factor * each[:, :, 0].mean(dim=1) for factor, each in zip(layer_weights, read.cross, strict=True)]
    return (torch.stack(by_layer).sum(dim=0)[:, None] @ left)[:, 0]


def _attributed(read: ModelReading) -> Float[Tensor, "1 token"]:
    total = torch.zeros(1, read.between[0].shape[-1])
    for weights, gradient in zip((*read.between, *read.cross), read.gradients, strict=True):
        if gradient is not None:
            total = total + (weights * gradient).abs().sum(dim=(1, 2))
    return total


def _tokens(
    tokenizer: Any,
    encoded: Any,
    offsets: np.ndarray[Any, np.dtype[np.int64]],
    sentence: str,
    is_special: np.ndarray[Any, np.dtype[np.bool_]],
    *,
    keep_special: bool,
    merge_words: bool,
) -> list[tuple[str, list[int]]]:
    """Return names of words or tokens, each with the positions of its tokens."""
    pieces = tokenizer.convert_ids_to_tokens(encoded["input_ids"][0].tolist())
    words, spans = encoded.word_ids(0), offsets.tolist()
    found: list[tuple[str, list[int]]] = []
    first, last = 0, -1  # where the word begins, and the last token that was part of the text
    for position, piece in enumerate(pieces):
        if is_special[position] or words[position] is None:
            if keep_special:
                found.append((piece, [position]))
            continue
        start, stop = spans[position]
        is_blank = last >= 0 and not sentence[first : spans[last][1]].strip()
        is_new = not is_blank and (
            last < 0
            or words[position] != words[last]
            or piece.startswith(WORD_PREFIXES)
            or sentence[spans[last][1] : start + 1][:1].isspace()
        )
        last = position
        if not merge_words:
            found.append((_shown(piece, sentence[start:stop]), [position]))
        elif is_new:
            first = start
            found.append((sentence[start:stop].strip() or piece, [position]))
        else:
            _, positions = found.pop()
            found.append((sentence[first:stop].strip() or piece, [*positions, position]))
    return found


def _shown(piece: str, text: str) -> str:
    """Return a piece as it stands in the text, where it is spelled in bytes or marks the space before it."""
    known = piece.removeprefix("##").lstrip("".join(WORD_PREFIXES))
    is_spelled = bool(known) and known.lower() in text.lower()
    return piece if is_spelled and piece.startswith("##") else text.strip() or ("␣" if text else piece)


def _unique(names: list[str]) -> tuple[str, ...]:
    """Make names unique: number the repetitions of a word."""
    seen: dict[str, int] = {}
    numbered = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        numbered.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(numbered)


def _to_groups(values: Tensor, groups: list[list[int]]) -> Tensor:
    """Sum attention to the tokens of each group, on the last axis."""
    return torch.stack([values[..., positions].sum(dim=-1) for positions in groups], dim=-1)


def _from_groups(values: Tensor, groups: list[list[int]]) -> Tensor:
    """Average attention of the tokens of each group, on the last axis but one."""
    return torch.stack([values[..., positions, :].mean(dim=-2) for positions in groups], dim=-2)


def _titled(ax: "Axes", title: str) -> "Axes":
    ax.set_title(title)
    return ax


def _n_places(model: Any) -> int | None:
    """Return how many tokens a model has places for; None if there is no such limit.

    RoBERTa and similar models count places from the one after padding's.
    """
    n_places = getattr(model.config, "max_position_embeddings", None)
    if n_places is None or n_places <= 0:
        return None
    paddings = [
        module.padding_idx
        for name, module in model.named_modules()
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None
    ]
    return int(n_places) - (paddings[0] + 1 if paddings else 0)
