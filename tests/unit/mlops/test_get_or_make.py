"""Attempts of a publication to make a version that another process makes at the same time."""

from __future__ import annotations

from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from mlops import asset_versions


class Version:
    """A version that is never visible.

    Each try to make it meets the next of `refusals`, and succeeds when there is none.
    """

    def __init__(self, *refusals: int) -> None:
        self._refusals, self.tries = list(refusals), 0

    def get(self) -> Any:
        raise ResourceNotFoundError("the version is not there")

    def make(self) -> Version:
        self.tries += 1
        if not self._refusals:
            return self
        refusal = HttpResponseError(f"refused at try {self.tries}")
        refusal.status_code = self._refusals.pop(0)
        raise refusal


def test_a_version_with_code_but_no_component_yet_is_retried() -> None:
    version = Version(409)

    assert asset_versions.get_or_make(version.get, version.make) is version
    assert version.tries == 2


def test_a_conflict_that_stays_is_the_client_s_error() -> None:
    version = Version(409, 409, 409, 409)

    with pytest.raises(HttpResponseError, match="refused at try 3"):
        asset_versions.get_or_make(version.get, version.make)


def test_another_refusal_is_not_retried() -> None:
    version = Version(400)

    with pytest.raises(HttpResponseError, match="refused at try 1"):
        asset_versions.get_or_make(version.get, version.make)
