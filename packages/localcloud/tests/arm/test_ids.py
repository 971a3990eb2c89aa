"""Ids of resources: which text is one."""

from __future__ import annotations

import pytest
from localcloud.arm import ids
from localcloud.testing.azure_session import AzureSession


@pytest.mark.parametrize("type_", ["Microsoft.Resources/resourceGroups", "microsoft.resources/resourcegroups"])
def test_a_resource_group_is_in_no_other(azure: AzureSession, group: str, type_: str) -> None:
    id_ = f"{group}/providers/{type_}/other"
    assert ids.parse(id_) is None
    for method in ("DELETE", "PUT", "PATCH"):
        answer = azure.arm(method, id_, "2024-03-01", None if method == "DELETE" else {"location": "westeurope"})
        assert answer.status_code in {404, 501}
    assert azure.arm("GET", group, "2024-03-01").status_code == 200, "the group itself is still there"
