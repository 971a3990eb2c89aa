"""Sessions of browsers: a link with a one-time token, and the cookie that the link becomes.

Both are stored as hashes and in memory: a restarted gateway has none.
"""

from __future__ import annotations

import hashlib
import secrets
import time

LINK_SECONDS = 5 * 60
SESSION_SECONDS = 12 * 3600


class Sessions:
    """Tokens that are valid for a time."""

    def __init__(self) -> None:
        self._links: dict[str, float] = {}
        self._sessions: dict[str, float] = {}

    def new_link(self) -> str:
        """Return a token that opens one session within the next five minutes."""
        return _add(self._links, LINK_SECONDS)

    def open(self, link_token: str) -> str | None:
        """Return the token of a new session, None for a link that was used, is too old or was never made."""
        end = self._links.pop(_hash(link_token), 0)
        return _add(self._sessions, SESSION_SECONDS) if end > time.time() else None

    def is_open(self, session_token: str) -> bool:
        """Whether a session has this token and has not ended."""
        return self._sessions.get(_hash(session_token), 0) > time.time()


def _add(ends: dict[str, float], seconds: float) -> str:
    now = time.time()
    for key in [key for key, end in ends.items() if end <= now]:
        del ends[key]
    token = secrets.token_urlsafe(32)
    ends[_hash(token)] = now + seconds
    return token


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
