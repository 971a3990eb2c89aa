"""Make a training pipeline's folder, notebook and test from a CSV file, whole or not at all."""

from __future__ import annotations

import keyword
import os
import shutil
import tempfile
from pathlib import Path

from mlops import specifications
from mlops.errors import InvalidError
from mlops.scaffold import files
from mlops.scaffold.columns import check_target, read_columns
from mlops.terminal import plain
from steps.file_names import printable

_RESERVED = frozenset(
    {
        "lib",
        "cells",
        "columns",
        "contract",
        "csv_source",
        specifications.DEFAULT,
        "engineering",
        "evaluation",
        "judgement",
        "measures",
        "row_measures",
        "row_rules",
        "rules",
        "scored_file",
        "scoring",
    }
)
_LARGEST_COPY = 50 * 1024 * 1024


def new(name: str, task: str, data: Path, target: str | None, root: Path, *, online: bool = False) -> list[Path]:
    """Write the files below `root`, the repository. Return their paths, relative to it.

    `target` is the last column if None; `online`: an endpoint answers requests. Raises InvalidError, with nothing
    written, for a name or data that no pipeline can have, and where a file is there already.
    """
    if specifications.NAME.fullmatch(name) is None or keyword.iskeyword(name) or name in _RESERVED:
        raise InvalidError(
            f"A pipeline cannot be named {name!r}: give up to 40 lowercase letters, digits and underscores, a letter "
            "first, such as house_prices."
        )
    if task not in files.TASKS:
        raise InvalidError(f"--task is {task!r}: give {' or '.join(files.TASKS)}.")
    if not data.is_file():
        raise InvalidError(f"There is no data file {printable(str(data))}.")
    columns, rows = read_columns(data)
    if replaced := [column.name for column in columns if specifications.EXPRESSION.search(column.name)]:
        raise InvalidError(
            f"{printable(data.name)}: Azure ML would replace the expression in the column {plain(replaced[0])}: "
            "rename it."
        )
    chosen = check_target(columns, target or columns[-1].name, task, data)
    stored = _stored(data, name, root)
    content = {
        f"mlops/pipelines/{name}/pipeline.yml": files.specification(
            name, task, chosen.name, stored, columns, rows, online=online
        ),
        f"mlops/pipelines/{name}/components/train/component.yml": files.train_component(name),
        f"mlops/pipelines/{name}/components/train/src/train.py": files.train_program(task),
        f"notebooks/{name}_features.py": files.notebook(name),
        f"notebooks/{name}_scoring.py": files.scoring_notebook(name),
        f"notebooks/lib/{name}.py": files.library(name, columns),
        f"tests/spark/test_{name}_features.py": files.spark_test(name),
    }
    existing = [path for path in (f"mlops/pipelines/{name}", *content) if (root / path).exists()]
    copied = (root / stored).resolve() != data.resolve()
    if copied and (root / stored).exists():
        existing.append(stored)
    if existing:
        raise InvalidError(f"{existing[0]} is there already: choose another name, or remove it first.")
    if copied and data.stat().st_size > _LARGEST_COPY:
        raise InvalidError(
            f"{printable(str(data))} is outside of the repository and larger than {_LARGEST_COPY // 1024**2} MiB: put "
            "it below data/ yourself, or give a sample of it."
        )
    _write(root, content, (data, stored) if copied else None)
    return [Path(path) for path in (*content, *([stored] if copied else []))]


def _stored(data: Path, name: str, root: Path) -> str:
    """Return the path of the training data in the repository: where they are, or a copy below data/."""
    resolved = data.resolve()
    if resolved.is_relative_to(root.resolve()):
        return resolved.relative_to(root.resolve()).as_posix()
    return f"data/{name}.csv"


def _write(root: Path, content: dict[str, str], copy: tuple[Path, str] | None) -> None:
    """Write all files beside their places first. A failure removes the files again."""
    with tempfile.TemporaryDirectory(dir=root, prefix=".new-") as temporary:
        staged = Path(temporary)
        for path, text in content.items():
            (staged / path).parent.mkdir(parents=True, exist_ok=True)
            (staged / path).write_text(text, encoding="utf-8")
        paths = list(content)
        if copy is not None:
            (staged / copy[1]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(copy[0], staged / copy[1])
            paths.append(copy[1])
        placed: list[Path] = []
        try:
            for path in paths:
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                os.link(staged / path, root / path)  # refuses to replace a file that appeared meanwhile
                placed.append(root / path)
        except OSError as error:
            for file in placed:
                file.unlink(missing_ok=True)
            raise InvalidError(f"The pipeline's files cannot be written: {error}.") from error
