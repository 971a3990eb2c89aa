"""Variables at run time: their sources, the forms `$(macro)` and `$[ runtime ]`, the environment of a step.

Source: learn.microsoft.com "Define variables". The macro of an unknown variable stays in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any

from pipeline_runner import functions
from pipeline_runner.errors import PipelineError
from pipeline_runner.expressions import evaluate, parse

_MACRO = re.compile(r"\$\(([A-Za-z_][\w. -]*)\)")
_RUNTIME = re.compile(r"^\s*\$\[(.*)\]\s*$", re.DOTALL)
_DEPTH = 10

Groups = Mapping[str, Mapping[str, str]]


class Variables(MutableMapping[str, str]):
    """Variables by name. Names ignore case, and keep the case of their first use."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        self._values: dict[str, tuple[str, str]] = {}
        self.secrets: set[str] = set()
        for name, value in (values or {}).items():
            self[name] = value

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()][1]

    def __setitem__(self, name: str, value: str) -> None:
        written = self._values.get(name.lower(), (name, ""))[0]
        self._values[name.lower()] = (written, value)

    def __delitem__(self, name: str) -> None:
        del self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(written for written, _ in self._values.values())

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def copy(self) -> Variables:
        """Return variables of their own, with the same secrets."""
        copied = Variables(self)
        copied.secrets = set(self.secrets)
        return copied

    def add(self, declared: Iterable[Mapping[str, Any]], groups: Groups, contexts: Mapping[str, Any]) -> None:
        """Add the variables of a pipeline, stage or job; later ones win. Raises PipelineError for an unknown group."""
        for variable in declared:
            if "group" in variable:
                group = str(variable["group"])
                if group not in groups:
                    raise PipelineError(
                        f"Variable group {group} could not be found. Known: {', '.join(sorted(groups))}."
                    )
                for name, value in groups[group].items():
                    self[name] = value
                continue
            value = variable.get("value", "")
            runtime = _RUNTIME.match(value) if isinstance(value, str) else None
            if runtime:
                value = evaluate(parse(runtime[1].strip()), {**contexts, "variables": self})
            self[str(variable["name"])] = functions.text(value)

    def expand(self, text: Any) -> str:
        """Return a text with its macros replaced, also macros in values; unknown ones stay."""
        result = functions.text(text)
        for _ in range(_DEPTH):
            expanded = _MACRO.sub(lambda match: self.get(match[1], match[0]), result)
            if expanded == result:
                break
            result = expanded
        return result

    def environment(self) -> dict[str, str]:
        """Return a process's environment, without secrets: names in upper case, underscores for dots and spaces."""
        return {
            re.sub(r"[. ]", "_", name).upper(): self.expand(value)
            for name, value in self.items()
            if name.lower() not in self.secrets
        }
