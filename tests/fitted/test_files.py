import contextlib
import hashlib
import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import tabattn
from tabattn import TabAttnClassifier, TabAttnRegressor, load
from tabattn.errors import MixedResultsWarning, ModelFileError, OutputError
from tabattn.files import write_all
from tabattn.fitted.files import checksum
from tabattn.importance.methods import METHODS
from tests.conftest import FAST


@pytest.fixture(scope="module")
def everything(mixed: pd.DataFrame) -> pd.DataFrame:
    """Columns of every kind."""
    rng = np.random.default_rng(0)
    words = rng.choice(["belt", "oil", "leaks", "pump", "stops", "valve", "hot"], (len(mixed), 4))
    return mixed.assign(
        when=pd.Timestamp("2024-03-01") + pd.to_timedelta(rng.integers(0, 500, len(mixed)), unit="h"),
        spell=pd.to_timedelta(rng.integers(0, 500, len(mixed)), unit="s"),
        note=[" ".join(row) + f" {i}" for i, row in enumerate(words)],
        day=pd.date_range("2024-01-01", periods=len(mixed)),
        price=[f"1,{i:03}.5" for i in range(len(mixed))],
        여백=1,
    )


@pytest.fixture(scope="module")
def saved(everything: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> tuple[TabAttnClassifier, Path]:
    y = pd.cut(everything["y"], 3, labels=["낮음", "mid", "high"]).astype(str)
    est = TabAttnClassifier(
        **FAST, random_state=0, class_weight={"mid": 2.0, "낮음": 1.0, "high": 1.0}, kinds={"flag": "numeric"}
    )
    path = tmp_path_factory.mktemp("saved") / "model.tabattn"
    est.fit(everything.drop(columns="y").assign(flag=everything["flag"].astype(int)), y).save(path)
    return est, path


def changed_copy(path: Path, to: Path, change: Callable[[dict[str, Any], dict[str, torch.Tensor]], None]) -> Path:
    """Change what a file holds, and put its checksum right."""
    with safe_open(path, framework="pt") as file:
        header, arrays = json.loads(file.metadata()["tabattn"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(header, arrays)
    del header["sha256"]
    header["sha256"] = checksum(header, arrays)
    save_file(arrays, to, {"tabattn": json.dumps(header)})
    return to


def test_a_loaded_estimator_is_the_same_bit_by_bit(
    saved: tuple[TabAttnClassifier, Path], everything: pd.DataFrame
) -> None:
    est, path = saved
    X = everything.drop(columns="y").assign(flag=everything["flag"].astype(int))
    loaded = load(path)
    assert isinstance(loaded, TabAttnClassifier)
    assert loaded.get_params() == est.get_params()
    assert loaded.predict(X).tolist() == est.predict(X).tolist()
    assert loaded.predict_proba(X).tobytes() == est.predict_proba(X).tobytes()
    assert loaded.attention(X).weights.tobytes() == est.attention(X).weights.tobytes()
    for method in METHODS:
        pd.testing.assert_frame_equal(loaded.explain(X, method=method), est.explain(X, method=method), check_exact=True)
    pd.testing.assert_frame_equal(loaded.attention_history_, est.attention_history_, check_exact=True)
    np.testing.assert_array_equal(loaded.feature_importances_, est.feature_importances_)
    assert loaded.schema_ == est.schema_
    assert loaded.feature_names_in_.tolist() == est.feature_names_in_.tolist()
    assert (loaded.n_iter_, loaded.best_epoch_, loaded.best_loss_) == (est.n_iter_, est.best_epoch_, est.best_loss_)
    again = path.with_name("again.tabattn")
    loaded.save(again)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("labels", [[0, 3], [False, True], [1.0, 2.0], ["a", "b"]])
def test_targets_of_any_type_are_kept(mixed: pd.DataFrame, labels: list[object], tmp_path: Path) -> None:
    X, y = mixed[["heat"]].to_numpy(), np.array(labels)[(mixed["y"] > 0).astype(int)]
    est = TabAttnClassifier(**FAST, random_state=np.random.RandomState(0)).fit(X, y)
    est.save(tmp_path / "model.tabattn")
    loaded = load(tmp_path / "model.tabattn")
    assert loaded.predict(X).dtype == est.predict(X).dtype
    assert loaded.predict(X).tolist() == est.predict(X).tolist()
    assert not hasattr(loaded, "feature_names_in_")
    assert loaded.random_state is None
    numbers = TabAttnRegressor(**FAST, random_state=0).fit(X, mixed["y"])
    numbers.save(tmp_path / "model.tabattn")
    assert load(tmp_path / "model.tabattn").predict(X).tobytes() == numbers.predict(X).tobytes()


def test_arguments_of_any_type_are_kept(mixed: pd.DataFrame, tmp_path: Path) -> None:
    X, y = mixed[["heat"]], mixed["y"]
    parameters = FAST | {"n_layers": np.int64(1), "attention_dropout": np.float32(0.1), "random_state": 0}
    est = TabAttnRegressor(**parameters).fit(X, y)
    est.save(tmp_path / "model.tabattn")
    loaded = load(tmp_path / "model.tabattn")
    assert loaded.predict(X).tobytes() == est.predict(X).tobytes()
    est.set_params(attention_dropout=0.0, device="cuda").save(tmp_path / "model.tabattn")
    assert load(tmp_path / "model.tabattn").attention_dropout == 0.0


def test_a_loaded_estimator_does_not_hang_on_its_file(
    saved: tuple[TabAttnClassifier, Path], everything: pd.DataFrame, tmp_path: Path
) -> None:
    path = tmp_path / "model.tabattn"
    path.write_bytes(saved[1].read_bytes())
    loaded = load(path)
    importances = loaded.feature_importances_.tolist()
    with path.open("r+b") as file:
        file.write(b"\xff" * path.stat().st_size)
    assert loaded.feature_importances_.tolist() == importances


def test_a_loaded_estimator_can_be_fitted_on(mixed: pd.DataFrame, tmp_path: Path) -> None:
    X, y = mixed.drop(columns="y"), mixed["y"]
    est = TabAttnRegressor(**FAST, random_state=0, warm_start=True).fit(X, y)
    est.save(tmp_path / "model.tabattn")
    loaded = load(tmp_path / "model.tabattn").fit(X, y)
    assert loaded.predict(X).tobytes() == est.fit(X, y).predict(X).tobytes()


def test_damaged_and_foreign_files_are_refused(saved: tuple[TabAttnClassifier, Path], tmp_path: Path) -> None:
    whole = saved[1].read_bytes()
    rng = np.random.default_rng(0)
    flipped = [bytearray(whole) for _ in range(60)]
    for copy in flipped:
        place = int(rng.integers(len(whole)))
        copy[place] ^= 1 << int(rng.integers(8))
    foreign = [b"", b"no model", whole[:100], whole[: len(whole) // 2], whole + b"\0", b"PK\x03\x04" + whole]
    foreign.append(pickle.dumps({"weights": [1.0]}))
    path = tmp_path / "model.tabattn"
    for data in [*foreign, *map(bytes, flipped)]:
        path.write_bytes(data)
        with pytest.raises(ModelFileError, match=r"model\.tabattn"):
            load(path)
    with pytest.raises(ModelFileError, match="existing file"):
        load(tmp_path / "absent")
    with pytest.raises(ModelFileError, match="existing file"):
        load(tmp_path)


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
            return os.system, (f"touch {tmp_path / 'run'}",)

    path = tmp_path / "model.tabattn"
    for write in (lambda: path.write_bytes(pickle.dumps(Bomb())), lambda: torch.save({"x": Bomb()}, path)):
        write()
        with pytest.raises(ModelFileError):
            load(path)
    assert not (tmp_path / "run").exists()


def test_files_of_a_later_version_are_named(saved: tuple[TabAttnClassifier, Path], tmp_path: Path) -> None:
    def later(header: dict[str, Any], arrays: dict[str, torch.Tensor]) -> None:
        header.update(format=99, version="9.9")

    with pytest.raises(
        ModelFileError, match=rf"saved by tabattn 9\.9, .* newer than this one \({tabattn.__version__}\)"
    ):
        load(changed_copy(saved[1], tmp_path / "m", later))


NUMBERS: dict[str, Any] = {
    "kind": "numbers", "mean": [0.0], "scale": [1.0], "is_single": True, "loss": "squared", "quantile": 0.5
}  # fmt: skip
CHANGES: dict[str, Callable[[dict[str, Any], dict[str, torch.Tensor]], Any]] = {
    "another class": lambda s, _: s["about"].update(estimator="os.system"),
    "an unknown parameter": lambda s, _: s["about"]["parameters"].update(evil=1),
    "a parameter out of range": lambda s, _: s["about"]["parameters"].update(n_layers=-1),
    "a billion layers": lambda s, _: s["sizes"].update(n_layers=10**9),
    "a billion numbers in a block": lambda s, _: s["sizes"]["layout"].update(n_parts=[10**9]),
    "a billion levels": lambda s, _: s["sizes"]["layout"].update(n_levels=[10**9]),
    "weights that are no numbers": lambda _, a: a["model.encoder.cls"].fill_(float("nan")),
    "importances that are no numbers": lambda _, a: a["importances"].fill_(float("nan")),
    "rows that are no numbers": lambda _, a: a["background.numeric"].fill_(float("nan")),
    "a history without numbers": lambda _, a: a["history.eval"].fill_(float("nan")),
    "frequencies that are no numbers": lambda _, a: a[next(k for k in a if k.endswith("idf"))].fill_(float("nan")),
    "quantiles that are no numbers": lambda _, a: a["preprocessor.quantiles"].fill_(float("inf")),
    "a rate that is a word": lambda s, _: s["sizes"].update(ffn_dropout="x"),
    "a quantile that is a list": lambda s, _: s["sizes"].update(quantile=[]),
    "a format of another kind": lambda s, _: s["schema"][0].update(format={"pattern": "%Y", "day_first": False}),
    "an unknown separator": lambda s, _: s["schema"][0].update(format={"decimal": ";", "thousands": "", "offset": 0}),
    "an unknown unit": lambda s, _: s["schema"][0].update(format="years"),
    "a format that is a list": lambda s, _: s["schema"][0].update(format=[[[]]]),
    "kinds that are a number": lambda s, _: s["about"]["parameters"].update(kinds=10**30),
    "a seed that is a word": lambda s, _: s["about"]["parameters"].update(random_state="x"),
    "wide tokens": lambda s, _: s["sizes"].update(d_token=10**6),
    "a fraction of a layer": lambda s, _: s["sizes"].update(n_layers=0.5),
    "fewer columns": lambda s, _: s["schema"].pop(),
    "an unknown kind": lambda s, _: s["schema"][0].update(kind="image"),
    "objects as classes": lambda s, _: s["target"].update(dtype="O,O"),
    "no target": lambda s, _: s.pop("target"),
    "one class": lambda s, _: s["target"].update(classes=["a"]),
    "lost weights": lambda _, a: a.pop("model.encoder.cls"),
    "lost n-grams": lambda _, a: a.update(
        {next(k for k in a if k.endswith("n_grams")): torch.zeros(3, dtype=torch.uint8)}
    ),
    "lost quantiles": lambda _, a: a.pop("preprocessor.quantiles"),
    "coarse quantiles": lambda _, a: a.update({"preprocessor.quantiles": a["preprocessor.quantiles"].float()}),
    "other names": lambda s, _: s.update(feature_names=[*s["feature_names"][1:], "other"]),
    "a name twice": lambda s, _: (
        s["schema"][1].update(name=s["schema"][0]["name"]),
        s["feature_names"].__setitem__(1, s["feature_names"][0]),
    ),
    "one quantile": lambda _, a: a.update({"preprocessor.quantiles": a["preprocessor.quantiles"][:1].clone()}),
    "other importances": lambda _, a: a.update(importances=torch.ones(1)),
    "other rows": lambda _, a: a.update({"background.numeric": torch.ones(3, 1)}),
    "endless epochs": lambda s, _: s.update(best_epoch=float("inf")),
    "an order of other columns": lambda s, _: s["sizes"].update(encoder="gpt", order=[0, 0, 1]),
    "no heads": lambda s, _: s["sizes"].update(encoder="bert", n_heads=0),
    "no groups": lambda s, _: s["sizes"].update(encoder="bert", n_groups=0),
    "heads of no width": lambda s, _: s["sizes"].update(encoder="bert", n_heads=3),
    "a loss beyond all floats": lambda s, _: s.update(best_loss=10**400),
    "wide classes": lambda s, _: s["target"].update(dtype="<U100000000", classes=[1, 2, 3]),
    "a long history": lambda _, a: a.update({"history.train": torch.zeros(10**7, 0)}),
    "many rows": lambda _, a: a.update({k: a[k].repeat(999, 1) for k in a if k.startswith("background")}),
    "a scale of 0": lambda s, _: s.update(target=NUMBERS | {"scale": [0.0]}),
    "a scale below 0": lambda s, _: s.update(target=NUMBERS | {"scale": [-1.0]}),
    "a scale that is no number": lambda s, _: s.update(target=NUMBERS | {"scale": [float("nan")]}),
    "a text scale of 0": lambda _, a: a[next(k for k in a if k.endswith("scale"))].fill_(0),
    "a class twice": lambda s, _: s["target"].update(classes=s["target"]["classes"][:1] * len(s["target"]["classes"])),
    "classes in another order": lambda s, _: s["target"]["classes"].reverse(),
    "a level twice": lambda s, _: [
        each.update(categories=each["categories"][:1] * len(each["categories"])) for each in s["schema"]
    ],
    "quantiles in another order": lambda _, a: a.update(
        {"preprocessor.quantiles": a["preprocessor.quantiles"].flip(0)}
    ),
    "quantiles that are words": lambda _, a: a.update({"preprocessor.quantiles": a["preprocessor.quantiles"] > 0}),
    "complex quantiles": lambda _, a: a.update(
        {"preprocessor.quantiles": a["preprocessor.quantiles"].to(torch.complex64)}
    ),
    "weights in double precision": lambda _, a: a.update({"model.encoder.cls": a["model.encoder.cls"].double()}),
    "huge weights": lambda _, a: [each.fill_(3e38) for name, each in a.items() if name.startswith("model.")],
    "importances below 0": lambda _, a: a["importances"].sub_(1),
    "no epochs": lambda _, a: a.update({k: a[k][:0] for k in a if k.startswith("history")}),
    "a best epoch that was not trained": lambda s, _: s.update(best_epoch=0),
    "a name twice in the schema": lambda s, _: (
        s["schema"][1].update(name=s["schema"][0]["name"]),
        s.update(feature_names=None),
    ),
    "levels that are none": lambda _, a: a["background.codes"].fill_(10**9),
}


@pytest.mark.parametrize("number", [0, -1, True, 1.5, "2", None, [2], 10**30])
def test_formats_that_never_were_are_refused(
    saved: tuple[TabAttnClassifier, Path], tmp_path: Path, number: Any
) -> None:
    with pytest.raises(ModelFileError):
        load(changed_copy(saved[1], tmp_path / "m", lambda header, _: header.update(format=number)))


def test_bombs_are_refused_at_once(saved: tuple[TabAttnClassifier, Path], tmp_path: Path) -> None:
    def empty(_: dict[str, Any], arrays: dict[str, torch.Tensor]) -> None:
        arrays.update({f"x{number}": torch.zeros(0) for number in range(100_000)})

    def layers(header: dict[str, Any], arrays: dict[str, torch.Tensor]) -> None:
        header["settings"]["sizes"]["n_layers"] = 3_000
        arrays.update({f"model.x{number}": torch.zeros(1) for number in range(3_000)})

    def nested(header: dict[str, Any], _: dict[str, torch.Tensor]) -> None:
        header["settings"]["about"]["parameters"]["kinds"] = json.loads("[" * 900 + "]" * 900)

    for change in (empty, layers, nested):
        path = changed_copy(saved[1], tmp_path / "m", change)
        begun = time.perf_counter()
        with pytest.raises(ModelFileError):
            load(path)
        assert time.perf_counter() - begun < 5, change.__name__


@pytest.mark.parametrize("how", ["double", "half", "meta", "autocast", "inference"])
def test_what_a_program_has_set_for_torch_changes_nothing(how: str, tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(80, 3))

    def fit() -> TabAttnRegressor:
        return TabAttnRegressor(**FAST, random_state=0).fit(X, X[:, 0])

    est, dtype = fit(), torch.get_default_dtype()
    est.save(tmp_path / "m")
    expected, table = est.predict(X), est.importance_table(X, X[:, 0])
    kinds: dict[str, Any] = {
        "meta": torch.device("meta"),
        "autocast": torch.autocast("cpu"),
        "inference": torch.inference_mode(),
    }
    try:
        torch.set_default_dtype({"double": torch.float64, "half": torch.bfloat16}.get(how, dtype))
        with kinds.get(how, contextlib.nullcontext()):
            for each in (load(tmp_path / "m"), fit(), est):
                assert each.predict(X).tolist() == expected.tolist()
                pd.testing.assert_frame_equal(each.importance_table(X, X[:, 0]), table, check_exact=True)
    finally:
        torch.set_default_dtype(dtype)


def test_a_later_format_is_named_whatever_else_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "m"
    save_file({"x": torch.ones(1)}, path, {"tabattn": json.dumps({"format": 99, "version": "9.9"})})
    with pytest.raises(ModelFileError, match="which is newer than this one"):
        load(path)


def test_little_is_read_of_large_files_that_are_none_of_ours(tmp_path: Path) -> None:
    head = json.dumps({"x": {"dtype": "F32", "shape": [2**38], "data_offsets": [0, 2**40]}}).encode()
    starts = {
        "nothing": b"",
        "a long head": (2**40).to_bytes(8, "little"),
        "no metadata": len(head).to_bytes(8, "little") + head,
    }
    for start in starts.values():
        path = tmp_path / "m"
        with path.open("wb") as file:
            file.write(start)
            file.truncate(2**40)  # a terabyte that takes no place
        with pytest.raises(ModelFileError, match="which is not one, or is incomplete"):
            load(path)
    ours = {"tabattn": json.dumps({"format": 2, "version": "0", "sha256": "", "settings": {}})}
    head = json.dumps(
        {"__metadata__": ours, "x": {"dtype": "U8", "shape": [2**40], "data_offsets": [0, 2**40]}}
    ).encode()
    with path.open("wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        file.truncate(2**40 + 8 + len(head))
    with pytest.raises(ModelFileError, match=r"which is not one, or is incomplete|was changed"):
        load(path)
    with pytest.raises(ModelFileError, match=r"which is not one, or is incomplete|existing file"):
        load("n" * 300)


def test_texts_with_any_letters_are_kept(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = ["a\0b", "c\nd", "\ud800e", "온도 높음", "x"]
    remarks = [" ".join(rng.choice(words, 4)) + f" {i}" for i in range(60)]
    X = pd.DataFrame({"remark": pd.Series(remarks, dtype=object)})
    est = TabAttnRegressor(**FAST, kinds={"remark": "text"}, random_state=0).fit(X, rng.normal(size=60))
    est.save(tmp_path / "model.tabattn")
    assert load(tmp_path / "model.tabattn").predict(X).tobytes() == est.predict(X).tobytes()


@pytest.mark.slow
def test_another_process_predicts_the_same_bytes(
    saved: tuple[TabAttnClassifier, Path], everything: pd.DataFrame, tmp_path: Path
) -> None:
    est, path = saved
    X = everything.drop(columns="y").assign(flag=everything["flag"].astype(int))
    X.to_pickle(tmp_path / "X.pickle")
    code = (
        "import sys, hashlib, pandas as pd, tabattn; est = tabattn.load(sys.argv[1]); X = pd.read_pickle(sys.argv[2]); "
        "print(hashlib.sha256(est.predict_proba(X).tobytes() + est.attention(X).weights.tobytes()).hexdigest())"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(path), str(tmp_path / "X.pickle")], capture_output=True, text=True, check=True
    )
    expected = est.predict_proba(X).tobytes() + est.attention(X).weights.tobytes()
    assert ran.stdout.strip() == hashlib.sha256(expected).hexdigest()


@pytest.mark.parametrize("what", CHANGES)
def test_files_made_by_hand_are_refused(saved: tuple[TabAttnClassifier, Path], tmp_path: Path, what: str) -> None:
    def change(header: dict[str, Any], arrays: dict[str, torch.Tensor]) -> None:
        CHANGES[what](header["settings"], arrays)

    path = changed_copy(saved[1], tmp_path / "model.tabattn", change)
    with pytest.raises(ModelFileError, match=r"model\.tabattn"):
        load(path)


def test_the_global_random_state_is_left_alone(saved: tuple[TabAttnClassifier, Path]) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    load(saved[1])
    assert torch.rand(2).tolist() == expected.tolist()


def test_a_place_that_can_not_be_written_is_refused(saved: tuple[TabAttnClassifier, Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="can't be written"):
        saved[0].save(tmp_path / "file" / "model.tabattn")
    with pytest.raises(OutputError, match="got the directory"):
        saved[0].save(Path())


def test_a_model_beside_the_manifest_of_another_run_is_told(
    saved: tuple[TabAttnClassifier, Path], tmp_path: Path
) -> None:
    est, _ = saved
    write_all(tmp_path, {"model.tabattn": est.save})
    load(tmp_path / "model.tabattn")
    est.save(tmp_path / "mine.tabattn")
    load(tmp_path / "mine.tabattn")
    (tmp_path / "manifest.json").write_text('{"files": {"model.tabattn": "of another"}}', encoding="utf-8")
    with pytest.warns(MixedResultsWarning, match=r"is not the model that the run of manifest.json beside it wrote"):
        load(tmp_path / "model.tabattn")
    load(tmp_path / "mine.tabattn")
