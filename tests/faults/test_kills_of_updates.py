"""Updates that are killed, or lose what they talk to, at many moments: the next one goes on and ends whole."""

from __future__ import annotations

import pytest

from tests.faults.platform import Platform, changes, has_changed
from tests.faults.table import Tries

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]
_MOMENTS = (1, 4, 9, 14, 20, 27)
"""Resources that an update has made when its victim is killed; each update goes on where the last one ended."""


@pytest.mark.parametrize("victim", ["engine", "gateway", "Azurite"])
def test_a_stack_is_made_and_destroyed_across_kills(platform: Platform, tries: Tries, victim: str) -> None:
    for verb in ("up", "destroy"):
        kind = f"kill of {'the ' if victim.islower() else ''}{victim} during {verb}"
        done = 0
        for moment in _MOMENTS:
            update = platform.update(verb)
            reached = update.until(has_changed(moment - done))
            assert reached or update.wait() == 0, update.text
            if not reached:
                break
            platform.kill(victim, update)
            update.wait()
            done += changes(update.text)
            platform.recover()
            tries.add(kind, bool(platform.state()))
        last = platform.update(verb)
        assert last.wait() == 0, last.text
        if verb == "up":
            platform.check_whole()
    assert not platform.state().get("resources")
