"""The rehearsal's errors: each text is for people."""

from __future__ import annotations


class RehearsalError(Exception):
    """Anything that ends a rehearsal with a message instead of a result."""


class ExpressionError(RehearsalError):
    """An expression that Azure Pipelines would refuse."""


class PipelineError(RehearsalError):
    """A pipeline or template that Azure Pipelines would refuse before its first stage."""
