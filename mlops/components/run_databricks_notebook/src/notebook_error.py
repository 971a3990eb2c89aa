"""The cause of a notebook's failure on one line: Databricks' own error text may be a page of stack frames."""

from __future__ import annotations

import re

_FRAME = re.compile(r"\s*(at [\w$.]+[./(]|\.\.\. \d+ (more|common frames)|File \")")
_PYTHON_TRACE = "Traceback (most recent call last)"
_JVM_TRACE = "JVM stacktrace:"
_LEADING_LINES = 3
_LONGEST = 1000


def summarize(error: str) -> str:
    """Return the error's first lines, the exception of a Python worker, and the JVM's innermost cause, without frames.

    A Py4JJavaError is the exception's text and its Java frames; a PythonException quotes the worker's whole traceback
    (pyspark `errors.exceptions.captured`); the text of an error without frames is returned unchanged, on one line.
    """
    # Py4J writes the Java exception on a line of its own, behind a colon.
    lines = [line.strip().strip("'").removeprefix(": ") for line in error.splitlines()]
    lines = [line for line in lines if line]
    parts = _leading(lines)[:_LEADING_LINES]
    if (raised := _raised_by_worker(error)) is not None:
        parts.append(raised)
    causes = [line for line in lines if line.startswith("Caused by: ")]
    if causes and causes[-1].removeprefix("Caused by: ") not in " ".join(parts):
        parts.append(causes[-1])
    text = " ".join(dict.fromkeys(parts))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


def _leading(lines: list[str]) -> list[str]:
    """Return the lines before the first frame or trace."""
    for index, line in enumerate(lines):
        if _FRAME.match(line) or line.startswith((_PYTHON_TRACE, _JVM_TRACE, "Caused by: ")):
            return lines[:index]
    return lines


def _raised_by_worker(error: str) -> str | None:
    """Return the last line of the Python traceback that the error quotes, None if it quotes none."""
    _, separator, trace = error.partition(_JVM_TRACE)[0].rpartition(_PYTHON_TRACE)
    lines = [line for line in trace.splitlines()[1:] if line.strip(" '")]
    raised = [line.strip("'") for line in lines if not line.startswith(" ")]
    return raised[0] if separator and raised else None
