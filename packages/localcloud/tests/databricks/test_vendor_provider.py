"""Requests of the vendor's Terraform provider, of which its Pulumi plugin is made, replayed.

Paths, fields and order are from github.com/databricks/terraform-provider-databricks at 684f442 (August 2026): scim/,
permissions/, pools/, policies/, workspace/ and catalog/. Each test names the file of its resource.
"""

from __future__ import annotations

import base64
import uuid
from typing import Any

import httpx
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, NotFound
from databricks.sdk.errors.base import DatabricksError
from localcloud.testing.unity import Place, unique
from localcloud.testing.unity import job as job
from localcloud.testing.unity import place as place

SCIM = "/api/2.0/preview/scim/v2"
PRINCIPALS = f"{SCIM}/ServicePrincipals"
SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:ServicePrincipal"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
READ = {"attributes": "userName,displayName,active,externalId,entitlements"}
NOTHING: list[dict[str, str]] = [{}]
"""readEntitlementsFromData of scim/scim.go, when no entitlement is set."""


def send(admin: WorkspaceClient, method: str, api: str, body: Any = None, **query: Any) -> dict[str, Any]:
    answer = admin.api_client.do(method, api, body=body, query=query)
    assert isinstance(answer, dict)
    return answer


def principal_body(application_id: str, **more: Any) -> dict[str, Any]:
    return {
        "schemas": [SCHEMA], "applicationId": application_id, "displayName": "id-dataops-dev-pipeline",
        "active": True, "entitlements": NOTHING, **more,
    }  # fmt: skip


def entitlements(answer: dict[str, Any]) -> list[str]:
    return [entry["value"] for entry in answer.get("entitlements") or []]


def test_a_service_principal_without_entitlements_has_none(admin: WorkspaceClient) -> None:
    """scim/resource_service_principal.go: create, read, update, read, delete, read."""
    application_id = str(uuid.uuid4())
    created = send(admin, "POST", PRINCIPALS, principal_body(application_id))
    path = f"{PRINCIPALS}/{created['id']}"

    read = send(admin, "GET", path, **READ)
    assert entitlements(created) == entitlements(read) == []
    assert read["applicationId"] == application_id, "it is read though it is not among the attributes"
    assert (read["displayName"], read["active"]) == ("id-dataops-dev-pipeline", True)
    assert "groups" not in read, "an attribute that was not asked for"

    memberships = send(admin, "GET", path, attributes="groups,roles")
    allowed = principal_body(application_id, entitlements=[{"value": "allow-cluster-create"}])
    send(admin, "PUT", path, allowed | {"groups": memberships.get("groups")})
    assert entitlements(send(admin, "GET", path, **READ)) == ["allow-cluster-create"]
    send(admin, "PUT", path, principal_body(application_id))
    assert entitlements(send(admin, "GET", path, **READ)) == []

    admin.api_client.do("DELETE", path)
    with pytest.raises(NotFound, match=f"Service principal with id {created['id']} not found"):
        send(admin, "GET", path, **READ)


def test_a_service_principal_keeps_its_groups_through_an_update(admin: WorkspaceClient) -> None:
    """ServicePrincipalsAPI.Update sends back the groups and roles that it read."""
    application_id = str(uuid.uuid4())
    created = send(admin, "POST", PRINCIPALS, principal_body(application_id))
    group = send(
        admin, "POST", f"{SCIM}/Groups",
        {"displayName": f"g-{application_id}", "entitlements": NOTHING, "members": [{"value": created["id"]}]},
    )  # fmt: skip
    path = f"{PRINCIPALS}/{created['id']}"
    read = send(admin, "GET", path, attributes="groups,roles")
    assert [(entry["value"], entry["display"]) for entry in read["groups"]] == [(group["id"], f"g-{application_id}")]

    send(admin, "PUT", path, principal_body(application_id, groups=read["groups"]))

    members = send(admin, "GET", f"{SCIM}/Groups/{group['id']}").get("members") or []
    assert [member["value"] for member in members] == [created["id"]]
    send(admin, "PUT", path, principal_body(application_id))
    assert "members" not in send(admin, "GET", f"{SCIM}/Groups/{group['id']}"), "a replacement without groups"


def test_an_existing_service_principal_is_adopted_by_force(admin: WorkspaceClient, databricks_url: str) -> None:
    """createForceOverridesManuallyAddedServicePrincipal: the error's text, then a filter that leaves out roles."""
    application_id = str(uuid.uuid4())
    created = send(admin, "POST", PRINCIPALS, principal_body(application_id))

    body = principal_body(application_id)
    refused = httpx.post(f"{databricks_url}{PRINCIPALS}", json=body, headers={"Authorization": "Bearer deployer"})
    assert refused.status_code == 409
    assert refused.json()["detail"] == f"Service principal with application ID {application_id} already exists."
    assert "scimType" not in refused.json(), "the client's error would begin with it, and not be the one that is known"
    listed = send(admin, "GET", PRINCIPALS, filter=f'applicationId eq "{application_id}"', excludedAttributes="roles")
    assert [item["id"] for item in listed["Resources"]] == [created["id"]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"entitlements": [{"value": "allow-everything"}]}, "Unknown entitlement allow-everything"),
        ({"entitlements": [{"value": 5}]}, "'value' to be a string"),
        ({"active": "perhaps"}, "'active' to be true or false"),
        ({"applicationId": "id-dataops"}, "must be the client id of an Entra application"),
    ],
)
def test_a_refused_service_principal_leaves_nothing(
    admin: WorkspaceClient, change: dict[str, Any], message: str
) -> None:
    application_id = str(uuid.uuid4())

    with pytest.raises(BadRequest, match=message):
        send(admin, "POST", PRINCIPALS, principal_body(application_id) | change)

    listed = send(admin, "GET", PRINCIPALS, filter=f'applicationId eq "{application_id}"')
    assert listed["totalResults"] == 0
    with pytest.raises(NotFound, match="doesn't exist"):
        admin.workspace.get_status(f"/Users/{application_id}")


@pytest.mark.parametrize("kind", ["ServicePrincipals", "Users", "Groups"])
def test_empty_values_are_stored_nowhere(admin: WorkspaceClient, kind: str) -> None:
    """Users, groups and service principals without entitlements are sent with `[{}]`, as is databricks_entitlements."""
    name = str(uuid.uuid4())
    body = {"applicationId": name, "displayName": name, "userName": f"{name}@example.com", "entitlements": NOTHING}
    created = send(admin, "POST", f"{SCIM}/{kind}", body)
    path = f"{SCIM}/{kind}/{created['id']}"
    assert "entitlements" not in created | send(admin, "GET", path)

    change = {"op": "replace", "path": "entitlements"}
    for value, names in (([{"value": "allow-cluster-create"}], ["allow-cluster-create"]), (NOTHING, [])):
        send(admin, "PATCH", path, {"schemas": [PATCH], "Operations": [change | {"value": value}]})
        assert entitlements(send(admin, "GET", path, attributes="entitlements")) == names


def test_entitlements_are_removed_by_their_values(admin: WorkspaceClient) -> None:
    """scim/resource_entitlement.go: the deletion of databricks_entitlements."""
    both = [{"value": "workspace-access"}, {"value": "allow-cluster-create"}]
    created = send(admin, "POST", PRINCIPALS, principal_body(str(uuid.uuid4()), entitlements=both))
    operation = {"op": "remove", "path": "entitlements", "value": [{"value": "allow-cluster-create"}]}

    send(admin, "PATCH", f"{PRINCIPALS}/{created['id']}", {"schemas": [PATCH], "Operations": [operation]})

    assert entitlements(send(admin, "GET", f"{PRINCIPALS}/{created['id']}")) == ["workspace-access"]


def test_a_service_principal_is_disabled_by_a_list_of_one_value(admin: WorkspaceClient) -> None:
    """disable_as_user_deletion: PatchRequestWithValue of scim/scim.go."""
    created = send(admin, "POST", PRINCIPALS, principal_body(str(uuid.uuid4())))
    operation = {"op": "replace", "path": "active", "value": [{"value": "false"}]}

    send(admin, "PATCH", f"{PRINCIPALS}/{created['id']}", {"schemas": [PATCH], "Operations": [operation]})

    assert send(admin, "GET", f"{PRINCIPALS}/{created['id']}", **READ)["active"] is False


def test_entitlements_come_from_groups_as_well(admin: WorkspaceClient) -> None:
    """The group `users` grants the default ones, and no principal shows them as its own."""
    me = send(admin, "GET", f"{SCIM}/Me")
    assert me["userName"] == me["applicationId"] and "entitlements" not in me
    assert "groups" not in send(admin, "GET", f"{SCIM}/Me", excludedAttributes="groups")
    users = send(admin, "GET", f"{SCIM}/Groups", filter="displayName eq users")["Resources"]
    assert [sorted(entitlements(group)) for group in users] == [["databricks-sql-access", "workspace-access"]]


@pytest.mark.parametrize("kind", ["Users", "Groups"])
def test_members_that_are_no_service_principals_are_not_emulated(
    admin: WorkspaceClient, databricks_url: str, kind: str
) -> None:
    """A group's member in scim/, with a user and with a group."""
    name = f"m-{uuid.uuid4().hex[:10]}"
    member = send(admin, "POST", f"{SCIM}/{kind}", {"userName": f"{name}@example.com", "displayName": name})
    path = f"{SCIM}/Groups/{send(admin, 'POST', f'{SCIM}/Groups', {'displayName': f'g-{name}'})['id']}"

    def add(id_: str) -> httpx.Response:
        operation = {"op": "add", "path": "members", "value": [{"value": id_}]}
        return httpx.patch(
            f"{databricks_url}{path}", json={"schemas": [PATCH], "Operations": [operation]},
            headers={"Authorization": "Bearer deployer"},
        )  # fmt: skip

    refused = add(member["id"])
    assert refused.status_code == 501
    assert f"a {kind.lower()[:-1]} as a member of a group: members are service principals" in refused.text
    assert add("1").status_code == 404
    assert "members" not in send(admin, "GET", path)


def test_a_filter_of_several_comparisons_is_evaluated(admin: WorkspaceClient) -> None:
    name = f"f-{uuid.uuid4()}"
    created = send(admin, "POST", PRINCIPALS, principal_body(str(uuid.uuid4()), displayName=name))

    for filter_, ids in (
        (f'displayName eq "{name.upper()}" and active eq true', [created["id"]]),
        (f"displayName sw '{name[:8]}' and not (displayName eq '{name}')", []),
    ):
        listed = send(admin, "GET", PRINCIPALS, filter=filter_)
        assert [item["id"] for item in listed.get("Resources") or []] == ids, filter_
    with pytest.raises(BadRequest):
        send(admin, "GET", PRINCIPALS, filter="displayName like x")


def test_permissions_name_the_provider_s_own_identity_as_a_user(
    admin: WorkspaceClient, member: WorkspaceClient
) -> None:
    """permissions/resource_permissions.go of a pool: create, read, delete."""
    me = send(admin, "GET", f"{SCIM}/Me", excludedAttributes="entitlements")["userName"]
    other = str(member.current_user.me().user_name)
    pool = send(
        admin, "POST", "/api/2.0/instance-pools/create",
        {
            "instance_pool_name": f"pool-{uuid.uuid4()}", "idle_instance_autotermination_minutes": 10,
            "azure_attributes": {"availability": "ON_DEMAND_AZURE"}, "node_type_id": "Standard_D4ds_v5",
            "custom_tags": None, "enable_elastic_disk": True, "preloaded_spark_versions": ["17.3.x-scala2.13"],
        },
    )["instance_pool_id"]  # fmt: skip
    path = f"/api/2.0/permissions/instance-pools/{pool}"
    controls = [
        {"service_principal_name": other, "permission_level": "CAN_ATTACH_TO"},
        {"user_name": me.upper(), "permission_level": "CAN_MANAGE"},
    ]

    send(admin, "PUT", path, {"access_control_list": controls})

    read = send(admin, "GET", path)
    assert read["object_type"] == "instance-pool"
    direct = {
        entry.get("service_principal_name"): [item["permission_level"] for item in entry["all_permissions"]]
        for entry in read["access_control_list"]
        if not all(item["inherited"] for item in entry["all_permissions"])
    }
    assert direct == {other: ["CAN_ATTACH_TO"], me: ["CAN_MANAGE"]}, "under its application id, as a service principal"
    send(admin, "PUT", path, {"access_control_list": controls[1:]})
    with pytest.raises(DatabricksError, match=r"user nobody@example\.com does not exist"):
        send(admin, "PUT", path, {"access_control_list": [controls[1] | {"user_name": "nobody@example.com"}]})


def test_an_edited_pool_is_sent_whole(admin: WorkspaceClient) -> None:
    """pools/resource_instance_pool.go: an edit has every field of the resource."""
    body = {
        "instance_pool_name": f"pool-{uuid.uuid4()}", "min_idle_instances": 0, "max_capacity": 4,
        "idle_instance_autotermination_minutes": 10, "azure_attributes": {"availability": "ON_DEMAND_AZURE"},
        "node_type_id": "Standard_D4ds_v5", "custom_tags": {"CostCenter": "a"}, "enable_elastic_disk": True,
        "preloaded_spark_versions": ["17.3.x-scala2.13"],
    }  # fmt: skip
    created = send(admin, "POST", "/api/2.0/instance-pools/create", body)

    send(admin, "POST", "/api/2.0/instance-pools/edit", body | created | {"max_capacity": 6})

    read = send(admin, "GET", "/api/2.0/instance-pools/get", **created)
    assert {key: read[key] for key in body} == body | {"max_capacity": 6}
    send(admin, "POST", "/api/2.0/instance-pools/delete", created)


def test_a_notebook_without_a_parent_folder_is_sent_again_after_it(admin: WorkspaceClient) -> None:
    """workspace/resource_notebook.go and resource_directory.go."""
    parent = f"/Shared/{uuid.uuid4()}/deep"
    body = {
        "content": base64.b64encode(b"# Databricks notebook source\nprint(1)").decode(), "path": f"{parent}/n",
        "language": "PYTHON", "format": "SOURCE", "overwrite": True,
    }  # fmt: skip
    with pytest.raises(NotFound):
        send(admin, "POST", "/api/2.0/workspace/import", body)
    with pytest.raises(NotFound):
        send(admin, "GET", "/api/2.0/workspace/get-status", path=parent)
    send(admin, "POST", "/api/2.0/workspace/mkdirs", {"path": parent})
    created = send(admin, "POST", "/api/2.0/workspace/import", body)

    status = send(admin, "GET", "/api/2.0/workspace/get-status", path=f"{parent}/n")
    assert created.get("object_id", status["object_id"]) == status["object_id"]
    assert (status["object_type"], status["language"]) == ("NOTEBOOK", "PYTHON")
    send(admin, "POST", "/api/2.0/workspace/delete", {"path": parent, "recursive": True})


def test_a_catalog_loses_its_default_schema_and_its_grants_are_replaced(
    admin: WorkspaceClient, place: Place, job: str
) -> None:
    """catalog/resource_catalog.go, resource_schema.go and resource_grants.go: create, read, replace, delete."""
    name, unity = unique("cat"), "/api/2.1/unity-catalog"
    created = send(
        admin, "POST", f"{unity}/catalogs", {"name": name, "storage_root": f"{place.url}managed", "comment": "c"}
    )
    assert (created["name"], created.get("share_name"), created.get("connection_name")) == (name, None, None)
    admin.api_client.do("DELETE", f"{unity}/schemas/{name}.default")
    send(admin, "POST", f"{unity}/schemas", {"catalog_name": name, "name": "training"})
    assert send(admin, "GET", f"{unity}/catalogs/{name}")["comment"] == "c"

    grants = f"{unity}/permissions/catalog/{name}"
    assert send(admin, "GET", grants).get("privilege_assignments") in (None, [])
    for change, privileges in (
        ({"add": ["USE_CATALOG", "USE_SCHEMA"]}, {"USE_CATALOG", "USE_SCHEMA"}),
        ({"add": ["SELECT"], "remove": ["USE_SCHEMA"]}, {"USE_CATALOG", "SELECT"}),
    ):
        send(admin, "PATCH", grants, {"changes": [{"principal": job, **change}]})
        (assignment,) = send(admin, "GET", grants)["privilege_assignments"]
        assert (assignment["principal"], set(assignment["privileges"])) == (job, privileges)
    send(admin, "PATCH", grants, {"changes": [{"principal": job, "remove": ["USE_CATALOG", "SELECT"]}]})
    assert send(admin, "GET", grants).get("privilege_assignments") in (None, [])

    with pytest.raises(DatabricksError, match="is not empty"):
        admin.api_client.do("DELETE", f"{unity}/catalogs/{name}")
    admin.api_client.do("DELETE", f"{unity}/schemas/{name}.training")
    admin.api_client.do("DELETE", f"{unity}/catalogs/{name}")
    with pytest.raises(NotFound):
        send(admin, "GET", f"{unity}/catalogs/{name}")
