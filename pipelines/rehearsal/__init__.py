"""The repository's pipelines played on one machine: what `pipeline-runner` needs to know of this repository."""

from __future__ import annotations

from pathlib import Path

ORGANISATION = Path(__file__).with_name("organisation.yml")
