"""Errors of a data file that its first line shows: seconds, before anything is started or uploaded.

Columns and separator are checked here as well as in the notebook, which sees every row, and files that are in storage.
"""

from __future__ import annotations

import csv
import difflib
from pathlib import Path

from mlops import training_data
from mlops.errors import InvalidError
from mlops.specifications import TrainingPipeline
from mlops.training_data import TrainingData
from steps.file_names import printable

_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_LONGEST_HEADER = 1024 * 1024


def read(file: Path, pipeline: TrainingPipeline) -> TrainingData:
    """Return the data. Raises MissingError and InvalidError for a file that a run could only refuse."""
    data = training_data.read(file)
    check_header(file, pipeline)
    return data


def check_header(file: Path, pipeline: TrainingPipeline) -> None:
    """Raise InvalidError when the header lacks a column that the data contract requires.

    Bytes that are no UTF-8 are no fault here: Spark reads them too, with a replacement for each.
    """
    try:
        with file.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            line = stream.readline(_LONGEST_HEADER)
    except OSError as error:
        raise InvalidError(f"The data file {printable(str(file))} cannot be read: {error.strerror}.") from error
    header = next(csv.reader([line]), [])
    rules = pipeline.specification.data_contract.columns
    required = [name for name, column in rules.items() if column.required.limit and column.required.severity == "error"]
    if len(header) == 1 and len(required) > 1:
        for separator, name in _SEPARATORS.items():
            if separator in line:
                raise InvalidError(f"The data file {printable(str(file))} is separated by {name}: save it with commas.")
    folded = {name.casefold() for name in header}
    if required and not folded & {name.casefold() for name in rules}:
        # The first line of a file without a header has values: it is not quoted.
        raise InvalidError(
            f"The first line of the data file {printable(str(file))} has none of the columns of {pipeline.name}: has "
            f"it a header? The columns are {', '.join(map(printable, rules))}."
        )
    if missing := [name for name in required if name.casefold() not in folded]:
        extra = [name for name in header if name not in rules]
        raise InvalidError(
            f"The data file {printable(str(file))} does not have the columns of {pipeline.name}: "
            f"{'; '.join(_missing(name, extra) for name in missing)}. Its header: {', '.join(map(printable, header))}."
        )


def _missing(name: str, extra: list[str]) -> str:
    near = difflib.get_close_matches(name, extra, n=1, cutoff=0.6)
    return f"{printable(name)} is missing{f' (is {printable(near[0])} its name misspelt?)' if near else ''}"
