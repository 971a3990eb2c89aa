"""The class with which ABFS gets its credentials on a cluster with Unity Catalog, as a jar.

ABFS gets a SAS for each path and operation only from a class on the class path
(org.apache.hadoop.fs.azurebfs.extensions.SASTokenProvider). Compiled by Janino, the Java compiler that ships inside
pyspark: the machine's Java may have no compiler of its own. Compiling takes a second, once on a machine.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

from localcloud.core.errors import LocalcloudError
from localcloud.engine.install import install, run
from localcloud.engine.ivy import spark_jars
from localcloud.engine.java_runtime import jvm_options
from localcloud.engine.versions import HADOOP_AZURE

PROVIDER = "localcloud.unity.VendedSas"
_SOURCE = Path(__file__).with_name("unity_sas") / "VendedSas.java"
_TITLE = "the provider of Unity Catalog's credentials"
_COMPILER = "org.codehaus.commons.compiler.samples.CompilerDemo"
"""The command line of Janino, with javac's options."""


def ensure_jar(cache: Path, java_home: Path, abfs: Sequence[Path]) -> Path:
    """Return the jar, compiled first if need be. Raises LocalcloudError when it cannot be."""
    spark = spark_jars()
    pins = hashlib.sha256(_SOURCE.read_bytes() + "".join(jar.name for jar in spark).encode()).hexdigest()[:8]

    def make(folder: Path) -> None:
        classes = folder / "classes"
        classes.mkdir()
        path = ":".join(map(str, [*spark, *abfs]))
        java: list[str | Path] = [java_home / "bin" / "java", *jvm_options(folder), "-cp", path, _COMPILER]
        run(_TITLE, [*java, "-d", classes, "-classpath", path, _SOURCE])
        compiled = classes.joinpath(*PROVIDER.split(".")).with_suffix(".class")
        if not compiled.is_file():
            raise LocalcloudError(f"{_TITLE} could not be installed: Janino wrote no class from {_SOURCE}.")
        with zipfile.ZipFile(folder / "vended-sas.jar", "w") as jar:
            jar.write(compiled, compiled.relative_to(classes))

    return install(cache, f"vended-sas-{HADOOP_AZURE}-{pins}", make) / "vended-sas.jar"
