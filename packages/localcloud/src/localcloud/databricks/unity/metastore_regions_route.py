"""The switch of a region's metastore while localcloud runs: an account administrator's task on Azure.

GET shows the regions without one; POST changes one: {"region": "westeurope", "metastore": false}. The path is
/_localcloud/databricks/metastores on localhost, with a Databricks token.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from localcloud.arm.resource_types import LOCATIONS
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.local_routes import details_of, read_model
from localcloud.databricks.access import AUDIENCES
from localcloud.databricks.unity.regions import MetastoreRegions

PATH = "/_localcloud/databricks/metastores"


class Change(BaseModel):
    """The request: a region, and whether it has a metastore from now on."""

    model_config = ConfigDict(extra="forbid")

    region: str
    metastore: bool

    @field_validator("region")
    @classmethod
    def _is_a_region(cls, value: str) -> str:
        if value not in LOCATIONS:
            raise ValueError(f"{value} is not an Azure region; give one such as westeurope")
        return value


def route(context: Context, regions: MetastoreRegions) -> Route:
    async def answer(request: Request) -> Response:
        try:
            context.identities.authenticate(request.headers.get("authorization"), AUDIENCES)
            if request.method == "POST":
                change = await read_model(request, Change)
                regions.set(change.region, has=change.metastore)
        except ServiceError as error:
            return JSONResponse({"error_code": error.code, "message": error.message}, error.status)
        except ValidationError as error:
            message = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in details_of(error))
            return JSONResponse({"error_code": "INVALID_PARAMETER_VALUE", "message": message}, 400)
        return JSONResponse({"regions_without_metastore": regions.without()})

    return Route(PATH, answer, methods=["GET", "POST"])
