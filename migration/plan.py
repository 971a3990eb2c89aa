"""The plan: for each resource of the Terraform state, whether it is imported, and why not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from migration.declared import UNKNOWN, Declaration, Declared, Reference
from migration.kinds import KINDS, Kind, Property
from migration.terraform import Content, TerraformResource, TerraformState

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A property whose value is not the declared one."""

    path: str
    there: Any
    declared: Any
    setting: str
    way: str = ""


@dataclass(frozen=True, kw_only=True)
class Match:
    """A Terraform resource, its id, and the declared resource that it becomes."""

    source: TerraformResource
    id: str
    target: Declared
    replacing: tuple[Difference, ...] = ()
    refused: tuple[Difference, ...] = ()
    changing: tuple[Difference, ...] = ()

    @property
    def imported(self) -> bool:
        """False for a resource that the next deployment would replace, since that would delete it."""
        return not self.replacing and not self.refused and not self.target.managed


@dataclass
class Plan:
    """`without`: resources without a counterpart of their name, with the stack's resources of the same type.

    `contents` are to be removed from Terraform's state. `destroyed` are addresses that Terraform's next plan deletes.
    """

    matches: list[Match] = field(default_factory=list)
    without: list[tuple[TerraformResource, str, list[str]]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    contents: list[Content] = field(default_factory=list)
    destroyed: list[str] = field(default_factory=list)

    @property
    def blocked(self) -> list[Match]:
        return [match for match in self.matches if match.replacing or match.refused]


def make_plan(
    state: TerraformState, declaration: Declaration, left_out: Iterable[str] = (), destroyed: Iterable[str] = ()
) -> Plan:
    """Match by type and Azure name, the parent's name included where a name is unique below it only."""
    plan = Plan(left_out=sorted(left_out), contents=list(state.contents), destroyed=sorted(destroyed))
    for resource in state.resources:
        kind = KINDS[resource.type]
        id_ = kind.id(resource)
        candidates = [declared for declared in declaration.resources if declared.type == kind.pulumi]
        target = next((declared for declared in candidates if _is_same(declared, id_)), None)
        if target is None:
            plan.without.append((resource, id_, sorted(filter(None, (declared.name for declared in candidates)))))
            continue
        plan.matches.append(
            Match(
                source=resource,
                id=id_,
                target=target,
                replacing=_differences(kind.fixed, resource, target) + _group_difference(kind, id_, target),
                refused=_differences(kind.kept, resource, target),
                changing=_differences(kind.changed, resource, target),
            )
        )
    plan.matches = [_with_its_account(match, plan.blocked) for match in plan.matches]
    return plan


def _with_its_account(match: Match, blocked: Iterable[Match]) -> Match:
    """Return the match of a container; without its account the next deployment would look for it in a new one."""
    account, below, _ = match.id.partition("/blobServices/")
    if not below or account.lower() not in {other.id.lower() for other in blocked}:
        return match
    name = account.rsplit("/", 1)[-1]
    missing_account = Difference(
        path="accountName", there=f"{name}, which is not imported", declared="one of its own", setting=""
    )
    return replace(match, replacing=(*match.replacing, missing_account))


def _is_same(declared: Declared, id_: str) -> bool:
    if declared.name is None or declared.name.lower() != id_.rsplit("/", 1)[-1].lower():
        return False
    account = declared.inputs.get("accountName")
    if "/containers/" in id_:
        there = id_.split("/storageAccounts/", 1)[-1].split("/", 1)[0]
        return account.matches(there) if isinstance(account, Reference) else str(account).lower() == there.lower()
    return True


def _group_difference(kind: Kind, id_: str, declared: Declared) -> tuple[Difference, ...]:
    """Return the difference in the resource group: a resource of the same name elsewhere is another one."""
    declared_group = declared.inputs.get("resourceGroupName")
    parts = id_.split("/")
    if kind.name_input == "resourceGroupName" or len(parts) < 5 or declared_group in (None, UNKNOWN):
        return ()
    same = (
        declared_group.matches(parts[4])
        if isinstance(declared_group, Reference)
        else str(declared_group).lower() == parts[4].lower()
    )
    if same:
        return ()
    declared_name = declared_group.name if isinstance(declared_group, Reference) else declared_group
    return (Difference(path="resourceGroupName", there=parts[4], declared=declared_name, setting="base_name"),)


def _differences(
    properties: Iterable[Property], resource: TerraformResource, declared: Declared
) -> tuple[Difference, ...]:
    differences = []
    for property_ in properties:
        there = property_.terraform(resource)
        declared_value = _at(declared.inputs, property_.pulumi)
        declared_value = property_.missing if declared_value is None else declared_value
        if there is None or declared_value == UNKNOWN or _same(there, declared_value):
            continue
        differences.append(
            Difference(
                path=property_.pulumi,
                there=there,
                declared=declared_value,
                setting=property_.setting,
                way=property_.way,
            )
        )
    return tuple(differences)


def _at(inputs: Mapping[str, Any], path: str) -> Any:
    value: Any = inputs
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _same(there: Any, declared: Any) -> bool:
    if isinstance(declared, Reference):
        return declared.matches(there)
    if isinstance(there, str) and isinstance(declared, str):
        return there.replace(" ", "").rstrip("/").lower() == declared.replace(" ", "").rstrip("/").lower()
    return bool(there == declared)


def import_file(plan: Plan, declaration: Declaration) -> Json:
    """Return the content for `pulumi import --file`: matched resources with their ids, and their components.

    Names come from the engine's placeholders, so that they are exactly the program's.
    """
    ids = {(match.target.type, match.target.logical_name): match.id for match in plan.matches if match.imported}
    by_name = {placeholder["name"]: placeholder for placeholder in declaration.placeholders}
    kept: dict[str, Json] = {}
    for placeholder in declaration.placeholders:
        id_ = ids.get((placeholder["type"], placeholder.get("logicalName") or placeholder["name"]))
        if id_ is None:
            continue
        kept[placeholder["name"]] = {**placeholder, "id": id_}
        above = str(placeholder.get("parent") or "")
        while above in by_name and above not in kept:
            kept[above] = by_name[above]
            above = str(by_name[above].get("parent") or "")
    order = [name for name in by_name if name in kept]
    components = [kept[name] for name in order if kept[name].get("component")]
    return {"resources": [*components, *(kept[name] for name in order if not kept[name].get("component"))]}
