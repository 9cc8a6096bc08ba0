"""Does anything in a file, a name or a place run, hang, or leave half of something behind?

    python -m experiments.attacks                   # 2,000 cases, about an hour on one core
    python -m experiments.attacks --n 100 --families models text

| family | what is attacked |
| --- | --- |
| tables | `tabattn rank` with damaged files of every format, bombs, other files with a table's name, devices, pipes |
| models | `tabattn explain` with damaged models, models that were signed again with nonsense, and bombs |
| text | `tabattn text` with directories whose settings, tokenizers, weights and code are not what they should be |
| names | `tabattn rank` of tables whose names and levels steer terminals, spreadsheets, markup and pictures |
| places | `tabattn rank` into files, links, devices, folders of others, full disks |
| kills | SIGKILL, SIGTERM, SIGINT at a random moment of `tabattn rank` into a folder with results of a run before |

Each case runs in a child of its own, which may take memory and time within bounds only, and is told "y" if it asks. It
is in order if it was done (exit code 0) or refused (2, with one line; 130 or 143 after a signal). Else it ends as the
first of these that holds: "code run" (something of the input ran, was unpickled or connected to), "traceback", "hang"
(more than 5 s of CPU time or, if it never ended, 60 s), "memory" (more than 10 times the input above the parent's,
and 200 MB), "mixed set" (files of two runs, or half of one), "left over" (staging folders), "control character" (on
the terminal), "broken output" (CSV that is not rectangular, SVG that is not well-formed, predictions that are no
numbers), "secret" (a file outside was read). None of them may happen; inputs with which one did are kept. Counted
in results/attacks.csv.
"""

import argparse
import contextlib
import csv
import gc
import io
import os
import shutil
import signal
import sys
import tempfile
import traceback
import unicodedata
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch

from experiments.attack_inputs import ATTACKS, QUICK, SECRET, Case, Material
from experiments.bounded import Ended, run_bounded
from experiments.fuzz import PATCHED, rank_small, sources
from experiments.result_file import ResultFile, add_result_arguments, with_sizes
from tabattn.cli import app
from tabattn.files import MANIFEST, STAGING, unfinished, write_all
from tabattn.signals import run_orderly

COMMAND = "python -m experiments.attacks"
N_CASES = 2_000
SHARES = {"tables": 0.3, "models": 0.3, "text": 0.1, "names": 0.1, "places": 0.1, "kills": 0.1}
MAX_CPU_SECONDS, MAX_SECONDS, GROWTH_FLOOR, TIMES_THE_FILE = 5, 60, 200_000_000, 10


# How a case ended.


def outcome_of(case: Case, ended: Ended, folder: Path) -> str:
    """Return "done" or "refused", "ended" by the signal, or what is not in order."""
    size = sum(_size(path) for path in case.inputs)
    is_killed = case.kill is not None and ended.code != 0
    expected = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[case.kill[1]] if case.kill else 0
    lines = [line for line in ended.err.splitlines() if not line.startswith(("tabattn: warning:", "tabattn: note:"))]
    defects = {
        "code run": bool(ended.ran) or (folder / "canary").exists() or (folder.parent / "canary.csv").exists(),
        "hang": ended.was_stopped or ended.cpu_seconds > MAX_CPU_SECONDS,
        "traceback": _is_traceback(ended, lines, expected if is_killed else None),
        "memory": ended.grown_bytes > max(GROWTH_FLOOR, TIMES_THE_FILE * size),
        "mixed set": case.out is not None and _is_mixed(case, ended),
        "left over": _has_left_overs(case, folder),
        "control character": _steers(ended.out) or _steers(ended.err),
        "broken output": ended.code == 0 and case.out is not None and _is_broken(case.out),
        "secret": SECRET in ended.out + ended.err or (case.out is not None and _tells(case.out)),
    }
    found = [name for name, holds in defects.items() if holds]
    if found:
        return found[0]
    return "ended" if is_killed else "done" if ended.code == 0 else "refused"


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(_size(each) for each in path.iterdir())
    return path.stat().st_size if path.is_file() else 0


def _is_traceback(ended: Ended, lines: Sequence[str], expected: int | None) -> bool:
    """Return whether a case ended otherwise than a command may."""
    if expected is not None:
        is_said = not lines if expected == -signal.SIGKILL else len(lines) == 1
        return not (ended.code == expected and is_said)
    if ended.code == 0:
        return bool(lines)
    return not (ended.code == 2 and len(lines) == 1 and lines[0].startswith("tabattn: "))


def _is_mixed(case: Case, ended: Ended) -> bool:
    """Return whether a folder has neither the files of one run nor those of the run before."""
    assert case.out is not None
    out = case.out
    if ended.code == 0:
        return bool(unfinished(out))
    if case.old is None or not os.path.isdir(out):
        return os.path.isfile(out / "importance.csv") and bool(unfinished(out))  # of any length
    if "other files" in case.kind:  # replaced one by one: in between there is no manifest, which tells it
        return (out / MANIFEST).exists() and bool(unfinished(out))
    return bool(unfinished(out)) or (case.kill is None and (out / MANIFEST).read_bytes() != case.old)


def _has_left_overs(case: Case, folder: Path) -> bool:
    if case.kill is not None and case.kill[1] is signal.SIGKILL and case.out is not None:
        write_all(case.out, {"next.txt": Path.touch})  # what a kill leaves, the next run removes
    kept = f"{STAGING}mine"
    return any(path.name.startswith(STAGING) and path.name != kept for path in folder.rglob("*"))


def _steers(text: str) -> bool:
    return any(unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") for each in text if each != "\n")


def _is_broken(out: Path) -> bool:
    """Return whether files of a run can't be read."""
    try:
        for path in out.rglob("*.csv"):
            with path.open(encoding="utf-8-sig", newline="") as file:
                head, *rows = csv.reader(file)
            if any(len(row) != len(head) for row in rows):
                return True
            if path.name == "predictions.csv":
                place = head.index("prediction")
                if not all(np.isfinite(float(row[place])) for row in rows):
                    return True
        for path in out.rglob("*.svg"):
            ET.parse(path)
    except (ValueError, ET.ParseError, csv.Error):
        traceback.print_exc()
        return True
    return False


def _tells(out: Path) -> bool:
    return os.path.isdir(out) and any(SECRET.encode() in path.read_bytes() for path in out.rglob("*") if path.is_file())


# The run.


def make_text_model(directory: Path) -> None:
    """Write a small BERT with random weights."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "hot", "line", "is", "slow"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]"
    )
    fast.save_pretrained(directory)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    transformers.BertForMaskedLM(config).save_pretrained(directory)


def prepare(directory: Path) -> Material:
    """Make what attacks are made of; everything that a case imports is imported by this."""
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(80, 4)), columns=["heat", "speed", "x3", "x4"])
    table["line"] = random.choice(["A", "B", "C"], 80)
    table["y"] = table["heat"] + (table["line"] == "A") + random.normal(size=80)
    table.to_csv(directory / "table.csv", index=False)
    make_text_model(directory / "text_model")
    results, text = directory / "results", directory / "text_results"
    material = Material(
        sources(None), directory / "table.csv", results / "model.tabattn", directory / "text_model", results
    )
    rank = ("rank", str(material.table), "--target", "y", *QUICK)
    for arguments in (
        (*rank, "--out", str(results)),
        ("explain", str(material.model), str(material.table), "--out", str(directory / "explained")),
        ("text", "a hot line is slow", "--model", str(material.text_model), "--out", str(text)),
    ):
        with contextlib.redirect_stdout(io.StringIO()):
            app(list(arguments), standalone_mode=False)
    gc.collect()
    gc.freeze()
    ended = in_child(Case("as it should be", (*rank, "--out", str(directory / "again"))), directory)
    assert ended.code == 0, ended
    return replace(material, seconds=ended.seconds)


def in_child(case: Case, folder: Path) -> Ended:
    """Run the command of a case in a child, from a folder of its own."""

    def run() -> None:
        os.chdir(folder)
        with patch.object(sys, "argv", ["tabattn", *case.arguments]):
            run_orderly(app)

    return run_bounded(run, folder, max_seconds=MAX_SECONDS, max_file_bytes=case.max_file_bytes, kill=case.kill)


def main(arguments: Sequence[str] | None = None) -> None:
    """Attack, and count how it ended."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--n", type=int, default=N_CASES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--families", nargs="+", choices=list(ATTACKS), default=list(ATTACKS))
    add_result_arguments(parser, "attacks.csv", restartable=False)
    options = parser.parse_args(arguments)
    command = with_sizes(COMMAND, parser, options, ["n", "seed", "families"])
    results = ResultFile(options.out, command)
    csv.field_size_limit(sys.maxsize)
    torch.set_num_threads(1)  # the pool of more would not be there in a child
    outcomes: Counter[tuple[str, str, str]] = Counter()
    most: dict[tuple[str, str, str], tuple[float, int]] = {}
    total = sum(SHARES[family] for family in options.families)
    with tempfile.TemporaryDirectory() as name, patch(PATCHED, rank_small):
        directory = Path(name).resolve()
        material = prepare(directory)
        for family in options.families:
            for number in range(round(options.n * SHARES[family] / total)):
                random = np.random.default_rng([options.seed, list(ATTACKS).index(family), number])
                folder = directory / "case" / "inner"
                folder.mkdir(parents=True)
                (folder / "secret").write_text(SECRET, encoding="utf-8")
                with contextlib.chdir(folder):
                    case = ATTACKS[family](folder, material, random)
                ended = in_child(case, folder)
                how = outcome_of(case, ended, folder)
                if how not in ("done", "refused", "ended"):
                    print(f"{family} {number} {case.kind}: {how}\n{ended}", flush=True)
                    _keep(case, results.beside(f"_{family}_{number}"))
                key = family, case.kind, how
                outcomes[key] += 1
                seconds, grown = most.get(key, (0.0, 0))
                most[key] = max(seconds, ended.cpu_seconds), max(grown, ended.grown_bytes)
                shutil.rmtree(directory / "case")
    rows = [
        {
            "family": family, "kind": kind, "outcome": how, "cases": count,
            "most_cpu_seconds": round(most[family, kind, how][0], 1),
            "most_megabytes": round(most[family, kind, how][1] / 1e6),
        }
        for (family, kind, how), count in sorted(outcomes.items())
    ]  # fmt: skip
    results.write(rows)
    print(pd.DataFrame(rows).groupby(["family", "outcome"])["cases"].sum().to_string())


def _keep(case: Case, to: Path) -> None:
    """Keep what a defect was found with."""
    for path in case.inputs:
        if path.is_dir():
            shutil.copytree(path, to, symlinks=True, dirs_exist_ok=True)
        elif path.is_file() and not path.is_symlink():
            to.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, to / "input")


if __name__ == "__main__":
    main()
