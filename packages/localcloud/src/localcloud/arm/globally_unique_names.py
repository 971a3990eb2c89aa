"""Globally unique names that other subscriptions hold: invisible, but in conflict with the same names here.

GET, POST (one) and DELETE (all) /_localcloud/names-elsewhere on localhost change them, with an ARM token:
{"type": "Microsoft.Storage/storageAccounts", "name": "stdata"}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from localcloud.core.database import Database
from localcloud.core.errors import ServiceError
from localcloud.core.local_routes import details_of, read_model

if TYPE_CHECKING:
    from localcloud.core.context import Context

PATH = "/_localcloud/names-elsewhere"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS arm_names_elsewhere (type_key TEXT NOT NULL, name_key TEXT NOT NULL,
PRIMARY KEY (type_key, name_key));
"""


class TakenName(BaseModel):
    """A name that a resource of another subscription has."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(pattern=r"^[A-Za-z.]+/[A-Za-z]+$")
    name: str = Field(min_length=1)


class NamesElsewhere:
    """Names compare case-insensitively."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.script(_SCHEMA)

    def has(self, type_: str, name: str) -> bool:
        row = self._database.row(
            "SELECT 1 FROM arm_names_elsewhere WHERE type_key = ? AND name_key = ?", (type_.lower(), name.lower())
        )
        return row is not None

    def add(self, type_: str, name: str) -> None:
        self._database.execute("INSERT OR IGNORE INTO arm_names_elsewhere VALUES (?, ?)", (type_.lower(), name.lower()))

    def clear(self) -> None:
        self._database.execute("DELETE FROM arm_names_elsewhere")

    def all(self) -> list[dict[str, Any]]:
        rows = self._database.query("SELECT type_key, name_key FROM arm_names_elsewhere ORDER BY type_key, name_key")
        return [{"type": row["type_key"], "name": row["name_key"]} for row in rows]


class ElsewhereRoute:
    """The route's handler."""

    def __init__(self, ctx: Context, audiences: frozenset[str]) -> None:
        self._ctx, self._audiences = ctx, audiences

    async def answer(self, request: Request) -> Response:
        names = self._ctx.resources.elsewhere
        try:
            self._ctx.identities.authenticate(request.headers.get("authorization"), self._audiences)
            if request.method == "POST":
                taken = await read_model(request, TakenName)
                names.add(taken.type, taken.name)
            elif request.method == "DELETE":
                names.clear()
        except ServiceError as error:
            return JSONResponse({"error": {"code": error.code, "message": error.message}}, error.status)
        except ValidationError as error:
            return JSONResponse(
                {"error": {"code": "InvalidName", "message": str(error), "details": details_of(error)}}, 400
            )
        return JSONResponse({"names": names.all()})
