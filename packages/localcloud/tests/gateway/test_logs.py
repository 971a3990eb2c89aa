"""gateway.log cannot be forged, and does not grow without bound."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from localcloud.gateway.logs import OneLineFormatter, escaped


@pytest.mark.parametrize(
    ("text", "escapes"),
    [
        ("a\nINFO b", r"a\x0aINFO b"), ("\x1b[2J", r"\x1b[2J"),
        ("\u2028a\x85", r"\u2028a\x85"), ("\u202etxt", r"\u202etxt"),
        ("ä 😀 \\n", "ä 😀 \\n"), ("\ud800", r"\ud800"),
    ],
)  # fmt: skip
def test_control_characters_are_escaped(text: str, escapes: str) -> None:
    assert escaped(text) == escapes


def test_a_record_is_one_line_and_a_trace_is_indented() -> None:
    formatter = OneLineFormatter("%(asctime)s %(levelname)s %(message)s")
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "GET %s", ("/a\n2026-01-01 INFO forged",), None)
    assert len(formatter.format(record).splitlines()) == 1
    try:
        raise ValueError("a\n2026-01-01 00:00:00 INFO forged\r\x1b[31m")
    except ValueError:
        record.exc_info = sys.exc_info()
    lines = formatter.format(record).split("\n")
    assert all(line.startswith("    ") for line in lines[1:])
    assert "\r" not in "".join(lines)


def test_the_log_rotates_together_with_the_standard_streams(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    program = (
        "import logging, sys\n"
        "from pathlib import Path\n"
        "from localcloud.gateway import logs\n"
        "logs.LARGEST_LOG = 2000\n"
        "logs.configure(Path(sys.argv[1]))\n"
        "for number in range(200):\n"
        "    logging.getLogger('a').info('record %s', number)\n"
        "sys.stderr.write('the end\\n')\n"
    )
    with log.open("ab") as output:
        subprocess.run([sys.executable, "-c", program, str(log)], stderr=output, stdout=output, check=True, timeout=60)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["gateway.log", "gateway.log.1"]
    assert all(file.stat().st_size < 2100 for file in tmp_path.iterdir())
    assert log.read_text().endswith("record 199\nthe end\n")


def test_another_standard_error_is_not_redirected(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    program = (
        "import logging, sys\n"
        "from pathlib import Path\n"
        "from localcloud.gateway import logs\n"
        "logs.configure(Path(sys.argv[1]))\n"
        "logging.getLogger('a').info('hello')\n"
    )
    completed = subprocess.run(
        [sys.executable, "-c", program, str(log)], capture_output=True, text=True, check=True, timeout=60
    )
    assert completed.stderr.endswith(" INFO a: hello\n")
    assert not log.exists()
