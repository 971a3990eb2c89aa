"""The error of every plugin, apart from `serving`, which only a plugin's process may import."""

from __future__ import annotations


class PluginError(Exception):
    """A refusal for the user: the request and the answer to it."""
