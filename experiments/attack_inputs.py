"""What `experiments.attacks` attacks with: tables, models, directories of text models, names, places, sudden ends."""

import contextlib
import copy
import gzip
import json
import os
import pickle
import shutil
import signal
import socket
import struct
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from experiments.fuzz import N_LINES, OTHER_FORMATS, mutate
from tabattn.files import MANIFEST, STAGING
from tabattn.fitted.files import HEADER, checksum

QUICK = ("--max-epochs", "1", "--repeats", "1")
LEAST_SECONDS = 0.05  # handlers are in place by then
SECRET = "the-secret-of-another-file"
Random = np.random.Generator
Header: TypeAlias = dict[str, Any]
Arrays: TypeAlias = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Case:
    """One attack.

    Args:
        kind: What was done, in words.
        arguments: The command.
        out: Where its results are to be; None where nothing is written.
        inputs: Files and folders that it reads.
        max_file_bytes: Size of the largest file that it may write.
        kill: Seconds after which it is sent a signal, and which.
        old: manifest.json of the results that were there before.
    """

    kind: str
    arguments: tuple[str, ...]
    out: Path | None = None
    inputs: tuple[Path, ...] = ()
    max_file_bytes: int | None = None
    kill: tuple[float, signal.Signals] | None = None
    old: bytes | None = None


@dataclass(frozen=True)
class Material:
    """What attacks are made of.

    Args:
        tables: The first lines of tables, and the names of their targets.
        table: A table that the model fits.
        model: A saved model of it.
        text_model: A directory with a small model of transformers.
        results: The folder of a finished run.
        seconds: How long such a run takes in a child.
    """

    tables: Mapping[str, tuple[bytes, str]]
    table: Path
    model: Path
    text_model: Path
    results: Path
    seconds: float = field(default=0)


class Canary:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


# Nonsense that any place may hold.

NONSENSE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 10**6, 10**12, 2**63, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf")),
    *("", "a", "\0", "nan", "../../etc/passwd", "__import__('os').system('touch canary')", "\x1b[2J", "🙂" * 100),
    *([], {}, [[]], [None], {"": None}, [1, "a"], [0] * 1000, {"a": {"a": {"a": []}}}),
)


def in_turn(*steps: Callable[[Path], object]) -> Callable[[Path], None]:
    """Return what takes several steps with a path."""

    def take(path: Path) -> None:
        for step in steps:
            step(path)

    return take


def places_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where all values inside of JSON are, as keys one after another."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in places_of(each, (*path, key)))]


def with_nonsense(value: Any, random: Random) -> Any:
    """Return JSON with one to three of its values replaced, doubled, exchanged or taken out."""
    value = copy.deepcopy(value)
    for _ in range(int(random.integers(1, 4))):
        places = [place for place in places_of(value) if place]
        if not places:
            return NONSENSE[int(random.integers(len(NONSENSE)))]
        *above, last = places[int(random.integers(len(places)))]
        owner = value
        for key in above:
            owner = owner[key]
        what = random.integers(4)
        if what == 0:
            owner[last] = copy.deepcopy(NONSENSE[int(random.integers(len(NONSENSE)))])
        elif what == 1:
            del owner[last]
        elif what == 2 and isinstance(owner, list):
            owner.insert(int(random.integers(len(owner) + 1)), copy.deepcopy(owner[last]))
        else:
            other = list(owner) if isinstance(owner, dict) else range(len(owner))
            owner[last] = copy.deepcopy(owner[list(other)[int(random.integers(len(other)))]])
    return value


# Tables.


def table_attack(folder: Path, material: Material, random: Random) -> Case:
    """Rank a damaged table, or what is none."""
    if random.random() < 0.25:
        kind = list(NO_TABLES)[int(random.integers(len(NO_TABLES)))]
        path, target = NO_TABLES[kind](folder, random), "y"
    else:
        name = sorted(material.tables)[int(random.integers(len(material.tables)))]
        whole, target = material.tables[name]
        head, *lines = whole.splitlines(keepends=True)
        part = b"".join([head, *(lines[i] for i in random.choice(len(lines), N_LINES, replace=False))])
        suffix = ["csv", *OTHER_FORMATS][int(random.integers(1 + len(OTHER_FORMATS)))]
        kind, path = f"damaged {suffix}", folder / f"table.{suffix}"
        path.write_bytes(mutate(OTHER_FORMATS[suffix](part) if suffix in OTHER_FORMATS else part, random))
    bound = ("--max-memory", "0.2") if kind in LARGE_TABLES else ()
    out = folder / "results"
    return Case(kind, ("rank", str(path), "--target", target, "--out", str(out), *QUICK, *bound), out, (path,))


def _file(name: str, content: Callable[[Random], bytes]) -> Callable[[Path, Random], Path]:
    def make(folder: Path, random: Random) -> Path:
        (folder / name).write_bytes(content(random))
        return folder / name

    return make


def _archive(name: str, members: Callable[[Random], Mapping[str, bytes]]) -> Callable[[Path, Random], Path]:
    def make(folder: Path, random: Random) -> Path:
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for member, content in members(random).items():
                archive.writestr(member, content)
        return folder / name

    return make


def _workbook_with(part: str, content: Callable[[Path], bytes]) -> Callable[[Path, Random], Path]:
    """Return what makes a workbook one part of which is replaced."""

    def make(folder: Path, _: Random) -> Path:
        book = openpyxl.Workbook()
        sheet: Any = book.active
        for row in [["x", "y"], *([str(i), i] for i in range(40))]:
            sheet.append(row)
        book.save(folder / "whole.xlsx")
        with zipfile.ZipFile(folder / "whole.xlsx") as whole, zipfile.ZipFile(folder / "book.xlsx", "w") as changed:
            for name in whole.namelist():
                changed.writestr(name, content(folder) if name == part else whole.read(name))
        return folder / "book.xlsx"

    return make


SHEET = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
STRINGS = '<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>%s</t></si></sst>'


def _entities(_: Path) -> bytes:
    """Return text that grows tenfold eleven times when it is read."""
    levels = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
    return f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "{"a" * 10}">{levels}]>{STRINGS % "&a11;"}'.encode()


def _outer_entity(folder: Path) -> bytes:
    secret = f'<!ENTITY a SYSTEM "file://{folder}/secret">'
    return f'<?xml version="1.0"?><!DOCTYPE x [{secret}]>{STRINGS % "&a;"}'.encode()


def _far_cell(_: Path) -> bytes:
    first = b'<row r="1"><c r="A1"><v>1</v></c></row>'
    return SHEET + first + b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData></worksheet>'


def _blank_sheet(_: Path) -> bytes:
    return SHEET + b'<row><c r="A1"/></row>' * 300_000 + b"</sheetData></worksheet>"


def _extension(folder: Path, _: Random) -> Path:
    """Write a table one column of which is of PyArrow's extension type that holds a pickle (CVE-2023-47248)."""
    metadata = {
        "ARROW:extension:name": "arrow.py_extension_type",
        "ARROW:extension:metadata": pickle.dumps(Canary(folder / "canary")),
    }
    x = pa.field("x", pa.float64(), metadata=metadata)
    numbers = pa.array(np.arange(40.0))
    pyarrow.feather.write_feather(
        pa.table([numbers, numbers], pa.schema([x, pa.field("y", pa.float64())])), folder / "t.feather"
    )
    return folder / "t.feather"


def _constant(folder: Path, _: Random) -> Path:
    """Write a few kilobytes that hold the same number a billion times."""
    rows = pa.table({"x": pa.array([1.0]).take(pa.array(np.zeros(1 << 20, np.int32))), "y": np.ones(1 << 20)})
    with pyarrow.parquet.ParquetWriter(folder / "t.parquet", rows.schema, compression="zstd") as file:
        for _part in range(1000):
            file.write_table(rows)
    return folder / "t.parquet"


def _special(name: str, make: Callable[[Path], None]) -> Callable[[Path, Random], Path]:
    def made(folder: Path, _: Random) -> Path:
        make(folder / name)
        return folder / name

    return made


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(path))


def _pickled(folder: Path, random: Random) -> Path:
    suffix = ("csv", "pkl", "parquet", "feather", "xlsx", "csv.gz", "npy", "h5")[int(random.integers(8))]
    content = pickle.dumps(Canary(folder / "canary"))
    (folder / f"t.{suffix}").write_bytes(gzip.compress(content) if suffix == "csv.gz" else content)
    return folder / f"t.{suffix}"


def _wide(random: Random) -> bytes:
    n = int(10 ** random.uniform(3, 5))
    return b",".join([b"x%d" % i for i in range(n)]) + b",y\n" + b"\n".join([b"1," * n + b"2"] * 3)


def _numbered(cells: Callable[[int, Random], str]) -> Callable[[Random], bytes]:
    """Return what makes a file of forty rows with cells of a kind."""
    return lambda random: "\n".join(["x,y", *(f"{cells(i, random)},{i}" for i in range(40))]).encode()


NO_TABLES: Mapping[str, Callable[[Path, Random], Path]] = {
    "zeros that were compressed": _file("t.csv.gz", lambda _: gzip.compress(bytes(1 << 30), 1)),
    "a line that was compressed": _file("t.csv.gz", lambda _: gzip.compress(b"a,y\n" + b"1," * (1 << 28), 1)),
    "compressed many times": _file("t.csv.gz", lambda _: gzip.compress(gzip.compress(gzip.compress(bytes(1 << 26))))),
    "an archive of many files": _archive("t.zip", lambda _: {f"{i}.csv": b"x,y\n1,2\n" for i in range(5000)}),
    "an archive with a way out": _archive("t.zip", lambda _: {"../../canary.csv": b"x,y\n" + b"1,2\n" * 40}),
    "an archive with a bomb": _archive("t.zip", lambda _: {"t.csv": b"x,y\n" + b"1,2\n" * (1 << 26)}),
    "an archive in an archive": _archive("t.zip", lambda _: {"t.zip": b"PK\x05\x06" + bytes(18)}),
    "entities in a workbook": _workbook_with("xl/sharedStrings.xml", _entities),
    "entities in a sheet": _workbook_with("xl/worksheets/sheet1.xml", _entities),
    "an outer entity": _workbook_with("xl/sharedStrings.xml", _outer_entity),
    "a far cell": _workbook_with("xl/worksheets/sheet1.xml", _far_cell),
    "a sheet of blanks": _workbook_with("xl/worksheets/sheet1.xml", _blank_sheet),
    "an extension type": _extension,
    "one number a billion times": _constant,
    "a pickle": _pickled,
    "a pipe": _special("t.csv", os.mkfifo),
    "a folder": _special("t.csv", Path.mkdir),
    "a socket": _special("t.csv", _socket),
    "a link to itself": _special("t.csv", lambda path: path.symlink_to(path)),
    "a device without an end": _special("t.csv", lambda path: path.symlink_to("/dev/zero")),
    "a device of noise": _special("t.csv", lambda path: path.symlink_to("/dev/urandom")),
    "a device without anything": _special("t.csv", lambda path: path.symlink_to("/dev/null")),
    "the memory of the process": _special("t.csv", lambda path: path.symlink_to("/proc/self/mem")),
    "many columns": _file("t.csv", _wide),
    "one name": _file("t.csv", lambda _: b",".join([b"y"] * 20_000) + b"\n" + b"1," * 19_999 + b"1\n"),
    "separators": _file("t.csv", lambda random: b",;\t|"[(i := int(random.integers(4))) : i + 1] * (1 << 21)),
    "empty lines": _file("t.csv", lambda _: b"x,y\n" + b"\n" * (1 << 22)),
    "an open quote": _file("t.csv", lambda _: b'x,y\n1,"' + b"2,3\n" * (1 << 20)),
    "quotes": _file("t.csv", lambda _: b'"' * (1 << 22)),
    "one cell": _file("t.csv", lambda _: b"x,y\n" + b"a" * (1 << 25) + b",1\n"),
    "zero bytes": _file("t.csv", lambda _: bytes(1 << 22)),
    "noise": _file("t.csv", lambda random: random.bytes(1 << 18)),
    "long numbers": _file("t.csv", _numbered(lambda i, _: str(i) + "9" * 10_000)),
    "long fractions": _file("t.csv", _numbered(lambda i, _: f"0.{'1' * 10_000}{i}")),
    "large exponents": _file("t.csv", _numbered(lambda i, _: f"1e{i}99999999")),
    "far dates": _file("t.csv", _numbered(lambda i, _: f"{i}9999999-01-01")),
    "long levels": _file("t.csv", _numbered(lambda i, _: "ab" * (1 << 16) + str(i % 3))),
    "brackets": _file("t.csv", _numbered(lambda i, _: "(" * 5000 + str(i) + ")" * 5000)),
    "blanks": _file("t.csv", _numbered(lambda i, _: " " * 20_000 + str(i) + "a" + " " * 20_000)),
    "signs": _file("t.csv", _numbered(lambda i, _: "-" * 20_000 + str(i))),
    "colons": _file("t.csv", _numbered(lambda i, _: "1:" * 5000 + str(i))),
    "units": _file("t.csv", _numbered(lambda i, _: f"{i} {'kg/m' * 5000}")),
    "marks of order": _file("t.csv", lambda _: b"\xff\xfe" * (1 << 20)),
    "numbers of all scripts": _file("t.csv", _numbered(lambda i, _: chr(0x660 + i % 10) + chr(0x966 + i % 10))),
}


LARGE_TABLES = frozenset({"an archive with a bomb", "one number a billion times"})  # that --max-memory is for


# Models.


def model_attack(folder: Path, material: Material, random: Random) -> Case:
    """Explain a table with a model that is not what it should be."""
    path, out = folder / "model.tabattn", folder / "results"
    what = random.random()
    if what < 0.3:
        kind = "damaged"
        path.write_bytes(mutate(material.model.read_bytes(), random))
    elif what < 0.9:
        kind = "settings signed again" if what < 0.7 else "arrays signed again"
        change = _nonsense_in_settings if what < 0.7 else _nonsense_in_arrays
        with safe_open(material.model, framework="pt") as file:
            header = json.loads(file.metadata()[HEADER])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header, arrays = change(header, arrays, random)
        del header["sha256"]
        save_file(arrays, path, {HEADER: json.dumps({"sha256": checksum(header, arrays)} | header)})
    else:
        kind = list(NO_MODELS)[int(random.integers(len(NO_MODELS)))]
        NO_MODELS[kind](path, random)
    return Case(kind, ("explain", str(path), str(material.table), "--out", str(out)), out, (path,))


def _nonsense_in_settings(header: Header, arrays: Arrays, random: Random) -> tuple[Header, Arrays]:
    part = "settings" if random.random() < 0.95 else "format"
    return header | {part: with_nonsense(header[part], random)}, arrays


def _nonsense_in_arrays(header: Header, arrays: Arrays, random: Random) -> tuple[Header, Arrays]:
    for _ in range(int(random.integers(1, 3))):
        name = sorted(arrays)[int(random.integers(len(arrays)))]
        array = arrays[name]
        what = random.integers(6)
        if what == 0:
            value = [float("nan"), float("inf"), 0.0, -1.0, 1e30, -1e30][int(random.integers(6))]
            with contextlib.suppress(RuntimeError):
                arrays[name] = torch.full_like(array, value)
        elif what == 1:
            arrays[name] = array.to([torch.float64, torch.int64, torch.bool, torch.float16][int(random.integers(4))])
        elif what == 2:
            arrays[name] = array.flatten()[: int(random.integers(array.numel() + 1))].clone()
        elif what == 3:
            arrays[name] = torch.cat([array, array]) if array.ndim else array[None]
        elif what == 4:
            del arrays[name]
        else:
            arrays[f"{name}.{random.integers(9)}"] = array.clone()
        if not arrays:
            break
    return header, arrays


def _safetensors(header: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + data


def _bytes_of(content: Callable[[Random], bytes]) -> Callable[[Path, Random], None]:
    def write(path: Path, random: Random) -> None:
        path.write_bytes(content(random))

    return write


def _pickled_model(path: Path, _: Random) -> None:
    path.write_bytes(pickle.dumps(Canary(path.parent / "canary")))


NO_MODELS: Mapping[str, Callable[[Path, Random], None]] = {
    "a pickle": _pickled_model,
    "a checkpoint of torch": lambda path, _: torch.save(Canary(path.parent / "canary"), path),
    "a huge header": _bytes_of(lambda _: struct.pack("<Q", 2**63) + b"{}"),
    "brackets": _bytes_of(lambda _: _safetensors(b"[" * 1_000_000)),
    "deep settings": _bytes_of(
        lambda _: _safetensors(json.dumps({"__metadata__": {HEADER: '{"a":' * 200_000 + "1" + "}" * 200_000}}).encode())
    ),
    "many arrays": _bytes_of(
        lambda _: _safetensors(
            json.dumps(
                {str(i): {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(200_000)}
            ).encode()
        )
    ),
    "a pipe": lambda path, _: os.mkfifo(path),
    "a folder": lambda path, _: path.mkdir(),
    "a device": lambda path, _: path.symlink_to("/dev/zero"),
    "nothing": _bytes_of(lambda _: b""),
    "noise": _bytes_of(lambda random: random.bytes(100_000)),
}


# Text models.


def text_attack(folder: Path, material: Material, random: Random) -> Case:
    """Read a sentence with a directory that is not what it should be."""
    directory, out = folder / "model", folder / "results"
    shutil.copytree(material.text_model, directory)
    changes = list(TEXT_CHANGES)
    kind = changes[int(random.integers(len(changes)))]
    TEXT_CHANGES[kind](directory, random)
    return Case(kind, ("text", "a hot line is slow", "--model", str(directory), "--out", str(out)), out, (directory,))


def _json_changed(directory: Path, random: Random) -> None:
    names = sorted(path.name for path in directory.glob("*.json"))
    path = directory / names[int(random.integers(len(names)))]
    path.write_text(json.dumps(with_nonsense(json.loads(path.read_text(encoding="utf-8")), random)), encoding="utf-8")


def _setting_changed(directory: Path, random: Random) -> None:
    path = directory / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    name = sorted(config)[int(random.integers(len(config)))]
    path.write_text(json.dumps(config | {name: NONSENSE[int(random.integers(len(NONSENSE)))]}), encoding="utf-8")


def _damaged(directory: Path, random: Random) -> None:
    names = sorted(path.name for path in directory.iterdir())
    path = directory / names[int(random.integers(len(names)))]
    path.write_bytes(mutate(path.read_bytes(), random))


def _code(directory: Path, random: Random) -> None:
    """Let settings name code in the directory, in each of the ways in which transformers takes it."""
    code = f"import os\nos.mkdir({str(directory.parent / 'canary')!r})\nclass Evil:\n    pass\n"
    (directory / "evil.py").write_text(code, encoding="utf-8")
    classes = ("AutoConfig", "AutoModel", "AutoTokenizer", "AutoModelForMaskedLM", "AutoProcessor")
    named = {"auto_map": {each: "evil.Evil" if each != "AutoTokenizer" else ["evil.Evil", None] for each in classes}}
    for name in ("config.json", "tokenizer_config.json"):
        path = directory / name
        config = json.loads(path.read_text(encoding="utf-8"))
        architecture = ["AutoModel", "AutoModelForMaskedLM", "Evil", "pipeline", "BertModel"][int(random.integers(5))]
        more = {"architectures": [architecture], "tokenizer_class": ["Evil", "AutoTokenizer"][int(random.integers(2))]}
        kind = {"model_type": "evil"} if random.random() < 0.3 else {}
        path.write_text(json.dumps(config | named | more | kind), encoding="utf-8")


def _pickled_weights(directory: Path, random: Random) -> None:
    name = ["pytorch_model.bin", "model.bin", "part.bin", "../part.bin", "tf_model.h5"][int(random.integers(5))]
    (directory / name).write_bytes(pickle.dumps(Canary(directory.parent / "canary")))
    weights = directory / "model.safetensors"
    with safe_open(weights, framework="pt") as file:
        names = list(file.keys())
    if random.random() < 0.7:
        weights.unlink()
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, name)}
    for indexed in ("model.safetensors.index.json", "pytorch_model.bin.index.json"):
        (directory / indexed).write_text(json.dumps(index), encoding="utf-8")


def _links(directory: Path, random: Random) -> None:
    names = sorted(path.name for path in directory.iterdir())
    path = directory / names[int(random.integers(len(names)))]
    path.unlink()
    to = ["/dev/zero", "/dev/urandom", "/proc/self/mem", str(directory.parent / "secret"), str(path)]
    path.symlink_to(to[int(random.integers(len(to)))])


def _template(directory: Path, _: Random) -> None:
    template = "{{ ''.__class__.__mro__[1].__subclasses__() }}{{ cycler.__init__.__globals__.os.mkdir('canary') }}"
    (directory / "chat_template.jinja").write_text(template, encoding="utf-8")
    path = directory / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | {"chat_template": template}), encoding="utf-8")


def _missing(directory: Path, random: Random) -> None:
    names = sorted(path.name for path in directory.iterdir())
    (directory / names[int(random.integers(len(names)))]).unlink()


TEXT_CHANGES: Mapping[str, Callable[[Path, Random], None]] = {
    "JSON changed": _json_changed,
    "a setting changed": _setting_changed,
    "a file damaged": _damaged,
    "code named": _code,
    "weights that are a pickle": _pickled_weights,
    "links": _links,
    "a template": _template,
    "a file missing": _missing,
}


# Names.

STEERING = (
    *(
        "\x1b[2J",
        "\x1b]0;title\x07",
        "\x9b31m",
        "\r",
        "\n",
        "\x08" * 20,
        "\x7f",
        "\u202e",
        "\u2066",
        "\u200b",
        "\ufeff",
    ),
    *(
        ":smile:",
        "[bold red]",
        "[/]",
        "[link=file:///etc/passwd]",
        "\\",
        "\\[",
        "$x_1^2$",
        r"$\frac{1}{0}$",
        "{}",
        "%s",
    ),
    *("<script>alert(1)</script>", "&amp;", "]]>", "'", '"', ",", ";", "\t", "=1+1", "@sum", "+1", "-1", "|calc"),
    *(
        "../../up",
        "/etc/passwd",
        "CON",
        "NUL",
        ".",
        "..",
        "~",
        "$HOME",
        "`id`",
        "--help",
        "-",
        "a" * 5000,
        "🙂",
        "온도",
    ),
    *("مرحبا", "עברית", "e\u0301", "é", "Å", "Å", "ﷺ", "\ud7ff", "\uffff", "\U0010ffff", "\x00"),
)


def hostile_name(random: Random) -> str:
    """Return some steering characters, among others."""
    parts = [STEERING[int(random.integers(len(STEERING)))] for _ in range(int(random.integers(1, 4)))]
    others = [chr(code) for code in random.integers(1, 0x3000, size=3)]
    return "".join(str(part) for part in random.permutation([*parts, *others]))


def name_attack(folder: Path, _: Material, random: Random) -> Case:
    """Rank a table whose names, levels and file name are hostile."""
    names = list(dict.fromkeys(hostile_name(random) for _ in range(5)))
    levels = [hostile_name(random) for _ in range(3)]
    table = pd.DataFrame({name: random.normal(size=60) for name in names})
    table[names[0]] = random.choice(levels, 60)
    target = names[-1]
    suffix = "parquet" if random.random() < 0.5 else "csv"
    stem = "".join(each for each in hostile_name(random) if each not in "/\0")[:50] or "t"
    path, out = folder / f"x{stem}.{suffix}", folder / "results"
    if suffix == "csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path, index=False)
    arguments = ["rank", str(path), f"--target={target}", "--out", str(out), *QUICK]
    arguments += ["--excel-safe"] if random.random() < 0.5 else []
    arguments += [f"--by={names[0]}"] if random.random() < 0.5 else []
    return Case(f"names in {suffix}", tuple(arguments), out, (path,))


# Places of output.


def place_attack(folder: Path, material: Material, random: Random) -> Case:
    """Rank into a place that is not an empty folder."""
    kind = list(PLACES)[int(random.integers(len(PLACES)))]
    out = PLACES[kind](folder, material)
    old = (out / MANIFEST).read_bytes() if kind.startswith("an earlier run") else None
    limit = int(10 ** random.uniform(3.7, 6)) if "full disk" in kind else None
    arguments = ("rank", str(material.table), "--target", "y", "--out", str(out), *QUICK)
    return Case(kind, arguments, out, max_file_bytes=limit, old=old)


def _earlier(folder: Path, material: Material) -> Path:
    return Path(shutil.copytree(material.results, folder / "results"))


def _changed(change: Callable[[Path], object]) -> Callable[[Path, Material], Path]:
    def make(folder: Path, material: Material) -> Path:
        out = _earlier(folder, material)
        change(out)
        return out

    return make


def _made(name: str, make: Callable[[Path], object] = lambda _: None) -> Callable[[Path, Material], Path]:
    def made(folder: Path, _: Material) -> Path:
        path = folder / name
        make(path)
        return path

    return made


def _linked_plots(out: Path) -> None:
    (out / "plots").rename(out.parent / "elsewhere")
    (out / "plots").symlink_to(out.parent / "elsewhere")


PLACES: Mapping[str, Callable[[Path, Material], Path]] = {
    "nothing": _made("results"),
    "a file": _made("results", Path.touch),
    "below a file": _made("file/results", lambda path: path.parent.touch()),
    "a link to a folder": _made(
        "results",
        in_turn(lambda path: path.with_name("to").mkdir(), lambda path: path.symlink_to(path.with_name("to"))),
    ),
    "a link to nothing": _made("results", lambda path: path.symlink_to(path.with_name("gone"))),
    "a link to itself": _made("results", lambda path: path.symlink_to(path)),
    "a pipe": _made("results", os.mkfifo),
    "a device": lambda _folder, _material: Path("/dev/null"),
    "below a device": lambda _folder, _material: Path("/dev/null/results"),
    "the process": lambda _folder, _material: Path("/proc/self/results"),
    "a long name": _made("a" * 300),
    "a long path": _made("/".join(["a" * 200] * 30)),
    "a name that steers": _made("\x1b[31m\u202ea\nb"),
    "a name like staging": _made(f"{STAGING}mine"),
    "a file in the place of plots": _made("results", in_turn(Path.mkdir, lambda path: (path / "plots").touch())),
    "a folder in the place of a file": _made("results", lambda path: (path / "importance.csv").mkdir(parents=True)),
    "a folder of others": _made("results", in_turn(Path.mkdir, lambda path: (path / "mine.txt").write_text("mine"))),
    "a manifest of others": _made(
        "results", in_turn(Path.mkdir, lambda path: (path / MANIFEST).write_text('{"files": {"../mine.txt": "a"}}'))
    ),
    "a manifest that is none": _made(
        "results", in_turn(Path.mkdir, lambda path: (path / MANIFEST).write_bytes(b"\xff{"))
    ),
    "linked plots": _changed(_linked_plots),
    "an earlier run": _changed(lambda _: None),
    "an earlier run and other files": _changed(lambda out: (out / "mine.txt").write_text("mine")),
    "an earlier run on a full disk": _changed(lambda _: None),
    "an earlier run and other files on a full disk": _changed(lambda out: (out / "mine.txt").write_text("mine")),
    "a full disk": _made("results"),
}


# Sudden ends.


def kill_attack(folder: Path, material: Material, random: Random) -> Case:
    """End a run at a random moment."""
    number = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[int(random.integers(3))]
    out = _earlier(folder, material)
    with_others = random.random() < 0.25
    if with_others:
        (out / "mine.txt").write_text("mine")
    # half of the moments are at the end, where files are written
    late = random.random() < 0.5
    moment = max(LEAST_SECONDS, material.seconds * random.uniform(0.6 if late else 0.0, 1.1))
    arguments = ("rank", str(material.table), "--target", "y", "--out", str(out), "--seed", "1", *QUICK)
    kind = f"{number.name}{' beside other files' if with_others else ''}"
    return Case(kind, arguments, out, kill=(moment, number), old=(out / MANIFEST).read_bytes())


ATTACKS: Mapping[str, Callable[[Path, Material, Random], Case]] = {
    "tables": table_attack,
    "models": model_attack,
    "text": text_attack,
    "names": name_attack,
    "places": place_attack,
    "kills": kill_attack,
}
