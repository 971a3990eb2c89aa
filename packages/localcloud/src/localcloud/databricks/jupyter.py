"""Notebooks between Jupyter's format and Databricks' source format.

docs.databricks.com "Export and import notebooks". Outputs are lost: the source format has none. nbformat takes 0.3 s
to import: callers import this module when they need it.
"""

from __future__ import annotations

import re
from typing import Any

import nbformat
import nbformat.reader
import nbformat.v4

from localcloud.core.errors import not_emulated
from localcloud.core.json import Json
from localcloud.databricks import errors
from localcloud.databricks.runtime import source

_COMMENTS = {"PYTHON": "#", "SQL": "--", "SCALA": "//", "R": "#"}
_OWN = "application/vnd.databricks.v1+notebook"
_FORMAT, _MINOR_WITH_IDS = 4, 5
_MAGIC = re.compile(r"%{1,2}([\w-]+)")


def to_source(content: bytes) -> tuple[str, bytes]:
    """Return the language and the text in source format. Raises INVALID_PARAMETER_VALUE for no notebook of format 4."""
    try:
        notebook = nbformat.reader.reads(content.decode())
        if (version := notebook.get("nbformat")) != _FORMAT:
            raise errors.invalid(f"The content is not a Jupyter notebook of format {_FORMAT}: {version}.")
        for number, cell in enumerate(notebook["cells"], start=1):
            if cell["cell_type"] == "code":
                cell["outputs"] = []
            if notebook.get("nbformat_minor", 0) >= _MINOR_WITH_IDS:
                cell.setdefault("id", f"cell-{number}")
        nbformat.validate(notebook)
    except (nbformat.ValidationError, ValueError, AttributeError, TypeError, KeyError) as error:
        raise errors.invalid(f"The content is not a Jupyter notebook: {str(error).partition(chr(10))[0]}") from None
    language = _language(notebook.metadata)
    comment = _COMMENTS[language]
    texts = [_cell(cell, comment) for cell in notebook.cells]
    body = f"\n\n{comment} COMMAND ----------\n\n".join(texts)
    return language, f"{comment} Databricks notebook source\n{body}\n".encode()


def from_source(content: bytes, language: str, name: str) -> bytes:
    """Return the notebook in Jupyter's format. Raises 501 for languages whose source localcloud does not read."""
    if language not in {"PYTHON", "SQL"}:
        raise not_emulated(f"workspace/export of a notebook in {language} as JUPYTER")
    kernel = language.lower()
    notebook = nbformat.v4.new_notebook(
        cells=[_jupyter_cell(cell) for cell in source.parse(content.decode(), language)],
        metadata={_OWN: {"language": kernel, "notebookName": name}, "language_info": {"name": kernel}},
        nbformat_minor=0,
    )
    return str(nbformat.writes(notebook)).encode()


def _language(metadata: Json) -> str:
    places: tuple[Any, ...] = (metadata.get(_OWN), metadata.get("language_info"), metadata.get("kernelspec"))
    for place in places:
        if isinstance(place, dict):
            named = str(place.get("language") or place.get("name") or "").upper()
            if named in _COMMENTS:
                return named
    return "PYTHON"


def _cell(cell: Json, comment: str) -> str:
    text = str(cell["source"])
    if cell["cell_type"] != "code":
        return _magic(f"%md\n{text}", comment)
    first = next((line for line in text.splitlines() if line.strip()), "")
    if _MAGIC.match(first.strip()):
        return _magic(text.strip().replace("%%", "%", 1) if first.strip().startswith("%%") else text.strip(), comment)
    return text.strip("\n")


def _magic(text: str, comment: str) -> str:
    return "\n".join(f"{comment} MAGIC {line}".rstrip() for line in text.splitlines())


def _jupyter_cell(cell: source.Cell) -> Any:
    text = cell.text
    if cell.magic.startswith("md"):
        node = nbformat.v4.new_markdown_cell(text)
    else:
        if cell.magic:
            text = f"%{cell.magic}\n{text}" if "\n" in text else f"%{cell.magic} {text}".rstrip()
        node = nbformat.v4.new_code_cell(text)
    del node["id"]  # formats before 4.5 have none, and Databricks writes 4.0
    return node
