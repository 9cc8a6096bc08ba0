"""The target of rows that come after the fit, in the form that was fitted."""

from typing import Any

import numpy as np

from tabattn.arrays import Array
from tabattn.encoding.target import ClassEncoding, TargetEncoding
from tabattn.errors import TabAttnWarning, TargetError
from tabattn.table.cells import AnySeries, level_name
from tabattn.table.problem import parse_target_numbers


def known_target(encoding: TargetEncoding, column: AnySeries, name: str) -> "tuple[Any, Array, list[TabAttnWarning]]":
    """Return the target as it was fitted, of those rows in which it is that.

    Args:
        encoding: What was fitted.
        column: The target, nothing missing.
        name: Its name.

    Returns:
        Numbers, or classes; for every row whether it has one of the classes that were fitted; and what to warn of.

    Raises:
        TargetError: Numbers were fitted, and the target holds something else.
    """
    numbers, doubts = parse_target_numbers(column, name)
    if not isinstance(encoding, ClassEncoding):
        if numbers is None:
            raise TargetError(f"The target must be numeric, as in training, got {name!r} with '{column.iloc[0]}'.")
        return numbers, np.ones(len(column), dtype=bool), doubts
    classes = encoding.classes
    readings: list[Any] = [column.astype(object).map(lambda cell: level_name(cell).strip())]
    if numbers is not None:
        readings += [numbers, numbers.astype(float).map(str)]
    if classes.dtype.kind == "b":
        readings.append(readings[0].map({"True": True, "False": False}))
    known = [reading.isin(list(classes)).to_numpy() for reading in readings]
    best = int(np.argmax([each.sum() for each in known]))
    values = readings[best].to_numpy()[known[best]]
    kind = classes.dtype if classes.dtype.kind in "biuf" else object
    return values.astype(kind), known[best], doubts
