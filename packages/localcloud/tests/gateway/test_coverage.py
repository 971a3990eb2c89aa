"""The coverage page agrees with the code, and every client in it has the test that it names."""

from __future__ import annotations

from pathlib import Path

import pytest
from localcloud import coverage
from localcloud.arm.resource_types import ResourceType
from localcloud.coverage_clients import CLIENTS, Client

PACKAGE = Path(__file__).resolve().parents[2]


def test_the_committed_page_is_the_code_s() -> None:
    committed = (PACKAGE / "COVERAGE.md").read_text(encoding="utf-8")

    assert committed == coverage.page(), "run `python -m localcloud.coverage > packages/localcloud/COVERAGE.md`"
    for part in ("`Microsoft.Storage/storageAccounts`", "`PUT /secrets/{name}`", "`POST /jobs/runs/submit`"):
        assert part in committed


@pytest.mark.parametrize("client", CLIENTS, ids=str)
def test_a_client_listed_as_working_has_tests(client: Client) -> None:
    assert client.tests and client.commands
    for test in client.tests:
        assert (PACKAGE / "tests" / test).exists(), test


def test_how_far_a_type_goes_follows_from_its_hooks() -> None:
    async def put(*_: object) -> None:
        """Do nothing."""

    versions = ("2024-01-01",)
    assert coverage.how_far(ResourceType(type="A.B/c", api_versions=versions)) == "stored"
    assert coverage.how_far(ResourceType(type="A.B/c", api_versions=versions, required=("kind",))) == "checked"
    assert coverage.how_far(ResourceType(type="A.B/c", api_versions=versions, on_put=put)) == "executed"
