"""The life of links and sessions."""

from __future__ import annotations

import pytest
from localcloud.gateway import sessions
from localcloud.gateway.sessions import LINK_SECONDS, SESSION_SECONDS, Sessions


class Clock:
    """A clock that the tests set forward."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        """Return the time, as the module `time` does."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock of the sessions."""
    fake = Clock()
    monkeypatch.setattr(sessions, "time", fake)
    return fake


def test_a_link_opens_one_session() -> None:
    book = Sessions()
    link = book.new_link()

    session = book.open(link)

    assert session is not None and book.is_open(session)
    assert book.open(link) is None
    assert not book.is_open(link), "a link's token is no session's"
    assert book.open(session) is None, "a session's token is no link's"


def test_a_link_is_valid_for_five_minutes_and_a_session_for_twelve_hours(clock: Clock) -> None:
    book = Sessions()
    early, late = book.new_link(), book.new_link()
    clock.now += LINK_SECONDS - 1
    session = book.open(early)
    clock.now += 1
    assert book.open(late) is None
    assert session is not None

    clock.now += SESSION_SECONDS - 2
    assert book.is_open(session)
    clock.now += 1
    assert not book.is_open(session)


def test_unknown_tokens_open_no_session() -> None:
    book = Sessions()

    assert book.open("") is None
    assert not book.is_open("")
