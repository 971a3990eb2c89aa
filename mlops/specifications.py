"""The training pipelines of this checkout: a folder each below mlops/pipelines/, with its pipeline.yml."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from declarations import training_pipelines
from mlops import time_zones
from mlops.errors import InvalidError, MissingError
from mlops.suggestions import hint
from steps.schedule import Times
from steps.serving import Online
from steps.specification import Score, Specification

PIPELINES = training_pipelines.FOLDER
FILE = training_pipelines.FILE
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
DEFAULT = "default"
"""Name of the default pipeline, regardless of its folder's name: builds name jobs and artifacts after it."""
ROOT = Path(__file__).resolve().parents[1]
EXPRESSION = re.compile(r"\$\{\{|\$\[\[")


@dataclass(frozen=True)
class TrainingPipeline:
    """A pipeline by its folder's name; the names of everything that is published of it follow from that."""

    name: str
    folder: Path
    specification: Specification

    @property
    def model(self) -> str:
        """Name of the registered model."""
        return self.specification.model

    @property
    def component(self) -> str:
        """Name of the pipeline component."""
        return f"{self.name}_training"

    @property
    def scoring_component(self) -> str:
        """Name of the pipeline component that scores."""
        return f"{self.name}_scoring"

    @property
    def experiment(self) -> str:
        """Name of the experiment of its runs."""
        return training_pipelines.training_experiment(self.name)

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the pipeline components that there may be of it."""
        return (self.component, self.scoring_component)

    def is_named_in(self, text: str) -> bool:
        """Whether a text, such as an ARM id, names one of its pipeline components."""
        return any(f"/components/{component}/" in text for component in self.components)

    @property
    def scoring_experiment(self) -> str:
        """Name of the experiment of its scoring runs."""
        return f"{self.name.replace('_', '-')}-scoring"

    @property
    def notebooks(self) -> tuple[str, ...]:
        """Names of its notebooks: the training's, and the notebook that prepares rows for scoring."""
        score = self.specification.score
        return (self.specification.notebook, *((score.notebook,) if score else ()))

    @property
    def score(self) -> Score:
        """Return the section on scoring. Raises InvalidError when its specification has no such section."""
        if self.specification.score is None:
            raise InvalidError(
                f"The pipeline {self.name} does not score: give {_relative(self.folder / FILE)} a section score, such "
                f"as score: {{notebook: {self.name}_scoring, input: scoring/in/{self.name}}}."
            )
        return self.specification.score

    @property
    def online(self) -> Online:
        """Return the section on serving online. Raises InvalidError when its specification does not enable it."""
        if self.specification.serve is None:
            raise InvalidError(
                f"The pipeline {self.name} does not serve online: write `serve: online` into "
                f"{_relative(self.folder / FILE)}, and bring the stack up."
            )
        return self.specification.serve.online

    @property
    def schedule(self) -> str:
        """Name of the schedule that trains it."""
        return self.experiment

    @property
    def scoring_schedule(self) -> str:
        """Name of the schedule that scores."""
        return self.scoring_experiment

    @cached_property
    def has_first_endpoint(self) -> bool:
        """Whether the stack's first endpoint is the pipeline's: it is the default one, or the only one."""
        return self.name not in training_pipelines.additional_pipelines(self.folder.parent)

    @property
    def data(self) -> Path:
        """Training data that the verbs use by default."""
        return ROOT / self.specification.data

    @cached_property
    def specification_json(self) -> str:
        """The specification as the steps get it."""
        left_out: dict[str, Any] = {"default": True, "schedule": True, "serve": True, "score": {"schedule"}}
        return self.specification.model_dump_json(exclude=left_out, exclude_defaults=True)


def names(folder: Path = PIPELINES) -> list[str]:
    """Return the names of all pipelines, sorted."""
    return sorted(file.parent.name for file in folder.glob(f"*/{FILE}"))


def load(name: str | None, folder: Path = PIPELINES) -> TrainingPipeline:
    """Return a pipeline by name; without one, the only one or the default one (`default: true`).

    DEFAULT is the default one's name too, unless a folder is named so. Raises MissingError with the closest names,
    InvalidError with every fault of the specification by dotted path.
    """
    known = names(folder)
    if not name or (name == DEFAULT and name not in known):
        return _default(folder)
    if name not in known:
        where = _relative(folder / name / FILE)
        raise MissingError(f"There is no pipeline {name!r}: {where} does not exist. {hint(name, known)}")
    if NAME.fullmatch(name) is None:
        raise InvalidError(
            f"The folder {_relative(folder / name)} cannot be a pipeline: its name must be up to 40 lowercase letters, "
            "digits and underscores, a letter first, such as house_prices."
        )
    return TrainingPipeline(name, folder / name, _read(folder / name / FILE))


def _default(folder: Path) -> TrainingPipeline:
    known = names(folder)
    if not known:
        raise MissingError(f"There is no pipeline below {_relative(folder)}: make one with `python -m mlops new NAME`.")
    if len(known) == 1:
        return load(known[0], folder)
    pipelines = [load(name, folder) for name in known]
    chosen = [pipeline for pipeline in pipelines if pipeline.specification.default]
    if len(chosen) != 1:
        state = f"{' and '.join(pipeline.name for pipeline in chosen)} both are" if chosen else "none is"
        raise InvalidError(
            f"Name a pipeline with --pipeline, one of {', '.join(known)}: {state} the default (`default: true`)."
        )
    return chosen[0]


def _read(file: Path) -> Specification:
    name = _relative(file)
    try:
        text = file.read_text(encoding="utf-8")
        content: Any = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidError(f"{name} cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        raise InvalidError(f"{name} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise InvalidError(f"{name} must have fields such as `model: house_prices`.")
    if EXPRESSION.search(text):
        raise InvalidError(
            f"{name} has an expression of Azure ML, ${{{{…}}}} or $[[…]], which would be replaced: write plain text."
        )
    try:
        specification = Specification.model_validate(content)
    except ValidationError as error:
        raise InvalidError(_faults(name, error)) from error
    _check_time_zone(name, specification)
    return specification


def _check_time_zone(name: str, specification: Specification) -> None:
    """Check names that steps do not know: tzlocal is no package of theirs."""
    score = specification.score
    schedules: dict[str, Times | None] = {
        "schedule": specification.schedule, "score.schedule": score.schedule if score else None
    }  # fmt: skip
    faults = [
        f"{section}.time_zone is {times.time_zone!r}: {fault}{_example(f'{section}.time_zone')}"
        for section, times in schedules.items()
        if times is not None and (fault := time_zones.fault(times.time_zone)) is not None
    ]
    if faults:
        raise InvalidError("\n  ".join([_HEAD.format(name), *faults]))


def _faults(name: str, error: ValidationError) -> str:
    """Return one line for each fault: path, value, and a valid value."""
    lines = [_HEAD.format(name)]
    for problem in error.errors():
        path = ".".join(str(part) for part in problem["loc"]) or "the whole"
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "missing":
            lines.append(f"  {path} is missing{_example(path)}")
        elif problem["type"] == "extra_forbidden":
            close = difflib.get_close_matches(str(problem["loc"][-1]), _fields(problem["loc"][:-1]), n=1)
            lines.append(f"  {path} is unknown{f': did you mean {close[0]}?' if close else ''}")
        elif isinstance(problem["input"], dict | list):
            lines.append(f"  {path}: {message}{_example(path)}")
        else:
            lines.append(f"  {path} is {problem['input']!r}: {message}{_example(path)}")
    return "\n".join(lines)


_HEAD = "{} is not a specification of a pipeline:"
_EXAMPLES = {
    "description": "Predicts the price of a house.",
    "model": "house_prices",
    "task": "regression",
    "target": "price",
    "notebook": "house_features",
    "data": "data/houses.csv",
    "gate": "{metrics: [{name: rmse}]}",
    "gate.metrics": "[{name: rmse}]",
    "split.held_out": "0.2",
    "gate.confidence": "0.9",
    "schedule.time_zone": "W. Europe Standard Time",
    "schedule.cron": "'15 3 * * 1'",
    "schedule.data": "data/houses/",
    "schedule.start": "2027-01-04T00:00:00",
    "schedule.end": "2027-12-31T00:00:00",
    "data_contract.rows": "100",
    "data_contract.duplicates": "0.01",
    "score": "{notebook: house_prices_scoring, input: scoring/in/house_prices}",
    "score.notebook": "house_prices_scoring",
    "score.input": "scoring/in/house_prices",
    "score.format": "delta",
    "score.output": "scoring/out",
    "score.most_refused": "0.1",
    "score.most_files": "100",
    "score.schedule.cron": "'30 * * * *'",
    "score.schedule.time_zone": "W. Europe Standard Time",
    "score.schedule.start": "2027-01-04T00:00:00",
    "score.schedule.end": "2027-12-31T00:00:00",
    "watch.drift": "0.25",
    "watch.fewest_rows": "50",
    "watch.retrain": "on_drift",
    "watch.labels.file": "scoring/labels/house_prices.csv",
    "watch.labels.keys": "[house_id]",
    "serve": "online",
    "serve.online": "{instances: 2}",
    "serve.online.instance_type": "Standard_DS3_v2",
    "serve.online.instances": "2",
    "serve.online.traffic_steps": "[10, 50, 100]",
    "serve.online.request_timeout": "5",
    "serve.online.requests_per_instance": "1",
    "serve.online.auth": "entra",
}


def _example(path: str) -> str:
    return f" (such as {path.rpartition('.')[2]}: {_EXAMPLES[path]})" if path in _EXAMPLES else ""


def _fields(path: tuple[int | str, ...]) -> list[str]:
    """Return the fields that a section of the specification has."""
    schema = Specification.model_json_schema()
    section: dict[str, Any] = schema
    for part in path:
        inner = section.get("items") if isinstance(part, int) else section.get("properties", {}).get(part)
        section = _plain(schema, inner or section.get("additionalProperties") or {})
    return list(section.get("properties", {}))


def _plain(schema: dict[str, Any], section: dict[str, Any]) -> dict[str, Any]:
    """Return the section that a reference names, or the one with fields among several."""
    if "$ref" in section:
        return _plain(schema, schema["$defs"][section["$ref"].rpartition("/")[2]])
    alternatives = [_plain(schema, alternative) for alternative in section.get("anyOf", ())]
    return next((alternative for alternative in alternatives if "properties" in alternative), section)


def _relative(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
