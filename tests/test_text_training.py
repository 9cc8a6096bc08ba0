"""Attention to words while a model learns from labelled sentences: both views of the document, for text."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tabattn.errors import ParameterError
from tabattn.text import text_attention
from tabattn.text_training import read_labelled, text_training
from tests.conftest import files, run
from tests.test_text import ENDS, SENTENCE, WORDS, make_model, make_tokenizer

SENTENCES = [f"the {word} dog jumps" for word in ("quick", "lazy") for _ in range(12)]
LABELS = ["fast" if "quick" in each else "slow" for each in SENTENCES]


@pytest.mark.parametrize("kind", ENDS)
def test_each_shape_is_followed_over_the_steps(kind: str) -> None:
    def trained() -> Any:
        tokenizer = make_tokenizer(kind)
        model = make_model(kind, len(tokenizer))
        random_state = torch.random.get_rng_state()
        found = text_training(model, tokenizer, SENTENCE, SENTENCES, LABELS, n_epochs=2)
        assert torch.equal(torch.random.get_rng_state(), random_state)
        return found

    found = trained()
    assert list(found.history.columns) == WORDS
    steps = found.history.loc["eval"].index.tolist()
    assert steps == sorted(set(steps))
    assert (steps[0], len(steps)) == (0, 1 + 2 * 3)
    assert not np.allclose(found.history.loc[("eval", 0)], found.history.loc[("eval", steps[-1])], atol=1e-6)
    assert not np.allclose(found.history.loc[("train", 0)], found.history.loc[("eval", 0)], atol=1e-4), "dropout is on"
    assert (found.n_train, found.n_held_out) == (19, 5)
    pd.testing.assert_frame_equal(trained().history, found.history)


def test_step_0_is_the_model_as_it_was() -> None:
    tokenizer = make_tokenizer("bert")
    before = text_attention(make_model("bert", len(tokenizer)), tokenizer, SENTENCE).maps.weights.mean(
        axis=(0, 1, 2, 3)
    )
    found = text_training(make_model("bert", len(tokenizer)), tokenizer, SENTENCE, SENTENCES, LABELS, n_epochs=1)
    np.testing.assert_allclose(found.history.loc["eval"].to_numpy()[0], before, rtol=1e-5)


def test_the_command_trains_and_reads(tmp_path: Path) -> None:
    tokenizer = make_tokenizer("bert")
    tokenizer.save_pretrained(tmp_path / "model")
    make_model("bert", len(tokenizer)).save_pretrained(tmp_path / "model")
    pd.DataFrame({"text": SENTENCES, "speed": LABELS}).to_csv(tmp_path / "t.csv", index=False)
    command = ["text", SENTENCE, "--model", str(tmp_path / "model"), "--out", str(tmp_path / "out")]
    done = run(*command, "--train", str(tmp_path / "t.csv"), "--label", "speed", "--epochs", "1")
    assert done.code == 0, done.err
    assert "19 sentences learned, 5 held out" in done.out
    assert {"training_attention.csv", "plots/training.svg", "importance.csv"} < files(tmp_path / "out")
    history = pd.read_csv(tmp_path / "out" / "training_attention.csv")
    assert list(history.columns) == ["mode", "step", *WORDS]
    for options, message in (
        (["--train", str(tmp_path / "t.csv")], "--train and --label must both be given"),
        (["--train", str(tmp_path / "t.csv"), "--label", "sped"], "label must be a column of the table, got 'sped'"),
        (["--train", str(tmp_path / "t.csv"), "--label", "speed", "--pieces"], "--train must stand without"),
    ):
        done = run(*command, *options)
        assert done.code == 2
        assert message in done.err


def test_what_can_not_be_learned_from_is_refused(tmp_path: Path) -> None:
    tokenizer = make_tokenizer("bert")
    model = make_model("bert", len(tokenizer))
    for sentences, labels in (
        (SENTENCES[:5], LABELS[:5]),
        (SENTENCES, ["a"] * len(SENTENCES)),
        (SENTENCES, LABELS[:3]),
    ):
        with pytest.raises(ParameterError, match="Training must have at least 10 sentences with 2 different labels"):
            text_training(model, tokenizer, SENTENCE, sentences, labels)
    pd.DataFrame({"a": SENTENCES, "b": SENTENCES, "y": LABELS}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(ParameterError, match="column must name the column of sentences"):
        read_labelled(tmp_path / "t.csv", "y")
    assert read_labelled(tmp_path / "t.csv", "y", "b") == (SENTENCES, LABELS)
    with pytest.raises(ParameterError, match="column must be another column"):
        read_labelled(tmp_path / "t.csv", "y", "y")
