"""Updates on Azure's bad days: faults are waited out or named, and the next update is whole."""

from __future__ import annotations

import pytest

from tests.faults.platform import INJECTED, Platform
from tests.faults.table import Tries

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]
_WAITED_OUT = ("429", "503", "slowness")
_RESOURCE_TYPES = (
    "Microsoft.Storage/storageAccounts", "Microsoft.ContainerRegistry/registries", "Microsoft.Databricks/workspaces",
    "Microsoft.MachineLearningServices/workspaces", "Microsoft.MachineLearningServices/workspaces/*/computes",
)  # fmt: skip
"""Types whose creation is long-running, in an order in which the failure of one leaves the next ones unmade."""


@pytest.mark.parametrize("kind", INJECTED)
def test_an_update_survives_faults_or_names_them(platform: Platform, tries: Tries, kind: str) -> None:
    with platform.injected(kind):
        update = platform.update()
        code = update.wait()
    again = platform.update()
    whole = again.wait() == 0
    tries.add(f"injected {kind} during an update", whole and (code == 0 or kind not in _WAITED_OUT))
    assert whole, again.text
    assert code == 0 or kind not in _WAITED_OUT, update.text
    platform.check_whole()


def test_an_operation_that_fails_is_named_and_made_again(platform: Platform, tries: Tries) -> None:
    for verb, method, paths in (
        ("up", "PUT", [f"*/providers/{type_}/*" for type_ in _RESOURCE_TYPES]),
        ("destroy", "DELETE", ["*"] * 3),
    ):
        for path in paths:
            if verb == "up" and platform.has(path):
                continue  # made by an earlier update before its other operation failed
            rule = {"path": path, "operation": True, "method": method, "count": 1, "code": "OutOfCapacity"}
            with platform.faults(rule):
                update = platform.update(verb)
                code = update.wait()
            named = code != 0 and "OutOfCapacity" in update.text
            tries.add(f"failing operations during {verb}", named)
            assert named, f"{method} {path}: {update.text}"
        last = platform.update(verb)
        assert last.wait() == 0, last.text
        if verb == "up":
            platform.check_whole()
    assert not platform.state().get("resources")
