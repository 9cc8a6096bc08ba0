"""Files of format 1, which tabattn 0.1 wrote before fitted models were objects: their settings as those of format 2."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tabattn.table.dates import DateUnit

MIXED = {"mixed": False, "mixed, days first": True}
CELL_COUNTS = ("n_numeric", "n_parts", "n_levels")


def upgraded(settings: Mapping[str, Any], arrays: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the settings and arrays of a file of format 1 as format 2 has them.

    Args:
        settings: Settings of the file.
        arrays: Its arrays.

    Raises:
        KeyError, TypeError, ValueError: They are not those of such a file.
    """
    sizes = dict(settings["sizes"])
    layout = {name: sizes.pop(name) for name in CELL_COUNTS}
    target = dict(settings["target"])
    if target["kind"] == "numbers":
        target |= {"loss": sizes["loss"], "quantile": sizes["quantile"]}
    parameters = dict(settings["parameters"])
    parameters["kinds"] = parameters.pop("schema", None)
    new = {
        **settings,
        "about": {"estimator": settings["estimator"], "parameters": parameters},
        "schema": [_column(each) for each in settings["schema"]],
        "sizes": sizes | {"layout": layout},
        "target": target,
    }
    return new, {_renamed(name): array for name, array in arrays.items()}


def _column(old: Mapping[str, Any]) -> dict[str, Any]:
    column = dict(old)
    written, offset = str(column.pop("written", "")), int(column.pop("origin", 0))
    return column | {"format": _format(str(column["kind"]), written, offset)}


def _format(kind: str, written: str, offset: int) -> Any:
    if kind in {"numeric", "duration"}:
        return {"decimal": written[:1] or ".", "thousands": written[1:], "offset": offset}
    if kind != "datetime" or not written:
        return None
    if written in {unit.value for unit in DateUnit}:
        return written
    return {"pattern": None if written in MIXED else written, "day_first": MIXED.get(written, False)}


def _renamed(name: str) -> str:
    return name.removesuffix("letters") + "n_grams" if name.endswith(".letters") else name
