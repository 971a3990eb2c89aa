"""Errors of the runner; each text is for people."""

from __future__ import annotations


class RunnerError(Exception):
    """An error that ends a build with a message instead of a result."""


class ExpressionError(RunnerError):
    """An expression that Azure Pipelines would refuse."""


class PipelineError(RunnerError):
    """A pipeline or template that Azure Pipelines would refuse before its first stage."""
