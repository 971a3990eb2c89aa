"""Names of files as people and logs see them."""

from __future__ import annotations

from urllib.parse import quote

_PLAIN = frozenset("._-/ ")


def printable(name: str) -> str:
    """Return a name for people and logs: letters, digits, spaces and `._-/` unchanged, all else percent-encoded.

    A name from outside may hold line breaks, terminal controls, or a logging command of Azure Pipelines (`##vso[…]`).
    """

    def encoded(letter: str) -> str:
        return letter if letter.isalnum() or letter in _PLAIN else quote(letter, safe="", errors="surrogateescape")

    return "".join(encoded(letter) for letter in name)
