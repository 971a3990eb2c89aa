"""A run's output: one JSON line an item, with secrets redacted. The run page shows it.

Items: {"cell": n, "kind": "text" | "html" | "error", "data": str} and
{"cell": n, "kind": "table", "columns": [...], "rows": [[...]]}.
"""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path
from typing import Any

MAX_BYTES = 20 * 1024 * 1024
"""Databricks stops a run's output at 20 MB a cell and 30 MB in all; this file is cut at 20 MB."""


class Output:
    """The output file. It is thread-safe: libraries print from threads of their own."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self._secrets: set[str] = set()
        self._left = MAX_BYTES
        self.cell = 0

    def hide(self, secret: str) -> None:
        """Show [REDACTED] in place of a value from now on. Short values are left: they would redact innocent text."""
        if len(secret) > 3:
            self._secrets.add(secret)

    def redact(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[REDACTED]")
        return text

    def add(self, kind: str, data: str) -> None:
        self._write({"cell": self.cell, "kind": kind, "data": self.redact(data)})

    def table(self, columns: list[str], rows: list[list[str]]) -> None:
        redacted = [[self.redact(value) for value in row] for row in rows]
        self._write({"cell": self.cell, "kind": "table", "columns": columns, "rows": redacted})

    def _write(self, item: dict[str, Any]) -> None:
        line = json.dumps(item) + "\n"
        with self._lock:
            if self._left > 0:
                self._left -= len(line)
                self._file.write(line)
                self._file.flush()


class Stream(io.TextIOBase):
    """sys.stdout and sys.stderr of a notebook."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def write(self, text: str) -> int:
        if text:
            self._output.add("text", text)
        return len(text)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False
