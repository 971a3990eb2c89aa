"""https://VAULT.vault.azure.net: paths of the data plane."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.keyvault.authorization import Action, Guard, VaultCall, error_response
from localcloud.keyvault.keys import Keys
from localcloud.keyvault.secrets import Secrets

_CONTACTS = Action("certificatecontacts", "write", "managecontacts")


async def _no_contacts(call: VaultCall) -> Json | None:
    """Refuse: no vault has contacts, as certificates are not emulated."""
    raise ServiceError(404, "ContactsNotFound", "Contacts not found")


async def _unknown(request: Request) -> Response:
    return error_response(
        not_emulated(f"Key Vault's {request.method} {request.url.path}; of the data plane only secrets and keys are")
    )


def build_routes(ctx: Context) -> list[BaseRoute]:
    """Paths of the vault hosts."""
    guard = Guard(ctx)
    # This is not a version of the key, though its place is one's.
    routes: list[BaseRoute] = [Route("/keys/{name}/rotationpolicy", _unknown, methods=["GET", "PUT"])]
    contacts = guard.endpoint(_CONTACTS, _no_contacts)
    routes += [Route(f"/certificates/contacts{end}", contacts, methods=["GET"]) for end in ("", "/")]
    for method, path, action, handler in [*Secrets(ctx).table(), *Keys(ctx).table()]:
        endpoint = guard.endpoint(action, handler)
        forms = {path, path + "/"}
        if "{version}/" in path or method == "PATCH":
            # Clients that name no version leave its place empty: /keys/NAME//encrypt.
            forms |= {path.replace("{version}", ""), path.replace("/{version}", "")}
        # azurerm's client of keys puts these paths behind the vault's address, which ends in a slash: //keys/NAME.
        forms |= {f"/{form}" for form in forms}
        routes += [Route(form, endpoint, methods=[method]) for form in sorted(forms)]
    routes.append(Route("/{path:path}", _unknown, methods=["GET", "PUT", "PATCH", "POST", "DELETE"]))
    return routes
