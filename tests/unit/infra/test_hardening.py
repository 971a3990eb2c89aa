"""docs/infrastructure.md has the same settings of every resource as the program."""

from __future__ import annotations

from infra.stack_file import ROOT
from policy.pack import RULES
from tests.unit.infra import hardening


def test_the_table_is_read_off_the_resources() -> None:
    text = hardening.PAGE.read_text(encoding="utf-8")
    assert text == hardening.page(text), "run `python -m tests.unit.infra.hardening`"


def test_the_table_names_rules_that_exist() -> None:
    """The rules on resources that hold data are all named."""
    names = {rule.name for rule in RULES}
    named = {rule for _, type_, _ in hardening.ROWS for rule in names if f"`{rule}`" in hardening.table()}
    of_others = {
        "alerts", "budget", "databricks-no-tokens", "databricks-plain-identity", "databricks-policy-job-clusters",
        "databricks-pool-ends", "ml-datastores-without-secrets", "ml-online-endpoint-identity", "network-no-open-rule",
        "no-secrets-in-state", "roles-least-privilege",
    }  # fmt: skip
    assert named | of_others == names


def test_the_page_s_picture_and_links_exist() -> None:
    text = hardening.PAGE.read_text(encoding="utf-8")
    for target in ("platform.md", "reference/settings.md", "adr/0013-the-training-account-is-a-data-lake.md"):
        assert f"({target})" in text and (ROOT / "docs" / target).exists(), target
