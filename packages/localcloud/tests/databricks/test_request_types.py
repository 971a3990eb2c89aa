"""Requests are held to databricks-sdk's own types: enums, JSON types, fields."""

from __future__ import annotations

import json
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, InvalidParameterValue
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service import compute
from localcloud.databricks import request_types
from localcloud.databricks.requests import checks
from localcloud.databricks.requests.names import anonymous
from localcloud.databricks.routes import ROUTES

POOL = {"instance_pool_name": "typed", "node_type_id": "Standard_DS3_v2"}


def test_the_committed_types_are_the_installed_sdk_s() -> None:
    assert request_types.TYPES_FILE.read_text(encoding="utf-8") == request_types.types(ROUTES).text(), (
        "run `python -m localcloud.databricks.request_types`"
    )


def test_every_route_that_takes_a_body_has_its_types() -> None:
    typed = json.loads(request_types.TYPES_FILE.read_text(encoding="utf-8"))["requests"]

    assert [f"{method} {path}" for method, path in ROUTES if f"{method} {anonymous(path)}" not in typed] == []


def _task(**fields: Any) -> dict[str, Any]:
    return {"tasks": [{"task_key": "a", "notebook_task": {"notebook_path": "/x"}, **fields}]}


@pytest.mark.parametrize(
    ("path", "body", "field", "values"),
    [
        (
            "/api/2.0/instance-pools/create",
            POOL | {"azure_attributes": {"availability": "SPOT_WITH_FALLBACK_AZURE"}},
            "azure_attributes.availability",
            "ON_DEMAND_AZURE, SPOT_AZURE",
        ),
        ("/api/2.2/jobs/create", {"name": "a", "performance_target": "STANDART"}, "performance_target", "PERF"),
        ("/api/2.2/jobs/runs/submit", _task(run_if="SOMETIMES"), "tasks[0].run_if", "ALL_DONE, ALL_FAILED"),
        (
            "/api/2.2/jobs/runs/submit",
            _task(new_cluster={"spark_version": "17.3.x-scala2.13", "data_security_mode": "OPEN"}),
            "tasks[0].new_cluster.data_security_mode",
            "DATA_SECURITY_MODE_AUTO",
        ),
        ("/api/2.0/workspace/import", {"path": "/x", "format": "ZIP"}, "format", "AUTO, DBC"),
        ("/api/2.0/secrets/acls/put", {"scope": "a", "principal": "b", "permission": "OWN"}, "permission", "MANAGE"),
    ],
)
def test_a_value_outside_an_enum_is_refused_by_its_path(
    admin: WorkspaceClient, path: str, body: dict[str, Any], field: str, values: str
) -> None:
    """Databricks drops such a value (apache/airflow#72148): here it does not become the default in silence."""
    with pytest.raises(InvalidParameterValue) as caught:
        admin.api_client.do("POST", path, body=body)

    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    assert f"for field {field}: must be one of {values}" in str(caught.value)


@pytest.mark.parametrize("availability", compute.InstancePoolAzureAttributesAvailability)
def test_every_value_of_the_enum_is_taken(
    admin: WorkspaceClient, availability: compute.InstancePoolAzureAttributesAvailability
) -> None:
    pool = admin.instance_pools.create(
        f"typed-{availability.value}", "Standard_DS3_v2",
        azure_attributes=compute.InstancePoolAzureAttributes(availability=availability),
    )  # fmt: skip
    admin.instance_pools.delete(pool.instance_pool_id or "")


def test_a_parameter_without_a_value_is_a_malformed_request(admin: WorkspaceClient) -> None:
    """The text is from Data Factory's connector troubleshooting guide, error 3202."""
    body = _task(notebook_task={"notebook_path": "/x", "base_parameters": {"input": None}})

    with pytest.raises(BadRequest) as caught:
        admin.api_client.do("POST", "/api/2.2/jobs/runs/submit", body=body)

    assert caught.value.error_code == "MALFORMED_REQUEST"
    assert str(caught.value) == (
        "Could not parse request object: Expected 'key' and 'value' to be set for JSON map field base_parameters,"
        " got 'key: \"input\"' instead."
    )


def test_a_misspelled_field_below_the_top_is_not_dropped_in_silence(admin: WorkspaceClient) -> None:
    body = POOL | {"azure_attributes": {"availabilty": "SPOT_AZURE"}}

    with pytest.raises(DatabricksError, match=r"does not emulate the field azure_attributes\.availabilty") as caught:
        admin.api_client.do("POST", "/api/2.0/instance-pools/create", body=body)

    assert caught.value.error_code == "NOT_IMPLEMENTED"


@pytest.mark.parametrize("value", ["--5", "\u00b2", "1.5", "", True, [1]])
def test_an_unreadable_number_is_refused(value: Any) -> None:
    fault = checks.first_fault("POST", "instance-pools/create", POOL | {"min_idle_instances": value})
    assert fault is not None and fault.kind == "type"
    assert fault.message.startswith(
        "Could not parse request object: Expected 'min_idle_instances' to be a whole number"
    )


def test_numbers_and_booleans_may_be_text_as_for_databricks_own_parser(admin: WorkspaceClient) -> None:
    body = POOL | {"min_idle_instances": 0, "enable_elastic_disk": "true"}
    pool = admin.api_client.do("POST", "/api/2.0/instance-pools/create", body=body)
    assert isinstance(pool, dict)

    admin.api_client.do("POST", "/api/2.0/instance-pools/delete", body={"instance_pool_id": pool["instance_pool_id"]})
