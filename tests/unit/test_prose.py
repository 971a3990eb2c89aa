"""Docstrings, comments and names of tests are plain sentences, as CONTRIBUTING.md says: no clause is a noun."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

import pytest

from infra.stack_file import ROOT
from tests.unit.test_names import platform_files

_ADVICE = {
    r"\b(?:what|whatever|whoever)\b(?!-)": "name the thing: 'result of a run', 'regardless of'",
    r"\b(?:no|some)body\b": "name the subject: 'no caller', 'the operator'",
    r"\bthose (?:that|who|which|whose|of|in|with|below|above|for|from)\b": "repeat the noun: 'files that'",
    r"\bthe ones? (?:that|which|who|whose|of)\b": "repeat the noun: 'the version that'",
    r"\bthat which\b": "name the thing",
    r"\b(?:is|are|was|as|from|than|by|to|in|with|and) that of\b": "use a genitive: 'equals the workspace's'",
    r"\bas (?:it is|they are|it was|they were|told|asked)\b(?! [a-z]+(?:ed|n)\b)": "write 'unchanged' or 'in … form'",
    r"(?:^|[.!?] )(?:None (?:where|when|if|for|without)|Such as|Told|Asked|Kept)\b": "give the sentence a subject",
}
"""Patterns of the private dialect, and the plain form of each."""
_QUOTED = re.compile(r'`[^`]*`|"[^"]*"|“[^”]*”')
"""Code and titles of others' pages, which keep their words."""
_NAME = re.compile(
    r"def test_(?:\w+_)?(?:what(?!_if)|whatever|whoever|nobody|somebody|those_(?:that|who|of)|the_one_that"
    r"|(?:is|are)_that_of|as_(?:it_is|they_are)(?!_[a-z]+ed))(?=_|\b)\w*"
)
# A file without a match, in code either, has no such sentence, and need not be parsed, which takes milliseconds.
_SUSPECT = re.compile("|".join(pattern for pattern in _ADVICE if "None" not in pattern), re.IGNORECASE)
_SUBJECTLESS = re.compile(r"[.!?\"]\s+(?:None (?:where|when|if|for|without)|Such as|Told|Asked|Kept)\b")


def _docstrings(text: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(prose))):
                yield node.lineno, prose


def _comments(text: str) -> Iterator[tuple[int, str]]:
    """Yield comments; lines of their own that follow each other are one comment."""
    lines: list[str] = []
    first = last = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        follows = token.start[0] == last + 1 and token.line.lstrip().startswith("#")
        if not follows:
            yield first, " ".join(lines)
            first, lines = token.start[0], []
        lines.append(token.string.lstrip("#: "))
        last = token.start[0]
    yield first, " ".join(lines)


def _problems(text: str) -> Iterator[str]:
    """Return `line: "words": advice` of sentences with a clause as a noun, or without a subject."""
    for name in _NAME.finditer(text):
        yield f"{text.count(chr(10), 0, name.start()) + 1}: {name[0]}"
    joined = re.sub(r"\s*\n[\s#]*", " ", text)
    if not _SUSPECT.search(joined) and not _SUBJECTLESS.search(joined):
        return
    for line, prose in (*_docstrings(text), *_comments(text)):
        for paragraph in re.split(r"\n\s*\n", prose):
            plain = " ".join(_QUOTED.sub("…", paragraph).split())
            for pattern, advice in _ADVICE.items():
                if match := re.search(pattern, plain, 0 if "None" in pattern else re.IGNORECASE):
                    yield f'{line}: "{match[0].lstrip(". ")}": {advice}'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('"""Result of a run: what it wrote."""\n', "what"),
        ('def f():\n    """Return the file.\n\n    Whoever has it can\n    read it.\n    """\n', "Whoever"),
        ("x = 1  # nobody reads it\n", "nobody"),
        ("# Files of the run, and those\n# of the runs before.\n", "those of"),
        ('"""Return the newest version, or the one that serves."""\n', "the one that"),
        ('"""The host is that of the region."""\n', "is that of"),
        ('"""Return the path as it is."""\n', "as it is"),
        ('"""Return the rule. None where it has no limit."""\n', "None where"),
    ],
)
def test_a_clause_as_a_noun_is_found(text: str, words: str) -> None:
    assert [problem.split('"')[1] for problem in _problems(text)] == [words]


def test_a_test_that_is_named_by_a_clause_is_found() -> None:
    assert list(_problems("\ndef test_the_log_says_what_failed() -> None: ...\n")) == [
        "2: def test_the_log_says_what_failed"
    ]


@pytest.mark.parametrize(
    "text",
    [
        '"""Deployments by what-if; see "What is Delta Lake?" and `nobody`."""\n',
        'def f():\n    """Return the path as it is written in ARM, or None where it has none."""\n',
        "message = 'what is wrong'\n",
        "def test_what_if_reports_changes() -> None: ...\n",
    ],
)
def test_plain_sentences_pass(text: str) -> None:
    assert list(_problems(text)) == []


def test_every_docstring_comment_and_name_of_a_test_is_plain() -> None:
    files = [ROOT / "__main__.py", ROOT / "conftest.py", *platform_files()]
    assert len(files) > 1000
    problems = [
        f"{file.relative_to(ROOT)}:{problem}"
        for file in files
        if file.name != "test_prose.py"
        for problem in _problems(file.read_text(encoding="utf-8"))
    ]
    assert problems == [], "CONTRIBUTING.md, Names and prose"
