"""Updates that are killed, or lose their connections, at many moments: they or the next ones end whole."""

from __future__ import annotations

import pytest

from tests.faults.platform import Command, Platform, changes, has_changed
from tests.faults.table import Tries

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]
_VICTIMS = ("engine", "gateway", "Azurite")
_MOMENTS = (1, 4, 9, 14, 20, 27)
"""Resources that updates have made or deleted when their victim is killed; each goes on where the last one ended."""


@pytest.mark.parametrize("victim", _VICTIMS)
def test_a_stack_is_made_and_destroyed_across_kills(platform: Platform, tries: Tries, victim: str) -> None:
    for verb in ("up", "destroy"):
        kind = f"kill of {'the ' if victim.islower() else ''}{victim} during {verb}"
        _end_across_kills(platform, tries, verb, victim, kind)
        if verb == "up":
            platform.check_whole()
    assert not platform.state().get("resources")


def _end_across_kills(platform: Platform, tries: Tries, verb: str, victim: str, kind: str) -> None:
    """Update until one update ends well. It fails at most once for each kill.

    A killed service is back at once, so that the update may go on. Every third time, the gateway is back only after
    the update has given up.
    """
    update, before, kills = platform.update(verb), 0, 0
    for number, moment in enumerate(_MOMENTS):
        while not update.until(has_changed(max(1, moment - before))) or update.ended():
            if update.wait() == 0:
                return
            update, before = _again(platform, verb, update, before, kills)
            kills = 0
        platform.kill(victim, update)
        kills += 1
        if victim == "engine" or (victim == "gateway" and number % 3 == 1):
            update.wait()
        platform.recover()
        tries.add(kind, not update.ended() or bool(platform.state()))
    while update.wait() != 0:
        update, before = _again(platform, verb, update, before, kills)
        kills = 0


def _again(platform: Platform, verb: str, failed: Command, before: int, kills: int) -> tuple[Command, int]:
    assert kills, f"it fails and nothing was killed: {failed.text}"
    return platform.update(verb), before + changes(failed.text)
