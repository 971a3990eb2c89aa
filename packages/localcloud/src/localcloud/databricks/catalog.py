"""Databricks' own definitions: runtimes and Azure node types. Sources: its release notes and the Azure VM sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from localcloud.core.errors import not_emulated
from localcloud.core.json import Json
from localcloud.databricks import errors
from localcloud.databricks.request import Call

SPARK_VERSIONS: Mapping[str, str] = {
    "17.3.x-scala2.13": "17.3 LTS (includes Apache Spark 4.0.0, Scala 2.13)",
    "17.3.x-photon-scala2.13": "17.3 LTS Photon (includes Apache Spark 4.0.0, Scala 2.13)",
    "17.3.x-cpu-ml-scala2.13": "17.3 LTS ML (includes Apache Spark 4.0.0, Scala 2.13)",
    "16.4.x-scala2.13": "16.4 LTS (includes Apache Spark 3.5.2, Scala 2.13)",
    "16.4.x-scala2.12": "16.4 LTS (includes Apache Spark 3.5.2, Scala 2.12)",
    "15.4.x-scala2.12": "15.4 LTS (includes Apache Spark 3.5.0, Scala 2.12)",
}
RUNNABLE = frozenset({"17.3.x-scala2.13", "17.3.x-photon-scala2.13"})
"""Runtimes whose Spark (4.0) and packages (engine/notebook_runtime.py) are here. ML runtimes have other packages."""


@dataclass(frozen=True)
class NodeType:
    """Size and category of a type of virtual machine."""

    cores: float
    memory_mb: int
    disk_gb: int
    category: str
    description: str


def _family(names: Mapping[str, tuple[int, int, int]], category: str) -> dict[str, NodeType]:
    """Return `names` with cores, memory in GiB and the local disk in GB."""
    return {name: NodeType(cores, gib * 1024, disk, category, name) for name, (cores, gib, disk) in names.items()}


NODE_TYPES: Mapping[str, NodeType] = {
    **_family(
        {
            "Standard_DS3_v2": (4, 14, 28), "Standard_DS4_v2": (8, 28, 56), "Standard_DS5_v2": (16, 56, 112),
            "Standard_D4ds_v5": (4, 16, 150), "Standard_D8ds_v5": (8, 32, 300), "Standard_D16ds_v5": (16, 64, 600),
            "Standard_D4ads_v5": (4, 16, 150), "Standard_D8ads_v5": (8, 32, 300), "Standard_D4s_v3": (4, 16, 32),
            "Standard_D8s_v3": (8, 32, 64), "Standard_D4d_v4": (4, 16, 150), "Standard_D8d_v4": (8, 32, 300),
        },
        "General Purpose",
    ),
    **_family(
        {
            "Standard_E4ds_v5": (4, 32, 150), "Standard_E8ds_v5": (8, 64, 300), "Standard_E4d_v4": (4, 32, 150),
            "Standard_E8d_v4": (8, 64, 300), "Standard_DS12_v2": (4, 28, 56), "Standard_DS13_v2": (8, 56, 112),
        },
        "Memory Optimized",
    ),
    **_family({"Standard_L4s": (4, 32, 678), "Standard_L8s_v3": (8, 64, 1920)}, "Storage Optimized"),
    **_family({"Standard_F4s": (4, 8, 16), "Standard_F8s_v2": (8, 16, 64)}, "Compute Optimized"),
}  # fmt: skip


def check_runtime(version: str, field: str) -> None:
    """Refuse a runtime that Databricks does not have (INVALID_PARAMETER_VALUE), or that does not run here (501)."""
    if version not in SPARK_VERSIONS:
        raise errors.invalid(f"Invalid spark version {version}: see clusters/spark-versions, e.g. 17.3.x-scala2.13.")
    if version not in RUNNABLE:
        raise not_emulated(
            f"{field} runtime {version}, whose Spark and packages are not installed; use {', '.join(sorted(RUNNABLE))}"
        )


def spark_versions(call: Call) -> Json:
    return {"versions": [{"key": key, "name": name} for key, name in SPARK_VERSIONS.items()]}


def node_types(call: Call) -> Json:
    return {
        "node_types": [
            {
                "node_type_id": name,
                "instance_type_id": name,
                "node_instance_type": {
                    "instance_type_id": name,
                    "local_disks": 1,
                    "local_disk_size_gb": node.disk_gb,
                },
                "memory_mb": node.memory_mb,
                "num_cores": node.cores,
                "num_gpus": 0,
                "description": node.description,
                "category": node.category,
                "is_deprecated": False,
                "is_hidden": False,
                "is_io_cache_enabled": "ds" in name.lower() or "_L" in name,
                "photon_driver_capable": True,
                "photon_worker_capable": True,
                "support_port_forwarding": True,
                "support_cluster_tags": True,
                "display_order": order,
                "node_info": {"status": [], "available_core_quota": 350, "total_core_quota": 350},
            }
            for order, (name, node) in enumerate(NODE_TYPES.items())
        ]
    }
