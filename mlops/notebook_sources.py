"""The files that a notebook needs: itself, and the modules below notebooks/ that it imports, however indirectly.

Another pipeline's notebook can change without this one becoming new.
"""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

from mlops import fingerprints
from mlops.errors import InvalidError, MissingError

_RUNS_ANOTHER = re.compile(r"^# MAGIC\s+%run\b", re.MULTILINE)


def files(folder: Path, notebook: str) -> list[Path]:
    """Return the files, sorted. A notebook that runs another one by %run needs the whole folder.

    Raises MissingError for a missing notebook, InvalidError when a file is not Python.
    """
    start = folder / f"{notebook}.py"
    if not start.is_file():
        raise MissingError(
            f"There is no notebook {notebook}: the specification names it, and {start.parent.name}/{start.name} does "
            "not exist."
        )
    needed: set[Path] = set()
    waiting = [start]
    while waiting:
        file = waiting.pop()
        if file in needed:
            continue
        needed.add(file)
        text = file.read_text(encoding="utf-8")
        if _RUNS_ANOTHER.search(text):
            return fingerprints.source_files(folder)
        waiting += _imported(folder, file, text)
    return sorted(needed)


def _imported(folder: Path, file: Path, text: str) -> list[Path]:
    return [file for name in _names(folder, file, text) for file in _module_files(folder, name)]


@functools.cache
def _names(folder: Path, file: Path, text: str) -> frozenset[tuple[str, ...]]:
    """Return the names that a file with this text imports; notebooks share most modules, and parsing takes time."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise InvalidError(
            f"{file.relative_to(folder.parent)}, line {error.lineno}, is not Python: {error.msg}."
        ) from error
    names: set[tuple[str, ...]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = file.relative_to(folder).parent.parts
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = (*base, *(node.module.split(".") if node.module else ()))
            names.update({module, *((*module, alias.name) for alias in node.names)})
    return frozenset(names)


def _module_files(folder: Path, name: tuple[str, ...]) -> list[Path]:
    """Return the module's file and the __init__.py of its packages, where they are in the folder."""
    if not name:
        return []
    path = folder.joinpath(*name)
    packages = [folder.joinpath(*name[:length]) / "__init__.py" for length in range(1, len(name) + 1)]
    return [file for file in (path.with_suffix(".py"), *packages) if file.is_file()]
