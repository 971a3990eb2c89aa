"""/api/2.1/unity-catalog: the metastore's description, and its assignment to the workspace."""

from __future__ import annotations

from localcloud.core.json import Json
from localcloud.databricks.request import Call
from localcloud.databricks.unity import listing
from localcloud.databricks.unity.session import Session


def summary(call: Call) -> Json:
    return _render(Session.open(call))


def assignment(call: Call) -> Json:
    session = Session.open(call)
    return {
        "metastore_id": session.info["metastore_id"],
        "workspace_id": session.workspace_id,
        "default_catalog_name": "hive_metastore",
    }


def list_(call: Call) -> Json:
    call.require_admin("list metastores")
    return listing.page(call, [_render(Session.open(call))], "metastores", lambda item: str(item["name"]))


def _render(session: Session) -> Json:
    return {key: value for key, value in session.info.items() if key != "full_name"}
