"""The key by which Azure ML may reuse the first step of an earlier run, an input of the published pipeline.

Azure ML reuses a step when its component, inputs and settings equal an earlier step's (learn.microsoft.com "How to
debug pipeline reuse issues"). It compares the address of the data as text and does not check that the outputs still
exist, so that both are in the key: a new key comes before the stack's rule deletes the engineered data, and data whose
address does not follow from their content get a unique key.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

INPUT = "reuse_key"
_DAY_SECONDS = 24 * 60 * 60


def period(engineered_days: int) -> timedelta:
    """Return the lifetime of a key: half of the engineered data's time."""
    return timedelta(seconds=engineered_days * _DAY_SECONDS // 2)


def shared(address: str, data_version: str, engineered_days: int | None, now: datetime | None = None) -> str:
    """Return the key that all runs on the same data have in the same period.

    It is `unique` without a lifetime of engineered data, and for an address that can get other content.
    """
    if engineered_days is None or data_version not in address:
        return unique()
    seconds = int(period(engineered_days).total_seconds())
    return f"{engineered_days}d-{int((now or datetime.now(UTC)).timestamp()) // seconds}"


def unique() -> str:
    """Return a key that no other run has: all steps run."""
    return uuid.uuid4().hex
