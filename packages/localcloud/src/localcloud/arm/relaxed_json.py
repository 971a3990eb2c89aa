"""JSON as ARM reads it in deployments: comments, names without quotes, texts in single quotes and over several lines.

azure-cli splices a template file unchanged into its request, behind an unquoted `template:` (source: azure-cli
`command_modules/resource/custom.py`, JsonCTemplatePolicy). Libraries for JSON5 refuse texts over several lines.
"""

from __future__ import annotations

import json
import re
from typing import Any

from localcloud.core.json import parsed

# Every alternative also matches an unclosed end, so that a hostile text is read once, not once for each quote.
_DOUBLE = r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)'
_SINGLE = r"'(?P<single>(?:[^'\\]|\\.)*+)(?:(?P<closed>')|\\?\Z)"
_COMMENTS = re.compile(rf"(?P<text>{_DOUBLE}|{_SINGLE})|//[^\r\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_NAMES = re.compile(rf"{_DOUBLE}|{_SINGLE}|(?<![\w$])(?P<bare>[A-Za-z_$][\w$]*+)(?=\s*:)", re.DOTALL)
_QUOTES = re.compile(r"\\'|\"")


def loads(content: bytes) -> Any:
    """Return the value of a document. Raises ValueError where it is no JSON even so."""
    text = content.decode("utf-8-sig")
    try:
        return parsed(content)
    except json.JSONDecodeError:
        strict = _NAMES.sub(_quoted, _COMMENTS.sub(lambda match: match["text"] or " ", text))
    return parsed(strict.encode(), strict=False)


def _quoted(match: re.Match[str]) -> str:
    if match["bare"] is not None:
        return f'"{match["bare"]}"'
    if match["closed"] is not None:
        inner = _QUOTES.sub(lambda quote: "'" if quote[0] == "\\'" else '\\"', match["single"])
        return f'"{inner}"'
    return match[0]
