"""Types of the settings: each refuses invalid values with a message that has a valid one."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from infra.naming import BASE_NAME, BASE_NAME_MAX, ENVIRONMENT, ENVIRONMENT_MAX
from infra.regions import REGIONS

_PRIVATE = tuple(ipaddress.IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_LOCAL = tuple(ipaddress.IPv4Network(text) for text in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16"))
_REFUSED_PREFIX = 31
_WEBHOOK = re.compile(r"https://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[^\s#@]*)?(\?[^\s#]*)?")
# A counted class of all letters, `\w{2,64}`, takes longer to compile than all other patterns together. Alphanumerics in
# Azure's rules for names of resources are a-z, A-Z and 0-9; names of resource groups have letters of all scripts, and
# their length is a rule of its own here.
_ARM_NETWORK = (
    r"^/subscriptions/[0-9a-fA-F-]{36}/resourceGroups/[^/]{1,90}"
    r"/providers/Microsoft\.Network/virtualNetworks/[A-Za-z0-9_.-]{2,64}$"
)
_ARM_GROUP = r"^/subscriptions/[0-9a-fA-F-]{36}/resourceGroups/[^/]{1,90}$"


InvokerRole = Literal["bootstrap", "stack"]


class Section(BaseModel):
    """Unknown fields are refused, and a number in quotes is not a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)


class SecretInSettingsError(ValueError):
    """A secret was passed in place of a reference to one; its report must not repeat the value."""


def wrong_field(section: BaseModel, field: str, reason: str) -> ValidationError:
    """Return the error of one field of a section that a validator of another section refuses."""
    error = PydanticCustomError("value_error", "{reason}", {"reason": reason})
    details = InitErrorDetails(type=error, loc=(field,), input=getattr(section, field))
    return ValidationError.from_exception_data(type(section).__name__, [details])


def _base_name(value: str) -> str:
    if not BASE_NAME.fullmatch(value):
        raise ValueError(f"must be 1 to {BASE_NAME_MAX} lowercase letters and digits")
    return value


def _environment(value: str) -> str:
    if not ENVIRONMENT.fullmatch(value):
        raise ValueError(
            f"the stack's name must be 2 to {ENVIRONMENT_MAX} lowercase letters and digits, a letter first"
        )
    return value


def _region(value: str) -> str:
    if value not in REGIONS:
        near = [region for region in sorted(REGIONS) if region == value.lower().replace(" ", "")]
        raise ValueError("is not an Azure region" + (f"; write {near[0]}" if near else ""))
    return value


def _address(value: str) -> str:
    """Check for a public IPv4 address or range, which Azure's firewalls require."""
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise ValueError(f"must be a public IPv4 address or range ({error})") from None
    if any(network.overlaps(other) for other in (*_PRIVATE, *_LOCAL)):
        raise ValueError("is not a public range, and Azure's firewalls refuse it")
    if network.prefixlen == _REFUSED_PREFIX:
        raise ValueError("is a /31 range, which Azure's firewalls refuse: name its two addresses")
    return value.removesuffix("/32")


def _range(value: str) -> str:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise ValueError(f"must be an IPv4 range ({error})") from None
    if not any(network.subnet_of(other) for other in _PRIVATE):
        raise ValueError("must be a private range: 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")
    return value


def _size(value: str, smallest: int, largest: int = 8) -> str:
    """`smallest`, `largest`: lengths of the prefix, so that the larger number is the smaller range."""
    prefix = ipaddress.IPv4Network(_range(value)).prefixlen
    if prefix > smallest:
        raise ValueError(f"must be /{smallest} or larger")
    if prefix < largest:
        raise ValueError(f"must be /{largest} or smaller")
    return value


def _network(value: str) -> str:
    """learn.microsoft.com/azure/databricks/security/network/classic/vnet-inject: between /16 and /24."""
    return _size(value, 24, 16)


def _databricks_subnet(value: str) -> str:
    """Check a subnet as above: /26 at least."""
    return _size(value, 26)


def _subnet(value: str) -> str:
    """Azure keeps five addresses of a subnet for itself, and refuses subnets smaller than /29."""
    return _size(value, 29)


def _webhook(value: str) -> str:
    """Check for https without a user name. The message does not repeat the URL, which may hold a secret."""
    if _WEBHOOK.fullmatch(value) is None:
        raise SecretInSettingsError("must be an https URL with a host name, and without a user name or a fragment")
    return value


def _tag_name(value: str) -> str:
    """learn.microsoft.com/azure/azure-resource-manager/management/tag-resources: names that Azure reserves."""
    if value.lower().startswith(("microsoft", "azure", "windows")):
        raise ValueError("must not begin with microsoft, azure or windows, which Azure keeps for itself")
    return value


def _each_once(values: list[Any]) -> list[Any]:
    """Names of resources and of receivers come from these: Azure refuses the second."""
    ids = [str(getattr(value, "object_id", value)).lower() for value in values]
    twice = sorted({value for value in ids if ids.count(value) > 1})
    if twice:
        raise ValueError(f"has {', '.join(twice)} more than once")
    return values


BaseName = Annotated[str, AfterValidator(_base_name)]
Environment = Annotated[str, AfterValidator(_environment)]
Region = Annotated[str, AfterValidator(_region)]
PublicAddress = Annotated[str, AfterValidator(_address)]
NetworkRange = Annotated[str, AfterValidator(_network)]
DatabricksSubnet = Annotated[str, AfterValidator(_databricks_subnet)]
Subnet = Annotated[str, AfterValidator(_subnet)]
VmSize = Annotated[str, Field(pattern=r"^Standard_[A-Za-z0-9_]+$")]
Email = Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
Guid = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
TagName = Annotated[str, Field(pattern=r"^[^<>%&\\?/]{1,128}$"), AfterValidator(_tag_name)]
TagValue = Annotated[str, Field(min_length=1, max_length=256)]
HostName = Annotated[str, Field(pattern=r"^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,}$")]
SparkKey = Annotated[str, Field(pattern=r"^(spark|fs)\.[\w.-]+$")]
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
WebhookUrl = Annotated[str, AfterValidator(_webhook)]
EachOnce = AfterValidator(_each_once)
Replication = Literal["LRS", "ZRS", "GRS", "GZRS"]
PrincipalType = Literal["User", "Group", "ServicePrincipal"]
ResourceGroupId = Annotated[str, Field(pattern=_ARM_GROUP)]
VirtualNetworkId = Annotated[str, Field(pattern=_ARM_NETWORK)]
ResourceGroupName = Annotated[str, Field(pattern=r"^[\w().-]*[\w()-]$", max_length=90)]
