"""Notebooks in Databricks source format: cells, magics, and the paths that %run names.

Source: docs.databricks.com "Export and import notebooks" (the format) and "Develop code in notebooks" (magics).
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

_COMMENT = {"PYTHON": "#", "SQL": "--"}


@dataclass(frozen=True)
class Cell:
    """A cell of a notebook.

    `number` counts from 1. `magic` is "" for code in the notebook's own language, else "run", "sql", "md" and so on.
    """

    number: int
    magic: str
    text: str


class NotebookFormatError(Exception):
    """The text is not a notebook that can run."""


def parse(text: str, language: str) -> list[Cell]:
    """Return the cells in order. An empty cell has its number and no text."""
    comment = _COMMENT.get(language)
    if comment is None:
        raise NotebookFormatError(f"localcloud runs notebooks in Python and SQL, not in {language}.")
    lines = text.removeprefix("\ufeff").splitlines()
    if lines and lines[0].strip() == f"{comment} Databricks notebook source":
        lines = lines[1:]
    separator = re.compile(rf"{re.escape(comment)} COMMAND -+\s*")
    groups: list[list[str]] = [[]]
    for line in lines:
        if separator.fullmatch(line):
            groups.append([])
        else:
            groups[-1].append(line)
    return [_cell(number, group, comment) for number, group in enumerate(groups, start=1)]


def _cell(number: int, lines: list[str], comment: str) -> Cell:
    title = re.compile(rf"{re.escape(comment)} DBTITLE \d+,.*")
    prefix = re.compile(rf"{re.escape(comment)} MAGIC ?")
    # A title has its line, so that line numbers match the cell's text.
    lines = ["" if title.fullmatch(line) else line for line in lines]
    first = next((line for line in lines if line.strip()), "")
    if not prefix.match(first):
        return Cell(number, "", "\n".join(lines).strip("\n"))
    body = [prefix.sub("", line, count=1) for line in lines if prefix.match(line)]
    start = re.match(r"\s*%([\w-]+)[ \t]*", body[0])
    if start is None:
        raise NotebookFormatError(f"Cell {number}: a MAGIC line starts with % and the magic's name, got {body[0]!r}.")
    magic = start.group(1)
    rest = [body[0][start.end() :], *body[1:]]
    if magic == "run":
        rest = [rest[0]]  # %run is alone in its cell
    return Cell(number, magic, "\n".join(rest).strip("\n"))


def run_target(text: str) -> tuple[str, dict[str, str]]:
    """Return the path and the $name="value" arguments of a %run line."""
    match = re.match(r"""\s*(?:"([^"]+)"|'([^']+)'|(\S+))(.*)""", text)
    if match is None:
        raise NotebookFormatError("%run needs a notebook's path, such as %run ./helpers")
    path = next(part for part in match.groups()[:3] if part)
    pairs = re.findall(r"""\$(\w+)\s*=\s*(?:"([^"]*)"|'([^']*)'|(\S+))""", match.group(4))
    return path, {name: double or single or bare for name, double, single, bare in pairs}


def resolve(path: str, notebook: str) -> str:
    """Return a path that another notebook names: absolute, with or without /Workspace, or relative to that notebook."""
    if path.startswith("/"):
        absolute = posixpath.normpath(path)
        return absolute.removeprefix("/Workspace") if absolute.startswith("/Workspace/") else absolute
    return posixpath.normpath(posixpath.join(posixpath.dirname(notebook), path))


def split_sql(text: str) -> list[str]:
    """Return the statements of a SQL cell, split at semicolons outside quotes and comments."""
    token = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`|--[^\n]*|/\*.*?\*/|;|[^;'\"`/-]+|.", re.DOTALL)
    statements, current = [], ""
    for match in token.finditer(text):
        if match.group() == ";":
            statements.append(current)
            current = ""
        elif not match.group().startswith(("--", "/*")):
            current += match.group()
    statements.append(current)
    return [statement.strip() for statement in statements if statement.strip()]
