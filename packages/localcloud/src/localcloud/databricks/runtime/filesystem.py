"""`dbutils.fs` on the Hadoop FileSystem API of the run's Spark: abfss:// with the run's identity, and file:/."""

from __future__ import annotations

from typing import Any, NamedTuple

from .host import Host, NotEmulatedError


class FileInfo(NamedTuple):
    """A file of dbutils.fs.ls: its size in bytes, its time in milliseconds since 1970. Names of folders end in /."""

    path: str
    name: str
    size: int
    modificationTime: int

    def isDir(self) -> bool:
        return self.name.endswith("/")

    def isFile(self) -> bool:
        return not self.isDir()


class FileSystem:
    """dbutils.fs."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def ls(self, dir: str) -> list[FileInfo]:
        files, path = self._open(dir)
        return [self._info(status) for status in files.listStatus(path)]

    def mkdirs(self, dir: str) -> bool:
        files, path = self._open(dir)
        return bool(files.mkdirs(path))

    def rm(self, dir: str, recurse: bool = False) -> bool:
        files, path = self._open(dir)
        return bool(files.delete(path, recurse)) if files.exists(path) else False

    def put(self, file: str, contents: str, overwrite: bool = False) -> bool:
        files, path = self._open(file)
        stream = files.create(path, overwrite)
        try:
            stream.write(bytearray(contents.encode()))
        finally:
            stream.close()
        return True

    def head(self, file: str, maxBytes: int = 65536) -> str:
        files, path = self._open(file)
        stream = files.open(path)
        try:
            jvm = self._host.spark._jvm
            buffer = jvm.org.apache.hadoop.thirdparty.com.google.common.io.ByteStreams
            return bytes(buffer.toByteArray(buffer.limit(stream, maxBytes))).decode(errors="replace")
        finally:
            stream.close()

    def cp(self, from_: str, to: str, recurse: bool = False) -> bool:
        return self._copy(from_, to, recurse, move=False)

    def mv(self, from_: str, to: str, recurse: bool = False) -> bool:
        return self._copy(from_, to, recurse, move=True)

    def mount(self, *arguments: Any, **options: Any) -> None:
        raise NotEmulatedError("DBFS mounts, which are deprecated: use abfss:// addresses")

    def _copy(self, source: str, target: str, recurse: bool, *, move: bool) -> bool:
        from_files, from_path = self._open(source)
        to_files, to_path = self._open(target)
        if from_files.getFileStatus(from_path).isDirectory() and not recurse:
            raise ValueError(f"{source} is a folder: pass recurse=True to copy it.")
        jvm = self._host.spark._jvm
        conf = self._host.spark._jsc.hadoopConfiguration()
        return bool(jvm.org.apache.hadoop.fs.FileUtil.copy(from_files, from_path, to_files, to_path, move, conf))

    def _open(self, address: str) -> tuple[Any, Any]:
        if address.startswith("dbfs:") or ("://" not in address and not address.startswith("file:")):
            raise NotEmulatedError(f"DBFS ({address}): use abfss:// addresses")
        path = self._host.spark._jvm.org.apache.hadoop.fs.Path(address)
        return path.getFileSystem(self._host.spark._jsc.hadoopConfiguration()), path

    def _info(self, status: Any) -> FileInfo:
        name = status.getPath().getName() + ("/" if status.isDirectory() else "")
        path = status.getPath().toString() + ("/" if status.isDirectory() else "")
        return FileInfo(path, name, int(status.getLen()), int(status.getModificationTime()))
