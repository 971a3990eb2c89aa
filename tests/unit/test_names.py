"""Names are nouns of the things and docstrings begin with a verb or a noun, as CONTRIBUTING.md says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from declarations.training_pipelines import all_pipelines
from infra.stack_file import ROOT
from tests import samples

FOLDERS = (
    "bootstrap", "contract", "declarations", "infra", "migration", "mlops", "notebooks", "packages", "pipelines",
    "policy", "steps", "tests", "verification",
)  # fmt: skip
_VAGUE = (
    "asked", "each", "found", "given", "got", "look", "looks", "made", "one", "said", "says", "shown", "told", "what",
    "who", "whoever", "whom", "whose",
)  # fmt: skip
_OPENINGS = (
    "As", "Because", "By", "From", "How", "Nobody", "Of", "Somebody", "That", "Those", "What", "Whatever", "When",
    "Where", "Which", "Who", "Whoever", "Whom", "Whose", "With", "Without",
)  # fmt: skip
# A file without a match has no such name, and need not be parsed: that takes milliseconds for each.
_SUSPECT = re.compile(
    rf"\b_*(?:{'|'.join(_VAGUE)})(?: *[,:=)\[]| in\b)|\b(?:as|for|def) _*(?:{'|'.join(_VAGUE)})\b"
    rf"|\bclass _*(?:{'|'.join(_VAGUE).title()})\b"
    rf'|"""(?:{"|".join(_OPENINGS)})\b|\b_(?:of|OF)_'
)


def platform_files() -> list[Path]:
    """Return the platform's programs, without files that `mlops new` wrote: those have their owners' style."""
    added = set(all_pipelines()) - set(all_pipelines(samples.PIPELINES))
    own = {
        f"{start}{name}{end}.py" for name in added for start in ("", "test_") for end in ("", "_features", "_scoring")
    }
    folders = [ROOT / "mlops" / "pipelines" / name for name in added]
    return [
        file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")
        if file.name not in own and not any(file.is_relative_to(folder) for folder in folders)
    ]  # fmt: skip


def _bound(node: ast.AST) -> str | None:
    match node:
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
            return name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.ExceptHandler(name=name) | ast.MatchAs(name=name) | ast.MatchStar(name=name):
            return name
    return None


def _problems(text: str) -> Iterator[str]:
    """Return `line: name` of vague names, and `line: "word …"` of docstrings that begin with a relative clause."""
    if not _SUSPECT.search(text):
        return
    for node in ast.walk(ast.parse(text)):
        name = _bound(node)
        if name is not None and (
            (not name.isupper() and name.strip("_").lower() in _VAGUE) or name.lower().startswith("_of_")
        ):
            yield f"{node.lineno}: {name}"  # type: ignore[attr-defined]
        match node:
            case ast.Expr(value=ast.Constant(value=str(prose))) if prose.split(maxsplit=1)[:1]:
                opening = re.match(r"\w*", prose)
                if opening and opening[0] in _OPENINGS:
                    yield f'{node.lineno}: "{opening[0]} …"'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("for one in names:\n    pass\n", "1: one"),
        ("[_one for _one, rest in pairs]\n", "1: _one"),
        ("made = deploy()\n", "1: made"),
        ("code, said = run()\n", "1: said"),
        ("with open_() as shown:\n    pass\n", "1: shown"),
        ("def test_a(x: int, asked: str = '') -> None: ...\n", "1: asked"),
        ("def _given() -> None: ...\n", "1: _given"),
        ("class Found: ...\n", "1: Found"),
        ("def _of_versions() -> None: ...\n", "1: _of_versions"),
        ("self.looks = 0\n", "1: looks"),
        ("if (found := search()):\n    pass\n", "1: found"),
        ("lambda who: 1\n", "1: who"),
        ('"""What the module does."""\n', '1: "What …"'),
        ('LIMIT = 3\n"""Of a title."""\n', '2: "Of …"'),
        ('def f():\n    """Those below."""\n', '2: "Those …"'),
    ],
)
def test_a_vague_name_is_found(text: str, problem: str) -> None:
    assert list(_problems(text)) == [problem]


@pytest.mark.parametrize("text", ["existing = find('one')\n", 'def f(names):\n    """Return what is there."""\n'])
def test_a_noun_is_a_good_name(text: str) -> None:
    assert list(_problems(text)) == []


def test_every_name_is_a_noun_and_every_docstring_begins_with_a_verb_or_a_noun() -> None:
    files = [ROOT / "__main__.py", *platform_files()]
    assert len(files) > 1000
    problems = [
        f"{file.relative_to(ROOT)}:{problem}"
        for file in files
        for problem in _problems(file.read_text(encoding="utf-8"))
    ]
    assert problems == [], "CONTRIBUTING.md, Names and prose"
