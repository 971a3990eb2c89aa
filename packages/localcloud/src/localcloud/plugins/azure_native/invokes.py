"""Functions: the signed-in identity, and reading resources that the program does not own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from localcloud.plugins.azure_native import shape, sign_in
from localcloud.plugins.azure_native.arm import Arm
from localcloud.plugins.azure_native.types import find
from localcloud.plugins.errors import PluginError
from localcloud.plugins.values import INPUTS, Plain, Secret

_DEFAULT_TOKEN_ENDPOINT = "https://management.azure.com"  # noqa: S105


def call(
    token: str,
    arguments: Plain,
    settings: Mapping[str, str],
    client: Callable[[], Arm],
    credential: Callable[[], Any],
) -> Plain:
    """Return the function's result. Raises PluginError for a function that this provider does not have."""
    _, module, name = token.split(":")
    if module.split("/")[0] == "authorization" and name == "getClientConfig":
        return _client_config(settings, credential)
    if module.split("/")[0] == "authorization" and name == "getClientToken":
        endpoint = str(arguments.get("endpoint") or _DEFAULT_TOKEN_ENDPOINT).rstrip("/")
        return {"token": Secret(credential().get_token(f"{endpoint}/.default").token)}
    if module.split("/")[0] == "logic" and name == "listWorkflowTriggerCallbackUrl":
        return _callback_url(arguments, settings, client())
    if name.startswith("get"):
        return _get(f"azure-native:{module}:{name[3:]}", token, arguments, settings, client())
    raise PluginError(f"the function '{token}' is not in this provider's table")


def _client_config(settings: Mapping[str, str], credential: Callable[[], Any]) -> Plain:
    """Return the ids behind the sign-in; the object id is read from the token, as the vendor's provider does."""
    import jwt

    token = credential().get_token(f"{_DEFAULT_TOKEN_ENDPOINT}/.default").token
    claims = jwt.decode(token, options={"verify_signature": False})
    return {
        "clientId": str(claims.get("appid") or settings["clientId"]),
        "objectId": str(claims["oid"]),
        "subscriptionId": sign_in.subscription(settings),
        "tenantId": str(claims["tid"]),
    }


def _callback_url(arguments: Plain, settings: Mapping[str, str], arm: Arm) -> Plain:
    """Return the signed address of a workflow's trigger; the vendor's schema does not mark it as a secret."""
    type_, version = find("azure-native:logic:Workflow")
    path = shape.path_of(type_, arguments, sign_in.subscription(settings))
    answer = arm.post(f"{path}/triggers/{arguments['triggerName']}/listCallbackUrl", version)
    queries = {_camel(name): value for name, value in (answer.get("queries") or {}).items()}
    return answer | {"queries": queries}


def _camel(name: str) -> str:
    first, *others = name.split("-")
    return first + "".join(part.title() for part in others)


def _get(resource: str, token: str, arguments: Plain, settings: Mapping[str, str], arm: Arm) -> Plain:
    try:
        type_, version = find(resource)
    except (KeyError, ValueError) as error:
        raise PluginError(f"the function '{token}' is not in this provider's table") from error
    path = shape.path_of(type_, arguments, sign_in.subscription(settings))
    answer = arm.get(path, version)
    if answer is None:
        raise PluginError(f"{token}: the resource '{path}' was not found")
    outputs = shape.outputs_of(type_, answer, {}, version)
    outputs.pop(INPUTS)
    return outputs | {"id": answer["id"]}
