"""Unity Catalog through the vendor's client: catalogs, schemas, volumes, pages and owners."""

from __future__ import annotations

from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service import catalog as uc
from localcloud.testing.unity import Place, refused, unique
from localcloud.testing.unity import catalog as catalog
from localcloud.testing.unity import job as job
from localcloud.testing.unity import me as me
from localcloud.testing.unity import place as place


def test_a_catalog_begins_with_two_schemas_and_is_emptied_before_its_deletion(
    admin: WorkspaceClient, place: Place, me: str
) -> None:
    name = unique("cat")
    created = admin.catalogs.create(
        name, storage_root=f"{place.url}managed/", comment="c", properties={"my_Key": "my_Value"}
    )
    assert (created.full_name, created.catalog_type, created.owner) == (name, uc.CatalogType.MANAGED_CATALOG, me)
    assert created.storage_root == f"{place.url}managed", "Unity Catalog keeps no slash at the end"
    assert str(created.storage_location).startswith(f"{place.url}managed/__unitystorage/catalogs/")
    assert (created.comment, created.properties) == ("c", {"my_Key": "my_Value"})
    assert created.isolation_mode == uc.CatalogIsolationMode.OPEN
    schemas = {item.name: item for item in admin.schemas.list(name)}
    assert schemas.keys() == {"default", "information_schema"}
    assert (schemas["default"].owner, schemas["information_schema"].owner) == (me, "System user")
    refused(
        lambda: admin.catalogs.delete(name),
        "CATALOG_NOT_EMPTY",
        f"Catalog '{name}' is not empty. The catalog has 1 schema(s)",
    )
    refused(
        lambda: admin.schemas.delete(f"{name}.information_schema"),
        "PERMISSION_DENIED",
        f"User is not an owner of Schema '{name}.information_schema'.",
    )
    admin.schemas.delete(f"{name}.default")
    admin.catalogs.delete(name)
    refused(lambda: admin.catalogs.get(name), "CATALOG_DOES_NOT_EXIST", f"Catalog '{name}' does not exist.")
    refused(lambda: list(admin.schemas.list(name)), "CATALOG_DOES_NOT_EXIST", f"Catalog '{name}' does not exist.")


def test_an_invalid_catalog_is_refused(
    admin: WorkspaceClient, member: WorkspaceClient, place: Place, catalog: str
) -> None:
    create = admin.catalogs.create
    refused(
        lambda: create(catalog, storage_root=place.url),
        "CATALOG_ALREADY_EXISTS",
        f"Catalog '{catalog}' already exists",
    )
    with pytest.raises(DatabricksError, match=r"^Metastore storage root URL does not exist\.") as caught:
        create(unique("cat"))
    assert caught.value.error_code == "INVALID_STATE"
    outside = "abfss://data@elsewhere.dfs.core.windows.net/x"
    with pytest.raises(DatabricksError, match=f"No parent external location found for path '{outside}'"):
        create(unique("cat"), storage_root=outside)
    for bad in ("a.b", "a b", "a/b", "", "x" * 256):
        refused(
            lambda name=bad: create(name, storage_root=place.url),  # type: ignore[misc]
            "INVALID_PARAMETER_VALUE",
            f'Invalid input: RPC CreateCatalog Field managedcatalog.CatalogInfo.name: name "{bad}" is not a valid name.'
            " Valid names cannot contain spaces, periods, forward slashes, or control characters.",
        )
    refused(
        lambda: member.catalogs.create(unique("cat"), storage_root=place.url),
        "PERMISSION_DENIED",
        "User does not have CREATE CATALOG on Metastore 'metastore_azure_westeurope'.",
    )
    with pytest.raises(DatabricksError, match="does not emulate catalogs with connection_name"):
        create(unique("cat"), connection_name="postgres")


def test_a_schema_is_made_changed_listed_and_deleted(admin: WorkspaceClient, place: Place, catalog: str) -> None:
    schema = admin.schemas.create("Training", catalog, comment="one", storage_root=f"{place.url}schemas/training")
    assert (schema.name, schema.full_name, schema.catalog_name) == ("training", f"{catalog}.training", catalog)
    assert schema.storage_root == f"{place.url}schemas/training" and schema.schema_id
    refused(
        lambda: admin.schemas.create("training", catalog),
        "SCHEMA_ALREADY_EXISTS",
        f"Schema '{catalog}.training' already exists",
    )
    changed = admin.schemas.update(f"{catalog}.training", comment="two", properties={"a": "b"})
    assert (changed.comment, changed.properties) == ("two", {"a": "b"})
    assert admin.schemas.get(f"{catalog}.TRAINING") == changed, "names compare in any letter case"
    admin.schemas.delete(f"{catalog}.training")
    refused(
        lambda: admin.schemas.get(f"{catalog}.training"),
        "SCHEMA_DOES_NOT_EXIST",
        f"Schema '{catalog}.training' does not exist.",
    )
    refused(
        lambda: admin.schemas.create("s", "none_such"), "CATALOG_DOES_NOT_EXIST", "Catalog 'none_such' does not exist."
    )
    with pytest.raises(DatabricksError, match=r'SchemaInfo\.name: name "a\.b" is not a valid name'):
        admin.schemas.create("a.b", catalog)


def test_volumes_are_kept_and_fill_a_schema(admin: WorkspaceClient, place: Place, catalog: str) -> None:
    schema = f"{catalog}.default"
    managed = admin.volumes.create(catalog, "default", "files", uc.VolumeType.MANAGED, comment="c")
    assert managed.full_name == f"{schema}.files"
    assert str(managed.storage_location).startswith(f"{place.url}managed/__unitystorage/catalogs/")
    raw = admin.volumes.create(catalog, "default", "raw", uc.VolumeType.EXTERNAL, storage_location=f"{place.url}raw/")
    assert raw.storage_location == f"{place.url}raw"
    assert {item.name for item in admin.volumes.list(catalog, "default")} == {"files", "raw"}
    assert admin.volumes.update(f"{schema}.raw", comment="d").comment == "d"
    refused(
        lambda: admin.volumes.create(
            catalog, "default", "more", uc.VolumeType.EXTERNAL, storage_location=f"{place.url}raw/more"
        ),
        "INVALID_PARAMETER_VALUE",
        f"Input path url '{place.url}raw/more' overlaps with other external tables or volumes within 'CreateVolume'"
        f" call. Conflicting tables/volumes: {schema}.raw.",
        "LOCATION_OVERLAP",
    )
    refused(
        lambda: admin.volumes.create(catalog, "default", "all", uc.VolumeType.EXTERNAL, storage_location=place.url),
        "INVALID_PARAMETER_VALUE",
        f"Input path url '{place.url}' overlaps with managed storage within 'CreateVolume' call.",
        "LOCATION_OVERLAP",
    )
    refused(
        lambda: admin.volumes.create(
            catalog, "default", "here", uc.VolumeType.MANAGED, storage_location=f"{place.url}here"
        ),
        "INVALID_PARAMETER_VALUE",
        "CreateVolume storage_location can not be provided.",
    )
    refused(
        lambda: admin.schemas.delete(schema),
        "SCHEMA_NOT_EMPTY",
        f"Schema '{schema}' is not empty. The schema has 0 tables(s), 0 functions(s), 2 volumes(s)",
    )
    admin.volumes.delete(f"{schema}.raw")
    refused(
        lambda: admin.volumes.read(f"{schema}.raw"),
        "VOLUME_DOES_NOT_EXIST",
        f"Volume '{schema}.raw' does not exist.",
    )
    admin.schemas.delete(schema, force=True)


def test_there_are_no_tables(admin: WorkspaceClient, catalog: str) -> None:
    assert list(admin.tables.list(catalog, "default")) == []
    refused(
        lambda: admin.tables.get(f"{catalog}.default.rows"),
        "TABLE_DOES_NOT_EXIST",
        f"Table '{catalog}.default.rows' does not exist.",
    )
    with pytest.raises(DatabricksError, match=r"does not emulate DELETE /api/2.1/unity-catalog/tables/") as caught:
        admin.tables.delete(f"{catalog}.default.rows")
    assert caught.value.error_code == "NOT_IMPLEMENTED"


def test_catalogs_are_listed_in_pages(admin: WorkspaceClient, catalog: str) -> None:
    for number in range(5):
        admin.schemas.create(f"s{number}", catalog)
    path, query = "/api/2.1/unity-catalog/schemas", {"catalog_name": catalog}
    first: Any = admin.api_client.do("GET", path, query={**query, "max_results": 3})
    assert [item["name"] for item in first["schemas"]] == ["default", "information_schema", "s0"]
    admin.schemas.delete(f"{catalog}.s0")
    token = first["next_page_token"]
    second: Any = admin.api_client.do("GET", path, query={**query, "max_results": 3, "page_token": token})
    assert [item["name"] for item in second["schemas"]] == ["s1", "s2", "s3"], "a deletion moves no page"
    assert len(list(admin.schemas.list(catalog, max_results=1))) == 6
    whole: Any = admin.api_client.do("GET", path, query=query)
    assert len(whole["schemas"]) == 6 and "next_page_token" not in whole
    refused(
        lambda: list(admin.schemas.list(catalog, max_results=-1)),
        "INVALID_PARAMETER_VALUE",
        "max_results must be 0 or at least 1, got -1.",
    )
    refused(
        lambda: list(admin.schemas.list(catalog, page_token="%%%")),
        "INVALID_PARAMETER_VALUE",
        "Invalid page token: %%%",
    )


def test_another_owner_is_a_principal_of_the_account(
    admin: WorkspaceClient, member: WorkspaceClient, catalog: str, job: str, me: str
) -> None:
    schema = f"{catalog}.default"
    refused(
        lambda: admin.schemas.update(schema, owner="admins"),
        "PRINCIPAL_DOES_NOT_EXIST",
        "Could not find principal with name admins",
    )
    assert admin.schemas.update(schema, owner=job).owner == job
    assert member.schemas.update(schema, comment="mine").comment == "mine"
    assert admin.schemas.update(schema, owner=me).owner == me, "the catalog's owner owns what is in it"
    refused(
        lambda: member.schemas.update(schema, comment="mine"),
        "PERMISSION_DENIED",
        f"User is not an owner of Schema '{schema}'.",
    )
    with pytest.raises(DatabricksError, match="field enable_predictive_optimization: must be one of"):
        admin.api_client.do(
            "PATCH", f"/api/2.1/unity-catalog/schemas/{schema}", body={"enable_predictive_optimization": "MAYBE"}
        )
