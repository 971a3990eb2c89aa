"""Logic Apps: definitions that are refused, runs in order, sign-in with an identity, and the run history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.integration.logic import expressions
from localcloud.integration.logic.expressions import EvaluationError, Scope
from localcloud.testing.azure_session import AzureSession, error_of, unique
from localcloud.testing.workspace_session import wait_for

VERSION = "2019-05-01"
SCHEMA = "https://schema.management.azure.com/providers/Microsoft.Logic/schemas/2016-06-01/workflowdefinition.json#"
SCOPE = Scope([{"id": 1, "time": "b"}, {"id": 2, "time": "a"}], {"Look": {"value": []}, "Said": {"text": "it's"}})


def definition(actions: Json, **trigger: Any) -> Json:
    """Return a definition with a Request trigger."""
    return {
        "$schema": SCHEMA, "contentVersion": "1.0.0.0", "actions": actions,
        "triggers": {"called": {"type": "Request", "kind": "Http", "inputs": {}, **trigger}},
    }  # fmt: skip


def get(uri: str, **inputs: Any) -> Json:
    """Return an action that asks Resource Manager."""
    own = {"method": "GET", "uri": uri, "queries": {"api-version": "2024-03-01"}, "retryPolicy": {"type": "none"}}
    return {"type": "Http", "inputs": {**own, **inputs}, "runAfter": {}}


@pytest.fixture(scope="module")
def shared(azure: AzureSession) -> Iterator[str]:
    """Return the id of a resource group."""
    id_ = f"{azure.subscription}/resourceGroups/{unique('rg-')}"
    azure.put(id_, "2024-03-01", {"location": "westeurope"})
    yield id_
    azure.finish(azure.arm("DELETE", id_, "2024-03-01"))


def put(azure: AzureSession, group: str, content: Json, **body: Any) -> requests.Response:
    id_ = f"{group}/providers/Microsoft.Logic/workflows/{unique('logic-')}"
    return azure.arm("PUT", id_, VERSION, {"location": "westeurope", "properties": {"definition": content}, **body})


def call(azure: AzureSession, workflow: str, body: Any) -> str:
    """Start a run by the trigger's address; return its id."""
    url = azure.arm("POST", f"{workflow}/triggers/called/listCallbackUrl", VERSION).json()["value"]
    answer = requests.post(url, json=body, timeout=60)
    assert answer.status_code == 202, answer.text
    return f"{workflow}/runs/{answer.headers['x-ms-workflow-run-id']}"


def ended(azure: AzureSession, run: str) -> Json:
    ended_run: Json = wait_for(
        lambda: azure.arm("GET", run, VERSION).json()["properties"], lambda run: "endTime" in run
    )
    return ended_run


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (definition({}) | {"$schema": "x"}, 400, "The $schema of the definition must be"),
        (definition({"Loop": {"type": "Foreach"}}), 501, "actions of the type Foreach ('Loop')"),
        (definition({}, type="Recurrence"), 501, "triggers of the type Recurrence"),
        (definition({}, runtimeConfiguration={"concurrency": {"runs": 101}}), 400, "must be an integer from 1 to 100"),
        (definition({"A": get("https://x") | {"runAfter": {"B": ["Succeeded"]}}}), 400, "that do not exist there"),
        (definition({"A": get("https://x", cookie="c")}), 501, "inputs.cookie of the action 'A'"),
        (definition({"A": get("@guess('x')")}), 501, "the function guess of workflow definitions (the action 'A')"),
        (definition({"A": get("@concat('x'")}), 400, "Unable to parse template language expression 'concat('x''"),
        (definition({"A": get("https://x", authentication={"type": "Basic"})}), 501, "the authentication Basic"),
        (
            definition({"A": get("https://x", authentication={"type": "ManagedServiceIdentity", "audience": "a"})}),
            400, "does not have managed identity enabled",
        ),
        (definition({"A": {"type": "If", "expression": {"equals": [1, 1]}}}), 501, "as an object: write it as a text"),
        (definition({"A": {"type": "Wait", "inputs": {"interval": {"unit": "Second", "count": 0}}}}), 400, "above 0"),
    ],
)  # fmt: skip
def test_definitions_that_azure_refuses_or_localcloud_lacks_are_refused(
    azure: AzureSession, shared: str, content: Json, status: int, message: str
) -> None:
    answer = put(azure, shared, content)
    assert answer.status_code == status and message in error_of(answer)[2], answer.text


def test_a_run_signs_in_as_the_identity_and_an_action_reads_another_s_outputs(azure: AzureSession, shared: str) -> None:
    sign_in = {"type": "ManagedServiceIdentity", "audience": "https://management.azure.com/"}
    group = f"https://management.azure.com{shared}"
    actions = {
        "Look": get(group, authentication=sign_in),
        "If_west": {
            "type": "If", "expression": "@equals(body('Look')?['location'], triggerBody()?['where'])",
            "actions": {"End": {"type": "Terminate", "runAfter": {}, "inputs": {
                "runStatus": "Failed",
                "runError": {"code": "Found", "message": "@concat(body('Look')?['name'], ' is here')"}}}},
            "else": {"actions": {"Look_again": get(group, authentication=sign_in)}},
            "runAfter": {"Look": ["Succeeded"]},
        },
    }  # fmt: skip
    created = put(azure, shared, definition(actions), identity={"type": "SystemAssigned"})
    workflow = created.json()["id"]
    unknown = ended(azure, call(azure, workflow, {}))
    assert (unknown["status"], unknown["error"]["code"]) == ("Failed", "ActionFailed"), "it may read nothing yet"

    azure.assign(shared, "Contributor", created.json()["identity"]["principalId"])
    run = call(azure, workflow, {"where": "westeurope"})
    name = shared.rsplit("/", 1)[-1]
    assert ended(azure, run)["error"] == {"code": "Found", "message": f"{name} is here"}
    other = call(azure, workflow, {"where": "elsewhere"})
    assert ended(azure, other)["status"] == "Succeeded"
    listed = azure.arm("GET", f"{other}/actions", VERSION).json()["value"]
    states = {action["name"]: action["properties"]["status"] for action in listed}
    assert states == {"Look": "Succeeded", "If_west": "Succeeded", "End": "Skipped", "Look_again": "Succeeded"}
    link = next(action["properties"]["outputsLink"]["uri"] for action in listed if action["name"] == "Look")
    assert requests.get(link, timeout=60).json()["body"]["name"] == name
    broken = requests.get(link[:-4] + "AAAA", timeout=60)
    assert (broken.status_code, broken.json()["error"]["code"]) == (401, "AuthorizationFailed")


def test_runs_wait_for_each_other_and_too_many_are_refused(azure: AzureSession, shared: str) -> None:
    wait = {"W": {"type": "Wait", "runAfter": {}, "inputs": {"interval": {"unit": "Second", "count": 2}}}}
    limits = {"runtimeConfiguration": {"concurrency": {"runs": 1, "maximumWaitingRuns": 1}}}
    workflow = put(azure, shared, definition(wait, **limits)).json()["id"]
    first, second = call(azure, workflow, 1), call(azure, workflow, 2)
    waiting = azure.arm("GET", f"{workflow}/runs?$filter=status eq 'Waiting'", VERSION).json()["value"]
    assert [run["id"] for run in waiting] == [second]
    url = azure.arm("POST", f"{workflow}/triggers/called/listCallbackUrl", VERSION).json()["value"]
    assert requests.post(url, json=3, timeout=60).status_code == 429
    assert ended(azure, first)["endTime"] <= ended(azure, second)["startTime"]

    azure.arm("POST", f"{workflow}/disable", VERSION)
    refused = requests.post(url, json=4, timeout=60)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "WorkflowTriggerIsNotEnabled")
    assert "trigger 'called' with state 'Disabled': trigger is not enabled." in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("changes", "headers", "status", "code", "message"),
    [
        ({"sig": None}, {}, 401, "DirectApiAuthorizationRequired", "only by Shared Access scheme"),
        ({"sp": None}, {}, 401, "AuthorizationFailed", "are permissions ('sp'), version ('sv'), and signature"),
        ({"sp": "/triggers/other/run"}, {}, 401, "AuthorizationFailed", "credentials are not valid"),
        ({"sv": "2.0"}, {}, 401, "AuthorizationFailed", "credentials are not valid"),
        ({"sig": "AAAA"}, {}, 401, "AuthorizationFailed", "credentials are not valid"),
        ({"api-version": None}, {}, 400, "MissingApiVersionParameter", "(?api-version=) is required"),
        ({}, {"Authorization": "Bearer abc"}, 400, "DirectApiRequestHasMoreThanOneAuthorization", "'Bearer'"),
    ],
)
def test_an_address_without_its_whole_signature_starts_nothing(
    azure: AzureSession, shared: str, changes: dict[str, str | None], headers: dict[str, str], status: int, code: str,
    message: str,
) -> None:  # fmt: skip
    workflow = put(azure, shared, definition({})).json()["id"]
    address = azure.arm("POST", f"{workflow}/triggers/called/listCallbackUrl", VERSION).json()
    queries = {name: value for name, value in (address["queries"] | changes).items() if value is not None}
    refused = requests.post(address["basePath"], json=1, params=queries, headers=headers, timeout=60)
    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
    assert message in refused.json()["error"]["message"]
    assert azure.arm("GET", f"{workflow}/runs", VERSION).json()["value"] == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("@last(sort(triggerBody(), 'time'))?['id']", 1),
        ("@length(body('Look')?['value'])", 0),
        ("@concat('a', '''', body('Said')['text'])", "a'it's"),
        ("@substring('incoming/a.csv', 9)", "a.csv"),
        ("@replace('\"0x1\"', '\"', '')", "0x1"),
        ("@not(or(contains('a*', '*'), false))", False),
        ("@{body('Said')?['text']} and @{true}", "it's and True"),
        ("@@not an expression", "@not an expression"),
        ("@body('Said')?['no']?['further']", None),
    ],
)
def test_expressions_have_azure_s_values(text: str, value: Any) -> None:
    assert expressions.parse(text, "a test")(SCOPE) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@body('Never')", "The action 'Never' has not run"),
        ("@body('Said')['no']", "The property 'no' doesn't exist"),
        ("@length(null)", "length needs a text or an array"),
        ("@last(body('Look')?['value'])", "not empty"),
    ],
)
def test_values_that_are_not_there_fail_the_action(text: str, message: str) -> None:
    with pytest.raises(EvaluationError, match=message.replace("(", r"\(").replace(")", r"\)")):
        expressions.parse(text, "a test")(SCOPE)


@pytest.mark.parametrize("text", ["@", "@concat(", "@concat('a' 'b')", "@'a", "@name", "@concat('a') more"])
def test_malformed_expressions_are_refused(text: str) -> None:
    with pytest.raises(ServiceError, match="Unable to parse template language expression"):
        expressions.parse(text, "a test")
