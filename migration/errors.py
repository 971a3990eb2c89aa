"""Errors that stop a migration; each text names the remedy."""

from __future__ import annotations


class MigrationError(Exception):
    """No file was written."""
