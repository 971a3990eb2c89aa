"""Users of a workspace: people, stored by localcloud without sign-in."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from scim2_models import Context, Email, User

from localcloud.core.json import Json
from localcloud.databricks.errors import ScimError
from localcloud.databricks.request import Call
from localcloud.databricks.scim import messages


def create(call: Call) -> Json:
    """Add a user. Raises ScimError 409 for a used name."""
    call.require_admin("add users")
    user = messages.body(call, User, Context.RESOURCE_CREATION_REQUEST)
    name = call.text("userName")
    if any(other["userName"].lower() == name.lower() for other in call.documents.all("user")):
        raise ScimError(409, f"User with username {name} already exists.")
    user.id = str(call.documents.next_id())
    return _saved(call, user)


def get(call: Call) -> Json:
    """Return one user."""
    return messages.rendered(call, _user(call))


def list_(call: Call) -> Json:
    """Return the users that match the filter."""
    return messages.listed(call, User, [_resource(document) for document in call.documents.all("user")])


def patch(call: Call) -> Json:
    """Apply operations to one user."""
    call.require_admin("change users")
    user = _user(call)
    messages.patch(call, user)
    return _saved(call, user)


def delete(call: Call) -> Json:
    """Remove a user from the workspace and from every access control list."""
    call.require_admin("remove users")
    user = _user(call)
    call.documents.delete("user", str(user.id))
    messages.forget(call.documents, f"user_name:{user.user_name}")
    return {}


def _user(call: Call) -> User[Any]:
    document = call.documents.get("user", call.path["id"])
    if document is None:
        raise ScimError(404, f"User with id {call.path['id']} not found.")
    return _resource(document)


def _resource(document: Json) -> User[Any]:
    return User.model_validate(document, scim_ctx=None)


def _saved(call: Call, user: User[Any]) -> Json:
    messages.checked_entitlements(user.entitlements)
    user.display_name = user.display_name or user.user_name
    user.active = user.active is not False
    try:
        user.emails = user.emails or [Email(type=Email.Type.work, value=user.user_name, primary=True)]
    except ValidationError as error:
        raise ScimError(400, f"The user name '{user.user_name}' is not an email address.", "invalidValue") from error
    call.documents.put("user", str(user.id), user.model_dump(scim_ctx=Context.DEFAULT))
    return messages.rendered(call, user)
