"""A template with its parameters, which are checked, and its resources with their dependencies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.arm.deployments import expressions
from localcloud.arm.deployments.expressions import invalid
from localcloud.arm.deployments.functions import resource_id
from localcloud.arm.deployments.scope import Place, TemplateScope
from localcloud.core.errors import not_emulated
from localcloud.core.json import Json

DEPLOYMENT = "Microsoft.Resources/deployments"
_TYPES: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "string": (str, "String, Uri"), "securestring": (str, "String, Uri"), "int": (int, "Integer"),
    "bool": (bool, "Boolean"), "object": (dict, "Object"), "secureobject": (dict, "Object"), "array": (list, "Array"),
}  # fmt: skip
_NAMES = {"string": "String", "securestring": "SecureString", "int": "Int", "bool": "Bool", "object": "Object",
          "secureobject": "SecureObject", "array": "Array"}  # fmt: skip
_TEMPLATE_FIELDS = {
    "type", "apiVersion", "name", "condition", "dependsOn", "copy", "scope", "comments", "resourceGroup",
    "subscriptionId", "resources", "metadata",
}  # fmt: skip


@dataclass
class Planned:
    """A resource of a template. `body` is evaluated last, after the resources that it refers to."""

    id: str
    type: str
    name: str
    api_version: str
    raw: Json
    scope: TemplateScope
    symbol: str | None = None
    loop: str | None = None
    waits_for: list[str] = field(default_factory=list)

    def body(self, resolved: Mapping[tuple[str, ...], Any]) -> Json:
        """Return the evaluated body. Raises NeededError for a resource that has to be read first."""
        own = TemplateScope(
            self.scope.place, self.scope.parameters, self.scope.variables, resolved, runs=True, loops=self.scope.loops
        )
        raw = {key: value for key, value in self.raw.items() if key not in _TEMPLATE_FIELDS}
        if self.type.lower() == DEPLOYMENT.lower():
            return _nested(raw, own)
        evaluated: Json = expressions.evaluate(raw, own)
        return evaluated

    def is_called(self, reference: str) -> bool:
        """Return whether dependsOn or reference() means it: by id, symbolic name, loop, or (type and) name."""
        text = reference.lower()
        return text in {self.id.lower(), (self.symbol or "").lower(), (self.loop or "").lower(), self.name.lower()} or (
            "/" in text and self.id.lower().endswith(f"/{text.strip('/')}")
        )


def _nested(raw: Json, scope: TemplateScope) -> Json:
    """Return the body of a nested deployment; its template is evaluated unless it has a scope of its own (inner)."""
    properties = dict(raw.get("properties") or {})
    options = properties.pop("expressionEvaluationOptions", None) or {}
    inner = str(expressions.evaluate(options, scope).get("scope", "outer")).lower() == "inner"
    template = properties.pop("template", None)
    evaluated: Json = expressions.evaluate({**raw, "properties": properties}, scope)
    evaluated["properties"]["template"] = template if inner else expressions.evaluate(template, scope)
    return evaluated


class Template:
    """Raises ServiceError 400 InvalidTemplate for an invalid template."""

    def __init__(self, raw: Json, arguments: Json, place: Place) -> None:
        self._raw = raw
        self._place = place
        for name in ("$schema", "contentVersion"):
            if not isinstance(raw.get(name), str):
                raise invalid(f"Required property '{name}' not found in JSON")
        self.existing: dict[str, str] = {}
        """Ids of resources that the template names and does not deploy, by symbolic name in lower case."""
        self.definitions = {
            name: self._resolved(definition) for name, definition in (raw.get("parameters") or {}).items()
        }
        self.parameters = self._parameters(arguments)
        self.scope = TemplateScope(place, self.parameters, raw.get("variables") or {})
        if "copy" in self.scope.variables:
            raise not_emulated("template variables with copy")
        self.resources = self._resources()

    def shown_parameters(self) -> Json:
        """Return the parameters as GET shows them: secure ones without their values."""
        return {
            name: {"type": _NAMES[str(definition["type"]).lower()]}
            | ({} if str(definition["type"]).lower().startswith("secure") else {"value": self.parameters[name]})
            for name, definition in self.definitions.items()
        }

    def outputs(self, resolved: Mapping[tuple[str, ...], Any]) -> Json:
        scope = TemplateScope(self._place, self.parameters, self.scope.variables, resolved, runs=True)
        values: Json = {}
        for name, output in (self._raw.get("outputs") or {}).items():
            if "copy" in output:
                raise not_emulated("template outputs with copy")
            if not expressions.evaluate(output.get("condition", True), scope):
                continue
            kind = _NAMES.get(str(self._resolved(output).get("type")).lower(), "String")
            value = expressions.evaluate(output.get("value"), scope)
            values[name] = {"type": kind} | ({} if kind.startswith("Secure") else {"value": value})
        return values

    def _resolved(self, definition: Json) -> Json:
        """Resolve a reference to one of the template's own definitions."""
        resolved = dict(definition)
        while "$ref" in resolved:
            name = str(resolved.pop("$ref")).rsplit("/", 1)[-1]
            referred = (self._raw.get("definitions") or {}).get(name)
            if not isinstance(referred, dict):
                raise invalid(f"The type definition '{name}' is not found")
            resolved = {**referred, **resolved}
        return resolved

    def _parameters(self, arguments: Json) -> Json:
        unknown = [name for name in arguments if name.lower() not in {known.lower() for known in self.definitions}]
        if unknown:
            raise invalid(
                f"The template parameters '{', '.join(unknown)}' in the parameters file are not valid; they are not "
                "present in the original template and can therefore not be provided at deployment time. The only "
                f"supported parameters for this template are '{', '.join(self.definitions)}'. Please see "
                "https://aka.ms/arm-pass-parameter-values for usage details."
            )
        values = {name.lower(): entry for name, entry in arguments.items()}
        parameters: Json = {}
        for name, definition in self.definitions.items():
            entry = values.get(name.lower())
            if isinstance(entry, dict) and "reference" in entry:
                raise not_emulated("template parameters from a key vault")
            if isinstance(entry, dict) and entry.get("value") is not None:
                value = entry["value"]
            elif "defaultValue" in definition:
                defaults = TemplateScope(self._place, parameters, self._raw.get("variables") or {}, defaults=True)
                value = expressions.evaluate(definition["defaultValue"], defaults)
            elif definition.get("nullable"):
                value = None
            else:
                raise invalid(
                    f"The value for the template parameter '{name}' is not provided. Please see "
                    "https://aka.ms/arm-create-parameter-file for usage details."
                )
            if value is not None:
                _check(name, definition, value)
            parameters[name] = value
        return parameters

    def _resources(self) -> list[Planned]:
        raw = self._raw.get("resources") or []
        entries = raw.items() if isinstance(raw, dict) else ((None, resource) for resource in raw)
        return [
            planned for symbol, resource in entries for planned in self._planned(resource, symbol, self.scope, None)
        ]

    def _planned(self, raw: Json, symbol: str | None, scope: TemplateScope, parent: Planned | None) -> list[Planned]:
        if raw.get("existing"):
            type_, name = (str(expressions.evaluate(raw.get(key) or "", scope)) for key in ("type", "name"))
            self.existing[str(symbol).lower()] = self._id(raw, type_, name, scope)
            return []
        copy = raw.get("copy")
        if copy is None:
            return self._planned_resources(raw, symbol, scope, parent)
        count, loop = expressions.evaluate(copy.get("count"), scope), str(expressions.evaluate(copy["name"], scope))
        planned = []
        for index in range(int(count)):
            planned += self._planned_resources(raw, symbol, scope.looping(loop, index), parent, loop)
        return planned

    def _planned_resources(
        self, raw: Json, symbol: str | None, scope: TemplateScope, parent: Planned | None, loop: str | None = None
    ) -> list[Planned]:
        if not expressions.evaluate(raw.get("condition", True), scope):
            return []
        if isinstance(raw.get("properties"), dict) and "copy" in raw["properties"]:
            raise not_emulated("template properties with copy")
        type_, name, version = (
            str(expressions.evaluate(raw.get(key) or "", scope)) for key in ("type", "name", "apiVersion")
        )
        if parent is not None:
            type_, name = f"{parent.type}/{type_}", f"{parent.name}/{name}"
        if not type_.strip("/") or not name or not version:
            raise invalid(f"The resource '{name}' of type '{type_}' needs a type, a name and an apiVersion")
        planned = Planned(
            self._id(raw, type_, name, scope), type_, name, version, raw, scope, symbol, loop,
            [str(item) for item in expressions.evaluate(raw.get("dependsOn") or [], scope)],
        )  # fmt: skip
        if parent is not None:
            planned.waits_for.append(parent.id)
        children = [item for child in raw.get("resources") or [] for item in self._planned(child, None, scope, planned)]
        return [planned, *children]

    def _id(self, raw: Json, type_: str, name: str, scope: TemplateScope) -> str:
        root = self._place.id
        if group := expressions.evaluate(raw.get("resourceGroup"), scope):
            subscription = expressions.evaluate(raw.get("subscriptionId"), scope)
            root = f"/subscriptions/{subscription}" if subscription else self._place.subscription
            root += f"/resourceGroups/{group}"
        if at := expressions.evaluate(raw.get("scope"), scope):
            root = str(at) if str(at).startswith("/") else f"{root}/providers/{at}"
        if type_.lower() == "microsoft.resources/resourcegroups":
            return f"{self._place.subscription}/resourceGroups/{name}"
        return resource_id(root.rstrip("/"), type_, tuple(name.split("/")))


def _check(name: str, definition: Json, value: Any) -> None:
    kind = str(definition.get("type")).lower()
    if kind not in _TYPES:
        raise invalid(f"The type '{definition.get('type')}' of the template parameter '{name}' is not valid")
    types, type_name = _TYPES[kind]
    if not isinstance(value, types) or (kind == "int" and isinstance(value, bool)):
        raise invalid(
            f"Template parameter JToken type is not valid. Expected '{type_name}'. Actual '{type(value).__name__}'. "
            f"Please see https://aka.ms/resource-manager-parameter-files for usage details: parameter '{name}'"
        )
    allowed = definition.get("allowedValues")
    if allowed is not None and value not in allowed and not (isinstance(value, list) and set(value) <= set(allowed)):
        raise invalid(
            f"The provided value '{value}' for the template parameter '{name}' is not valid. The value is not part of "
            f"the allowed value(s): '{','.join(map(str, allowed))}'."
        )
    size = value if isinstance(value, int) else len(value) if isinstance(value, str | list) else 0
    measure = "Value" if kind == "int" else "Length"
    least, most = definition.get(f"min{measure}"), definition.get(f"max{measure}")
    if (least is not None and size < least) or (most is not None and size > most):
        raise invalid(
            f"The provided value for the template parameter '{name}' is not valid. {measure} should be from "
            f"'{least}' to '{most}'"
        )
