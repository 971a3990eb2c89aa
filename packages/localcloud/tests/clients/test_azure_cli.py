"""azure-cli: its requests, recorded from azure-cli 2.91 against a running localcloud, are answered as it expects."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msal
import pytest
import requests
from localcloud.core.json import Json
from localcloud.coverage_clients import AZURE_CLI
from localcloud.testing.azure_session import AzureSession, error_of, unique
from localcloud.testing.recordings import Player, read

RECORDING = Path(__file__).parent / "azure_cli.json"


@pytest.fixture(scope="module")
def answers(azure: AzureSession) -> Iterator[dict[str, list[list[Json]]]]:
    """Play the recording once, in order, as its commands build on each other; give the answers by command."""
    now = datetime.now(UTC)
    name, group = unique("x"), unique("rg-")
    values = {
        "client": os.environ["AZURE_CLIENT_ID"], "group": group, "name": name,
        "since": (now - timedelta(hours=6)).replace(tzinfo=None).isoformat(),
        "until": (now + timedelta(hours=1)).replace(tzinfo=None).isoformat(),
    }  # fmt: skip
    player = Player(azure, values)
    played: dict[str, list[list[Json]]] = {}
    for command in read(RECORDING):
        played.setdefault(command.words, []).append(player.play(command))
    yield played
    left = azure.arm("DELETE", f"{azure.subscription}/resourceGroups/{group}sub", "2024-11-01")
    if left.status_code == 202:
        azure.finish(left)


def test_the_coverage_page_lists_exactly_the_commands_that_are_replayed() -> None:
    assert sorted(AZURE_CLI) == sorted({command.words for command in read(RECORDING)})


def test_container_registry_answers_a_version_that_is_newer_than_all_known(answers: Any) -> None:
    (created,) = answers["acr create"]
    assert created[1]["properties"]["loginServer"].endswith(".azurecr.io")
    replications = answers["acr replication list"][0][-1]["value"]
    assert [replication["location"] for replication in replications] == ["westeurope"], "the registry's own region"
    assert answers["acr show-usage"][0][-1]["value"][0]["name"] == "Size"
    credentials, renewed = answers["acr credential show"][0][-1], answers["acr credential renew"][0][-1]
    assert (
        credentials["passwords"][0] != renewed["passwords"][0]
        and credentials["passwords"][1] == renewed["passwords"][1]
    )


def test_a_malformed_version_is_still_refused(azure: AzureSession, group: str) -> None:
    path = f"{group}/providers/Microsoft.ContainerRegistry/registries/none1"
    for version in ("3000", "2027-13-1x", "latest"):
        assert error_of(azure.arm("GET", path, version))[:2] == (400, "NoRegisteredProviderFound"), version


def test_templates_are_read_with_comments_behind_an_unquoted_name(answers: Any) -> None:
    (validated,) = answers["deployment group validate"]
    assert validated[0]["properties"]["provisioningState"] == "Succeeded"
    exported = answers["deployment group export"][0][0]["template"]
    assert exported["parameters"] == {"name": {"type": "string"}}
    assert answers["deployment group create"][0][-1]["properties"]["outputs"]["url"]["value"].startswith("https://stx")


def test_what_if_reports_create_before_and_no_change_after(answers: Any) -> None:
    before, after = (played[0]["properties"]["changes"] for played in answers["deployment group what-if"])
    kinds = [(change["resourceId"].rsplit("/", 1)[-1][:3], change["changeType"]) for change in before]
    assert kinds[0] == ("stx", "Create")
    assert before[0]["after"]["sku"] == {"name": "Standard_LRS"}
    assert [change["changeType"] for change in after if "/storageAccounts/" in change["resourceId"]] == ["NoChange"]


def test_a_principal_is_known_by_its_application_id(answers: Any) -> None:
    client = os.environ["AZURE_CLIENT_ID"]
    assert [principal["appId"] for principal in answers["ad sp show"][0][0]["value"]] == [client]
    created = answers["role assignment create"][0][-1]["properties"]
    assert created["principalId"] == answers["ad sp show"][0][0]["value"][0]["id"]
    named = answers["role assignment list"][0][-1]["value"]
    assert {"@odata.type": "#microsoft.graph.servicePrincipal"}.items() <= named[0].items()


def test_a_service_principal_is_no_signed_in_user(answers: Any) -> None:
    error = answers["ad signed-in-user show"][0][0]["error"]
    assert error == {"code": "BadRequest", "message": "/me request is only valid with delegated authentication flow."}


def test_tags_in_use_are_counted(answers: Any, azure: AzureSession, group: str) -> None:
    assert "a" in {tag["tagName"] for tag in answers["tag list"][0][0]["value"]}
    tag = unique("t")
    for value in ("one", "two"):
        scope = f"{azure.subscription}/resourceGroups/{unique('rg-')}" if value == "two" else group
        azure.put(scope, "2024-03-01", {"location": "westeurope", "tags": {tag: value}})
    tags = azure.arm("GET", f"{azure.subscription}/tagNames", "2024-11-01").json()["value"]
    (details,) = [details for details in tags if details["tagName"] == tag]
    assert details["count"] == {"type": "Total", "value": 2}
    assert [(value["tagValue"], value["count"]["value"]) for value in details["values"]] == [("one", 1), ("two", 1)]


def test_the_activity_log_has_the_changes_of_a_group(answers: Any) -> None:
    (everything, of_group, failed) = (played[0]["value"] for played in answers["monitor activity-log list"])
    assert len(everything) >= len(of_group) > 0
    writes = [event for event in of_group if event["operationName"]["value"] == "Microsoft.Resources/tags/write"]
    assert {event["status"]["value"] for event in writes} == {"Succeeded"}
    assert writes[0]["caller"] == os.environ["AZURE_CLIENT_ID"]
    times = [event["eventTimestamp"] for event in of_group]
    assert times == sorted(times, reverse=True), "newest first"
    assert {event["status"]["value"] for event in failed} <= {"Failed"}


@pytest.mark.parametrize(
    "text",
    ["", "resourceGroupName eq 'x'", "eventTimestamp ge yesterday", "eventTimestamp ge 2026-01-01 or caller eq x"],
)
def test_the_activity_log_requires_a_begin(azure: AzureSession, text: str) -> None:
    path = f"{azure.subscription}/providers/Microsoft.Insights/eventtypes/management/values"
    status, code, message = error_of(azure.arm("GET", path, "2015-04-01", None, **_filtered(text)))
    assert (status, code) == (400, "BadRequest") and "eventTimestamp ge" in message


def _filtered(text: str) -> dict[str, Any]:
    return {"$filter": text}


def test_the_event_of_a_refused_change_has_status_failed(azure: AzureSession, group: str) -> None:
    path = f"{group}/providers/Microsoft.Storage/storageAccounts/not-a-name"
    assert azure.arm("PUT", path, "2024-01-01", {"location": "westeurope"}).status_code == 400
    events = azure.arm(
        "GET", f"{azure.subscription}/providers/Microsoft.Insights/eventtypes/management/values", "2015-04-01",
        None, **_filtered(f"eventTimestamp ge 2020-01-01T00:00:00Z and resourceId eq '{path}'"),
    ).json()["value"]  # fmt: skip
    assert [(event["operationName"]["value"], event["status"]["value"], event["level"]) for event in events] == [
        ("Microsoft.Storage/storageAccounts/write", "Failed", "Error")
    ]


def test_device_codes_are_refused_in_oauth_s_form() -> None:
    """Device codes need a person, and msal reads `error` as a text."""
    application = msal.PublicClientApplication(
        "04b07795-8ddb-461a-bbee-02f9e1bf7b46",
        authority=f"https://login.microsoftonline.com/{os.environ['AZURE_TENANT_ID']}",
    )
    flow = application.initiate_device_flow(["https://management.azure.com/.default"])
    assert flow["error"] == "not_implemented"
    assert "/oauth2/v2.0/devicecode" in flow["error_description"]
    answer = requests.post("https://login.microsoftonline.com/common/oauth2/v2.0/devicecode", data={}, timeout=30)
    assert (answer.status_code, type(answer.json()["error"])) == (501, str)


def test_what_if_shows_changed_properties_tags_and_resources_left_alone(azure: AzureSession, group: str) -> None:
    account, other = unique("st"), unique("st")
    body: Json = {
        "location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"},
        "properties": {"minimumTlsVersion": "TLS1_0"},
    }  # fmt: skip
    storage = f"{group}/providers/Microsoft.Storage/storageAccounts"
    azure.put(f"{storage}/{account}", "2023-01-01", body | {"tags": {"gone": "1", "kept": "1"}})
    azure.put(f"{storage}/{other}", "2023-01-01", body)
    resource = body | {
        "type": "Microsoft.Storage/storageAccounts", "apiVersion": "2023-01-01", "name": account,
        "location": "West Europe", "tags": {"kept": "2"}, "properties": {"minimumTlsVersion": "TLS1_2"},
    }  # fmt: skip
    template = {"$schema": "x", "contentVersion": "1.0.0.0", "resources": [resource]}
    path = f"{group}/providers/Microsoft.Resources/deployments/d/whatIf"
    answer = azure.arm("POST", path, "2025-04-01", {"properties": {"mode": "Incremental", "template": template}})
    changed, ignored = answer.json()["properties"]["changes"]
    assert (changed["changeType"], ignored["changeType"]) == ("Modify", "Ignore")
    assert ignored["resourceId"].endswith(other)
    assert sorted((change["path"], change["propertyChangeType"]) for change in changed["delta"]) == [
        ("properties.minimumTlsVersion", "Modify"), ("tags.gone", "Delete"), ("tags.kept", "Modify"),
    ]  # fmt: skip
    current = azure.arm("GET", f"{storage}/{account}", "2023-01-01").json()
    assert current["properties"]["minimumTlsVersion"] == "TLS1_0", "nothing was deployed"
