"""What stops a migration; the text says what to do."""

from __future__ import annotations


class MigrationError(Exception):
    """Nothing was written."""
