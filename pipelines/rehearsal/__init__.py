"""The repository's pipelines played on one machine: this repository's arguments of `pipeline-runner`."""

from __future__ import annotations

from pathlib import Path

ORGANISATION = Path(__file__).with_name("organisation.yml")
