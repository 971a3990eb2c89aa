"""The error of every plugin. Kept apart from `serving`, which nothing but a plugin's process may import."""

from __future__ import annotations


class PluginError(Exception):
    """A refusal for the user: the request and the answer to it."""
