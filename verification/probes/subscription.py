"""The subscription: resource providers, the budget, and how long a role takes."""

from __future__ import annotations

import time
import uuid

from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient

from contract.resource_providers import RESOURCE_PROVIDERS
from verification.probe import Answer, Kind, Probe, judged, skipped
from verification.target import Target

_BUDGETS = "2024-08-01"
_STORAGE = "2024-01-01"
_ROLES = "2022-04-01"
_CONTRIBUTOR_OF_DATA = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
_LONGEST_SECONDS = 600
_POLL_SECONDS = 2.0


def _registered(target: Target) -> Answer:
    states = {name: target.management.providers.get(name).registration_state for name in RESOURCE_PROVIDERS}
    missing = sorted(name for name, state in states.items() if state != "Registered")
    return judged("all are Registered" if not missing else f"not Registered: {', '.join(missing)}", holds=not missing)


def _budget(target: Target) -> Answer:
    """Add one to the amount, and restore it."""
    budgets = list(target.clients.arm.list(f"{target.group}/providers/Microsoft.Consumption/budgets", _BUDGETS))
    if not budgets:
        return skipped("the stack has no budget")
    budget = budgets[0]
    kept = {key: value for key, value in budget["properties"].items() if key not in {"currentSpend", "forecastSpend"}}
    start = kept["timePeriod"]["startDate"]
    try:
        target.put(budget["id"], {"properties": kept | {"amount": float(kept["amount"]) + 1}}, _BUDGETS)
        after = target.get(budget["id"], _BUDGETS)["properties"]
    finally:
        target.put(budget["id"], {"properties": kept}, _BUDGETS)
    changed = float(after["amount"]) == float(kept["amount"]) + 1 and after["timePeriod"]["startDate"] == start
    return judged(f"amount {kept['amount']:g} to {after['amount']:g}, start date {start} kept", holds=changed)


def _propagation(target: Target) -> Answer:
    """Give the caller a role on a container of the probe's own and read it until Azure lets it; delete both again."""
    name = f"verify-{uuid.uuid4().hex[:12]}"
    container = f"{target.training_account}/blobServices/default/containers/{name}"
    assignment = f"{container}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
    definition = f"{target.subscription}/providers/Microsoft.Authorization/roleDefinitions/{_CONTRIBUTOR_OF_DATA}"
    target.put(container, {"properties": {}}, _STORAGE)
    try:
        if _may_list(target, name):
            return skipped("the caller may read the account without the role")
        target.put(assignment, {"properties": {"principalId": target.caller, "roleDefinitionId": definition}}, _ROLES)
        try:
            began = time.monotonic()
            while not _may_list(target, name):
                if time.monotonic() - began > _LONGEST_SECONDS:
                    return judged(f"not seen after {_LONGEST_SECONDS} s", holds=False)
                time.sleep(_POLL_SECONDS)
            return judged(f"seen after {time.monotonic() - began:.0f} s", holds=True)
        finally:
            target.delete(assignment, _ROLES)
    finally:
        target.delete(container, _STORAGE)


def _may_list(target: Target, container: str) -> bool:
    url = f"https://{target.outputs.training_account}.blob.core.windows.net"
    try:
        next(iter(ContainerClient(url, container, credential=target.clients.credential).list_blobs()), None)
    except HttpResponseError as error:
        if error.status_code == 403:
            return False
        raise
    return True


PROBES = (
    Probe(
        name="registered-providers",
        believed="the bootstrap has registered every resource provider that the stack uses",
        basis="pulumi/pulumi-azure-native#3479; docs/adr/0022",
        ask=_registered,
    ),
    Probe(
        name="budget-update",
        believed="a budget's amount is changed in place, and its start date stays",
        basis="learn.microsoft.com/rest/api/consumption/budgets; Azure/CanadaPubSecALZ#317",
        kind=Kind.CHANGE,
        ask=_budget,
    ),
    Probe(
        name="role-propagation",
        believed="a role assignment is seen by the data plane within ten minutes",
        basis="learn.microsoft.com/azure/role-based-access-control/troubleshooting; Azure/bicep#16601",
        kind=Kind.CHANGE,
        ask=_propagation,
    ),
)
