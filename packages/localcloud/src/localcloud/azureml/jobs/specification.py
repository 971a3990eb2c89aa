"""Specifications of jobs, steps and components, parsed once into types before anything is planned.

ARM's bodies are in camelCase; the steps of a pipeline and the specifications of components arrive as azure-ai-ml dumps
them, in snake_case. Both spellings become the fields below. `parse` refuses a value of another type by its path.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import (
    AliasChoices,
    AliasGenerator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from localcloud.azureml.common import user_error
from localcloud.azureml.jobs import durations, shapes
from localcloud.core.json import Json

_REFERENCE, _INLINE = "<reference>", "<inline>"
_EXPECTED = {
    "string_type": "a string",
    "bool_type": "true or false",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
}
"""Names of JSON types by pydantic's error types."""


def _form(value: Any) -> str:
    return _INLINE if isinstance(value, dict) else _REFERENCE


def _truth(value: Any) -> Any:
    """Read "True" and "false": maps of text have no other booleans."""
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, str) else value


def _named_inputs(value: Any) -> Any:
    """Read plain values of inputs as literals, and null as a missing input."""
    if not isinstance(value, dict):
        return value
    return {
        name: port if isinstance(port, dict) else {"value": port} for name, port in value.items() if port is not None
    }


def _named_outputs(value: Any) -> Any:
    """Read a plain text of an output as its binding, and null as a missing output."""
    if not isinstance(value, dict):
        return value
    return {
        name: {"value": port} if isinstance(port, str) else port for name, port in value.items() if port is not None
    }


def _declarations(value: Any) -> Any:
    """Write the inputs of groups as GROUP.NAME, which is how their values are named."""
    if not isinstance(value, dict):
        return value
    result: Json = {}
    for name, port in value.items():
        if isinstance(port, dict) and port.get("type") == "group":
            inner = _declarations(port.get("values") or {})
            result |= {f"{name}.{key}": declaration for key, declaration in inner.items()}
        else:
            result[str(name)] = port if isinstance(port, dict) else {"type": str(port)}
    return result


Truth = Annotated[bool, BeforeValidator(_truth)]
Kind = Annotated[str, BeforeValidator(shapes.kind_of)]
Mode = Annotated[str, BeforeValidator(shapes.mode_of)]
Seconds = Annotated[float, BeforeValidator(durations.seconds)]


class _Specification(BaseModel):
    """Fields in either spelling; null and {} mean that there is no value."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="ignore",
        alias_generator=AliasGenerator(validation_alias=lambda name: AliasChoices(to_camel(name), name)),
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        return {key: value for key, value in content.items() if value is not None and value != {}}


class Identity(_Specification):
    """The identity that a job chooses."""

    kind: str = Field(default="", validation_alias=AliasChoices("identityType", "identity_type", "type"))
    client_id: str | None = None
    object_id: str | None = None
    resource_id: str | None = Field(
        default=None, validation_alias=AliasChoices("resourceId", "resource_id", "msi_resource_id")
    )

    @property
    def ids(self) -> frozenset[str]:
        """Return the ids that name a managed identity, in lower case."""
        return frozenset(id_.lower() for id_ in (self.client_id, self.object_id, self.resource_id) if id_)


class Resources(_Specification):
    """The machine that a job requires."""

    instance_count: Annotated[int, Field(strict=False)] = 1
    instance_type: str | None = None
    properties: Json = Field(default_factory=dict)


class Limits(_Specification):
    """A job's limits."""

    timeout: Seconds | None = None


class Settings(_Specification):
    """Settings of a pipeline, which hold for its steps."""

    default_compute: str | None = None
    default_datastore: str | None = None
    continue_on_step_failure: Truth | None = None
    force_rerun: Truth | None = None


class InputSpec(_Specification):
    """The value of an input: a literal, an address, or a binding in either."""

    kind: Kind | None = Field(default=None, validation_alias=AliasChoices("jobInputType", "job_input_type", "type"))
    mode: Mode | None = None
    uri: str | None = Field(default=None, validation_alias=AliasChoices("uri", "path"))
    value: Any = None


class OutputSpec(_Specification):
    """The place and the asset of an output, or its binding in `value`."""

    kind: Kind | None = Field(default=None, validation_alias=AliasChoices("jobOutputType", "job_output_type", "type"))
    mode: Mode | None = None
    uri: str | None = Field(default=None, validation_alias=AliasChoices("uri", "path"))
    value: Any = None
    asset_name: str | None = Field(default=None, validation_alias=AliasChoices("assetName", "asset_name", "name"))
    asset_version: str | None = Field(
        default=None, validation_alias=AliasChoices("assetVersion", "asset_version", "version")
    )


class InputDeclaration(_Specification):
    """An input of a component. `min`, `max`, `enum` and `default` are as the component's author wrote them."""

    type: str | list[str] = "string"
    mode: Mode | None = None
    optional: Truth = False
    default: Any = None
    min: Any = None
    max: Any = None
    enum: list[Any] = Field(default_factory=list)

    @property
    def kinds(self) -> list[str]:
        """Return the types that a value may have."""
        return self.type if isinstance(self.type, list) else [self.type]


class OutputDeclaration(_Specification):
    """An output of a component."""

    type: str | None = None
    mode: Mode | None = None


class Work(_Specification):
    """Fields that jobs, steps and components share."""

    type: str | None = None
    command: str | None = None
    code: str | None = Field(default=None, validation_alias=AliasChoices("codeId", "code_id", "code"))
    environment: (
        Annotated[Annotated[str, Tag(_REFERENCE)] | Annotated[Json, Tag(_INLINE)], Discriminator(_form)] | None
    ) = Field(default=None, validation_alias=AliasChoices("environmentId", "environment_id", "environment"))
    environment_variables: Json = Field(default_factory=dict)
    resources: Resources | None = None
    limits: Limits | None = None
    identity: Identity | None = None
    distribution: Json | None = None
    settings: Settings | None = None
    jobs: dict[str, StepSpec] = Field(default_factory=dict)


class ComponentSpec(Work):
    """The specification of a component. It is deterministic unless its author declares otherwise, as in azure-ai-ml."""

    is_deterministic: Truth = True
    inputs: Annotated[dict[str, InputDeclaration], BeforeValidator(_declarations)] = Field(default_factory=dict)
    outputs: Annotated[dict[str, OutputDeclaration], BeforeValidator(_declarations)] = Field(default_factory=dict)


class _Submitted(Work):
    """Fields that jobs and steps share."""

    display_name: str | None = None
    description: str | None = None
    tags: Json = Field(default_factory=dict)
    properties: Json = Field(default_factory=dict)
    services: dict[str, Json | None] = Field(default_factory=dict)
    compute: str | None = Field(default=None, validation_alias=AliasChoices("computeId", "compute_id", "compute"))
    inputs: Annotated[dict[str, InputSpec], BeforeValidator(_named_inputs)] = Field(default_factory=dict)
    outputs: Annotated[dict[str, OutputSpec], BeforeValidator(_named_outputs)] = Field(default_factory=dict)


class StepSpec(_Submitted):
    """A step of a pipeline. Its component is a reference or a specification; without one, the step has the command."""

    job_type: str | None = None
    component: (
        Annotated[Annotated[str, Tag(_REFERENCE)] | Annotated[ComponentSpec, Tag(_INLINE)], Discriminator(_form)] | None
    ) = Field(default=None, validation_alias=AliasChoices("componentId", "component_id", "component"))


class JobSpec(_Submitted):
    """A job: the properties of ARM's JobBase."""

    job_type: str = ""
    experiment_name: str = "Default"
    is_archived: bool = False
    component: str | None = Field(default=None, validation_alias=AliasChoices("componentId", "component_id"))


S = TypeVar("S", bound=_Specification)


def parse(specification: type[S], content: Any, path: str) -> S:
    """Return the specification that `content` is; `path` is its place in the request, for messages.

    Raises ServiceError 400 that names the first value of a wrong type.
    """
    try:
        return specification.model_validate(content)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join([path, *(str(part) for part in problem["loc"] if part not in {_REFERENCE, _INLINE})])
        if expected := _EXPECTED.get(problem["type"]):
            raise user_error(f"{place} must be {expected}, not {problem['input']!r:.100}.") from error
        reason = problem.get("ctx", {}).get("error", problem["msg"])
        raise user_error(f"{place} is not valid: {reason}") from error
