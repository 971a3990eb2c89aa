"""Resource providers: their resource types, and whether the subscription is registered for them."""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.arm import registrations, resource_types, rules
from localcloud.arm.resource_types import LOCATIONS, Call
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.core.settings import SUBSCRIPTION_ID

_SUBSCRIPTION = f"/subscriptions/{SUBSCRIPTION_ID}"


def _provider(ctx: Context, namespace: str) -> Json:
    """Return a provider as ARM shows it; for a namespace that localcloud does not know, without resource types."""
    types = resource_types.of(ctx).in_namespace(namespace)
    spelled = types[0].namespace if types else namespace
    return {
        "id": f"{_SUBSCRIPTION}/providers/{spelled}",
        "namespace": spelled,
        "registrationPolicy": "RegistrationFree" if registrations.is_default(spelled) else "RegistrationRequired",
        "registrationState": ctx.resources.registrations.state(spelled),
        "resourceTypes": [
            {
                "resourceType": type_.short,
                "locations": [LOCATIONS.get(name, name) for name in type_.locations],
                "apiVersions": list(reversed(type_.api_versions)),
                "capabilities": "SupportsTags, SupportsLocation" if type_.tracked else "None",
            }
            for type_ in types
        ],
    }


async def list_all(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    """List the providers that localcloud has types of and all registered ones."""
    known = list(resource_types.of(ctx).namespaces())
    keys = {namespace.lower() for namespace in known}
    more = [namespace for namespace in ctx.resources.registrations.all() if namespace.lower() not in keys]
    return {"value": [_provider(ctx, namespace) for namespace in [*known, *more]]}


async def of_tenant(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    """Namespaces and types, which are the same for all subscriptions."""
    hidden = {"id", "registrationState", "registrationPolicy"}
    providers = [_provider(ctx, namespace) for namespace in resource_types.of(ctx).namespaces()]
    return {"value": [{key: value for key, value in provider.items() if key not in hidden} for provider in providers]}


async def show(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    return _provider(ctx, _checked(ctx, parameters["namespace"]))


async def types_of(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    namespace = _checked(ctx, parameters["namespace"])
    if not resource_types.of(ctx).in_namespace(namespace):
        raise not_emulated(f"the resource types of {namespace}")
    return {"value": _provider(ctx, namespace)["resourceTypes"]}


async def register(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    """POST …/register, of any namespace: localcloud's own knowledge is no limit of the subscription."""
    namespace = _checked(ctx, parameters["namespace"])
    rules.authorize(ctx, call.principal, f"{namespace}/register/action", _SUBSCRIPTION)
    before = ctx.resources.registrations.state(namespace)
    ctx.resources.registrations.register([namespace])
    answer = _provider(ctx, namespace)
    # The answer to a new registration is always Registering, however soon it is done.
    return answer if before in {"Registered", "Registering"} else answer | {"registrationState": "Registering"}


async def unregister(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    """POST …/unregister. Raises ServiceError 409 while the subscription has resources of the namespace.

    The rule is Azure's (resource-providers-and-types: "You can't unregister a resource provider when you still have
    resource types from that resource provider in your subscription"); no public source quotes its code.
    """
    namespace = _checked(ctx, parameters["namespace"])
    rules.authorize(ctx, call.principal, f"{namespace}/unregister/action", _SUBSCRIPTION)
    if registrations.is_default(namespace):
        raise ServiceError(409, "Conflict", f"The resource namespace '{namespace}' cannot be unregistered.")
    types = resource_types.of(ctx).in_namespace(namespace)
    used = next((type_.type for type_ in types if ctx.resources.list(type_.type)), None)
    if used is not None:
        raise ServiceError(
            409,
            "Conflict",
            f"Cannot unregister the resource namespace '{namespace}': the subscription still has resources of type "
            f"'{used}'.",
        )
    registered = ctx.resources.registrations.is_registered(namespace)
    ctx.resources.registrations.unregister(namespace)
    answer = _provider(ctx, namespace)
    # An unregistered namespace stays so; otherwise the answer is Unregistering, however soon it is done.
    return answer | {"registrationState": "Unregistering"} if registered else answer


def _checked(ctx: Context, namespace: str) -> str:
    """Return the namespace in ARM's spelling. Raises ServiceError 404 InvalidResourceNamespace."""
    types = resource_types.of(ctx).in_namespace(namespace)
    if types:
        return types[0].namespace
    if not registrations.is_namespace(namespace):
        raise ServiceError(404, "InvalidResourceNamespace", f"The resource namespace '{namespace}' is invalid.")
    return namespace
