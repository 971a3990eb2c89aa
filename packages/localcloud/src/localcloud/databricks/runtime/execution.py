"""Runs a notebook's cells, one after another, in one namespace: %run shares it, dbutils.notebook.run does not."""

from __future__ import annotations
import __future__

import ast
import linecache
import os
import re
import signal
import sys
import threading
import traceback
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import local_paths, source
from .dbruntime import Repl
from .dbutils import DBUtils, NotebookExit
from .host import Host, NotEmulatedError
from .output import Output

_FUTURE = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
_DISPLAY_ROWS = 1000
_MAX_DEPTH = 20


_INSTALLS = re.compile(r"\bpip3?\b")
_SHELL_PIP = re.compile(r"^\s*[!%]\s*pip3?\b", re.MULTILINE)
_NO_PIP = (
    "no packages are added to a run here, and tasks and clusters have no libraries either. Use the packages of"
    " Databricks Runtime 17.3 LTS, or put the module beside the notebook as a workspace file, as notebooks/lib is, and"
    " import it"
)


class WorkflowException(Exception):
    """A notebook that dbutils.notebook.run started did not succeed."""


@dataclass(frozen=True)
class Failure:
    """A failure. `error` is one line, as get-output's error; `trace` names the cell and shows the code."""

    error: str
    trace: str


@dataclass
class Notebooks:
    """The notebooks of a run. `languages` and `ids` of the workspace's notebooks are by path; `root` holds the tree."""

    host: Host
    root: Path
    languages: dict[str, str]
    ids: dict[str, str]
    context: dict[str, str]
    repl: Repl
    depth: int = 0
    _flags: dict[int, int] = field(default_factory=dict)

    @property
    def output(self) -> Output:
        return self.host.output

    def run(self, path: str, parameters: dict[str, str]) -> str | None:
        """Run a notebook as the run's own or as a child. Returns its exit value, None without an exit."""
        module = types.ModuleType("__main__")
        namespace = module.__dict__
        context = {**self.context, "notebookPath": path, "notebookId": self.ids.get(path, "")}
        dbutils = DBUtils(self.host, path, parameters, context)
        spark = self.host.spark
        namespace.update(
            spark=spark,
            sc=spark.sparkContext,
            sqlContext=_sql_context(spark),
            sql=spark.sql,
            table=spark.table,
            udf=_udf(),
            dbutils=dbutils,
            display=self.display,
            displayHTML=lambda html: self.output.add("html", str(html)),
            getArgument=dbutils.widgets.getArgument,
        )
        previous, folder = sys.modules["__main__"], self.folder(path)
        working = Path.cwd()
        sys.modules["__main__"] = module  # pickle finds classes of the notebook here
        sys.path.insert(0, str(folder))
        os.chdir(folder)
        try:
            with self.repl.notebook(namespace, _repl_context(context)):
                self._cells(path, namespace)
        except NotebookExit as exit_:
            return exit_.value
        finally:
            sys.modules["__main__"] = previous
            sys.path.remove(str(folder))
            os.chdir(working)
        return None

    def run_child(self, path: str, timeout_seconds: int, arguments: dict[str, str], caller: str) -> str:
        """Run another notebook, as dbutils.notebook.run does.

        Raises WorkflowException when it fails or takes longer than `timeout_seconds` (0: no limit).
        """
        target = source.resolve(path, caller)
        self._require(target)
        if self.depth >= _MAX_DEPTH:
            raise WorkflowException(f"Notebook {target} is nested deeper than {_MAX_DEPTH} notebooks.")
        limited = timeout_seconds > 0
        if limited and threading.current_thread() is not threading.main_thread():
            raise NotEmulatedError("dbutils.notebook.run with a timeout outside the notebook's main thread")

        def expired(number: int, frame: object) -> None:
            raise WorkflowException(f"TIMEDOUT: notebook {target} took longer than {timeout_seconds} seconds.")

        cell, self.depth = self.output.cell, self.depth + 1
        if limited:
            before = signal.signal(signal.SIGALRM, expired)
            signal.setitimer(signal.ITIMER_REAL, timeout_seconds)
        try:
            return self.run(target, arguments) or ""
        except WorkflowException:
            raise
        except Exception as error:
            raise WorkflowException(f"FAILED: notebook {target} failed with {_headline(error)}") from error
        finally:
            if limited:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, before)
            self.output.cell, self.depth = cell, self.depth - 1

    def folder(self, path: str) -> Path:
        return (self.root / path.lstrip("/")).parent

    def display(self, value: Any, *arguments: Any, **options: Any) -> None:
        """Show DataFrames as tables and other values as text."""
        from pyspark.sql import DataFrame

        if isinstance(value, DataFrame):
            rows = value.limit(_DISPLAY_ROWS).collect()
            self.output.table(value.columns, [[str(cell) for cell in row] for row in rows])
        elif hasattr(value, "to_html"):
            self.output.add("html", value.to_html())
        else:
            self.output.add("text", f"{value}\n")

    def _require(self, path: str) -> str:
        language = self.languages.get(path)
        if language is None:
            raise FileNotFoundError(f"Notebook not found: {path}")
        return language

    def _cells(self, path: str, namespace: dict[str, Any]) -> None:
        language = self._require(path)
        text = (self.root / path.lstrip("/")).read_text(encoding="utf-8")
        for cell in source.parse(text, language):
            self.output.cell = cell.number
            magic = cell.magic or language.lower()
            if not cell.text.strip() or magic in ("md", "md-sandbox"):
                continue
            if magic == "python":
                self._python(cell, path, namespace)
            elif magic == "sql":
                for statement in source.split_sql(cell.text):
                    result = self.host.spark.sql(statement)
                    namespace["_sqldf"] = result
                    if result.columns:
                        self.display(result)
            elif magic == "run":
                target, arguments = source.run_target(cell.text)
                for name, value in arguments.items():
                    namespace["dbutils"].widgets.text(name, value)
                self._cells(source.resolve(target, path), namespace)
                self.output.cell = cell.number
            elif magic == "pip":
                raise NotEmulatedError(f"%pip ({path}, cell {cell.number}): {_NO_PIP}")
            elif magic == "sh" and _INSTALLS.search(cell.text):
                raise NotEmulatedError(f"%sh with pip ({path}, cell {cell.number}): {_NO_PIP}")
            else:
                raise NotEmulatedError(f"the magic %{magic} ({path}, cell {cell.number})")

    def _python(self, cell: source.Cell, path: str, namespace: dict[str, Any]) -> None:
        if _SHELL_PIP.search(cell.text):
            raise NotEmulatedError(f"!pip ({path}, cell {cell.number}): {_NO_PIP}")
        name = f"<cell {cell.number} of {path}>"
        linecache.cache[name] = (len(cell.text), None, [line + "\n" for line in cell.text.split("\n")], name)
        flags = self._flags.get(id(namespace), 0)
        body = ast.parse(cell.text, name)
        last = body.body.pop() if body.body and isinstance(body.body[-1], ast.Expr) else None
        code = compile(body, name, "exec", flags=flags, dont_inherit=True)
        self._flags[id(namespace)] = flags | (code.co_flags & _FUTURE)
        exec(code, namespace)  # noqa: S102  (a notebook is such code)
        if isinstance(last, ast.Expr):
            expression = ast.Expression(last.value)
            value = eval(compile(expression, name, "eval", flags=flags, dont_inherit=True), namespace)  # noqa: S307
            if value is not None:
                self.output.add("text", f"{value!r}\n")


def describe(error: BaseException) -> Failure:
    """Return the notebook's own part of the traceback, with its source lines; frames of this package are left out."""
    package = str(Path(__file__).parent)
    lines: list[str] = []
    visited: set[int] = set()
    current: BaseException | None = error
    parts: list[list[str]] = []
    while current is not None and id(current) not in visited:
        visited.add(id(current))
        frames = [f for f in traceback.extract_tb(current.__traceback__) if not f.filename.startswith(package)]
        part = ["-" * 75 + "\n", f"{type(current).__name__:<42}Traceback (most recent call last)\n"]
        for frame in frames:
            where = "" if frame.name == "<module>" else f", in {frame.name}"
            place = frame.filename.strip("<>") if frame.filename.startswith("<cell") else frame.filename
            part.append(f"File {place}, line {frame.lineno}{where}\n")
            if frame.line:
                part.append(f"----> {frame.lineno} {frame.line}\n\n")
        if isinstance(current, SyntaxError):
            part += traceback.format_exception_only(current)
        else:
            part.append(_headline(current) + "\n")
        parts.append(part)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    for number, part in enumerate(reversed(parts)):
        if number:
            lines.append("\nThe above exception led to the following exception:\n\n")
        lines += part
    return Failure(_headline(error), "".join(lines))


def _repl_context(context: dict[str, str]) -> dict[str, Any]:
    """Return the values that databricks-sdk and MLflow read of the notebook's context, by name (dbruntime.py)."""
    return {
        **context,
        "workspaceUrl": context["browserHostName"],
        "aclPathOfAclRoot": f"/workspace/{context['notebookId']}",
        "idInJob": context["currentRunId"],
        "jobTaskType": "notebook",
        "jobType": "NORMAL",
        "isInCluster": True,
        "isInJob": True,
        "isInNotebook": True,
        "sslTrustAll": False,
    }


def _sql_context(spark: Any) -> Any:
    import warnings

    from pyspark.sql import SQLContext

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # deprecated, and still a name of every notebook
        return SQLContext(spark.sparkContext, spark)


def _udf() -> Any:
    from pyspark.sql.functions import udf

    return udf


def _headline(error: BaseException) -> str:
    text = local_paths.explained(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
