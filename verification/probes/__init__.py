"""All probes, in their order."""

from __future__ import annotations

from collections.abc import Sequence

from verification.probe import Probe
from verification.probes import by_hand, learning, notebooks, runs, subscription

PROBES: Sequence[Probe] = (
    *subscription.PROBES,
    *learning.PROBES,
    *runs.PROBES,
    *notebooks.PROBES,
    *by_hand.PROBES,
)
