"""Instance pools, cluster policies, permissions, secrets, SCIM and the catalogue through the real client."""

from __future__ import annotations

import base64
import json
import uuid

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    BadRequest,
    InvalidParameterValue,
    NotFound,
    NotImplemented,
    PermissionDenied,
    ResourceAlreadyExists,
    ResourceConflict,
    ResourceDoesNotExist,
)  # fmt: skip
from databricks.sdk.service import iam
from databricks.sdk.service.workspace import AclPermission, AzureKeyVaultSecretScopeMetadata, ScopeBackendType


def test_the_catalogue_has_the_runtime_and_node_types_of_the_stack(admin: WorkspaceClient) -> None:
    assert "17.3.x-scala2.13" in {version.key for version in admin.clusters.spark_versions().versions or []}
    assert admin.clusters.select_spark_version(long_term_support=True, scala="2.13") == "17.3.x-scala2.13"
    nodes = {node.node_type_id: node for node in admin.clusters.list_node_types().node_types or []}
    assert (nodes["Standard_DS3_v2"].num_cores, nodes["Standard_DS3_v2"].memory_mb) == (4, 14336)
    assert admin.clusters.select_node_type(local_disk=True, local_disk_min_size=100, min_cores=8) in nodes


def test_a_pool_is_created_edited_listed_and_deleted(admin: WorkspaceClient) -> None:
    name = f"pool-{uuid.uuid4().hex[:6]}"
    pool_id = admin.instance_pools.create(
        name,
        "Standard_D4ds_v5",
        idle_instance_autotermination_minutes=10,
        preloaded_spark_versions=["17.3.x-scala2.13"],
    ).instance_pool_id
    assert pool_id is not None
    with pytest.raises(InvalidParameterValue, match=f"{name} is already used"):
        admin.instance_pools.create(name, "Standard_D4ds_v5")
    admin.instance_pools.edit(pool_id, name, "Standard_D4ds_v5", idle_instance_autotermination_minutes=5)
    pool = admin.instance_pools.get(pool_id)
    assert (pool.idle_instance_autotermination_minutes, pool.min_idle_instances) == (5, 0)
    assert pool.preloaded_spark_versions == ["17.3.x-scala2.13"]
    with pytest.raises(InvalidParameterValue, match=r"node_type_id of instance pool .* cannot be changed"):
        admin.instance_pools.edit(pool_id, name, "Standard_DS3_v2")
    assert pool_id in {item.instance_pool_id for item in admin.instance_pools.list()}
    admin.instance_pools.delete(pool_id)
    with pytest.raises(ResourceDoesNotExist, match="Can't find an instance pool with id"):
        admin.instance_pools.get(pool_id)


def test_an_invalid_pool_is_refused(admin: WorkspaceClient, member: WorkspaceClient) -> None:
    with pytest.raises(InvalidParameterValue, match="Node type Standard_Nope is not supported"):
        admin.instance_pools.create("p-bad", "Standard_Nope")
    with pytest.raises(
        InvalidParameterValue, match=r"max_capacity \(1\) must not be less than min_idle_instances \(2\)"
    ):
        admin.instance_pools.create("p-bad", "Standard_DS3_v2", min_idle_instances=2, max_capacity=1)
    with pytest.raises(InvalidParameterValue, match=r"Invalid spark version 1.0"):
        admin.instance_pools.create("p-bad", "Standard_DS3_v2", preloaded_spark_versions=["1.0"])
    with pytest.raises(NotImplemented, match=r"pools that preload runtime 17\.3\.x-cpu-ml-scala2\.13"):
        admin.instance_pools.create("p-bad", "Standard_DS3_v2", preloaded_spark_versions=["17.3.x-cpu-ml-scala2.13"])
    with pytest.raises(PermissionDenied, match="not authorized to create instance pools"):
        member.instance_pools.create("p-bad", "Standard_DS3_v2")


def test_policies_are_checked_when_written_and_only_admins_write_them(
    admin: WorkspaceClient, member: WorkspaceClient
) -> None:
    name, definition = f"policy-{uuid.uuid4().hex[:6]}", json.dumps({"num_workers": {"type": "fixed", "value": 0}})
    with pytest.raises(InvalidParameterValue, match="whose type is one of"):
        admin.cluster_policies.create(name=name, definition='{"num_workers": {"value": 1}}')
    with pytest.raises(PermissionDenied, match="Only workspace admins"):
        member.cluster_policies.create(name=name, definition=definition)
    policy_id = admin.cluster_policies.create(name=name, definition=definition).policy_id
    assert policy_id is not None
    with pytest.raises(InvalidParameterValue, match="already used by policy"):
        admin.cluster_policies.create(name=name, definition=definition)
    with pytest.raises(PermissionDenied, match="CAN_USE"):
        member.cluster_policies.get(policy_id)
    admin.cluster_policies.edit(policy_id, name=name, definition='{"num_workers": {"type": "range", "maxValue": 2}}')
    assert json.loads(admin.cluster_policies.get(policy_id).definition or "")["num_workers"]["maxValue"] == 2
    admin.cluster_policies.delete(policy_id)
    with pytest.raises(ResourceDoesNotExist):
        admin.cluster_policies.get(policy_id)


def test_permissions_replace_or_add_and_inherit(admin: WorkspaceClient, member: WorkspaceClient, folder: str) -> None:
    name = member.current_user.me().user_name
    folder_id = str(admin.workspace.get_status(folder).object_id)
    entry = iam.AccessControlRequest(service_principal_name=name, permission_level=iam.PermissionLevel.CAN_READ)
    answer = admin.permissions.set("directories", folder_id, access_control_list=[entry])
    mine = [item for item in answer.access_control_list or [] if item.service_principal_name == name]
    assert [p.permission_level for p in mine[0].all_permissions or []] == [iam.PermissionLevel.CAN_READ]
    admin.workspace.mkdirs(f"{folder}/below")
    below = str(admin.workspace.get_status(f"{folder}/below").object_id)
    inherited = [
        (item.service_principal_name, permission.inherited)
        for item in admin.permissions.get("directories", below).access_control_list or []
        for permission in item.all_permissions or []
    ]
    assert (name, True) in inherited
    levels = admin.permissions.get_permission_levels("directories", folder_id).permission_levels or []
    assert [level.permission_level.value for level in levels if level.permission_level] == [
        "CAN_READ", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE",
    ]  # fmt: skip
    unknown = iam.AccessControlRequest(
        service_principal_name=str(uuid.uuid4()), permission_level=iam.PermissionLevel.CAN_READ
    )
    with pytest.raises(ResourceDoesNotExist, match="does not exist"):
        admin.permissions.update("directories", folder_id, access_control_list=[unknown])
    wrong = iam.AccessControlRequest(service_principal_name=name, permission_level=iam.PermissionLevel.CAN_USE)
    with pytest.raises(InvalidParameterValue, match="CAN_USE is not supported for a folder; choose one of CAN_READ"):
        admin.permissions.update("directories", folder_id, access_control_list=[wrong])


def test_secrets_are_stored_by_scope_and_read_by_allowed_principals(
    admin: WorkspaceClient, member: WorkspaceClient
) -> None:
    scope = f"scope-{uuid.uuid4().hex[:6]}"
    admin.secrets.create_scope(scope)
    with pytest.raises(ResourceAlreadyExists, match=f"Scope {scope} already exists!"):
        admin.secrets.create_scope(scope)
    admin.secrets.put_secret(scope, "key", string_value="s3cret-value")
    assert base64.b64decode(admin.secrets.get_secret(scope, "key").value or "") == b"s3cret-value"
    assert [secret.key for secret in admin.secrets.list_secrets(scope)] == ["key"]
    with pytest.raises(ResourceDoesNotExist, match=f"scope: {scope} and key: other"):
        admin.secrets.get_secret(scope, "other")
    name = member.current_user.me().user_name or ""
    with pytest.raises(PermissionDenied, match="READ"):
        member.secrets.get_secret(scope, "key")
    admin.secrets.put_acl(scope, name, AclPermission.READ)
    assert member.secrets.get_secret(scope, "key").key == "key"
    assert admin.secrets.get_acl(scope, name).permission == AclPermission.READ
    with pytest.raises(PermissionDenied, match="WRITE"):
        member.secrets.put_secret(scope, "key", string_value="x")
    admin.secrets.delete_acl(scope, name)
    admin.secrets.delete_secret(scope, "key")
    admin.secrets.delete_scope(scope)
    with pytest.raises(ResourceDoesNotExist):
        admin.secrets.list_secrets(scope).__next__()
    with pytest.raises(BadRequest, match="needs backend_azure_keyvault"):
        admin.secrets.create_scope(scope, scope_backend_type=ScopeBackendType.AZURE_KEYVAULT)
    vault = AzureKeyVaultSecretScopeMetadata(
        resource_id="/subscriptions/x/none", dns_name="https://none.vault.azure.net/"
    )
    with pytest.raises(BadRequest, match="does not exist"):
        admin.secrets.create_scope(
            scope, scope_backend_type=ScopeBackendType.AZURE_KEYVAULT, backend_azure_keyvault=vault
        )


def test_service_principals_are_registered_listed_changed_and_removed(
    admin: WorkspaceClient, member: WorkspaceClient
) -> None:
    client_id = str(uuid.uuid4())
    created = admin.service_principals.create(application_id=client_id, display_name="a job")
    assert created.id is not None
    matches = list(admin.service_principals.list(filter=f'applicationId eq "{client_id}"'))
    assert [item.id for item in matches] == [created.id]
    quoted = admin.service_principals.list(filter=f"applicationId Eq '{client_id}'")
    assert [item.id for item in quoted] == [created.id]
    with pytest.raises(ResourceConflict, match="already exists"):
        admin.service_principals.create(application_id=client_id)
    operation = iam.Patch(op=iam.PatchOp.ADD, path="entitlements", value=[{"value": "allow-cluster-create"}])
    admin.service_principals.patch(
        created.id, operations=[operation], schemas=[iam.PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP]
    )
    entitlements = admin.service_principals.get(created.id).entitlements or []
    assert "allow-cluster-create" in {item.value for item in entitlements}
    with pytest.raises(PermissionDenied, match="Only workspace admins"):
        member.service_principals.create(application_id=str(uuid.uuid4()))
    with pytest.raises(BadRequest, match="client id of an Entra application"):
        admin.service_principals.create(application_id="not-a-guid")
    admin.service_principals.delete(created.id)
    with pytest.raises(NotFound, match="not found"):
        admin.service_principals.get(created.id)


def test_me_is_the_service_principal_and_admins_are_a_group(admin: WorkspaceClient) -> None:
    me = admin.current_user.me()
    assert "admins" in {group.display for group in me.groups or []}
    admins = next(iter(admin.groups.list(filter='displayName eq "admins"')))
    assert me.id in {member.value for member in admin.groups.get(admins.id or "").members or []}


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/api/2.2/jobs/runs/submit", {"tasks": "x"}, "'tasks' to be an array"),
        ("/api/2.2/jobs/runs/submit", {"tasks": [5]}, "'tasks' to be an array of objects"),
        ("/api/2.1/jobs/create", {"name": 5}, "'name' to be a string"),
        ("/api/2.1/jobs/create", {"name": "a", "timeout_seconds": "soon"}, "'timeout_seconds' to be a whole number"),
        ("/api/2.2/jobs/runs/submit", {"idempotency_token": 5}, "'idempotency_token' to be a string"),
        (
            "/api/2.2/jobs/runs/submit",
            {"tasks": [{"task_key": "a", "notebook_task": {"notebook_path": "/x", "base_parameters": [1]}}]},
            "'base_parameters' to be an object",
        ),
        (
            "/api/2.1/jobs/create",
            {"tasks": [{"task_key": "a", "new_cluster": {"spark_version": ["17.3.x-scala2.13"]}}]},
            "'spark_version' to be a string",
        ),
    ],
)
def test_a_field_of_another_type_is_a_malformed_request(
    admin: WorkspaceClient, path: str, body: dict[str, object], named: str
) -> None:
    with pytest.raises(BadRequest, match=named) as caught:
        admin.api_client.do("POST", path, body=body)
    assert caught.value.error_code == "MALFORMED_REQUEST"


def test_scim_words_a_malformed_request_in_its_own_way(admin: WorkspaceClient) -> None:
    principal = admin.current_user.me().id
    for operations in ("x", [5], [{"op": "add", "value": {"entitlements": 5}}]):
        with pytest.raises(BadRequest, match="to be an array"):
            admin.api_client.do(
                "PATCH", f"/api/2.0/preview/scim/v2/ServicePrincipals/{principal}", body={"Operations": operations}
            )


def test_the_caller_s_own_keys_are_unrestricted(admin: WorkspaceClient) -> None:
    cluster = {
        "spark_version": "17.3.x-scala2.13", "node_type_id": "Standard_DS3_v2", "num_workers": 1,
        "custom_tags": {"source": "me", "tags": "many"},
    }  # fmt: skip
    notebook = {"notebook_path": "/x", "base_parameters": {"tasks": "none", "scope": "all"}}
    task = {"task_key": "a", "new_cluster": cluster, "notebook_task": notebook}
    job = admin.api_client.do("POST", "/api/2.1/jobs/create", body={"name": "own keys", "tasks": [task]})
    assert isinstance(job, dict)
    admin.jobs.delete(job["job_id"])
