"""Directories of text models that are not what they should be: refused in one line, at once; nothing of them runs."""

import json
import pickle
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from tabattn.errors import ParameterError
from tabattn.text import load_text_model, text_attention
from tests.conftest import run
from tests.test_text import SENTENCE, WORDS, make_model, make_tokenizer

SETTINGS: list[Any] = [
    [], {}, "text", 5, None, {"model_type": 5}, {"model_type": "bert", "hidden_size": "wide"},
    {"model_type": "bert", "num_attention_heads": 0}, {"model_type": "bert", "hidden_size": -16},
    {"model_type": "bert", "num_hidden_layers": 10**6}, {"model_type": "bert", "num_hidden_layers": 1e300},
    {"model_type": "bert", "vocab_size": 10**12}, {"model_type": "bert", "intermediate_size": 2**40},
    {"model_type": "gpt2", "n_layer": 10**6}, {"model_type": "t5", "num_layers": 10**6},
    {"model_type": "bert", "architectures": ["pipeline"], "hidden_size": [1]},
    {"model_type": "bert", "architectures": {"a": 1}, "num_attention_heads": None},
    {"model_type": "bert", "hidden_act": "__import__('os')"}, {"model_type": "bert", "dtype": "evil"},
    {"model_type": "t5", "architectures": ["BertModel"]},
]  # fmt: skip


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    tokenizer = make_tokenizer("bert")
    tokenizer.save_pretrained(tmp_path / "model")
    make_model("bert", len(tokenizer)).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


class Touch:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("settings", SETTINGS)
def test_settings_that_fit_no_model_are_refused_at_once(
    directory: Path, settings: Any, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (directory / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    begun = time.perf_counter()
    done = run("text", SENTENCE, "--model", str(directory), "--out", str(tmp_path / "out"))
    assert (done.code, done.out) == (2, "")
    assert len(done.err.strip().splitlines()) == 1
    assert time.perf_counter() - begun < 20
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000])
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors", "tokenizer_config.json"])
def test_files_that_are_none_are_refused(directory: Path, name: str, content: bytes) -> None:
    (directory / name).write_bytes(content)
    with pytest.raises(ParameterError, match="The model must be one of transformers"):
        load_text_model(directory)


@pytest.mark.parametrize("place", ["outside", "inside", "linked"])
@pytest.mark.parametrize("suffix", ["bin", "safetensors"])
def test_weights_are_safetensors_inside_the_directory(directory: Path, tmp_path: Path, place: str, suffix: str) -> None:
    weights, ran = directory / "model.safetensors", tmp_path / "ran"
    if suffix == "bin":
        (tmp_path / "w.bin").write_bytes(pickle.dumps(Touch(ran)))
    else:
        shutil.copy(weights, tmp_path / "w.safetensors")
    weights.unlink()
    source, name = tmp_path / f"w.{suffix}", f"part.{suffix}"
    if place == "outside":
        name = f"../w.{suffix}"
    elif place == "inside":
        shutil.copy(source, directory / name)
    else:
        (directory / name).symlink_to(source)
    names = make_model("bert", 45).state_dict()
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, name)}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    if (place, suffix) == ("inside", "safetensors"):
        load_text_model(directory)
    else:
        with pytest.raises(ParameterError, match="must be safetensors files inside the directory"):
            load_text_model(directory)
    assert not ran.exists()
    (directory / "model.safetensors.index.json").unlink()
    (directory / "pytorch_model.bin").write_bytes(pickle.dumps(Touch(ran)))
    with pytest.raises(ParameterError, match=r"must have weights in model\.safetensors"):
        load_text_model(directory)
    assert not ran.exists()


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "other.json"])
def test_code_of_a_directory_is_never_run(
    directory: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """transformers would ask whether to run it, and take "y" for an answer."""
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    (directory / "evil.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'ran')!r})\n", encoding="utf-8")
    path = directory / name
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    classes = dict.fromkeys(("AutoConfig", "AutoModel", "AutoTokenizer"), "evil.Evil")
    path.write_text(json.dumps(known | {"nested": [{"auto_map": classes}], "auto_map": classes}), encoding="utf-8")
    with pytest.raises(ParameterError, match=f"needs code of its own .auto_map in {name}., which is never run"):
        load_text_model(directory)
    assert not (tmp_path / "ran").exists()


def test_links_to_devices_are_refused(directory: Path) -> None:
    (directory / "tokenizer.json").unlink()
    (directory / "tokenizer.json").symlink_to("/dev/zero")
    with pytest.raises(ParameterError, match=r"'tokenizer.json' is a device or a pipe"):
        load_text_model(directory)


def test_the_settings_of_transformers_are_as_they_were(directory: Path) -> None:
    logging = transformers.utils.logging
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_text_model(directory)
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_the_last_token_reads_where_a_class_token_in_front_sees_nothing() -> None:
    tokenizer = make_tokenizer("bert")
    model = make_model("gpt2", len(tokenizer)).eval()
    read = text_attention(model, tokenizer, SENTENCE, merge_words=False, keep_special=True)
    model.set_attn_implementation("eager")
    with torch.no_grad():
        expected = model(tokenizer(SENTENCE, return_tensors="pt")["input_ids"], output_attentions=True).attentions
    torch.testing.assert_close(torch.from_numpy(read.maps.weights[0, 0, 0]), expected[0][0, :, -1])
    assert set(text_attention(model, tokenizer, SENTENCE).maps.feature_names) == set(WORDS)


def test_attention_that_tells_no_words_apart_is_refused() -> None:
    tokenizer = make_tokenizer("bert")
    model = make_model("bert", len(tokenizer))
    for name, parameter in model.named_parameters():
        if ".query." in name:
            torch.nn.init.zeros_(parameter)
    with pytest.raises(ParameterError, match="tells no words apart"):
        text_attention(model, tokenizer, SENTENCE)


@pytest.mark.parametrize("kind", ["fnet", "longformer", "funnel", "mamba", "reformer"])
def test_models_without_a_matrix_of_tokens_are_refused(tmp_path: Path, kind: str) -> None:
    tokenizer = make_tokenizer("bert")
    tokenizer.save_pretrained(tmp_path)
    small: dict[str, dict[str, Any]] = {
        "fnet": {"hidden_size": 16, "num_hidden_layers": 2, "intermediate_size": 32},
        "longformer": {
            "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
            "attention_window": 4,
        },
        "funnel": {"block_sizes": [1, 1], "d_model": 16, "n_head": 2, "d_head": 8, "d_inner": 32},
        "mamba": {"hidden_size": 16, "num_hidden_layers": 2, "state_size": 4},
        "reformer": {
            "hidden_size": 16, "attn_layers": ["local"], "num_attention_heads": 2, "attention_head_size": 8,
            "feed_forward_size": 32, "axial_pos_embds": False, "is_decoder": False,
        },
    }  # fmt: skip
    config = transformers.AutoConfig.for_model(kind, vocab_size=len(tokenizer), **small[kind])
    config.architectures = ["FunnelModel"] if kind == "funnel" else None
    model = transformers.AutoModel.from_config(config)
    with pytest.raises(ParameterError, match="model must"):
        text_attention(model, tokenizer, SENTENCE)
    model.save_pretrained(tmp_path)
    with pytest.raises(ParameterError, match="model must attend from every token to every other"):
        load_text_model(tmp_path)


def test_several_sentences_are_read_one_after_another() -> None:
    tokenizer = make_tokenizer("bert")
    with pytest.raises(ParameterError, match="sentence must be one text, got list"):
        text_attention(make_model("bert", len(tokenizer)), tokenizer, [SENTENCE, SENTENCE])  # type: ignore[arg-type]


def test_pieces_in_bytes_are_shown_as_characters() -> None:
    sentence = "온도가 높다 été"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(["a"], trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet))
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    read = text_attention(make_model("gpt2", len(fast)), fast, sentence, merge_words=False)
    assert {name[0] for name in read.maps.feature_names} <= {*sentence, "␣"}
    words = text_attention(make_model("gpt2", len(fast)), fast, sentence)
    assert list(words.maps.feature_names) == sentence.split()
