"""The clock of schedules, moved by the deployer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import requests

from localcloud.testing.azure_session import AzureSession


class MovedClock:
    """Requests to /_localcloud/clock."""

    def __init__(self, azure: AzureSession, cloud: Any) -> None:
        self.address = f"{cloud.settings.gateway_url}/_localcloud/clock"
        self._azure = azure

    def set(self, moment: datetime) -> None:
        answer = requests.post(self.address, json={"now": moment.isoformat()}, headers=self._headers, timeout=30)
        assert answer.status_code == 200, answer.text

    def reset(self) -> None:
        answer = requests.delete(self.address, headers=self._headers, timeout=30)
        assert answer.json()["offset_seconds"] == 0, answer.text

    @property
    def _headers(self) -> dict[str, str]:
        token = self._azure.credential.get_token("https://management.azure.com/.default").token
        return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def clock(azure: AzureSession, cloud: Any) -> Iterator[MovedClock]:
    """Return the clock, which has the machine's time again afterwards."""
    moved = MovedClock(azure, cloud)
    yield moved
    moved.reset()
