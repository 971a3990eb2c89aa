"""Variables at run time: where each value comes from, `$(macro)` and `$[ runtime ]` forms, the environment of a step.

Source: learn.microsoft.com "Define variables". A macro of an unknown variable stays as it is written.
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
    """Names ignore case and keep the case they were first written in."""

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
        made = Variables(self)
        made.secrets = set(self.secrets)
        return made

    def add(self, declared: Iterable[Mapping[str, Any]], groups: Groups, contexts: Mapping[str, Any]) -> None:
        """What a pipeline, stage or job declares, the later over the earlier. Raises PipelineError for no group."""
        for one in declared:
            if "group" in one:
                group = str(one["group"])
                if group not in groups:
                    raise PipelineError(
                        f"Variable group {group} could not be found. Known: {', '.join(sorted(groups))}."
                    )
                for name, value in groups[group].items():
                    self[name] = value
                continue
            value = one.get("value", "")
            runtime = _RUNTIME.match(value) if isinstance(value, str) else None
            if runtime:
                value = evaluate(parse(runtime[1].strip()), {**contexts, "variables": self})
            self[str(one["name"])] = functions.text(value)

    def expand(self, text: Any) -> str:
        """Replace macros, those in their values too; unknown ones stay."""
        result = functions.text(text)
        for _ in range(_DEPTH):
            expanded = _MACRO.sub(lambda match: self.get(match[1], match[0]), result)
            if expanded == result:
                break
            result = expanded
        return result

    def environment(self) -> dict[str, str]:
        """For a process: upper case, dots and spaces as underscores; secrets stay out, as on an agent."""
        return {
            re.sub(r"[. ]", "_", name).upper(): self.expand(value)
            for name, value in self.items()
            if name.lower() not in self.secrets
        }
