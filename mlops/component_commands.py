"""Commands of components, none with a literal input (docs/adr/0020).

Azure ML replaces `${{inputs.NAME}}` by the unquoted value and passes the line to a shell: a caller with the right to
start a run could run any command as the pipeline's identity. Quotes do not help, since the value may hold quotes
itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mlops.errors import InvalidError

_PLACEHOLDER = re.compile(r"\$\{\{\s*inputs\.([^\s{}]+)\s*\}\}")
LITERAL_TYPES = frozenset({"string", "integer", "number", "boolean", "enum"})


def check(name: str, command: str, inputs: Mapping[str, Any]) -> None:
    """Raise InvalidError when the command of component `name` holds a literal input. `inputs` have a `type` each."""
    for used in _PLACEHOLDER.findall(command):
        if used in inputs and str(inputs[used].type).lower() in LITERAL_TYPES:
            raise InvalidError(
                f"The command of component {name} has ${{{{inputs.{used}}}}}: the value of a literal input would "
                f"become shell code. Take it out; the program finds it in the variable AZUREML_PARAMETER_{used}."
            )
