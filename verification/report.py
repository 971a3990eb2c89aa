"""The table of beliefs and answers, on the terminal and in docs/parity.

NAME.json holds the newest answers of a platform, DATE-NAME.json and .md the answers of a day. The table's other
columns are the newest answers of the other platforms that have a file there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from rich.table import Table

from verification.probe import Answer, Outcome, Probe

Json = dict[str, Any]

_MARKS = {
    Outcome.HOLDS: "✓", Outcome.CONTRADICTED: "✗", Outcome.MEASURED: "=", Outcome.SKIPPED: "-",
    Outcome.MANUAL: "by hand", Outcome.ERROR: "error",
}  # fmt: skip


@dataclass(frozen=True)
class Report:
    """Answers of one platform; `others` are the newest answers of the other platforms, by their names."""

    name: str
    day: date
    stack: str
    probes: Sequence[Probe]
    answers: Mapping[str, Answer]
    others: Mapping[str, Mapping[str, Answer]]

    @property
    def contradicted(self) -> list[str]:
        return [name for name, answer in self.answers.items() if answer.outcome is Outcome.CONTRADICTED]

    @property
    def columns(self) -> list[str]:
        return [self.name, *sorted(self.others)]

    def cell(self, column: str, probe: Probe) -> str:
        answers = self.answers if column == self.name else self.others[column]
        answer = answers.get(probe.name)
        return "" if answer is None else f"{_MARKS[answer.outcome]} {answer.text}"

    def table(self) -> Table:
        """Render the report for the terminal."""
        table = Table("probe", "believed", *self.columns, title=f"Stack {self.stack}, {self.day}", show_lines=True)
        for probe in self.probes:
            table.add_row(probe.name, probe.believed, *(self.cell(column, probe) for column in self.columns))
        return table

    def markdown(self) -> str:
        """Render the report for the file of the day."""
        head = ["probe", "believed", "rests on", *self.columns]
        lines = [
            f"# What {self.name} answered on {self.day}", "",
            f"Stack `{self.stack}`, asked by `make verify-azure`. ✓ as believed, ✗ contradicted, = measured, "
            "- not asked.",
            "", _row(head), _row(["---"] * len(head)),
        ]  # fmt: skip
        for probe in self.probes:
            cells = [
                f"`{probe.name}`",
                probe.believed,
                probe.basis,
                *(self.cell(column, probe) for column in self.columns),
            ]
            lines.append(_row(cells))
        return "\n".join([*lines, ""])

    def write(self, folder: Path) -> list[Path]:
        """Write the files and return them."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(_content(self), indent=2, ensure_ascii=False) + "\n"
        files = {
            folder / f"{self.name}.json": text,
            folder / f"{self.day}-{self.name}.json": text,
            folder / f"{self.day}-{self.name}.md": self.markdown(),
        }
        for file, content in files.items():
            file.write_text(content, encoding="utf-8")
        return list(files)


def read_others(folder: Path, name: str) -> dict[str, dict[str, Answer]]:
    """Read the newest answers of all platforms but `name`. Raises ValueError that names an unreadable file."""
    reports = {}
    for file in sorted(folder.glob("*.json")):
        if file.stem[:1].isdigit() or file.stem == name:
            continue
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            reports[file.stem] = {
                probe: Answer(answer["text"], Outcome(answer["outcome"]))
                for probe, answer in content["answers"].items()
            }
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{file} is not a file of answers: {error!r}") from error
    return reports


def _content(report: Report) -> Json:
    return {
        "name": report.name,
        "date": str(report.day),
        "stack": report.stack,
        "answers": {
            probe.name: {
                "believed": probe.believed,
                "basis": probe.basis,
                "outcome": report.answers[probe.name].outcome.value,
                "text": report.answers[probe.name].text,
            }
            for probe in report.probes
        },
    }


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
