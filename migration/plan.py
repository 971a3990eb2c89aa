"""What becomes of each resource of the Terraform state: imported, or not and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from migration.declared import UNKNOWN, Declaration, Declared, Reference
from migration.kinds import KINDS, Kind, Property
from migration.terraform import TerraformResource

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One property that is not what the stack declares."""

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
        """What would be replaced at the next deployment is not imported: that would delete it."""
        return not self.replacing and not self.refused and not self.target.managed


@dataclass
class Plan:
    """`without`: resources that the stack has under no such name, with what it has of their type instead."""

    matches: list[Match] = field(default_factory=list)
    without: list[tuple[TerraformResource, str, list[str]]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def blocked(self) -> list[Match]:
        return [one for one in self.matches if one.replacing or one.refused]


def make_plan(resources: Iterable[TerraformResource], declaration: Declaration, left_out: Iterable[str] = ()) -> Plan:
    """Match by type and Azure name, the parent's name included where a name is unique below it only."""
    plan = Plan(left_out=sorted(left_out))
    for resource in resources:
        kind = KINDS[resource.type]
        id_ = kind.id(resource)
        candidates = [one for one in declaration.resources if one.type == kind.pulumi]
        target = next((one for one in candidates if _is_same(one, id_)), None)
        if target is None:
            plan.without.append((resource, id_, sorted(filter(None, (one.name for one in candidates)))))
            continue
        plan.matches.append(
            Match(
                source=resource,
                id=id_,
                target=target,
                replacing=_differences(kind.fixed, resource, target) + _elsewhere(kind, id_, target),
                refused=_differences(kind.kept, resource, target),
                changing=_differences(kind.changed, resource, target),
            )
        )
    plan.matches = [_with_its_account(one, plan.blocked) for one in plan.matches]
    return plan


def _with_its_account(match: Match, blocked: Iterable[Match]) -> Match:
    """A container cannot be taken over without its account: the next deployment would look for it in a new one."""
    account, below, _ = match.id.partition("/blobServices/")
    if not below or account.lower() not in {one.id.lower() for one in blocked}:
        return match
    name = account.rsplit("/", 1)[-1]
    gone = Difference(path="accountName", there=f"{name}, which is not imported", declared="one of its own", setting="")
    return replace(match, replacing=(*match.replacing, gone))


def _is_same(declared: Declared, id_: str) -> bool:
    if declared.name is None or declared.name.lower() != id_.rsplit("/", 1)[-1].lower():
        return False
    account = declared.inputs.get("accountName")
    if "/containers/" in id_:
        there = id_.split("/storageAccounts/", 1)[-1].split("/", 1)[0]
        return account.matches(there) if isinstance(account, Reference) else str(account).lower() == there.lower()
    return True


def _elsewhere(kind: Kind, id_: str, declared: Declared) -> tuple[Difference, ...]:
    """A resource of the right name in another resource group is another resource."""
    wanted = declared.inputs.get("resourceGroupName")
    parts = id_.split("/")
    if kind.name_input == "resourceGroupName" or len(parts) < 5 or wanted in (None, UNKNOWN):
        return ()
    same = wanted.matches(parts[4]) if isinstance(wanted, Reference) else str(wanted).lower() == parts[4].lower()
    if same:
        return ()
    shown = wanted.name if isinstance(wanted, Reference) else wanted
    return (Difference(path="resourceGroupName", there=parts[4], declared=shown, setting="base_name"),)


def _differences(
    properties: Iterable[Property], resource: TerraformResource, declared: Declared
) -> tuple[Difference, ...]:
    found = []
    for one in properties:
        there = one.terraform(resource)
        wanted = _at(declared.inputs, one.pulumi)
        wanted = one.missing if wanted is None else wanted
        if there is None or wanted == UNKNOWN or _same(there, wanted):
            continue
        found.append(Difference(path=one.pulumi, there=there, declared=wanted, setting=one.setting, way=one.way))
    return tuple(found)


def _at(inputs: Mapping[str, Any], path: str) -> Any:
    value: Any = inputs
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _same(there: Any, wanted: Any) -> bool:
    if isinstance(wanted, Reference):
        return wanted.matches(there)
    if isinstance(there, str) and isinstance(wanted, str):
        return there.replace(" ", "").rstrip("/").lower() == wanted.replace(" ", "").rstrip("/").lower()
    return bool(there == wanted)


def import_file(plan: Plan, declaration: Declaration) -> Json:
    """What `pulumi import --file` takes: the matched resources with their ids, and the components that hold them.

    Names are the engine's own placeholders', so that they are exactly those that the program declares.
    """
    ids = {(one.target.type, one.target.logical_name): one.id for one in plan.matches if one.imported}
    by_name = {one["name"]: one for one in declaration.placeholders}
    kept: dict[str, Json] = {}
    for one in declaration.placeholders:
        id_ = ids.get((one["type"], one.get("logicalName") or one["name"]))
        if id_ is None:
            continue
        kept[one["name"]] = {**one, "id": id_}
        above = str(one.get("parent") or "")
        while above in by_name and above not in kept:
            kept[above] = by_name[above]
            above = str(by_name[above].get("parent") or "")
    order = [one["name"] for one in declaration.placeholders if one["name"] in kept]
    components = [kept[name] for name in order if kept[name].get("component")]
    return {"resources": [*components, *(kept[name] for name in order if not kept[name].get("component"))]}
