"""Instance pools' idle instances: Spark drivers that are up and wait for a run.

A pool keeps `min_idle_instances` always. After a run, its instance returns to the pool: a fresh driver takes its place
and stays `idle_instance_autotermination_minutes`. Starting one needs seconds of both cores, so it waits until the
machine is idle; so does its exercise (exercise.py). A run may take an instance at any time.
"""

from __future__ import annotations

import asyncio
import logging
import shlex
import shutil
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.databricks import access, driver_memory, drivers, launch
from localcloud.databricks.catalog import RUNNABLE
from localcloud.databricks.drivers import DriverProcess
from localcloud.databricks.request import Workspace
from localcloud.databricks.store import Documents, workspaces_with

_log = logging.getLogger("localcloud.databricks")
_QUIET_PERCENT = 40
_QUIET_PATIENCE = 120
"""Seconds after which a driver is started on a busy machine too."""
_UNUSED_SECONDS = 7 * 24 * 3600
_MEMORY_NEEDED = 1536 * 1024 * 1024


@dataclass
class _Idle:
    driver: DriverProcess
    spark_version: str
    expires: float | None
    preparation: asyncio.Task[None]
    """Start and exercise. A run that takes the instance before their end cancels it, and the driver goes on."""


@dataclass
class _Pool:
    idle: list[_Idle] = field(default_factory=list)
    used: int = 0
    filling: asyncio.Task[None] | None = None


Key = tuple[str, str]


class WarmDrivers:
    """The idle instances of all pools of all workspaces."""

    def __init__(self, context: Context) -> None:
        driver_memory.heap()  # localcloud does not start with a wrong variable
        self._context = context
        self._pools: dict[Key, _Pool] = {}
        self._closed = False
        self._archiving = False
        self._spark_tools: launch.SparkTools | None = None
        self._one_at_a_time = asyncio.Lock()

    async def start(self) -> None:
        """Start the idle instances of pools with min_idle_instances."""
        for workspace in workspaces_with(self._context.database, "pool"):
            for pool in Documents(self._context.database, workspace).all("pool"):
                self._refill((workspace, pool["instance_pool_id"]), pool, extra=0)
        self._context.tasks.start(self._expire(), "databricks idle instances")

    def archive_classes(self) -> None:
        """Record the classes that Spark loads, once on a machine, so that later drivers start faster."""
        if self._archiving or self._closed:
            return
        self._archiving = True
        self._context.tasks.start(self._archive(), "archive Spark's classes")

    async def _archive(self) -> None:
        settings, tools = self._context.settings, await self._tools()
        archive = launch.archive_file(settings, tools)
        base = tools.java_home / "lib" / "server" / "classes.jsa"
        if archive.exists() or not base.exists():
            return  # a Java without an archive of its own classes (wheels leave it out) cannot add to it
        async with self._one_at_a_time:
            if await _quiet():
                await self._rehearse(archive)

    async def _rehearse(self, archive: Path) -> None:
        settings, tools = self._context.settings, await self._tools()
        folder = settings.home / "drivers" / "warm-up"
        fresh = archive.with_suffix(f".{uuid.uuid4().hex[:8]}")
        conf = launch.launch_conf(settings, tools, folder)
        conf["spark.driver.extraJavaOptions"] += " " + shlex.quote(f"-XX:ArchiveClassesAtExit={fresh}")
        try:
            await asyncio.to_thread(archive.parent.mkdir, parents=True, exist_ok=True)
            code = await drivers.rehearse(tools, conf, launch.environment(settings, tools, folder), folder)
            if code == 0 and fresh.exists():
                await asyncio.to_thread(fresh.replace, archive)
                await asyncio.to_thread(_prune_archives, archive.parent)
                _log.info("Spark's classes are archived in %s", archive)
            else:
                _log.warning("Spark's classes could not be archived (exit code %s): drivers start without", code)
        finally:
            await asyncio.to_thread(fresh.unlink, missing_ok=True)
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def close(self) -> None:
        self._closed = True
        for pool in self._pools.values():
            if pool.filling is not None:
                pool.filling.cancel()
            for item in pool.idle:
                await self._end(item)
        self._pools.clear()

    async def cold(self) -> DriverProcess:
        """Return a driver for one run, started now, without a warm-up."""
        return await self._launch(warm_up=False)

    async def take(self, workspace: str, pool_id: str, spark_version: str) -> DriverProcess | None:
        """Return an idle instance with this runtime, ready or nearly; None when there is none."""
        pool = self._pools.setdefault((workspace, pool_id), _Pool())
        usable = [item for item in pool.idle if item.spark_version == spark_version and item.driver.alive]
        if not usable:
            return None
        chosen = next((item for item in usable if item.driver.ready.done()), usable[0])
        pool.idle.remove(chosen)
        chosen.preparation.cancel()
        return chosen.driver

    def occupy(self, workspace: str, pool_id: str, instances: int, capacity: int | None) -> None:
        """Raise ServiceError INSTANCE_POOL_MAX_CAPACITY_FAILURE when the pool has too few instances left."""
        pool = self._pools.setdefault((workspace, pool_id), _Pool())
        if capacity is not None and pool.used + instances > capacity:
            raise ServiceError(
                400,
                "INSTANCE_POOL_MAX_CAPACITY_FAILURE",
                f"Instance pool {pool_id} has reached its max_capacity of {capacity}:"
                f" {pool.used} in use, {instances} asked for.",
            )
        pool.used += instances

    def release(self, workspace: str, pool_id: str, instances: int) -> None:
        """Return a run's instances to the pool, where they stay idle for a while."""
        pool = self._pools.setdefault((workspace, pool_id), _Pool())
        pool.used -= instances
        document = Documents(self._context.database, workspace).get("pool", pool_id)
        if document is not None:
            self._refill((workspace, pool_id), document, extra=1)
        self.archive_classes()

    def pool_changed(self, workspace: Workspace, pool: Json) -> None:
        self._refill((workspace.documents.workspace, pool["instance_pool_id"]), pool, extra=0)

    def pool_deleted(self, workspace: Workspace, pool_id: str) -> None:
        pool = self._pools.pop((workspace.documents.workspace, pool_id), None)
        if pool is not None:
            if pool.filling is not None:
                pool.filling.cancel()
            for item in pool.idle:
                self._context.tasks.start(self._end(item), f"end driver {item.driver.pid}")

    def counts(self, workspace: Workspace, pool_id: str) -> Json:
        """Return the pool's `stats`. An instance that still starts or exercises is pending."""
        pool = self._pools.get((workspace.documents.workspace, pool_id), _Pool())
        ready = sum(item.preparation.done() for item in pool.idle)
        starting = max(len(pool.idle) - ready, int(pool.filling is not None))
        return {"used_count": pool.used, "idle_count": ready, "pending_used_count": 0, "pending_idle_count": starting}

    def _refill(self, key: Key, document: Json, *, extra: int) -> None:
        pool = self._pools.setdefault(key, _Pool())
        versions = document.get("preloaded_spark_versions") or []
        version = str(versions[0]) if versions else "17.3.x-scala2.13"
        minutes = int(document["idle_instance_autotermination_minutes"])
        target = max(int(document["min_idle_instances"]), extra if minutes > 0 else 0)
        # One machine needs one fresh driver at a time, regardless of the real pool's number.
        target = min(target, 1)
        if self._closed or pool.filling is not None or len(pool.idle) >= target or version not in RUNNABLE:
            return
        pool.filling = self._context.tasks.start(
            self._fill(key, version, minutes, keep=int(document["min_idle_instances"]) > 0), f"fill pool {key[1]}"
        )

    async def _fill(self, key: Key, version: str, minutes: int, *, keep: bool) -> None:
        pool = self._pools[key]
        try:
            async with self._one_at_a_time:
                await _quiet()  # or not: the pool is filled later
                if psutil.virtual_memory().available < _MEMORY_NEEDED:
                    _log.warning("pool %s gets no idle instance: less than 1.5 GB of memory is free", key[1])
                    return
                driver = await self._launch(warm_up=True)
                expires = None if keep else time.monotonic() + 60 * minutes
                preparation = self._context.tasks.start(self._prepare(driver), f"exercise driver {driver.pid}")
                pool.idle.append(_Idle(driver, version, expires, preparation))
                await asyncio.wait({driver.ready})
        finally:
            pool.filling = None

    async def _prepare(self, driver: DriverProcess) -> None:
        """Have a driver exercise once it is ready and the machine is quiet; on a busy machine it goes without."""
        await asyncio.wait({driver.ready})
        if driver.alive and await _quiet():
            async with self._one_at_a_time:
                await driver.exercise()

    async def _launch(self, *, warm_up: bool) -> DriverProcess:
        settings = self._context.settings
        tools = await self._tools()
        folder = settings.home / "drivers" / uuid.uuid4().hex[:12]
        conf = launch.launch_conf(settings, tools, folder)
        environment = launch.environment(settings, tools, folder)
        return await DriverProcess.start(tools, conf, environment, folder, warm_up=warm_up)

    async def _tools(self) -> launch.SparkTools:
        """Return the tools, which are searched once: the search for Java runs it."""
        if self._spark_tools is None:
            self._spark_tools = await asyncio.to_thread(launch.find_tools, self._context.settings)
        return self._spark_tools

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(5)
            live = {workspace.documents.workspace for workspace in access.all_workspaces(self._context)}
            for key, pool in list(self._pools.items()):
                for item in list(pool.idle):
                    expired = key[0] not in live or not item.driver.alive
                    if expired or (item.expires is not None and item.expires < time.monotonic()):
                        pool.idle.remove(item)
                        await self._end(item)

    async def _end(self, item: _Idle) -> None:
        item.preparation.cancel()
        await item.driver.kill()
        await asyncio.to_thread(shutil.rmtree, item.driver.folder, ignore_errors=True)


def _prune_archives(folder: Path) -> None:
    """Delete archives that no driver has used for a week: each Java, Spark and set of jars has its own, of 170 MB."""
    for archive in folder.glob("classes-*.jsa"):
        if time.time() - archive.stat().st_mtime > _UNUSED_SECONDS:
            archive.unlink(missing_ok=True)


async def _quiet() -> bool:
    """Wait until the machine has little to do. Returns False when two minutes pass before."""
    psutil.cpu_percent(None)
    deadline = time.monotonic() + _QUIET_PATIENCE
    while time.monotonic() < deadline:
        await asyncio.sleep(1.5)
        if psutil.cpu_percent(None) < _QUIET_PERCENT:
            return True
    return False
