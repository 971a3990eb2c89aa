"""The documentation names existing targets, files and links, and in docs/azure-devops.md all that pipelines use."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from bootstrap.naming import deployment_environment
from bootstrap.pipelines import PipelineSpec, specs
from pipelines.agent import configure
from tests.unit.environments import ENVIRONMENTS

ROOT = Path(__file__).resolve().parents[3]
_DOCS = (ROOT / "docs/azure-devops.md").read_text(encoding="utf-8")
_YAML = [ROOT / "azure-pipelines.yml", *sorted((ROOT / "pipelines").rglob("*.yml"))]
_OWN = {"AMLPIPELINE_ID", "DATA_URI", "DATA_VERSION", "COMPUTE", "EXPERIMENT", "LOCALCLOUD_CACHE"}
"""Variables that the YAML sets itself."""
_MACRO = re.compile(r"\$\(([A-Z][A-Z_]+)\)")


def _targets() -> set[str]:
    text = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("Makefile", "pipelines/targets.mk"))
    return set(re.findall(r"^([a-z][a-z-]*):", text, re.MULTILINE))


def test_every_target_in_the_docs_and_in_the_pipelines_exists() -> None:
    named = set(re.findall(r"`make ([a-z-]+)", _DOCS))
    used = {
        target for file in _YAML for target in re.findall(r"bash: make ([a-z-]+)", file.read_text(encoding="utf-8"))
    }
    used |= {
        target
        for file in _YAML
        for target in re.findall(r"^\s*target: ([a-z-]+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }

    assert named and used
    assert (named | used) - _targets() == set()


def test_make_help_names_every_verb_within_80_columns() -> None:
    help_ = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    described = re.findall(
        r"^([a-z-]+):.*## ",
        "".join((ROOT / name).read_text(encoding="utf-8") for name in ("Makefile", "pipelines/targets.mk")),
        re.MULTILINE,
    )

    assert max(map(len, help_.splitlines())) <= 80
    assert sorted(re.findall(r"^  ([a-z-]+) ", help_, re.MULTILINE)) == sorted(described)


_PAGES = sorted(
    page for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "packages").rglob("*.md")]
    if page.name != "CHANGELOG.md" and "tests" not in page.parts and ".venv" not in page.parts
)  # fmt: skip
_FOLDERS = "infra|mlops|contract|declarations|bootstrap|policy|migration|notebooks|pipelines|packages|tests|docs|tools"
_FILE = re.compile(rf"`((?:{_FOLDERS})/[\w./-]+)`")
_EXAMPLE = "house_prices"  # the pipeline that a guide makes
_MADE_BY_COMMANDS = {"bootstrap/.state", "docs/parity/azure.json", "docs/parity/DATE-azure.md"}


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_s_links_files_and_verbs_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text)
    missing = [link for link in links if not (page.parent / link).exists()]
    if "adr" not in page.parts:  # a record has the facts of its own time
        named = set(_FILE.findall(text)) - _MADE_BY_COMMANDS
        made_up = {file for file in named if _EXAMPLE in file}
        missing += [file for file in named - made_up if not any((ROOT / file).parent.glob((ROOT / file).name))]
        missing += [verb for verb in re.findall(r"`make ([a-z][a-z-]+)", text) if verb not in _targets()]

    assert missing == []


@pytest.mark.parametrize("spec", specs(ENVIRONMENTS), ids=lambda spec: spec.path)
def test_every_pipeline_with_its_connections_and_environments_is_in_the_docs(spec: PipelineSpec) -> None:
    assert f"`{spec.path}`" in _DOCS
    for connection in spec.connections:
        assert f"`{connection}`" in _DOCS or f"`- {connection.rpartition(' - ')[2]}`" in _DOCS, connection
    for environment in spec.environments:
        assert f"`{deployment_environment(environment)}`" in _DOCS


def test_every_used_variable_of_a_group_is_in_the_table() -> None:
    macros = {name for file in _YAML for name in _MACRO.findall(file.read_text(encoding="utf-8"))}
    session = re.search(r"^for name in (.*); do$", (ROOT / "pipelines/session.sh").read_text(), re.MULTILINE)
    assert session is not None
    read = {*macros - _OWN, *session[1].split(), *configure.NAMES}
    table = set(re.findall(r"`([A-Z][A-Z_]+)`", "\n".join(line for line in _DOCS.splitlines() if line[:3] == "| `")))

    assert {"BASE_NAME", "BACKEND_CONTAINER", "MLPIPELINE_SP_OBJECT_ID"} <= read
    assert read - table == set()
