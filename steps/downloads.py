"""Errors of downloads from MLflow, for people."""

from __future__ import annotations


def problem(error: Exception) -> str:
    """Return why files could not be had, on one line.

    MLflow lists the failed files with their errors below a general sentence that ends with a colon.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    causes = [line for line in lines[1:] if not line.startswith("#")]
    if not lines:
        return type(error).__name__
    return f"{lines[0]} {causes[0]}" if lines[0].endswith(":") and causes else lines[0].rstrip(":")
