"""Loaders of the vendors' modules for infra/quick_imports.py: annotations as text, and classes defined on demand.

A resource's module imports all parts of all resources of its service, `from ._inputs import *`, thousands of classes of
which a program uses a few. These loaders read from the module's text which parts a resource names, and define these.
"""

from __future__ import annotations
import __future__

import atexit
import importlib.util
import marshal
import re
import sys
from collections.abc import Mapping
from functools import cached_property
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

PARTS = ("_inputs", "outputs")
"""Modules that define the parts of a package's resources."""
_HEADER = 16  # bytes of magic number, flags, time and size before the content of a .pyc file
_CLASS = re.compile(r"^(?:@.*\n)*class (\w+)", re.MULTILINE)
_STAR = re.compile(r"^from \._inputs import \*$", re.MULTILINE)
_WORD = re.compile(r"\w+")
_PRELUDE = ""
"""The key of the code before a module's first class."""


class _Cache:
    """Code compiled from a source file; valid while the file's time and size are the same."""

    def __init__(self, loader: SourceFileLoader, source: Path) -> None:
        self._loader, self._source = loader, source
        self._file = Path(importlib.util.cache_from_source(str(source), optimization="lazy"))
        stat = source.stat()
        self._header = (
            importlib.util.MAGIC_NUMBER
            + bytes(4)
            + (int(stat.st_mtime) & 0xFFFFFFFF).to_bytes(4, "little")
            + (stat.st_size & 0xFFFFFFFF).to_bytes(4, "little")
        )

    def read(self) -> Any:
        """Return the content, None without one of this source and this Python."""
        try:
            content = self._file.read_bytes()
        except OSError:
            return None
        if content[:_HEADER] != self._header:
            return None
        return marshal.loads(memoryview(content)[_HEADER:])  # noqa: S302 - written below, beside the source

    def write(self, content: Any) -> None:
        if not sys.dont_write_bytecode:
            data = self._header + marshal.dumps(content)
            self._loader._cache_bytecode(str(self._source), str(self._file), data)  # type: ignore[attr-defined]


def _compile(text: str, path: str) -> CodeType:
    code: CodeType = compile(text, path, "exec", flags=__future__.annotations.compiler_flag, dont_inherit=True)
    return code


class TextAnnotations(SourceFileLoader):
    """Python's own loader, but for annotations, and for inputs that the module does not name."""

    def get_code(self, fullname: str) -> CodeType:
        source = Path(self.path)
        cache = _Cache(self, source)
        code = cache.read()
        if not isinstance(code, CodeType):
            code = _compile(_with_named_inputs(source), self.path)
            cache.write(code)
        return code


def _with_named_inputs(source: Path) -> str:
    text = source.read_text(encoding="utf-8")
    inputs = source.with_name("_inputs.py")
    if not _STAR.search(text) or not inputs.is_file():
        return text
    offered = set(_CLASS.findall(inputs.read_text(encoding="utf-8")))
    named = sorted(name for name in offered.intersection(_WORD.findall(text)) if not _is_typing_only(name))
    return _STAR.sub(f"from ._inputs import {', '.join(named)}" if named else "", text)


def _is_typing_only(name: str) -> bool:
    """Whether it is one of the SDKs' TypedDicts, which are used in the signatures of constructors only."""
    return name.endswith("ArgsDict")


class ClassesOnDemand(SourceFileLoader):
    """Runs the code before a module's first class. A class is compiled at its first use, and then stays."""

    def exec_module(self, module: ModuleType) -> None:
        _Classes(self, module)


class _Classes:
    """The classes of one module; `__getattr__` of the module."""

    def __init__(self, loader: SourceFileLoader, module: ModuleType) -> None:
        self._path = loader.path
        self._namespace = module.__dict__
        self._cache = _Cache(loader, Path(loader.path))
        content = self._cache.read()
        self._compiled: dict[str, tuple[CodeType, tuple[str, ...]]] = content if isinstance(content, dict) else {}
        self._saved = len(self._compiled)
        atexit.register(self._save)
        self._run(_PRELUDE)
        self._namespace["__getattr__"] = self

    def __call__(self, name: str) -> Any:
        if name not in self._compiled and (name.startswith("__") or name not in self._blocks):
            raise AttributeError(f"module {self._namespace['__name__']!r} has no attribute {name!r}")
        wanted = [name]
        while wanted:
            name_ = wanted.pop()
            if name_ not in self._namespace:
                wanted.extend(self._run(name_))
        return self._namespace[name]

    def _run(self, name: str) -> tuple[str, ...]:
        """Define a class. Return the classes of the same module that its annotations name."""
        if name not in self._compiled:
            line, text = self._blocks[name]
            named = self._blocks.keys() & set(_WORD.findall(text)) if name else set()
            needed = tuple(sorted(other for other in named if other != name and not _is_typing_only(other)))
            self._compiled[name] = _compile("\n" * line + text, self._path), needed
        code, needed = self._compiled[name]
        exec(code, self._namespace)  # noqa: S102 - the SDK's own source
        return needed

    @cached_property
    def _blocks(self) -> Mapping[str, tuple[int, str]]:
        """Return the number of lines before each class, and its text."""
        text = Path(self._path).read_text(encoding="utf-8")
        starts = [(match.start(), match[1]) for match in _CLASS.finditer(text)]
        blocks: dict[str, tuple[int, str]] = {_PRELUDE: (0, text[: starts[0][0]] if starts else text)}
        line, position = 0, 0
        for (start, name), end in zip(starts, [*(start for start, _ in starts[1:]), len(text)], strict=True):
            line += text.count("\n", position, start)
            position = start
            blocks[name] = (line, text[start:end])
        return blocks

    def _save(self) -> None:
        if len(self._compiled) > self._saved:
            self._cache.write(self._compiled)
