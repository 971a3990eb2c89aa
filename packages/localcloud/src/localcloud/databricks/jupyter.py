"""Notebooks between Jupyter's format and Databricks' source format.

docs.databricks.com "Export and import notebooks". Outputs are left behind: the source format has none.
"""

from __future__ import annotations

import json
import re
from typing import Any

from localcloud.core.errors import not_emulated
from localcloud.core.json import Json
from localcloud.databricks import errors
from localcloud.databricks.runtime import source

_COMMENTS = {"PYTHON": "#", "SQL": "--", "SCALA": "//", "R": "#"}
_OWN = "application/vnd.databricks.v1+notebook"
_MAGIC = re.compile(r"%{1,2}([\w-]+)")


def to_source(content: bytes) -> tuple[str, bytes]:
    """(language, text in source format). Raises INVALID_PARAMETER_VALUE for what is no notebook of format 4."""
    try:
        notebook = json.loads(content)
    except ValueError as error:
        raise errors.invalid(f"The content is not a Jupyter notebook: {error}") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise errors.invalid("The content is not a Jupyter notebook of format 4: it has no list of cells.")
    language = _language(notebook.get("metadata") or {})
    comment = _COMMENTS[language]
    texts = [_cell(cell, comment) for cell in cells]
    body = f"\n\n{comment} COMMAND ----------\n\n".join(texts)
    return language, f"{comment} Databricks notebook source\n{body}\n".encode()


def from_source(content: bytes, language: str, name: str) -> bytes:
    """Raises 501 for languages whose source format localcloud does not read."""
    if language not in {"PYTHON", "SQL"}:
        raise not_emulated(f"workspace/export of a notebook in {language} as JUPYTER")
    cells = [_jupyter_cell(cell) for cell in source.parse(content.decode(), language)]
    shown = language.lower()
    notebook: Json = {
        "cells": cells,
        "metadata": {_OWN: {"language": shown, "notebookName": name}, "language_info": {"name": shown}},
        "nbformat": 4,
        "nbformat_minor": 0,
    }
    return json.dumps(notebook).encode()


def _language(metadata: Json) -> str:
    places: tuple[Any, ...] = (metadata.get(_OWN), metadata.get("language_info"), metadata.get("kernelspec"))
    for place in places:
        if isinstance(place, dict):
            named = str(place.get("language") or place.get("name") or "").upper()
            if named in _COMMENTS:
                return named
    return "PYTHON"


def _cell(cell: Json, comment: str) -> str:
    raw = cell.get("source") or ""
    text = raw if isinstance(raw, str) else "".join(str(line) for line in raw)
    if cell.get("cell_type") != "code":
        return _magic(f"%md\n{text}", comment)
    first = next((line for line in text.splitlines() if line.strip()), "")
    if _MAGIC.match(first.strip()):
        return _magic(text.strip().replace("%%", "%", 1) if first.strip().startswith("%%") else text.strip(), comment)
    return text.strip("\n")


def _magic(text: str, comment: str) -> str:
    return "\n".join(f"{comment} MAGIC {line}".rstrip() for line in text.splitlines())


def _jupyter_cell(cell: source.Cell) -> Json:
    text = cell.text
    if cell.magic.startswith("md"):
        return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}
    if cell.magic:
        text = f"%{cell.magic}\n{text}" if "\n" in text else f"%{cell.magic} {text}".rstrip()
    return {
        "cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [],
        "source": text.splitlines(keepends=True),
    }  # fmt: skip
