"""The language host as the real engine uses it."""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from localcloud.engine.toolchain import Toolchain

Pulumi = Callable[..., "subprocess.CompletedProcess[str]"]

THREE_RESOURCES = """
import sys
import pulumi

class Part(pulumi.ComponentResource):
    def __init__(self, name, opts=None):
        super().__init__("tiny:parts:Part", name, None, opts)
        self.register_outputs({})

outer = Part("outer")
Part("inner", pulumi.ResourceOptions(parent=outer))
print("the program says hello")
config = pulumi.Config()
pulumi.export("greeting", config.require("greeting"))
pulumi.export("token", config.require_secret("token"))
pulumi.export("where", [pulumi.get_organization(), pulumi.get_project(), pulumi.get_stack()])
pulumi.export("python", sys.executable)
pulumi.export("arguments", sys.argv[1:])
"""

BROKEN = """import pulumi

def broken():
    raise ValueError("the colour mauve is not known")

broken()
"""

POLICY = """
import pulumi
from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy

def no_inner(args, report):
    if args.name == "inner":
        greeting = pulumi.Config("tiny").require("greeting")
        report(f"parts named inner are not allowed in {pulumi.get_stack()} ({greeting})")

PolicyPack("pack", [ResourceValidationPolicy(
    name="no-inner", description="No inner parts.", enforcement_level=EnforcementLevel.MANDATORY, validate=no_inner)])
"""


def outputs(pulumi: Pulumi, folder: Path) -> dict[str, object]:
    values: dict[str, object] = json.loads(pulumi(folder, "stack", "output", "--json", "--show-secrets").stdout)
    return values


def test_a_program_registers_its_resources_and_outputs(pulumi: Pulumi, program: Callable[..., Path]) -> None:
    folder = program(THREE_RESOURCES)
    assert pulumi(folder, "stack", "init", "one").returncode == 0
    pulumi(folder, "config", "set", "greeting", "good day")
    pulumi(folder, "config", "set", "--secret", "token", "s3cr3t")

    up = pulumi(folder, "up", "--yes", "--skip-preview")

    assert up.returncode == 0, up.stdout + up.stderr
    assert "+ 3 created" in up.stdout
    assert "the program says hello" in up.stdout
    assert "warning" not in up.stdout + up.stderr, "the language host beside the CLI is taken without a warning"
    assert outputs(pulumi, folder) == {
        "greeting": "good day",
        "token": "s3cr3t",
        "where": ["organization", "tiny", "one"],
        "python": sys.executable,
        "arguments": [],
    }
    assert "s3cr3t" not in pulumi(folder, "stack", "export").stdout, "a secret of the configuration stays one"
    assert "3 unchanged" in pulumi(folder, "preview").stdout
    about = pulumi(folder, "about").stdout
    assert f"executable='{sys.executable}'" in about


def test_debug_messages_arrive_in_their_order_with_the_debug_option(
    pulumi: Pulumi, program: Callable[..., Path]
) -> None:
    folder = program(
        "import pulumi\nfor n in range(20):\n    pulumi.log.debug(f'step {n}.')\npulumi.log.info('done.')\n"
    )
    pulumi(folder, "stack", "init", "one")

    printed = pulumi(folder, "preview", "--debug").stdout
    steps = re.findall(r"step (\d+)\.|(done)\.", printed[printed.index("Diagnostics:") :])
    assert [number or word for number, word in steps] == [*map(str, range(20)), "done"]
    assert "step" not in pulumi(folder, "preview").stdout


def test_a_failing_program_fails_the_update_with_its_own_lines(pulumi: Pulumi, program: Callable[..., Path]) -> None:
    folder = program(
        "import pulumi\n\ndef broken():\n    raise ValueError('the colour mauve is not known')\n\nbroken()\n"
    )
    pulumi(folder, "stack", "init", "one")

    up = pulumi(folder, "up", "--yes", "--skip-preview")

    assert up.returncode != 0
    assert "ValueError: the colour mauve is not known" in up.stdout
    assert f'File "{folder}/__main__.py", line 6, in <module>' in up.stdout
    assert "run_program.py" not in up.stdout, "the host's own frames tell the user nothing"


def test_a_run_error_is_shown_without_a_traceback(pulumi: Pulumi, program: Callable[..., Path]) -> None:
    folder = program("import pulumi\nraise pulumi.RunError('environment must be dev, staging or prod')\n")
    pulumi(folder, "stack", "init", "one")

    up = pulumi(folder, "up", "--yes", "--skip-preview")

    assert up.returncode != 0
    assert "environment must be dev, staging or prod" in up.stdout
    assert "Traceback" not in up.stdout


def test_an_exit_code_of_the_program_is_named(pulumi: Pulumi, program: Callable[..., Path]) -> None:
    folder = program("import sys\nsys.exit(7)\n")
    pulumi(folder, "stack", "init", "one")

    up = pulumi(folder, "up", "--yes", "--skip-preview")

    assert up.returncode != 0
    assert "program exited with non-zero exit code: 7" in up.stdout + up.stderr


def test_a_violated_mandatory_policy_stops_the_preview(
    pulumi: Pulumi, program: Callable[..., Path], tmp_path: Path
) -> None:
    folder = program(THREE_RESOURCES)
    pack = tmp_path / "pack"
    pack.mkdir()
    (pack / "PulumiPolicy.yaml").write_text("runtime: python\ndescription: a pack\n")
    (pack / "__main__.py").write_text(POLICY)
    pulumi(folder, "stack", "init", "one")
    pulumi(folder, "config", "set", "greeting", "good day")
    pulumi(folder, "config", "set", "--secret", "token", "s3cr3t")

    preview = pulumi(folder, "preview", "--policy-pack", str(pack))

    assert preview.returncode != 0
    assert "[mandatory]" in preview.stdout and "no-inner" in preview.stdout
    assert "parts named inner are not allowed in one (good day)" in preview.stdout, "a pack knows its stack"

    (pack / "__main__.py").write_text(POLICY.replace('"inner"', '"absent"'))
    assert pulumi(folder, "preview", "--policy-pack", str(pack)).returncode == 0

    (pack / "__main__.py").write_text("raise ValueError('this pack is broken')\n")
    broken = pulumi(folder, "preview", "--policy-pack", str(pack))
    assert broken.returncode != 0
    assert "ValueError: this pack is broken" in broken.stdout + broken.stderr


def test_the_virtualenv_option_names_the_python_that_runs(
    pulumi: Pulumi, program: Callable[..., Path], tmp_path: Path
) -> None:
    folder = program("import sys, pulumi\npulumi.export('prefix', sys.prefix)\n", "{virtualenv: own}")
    pulumi(folder, "stack", "init", "one")

    missing = pulumi(folder, "up", "--yes", "--skip-preview")
    assert missing.returncode != 0
    assert f"names {folder}/own, which has no bin/python" in missing.stdout + missing.stderr

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "own"], check=True)
    site = next((folder / "own" / "lib").glob("python*/site-packages"))
    (site / "sdk.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    up = pulumi(folder, "up", "--yes", "--skip-preview")
    assert up.returncode == 0, up.stdout + up.stderr
    assert outputs(pulumi, folder) == {"prefix": f"{folder}/own"}


def test_an_unknown_toolchain_is_refused_by_name(pulumi: Pulumi, program: Callable[..., Path]) -> None:
    folder = program("", "{toolchain: conda}")
    pulumi(folder, "stack", "init", "one")

    up = pulumi(folder, "up", "--yes", "--skip-preview")

    assert up.returncode != 0
    assert "runtime.options.toolchain is 'conda'; use pip, uv or poetry" in up.stdout + up.stderr


def test_ctrl_c_stops_the_program_and_the_host_quietly(
    toolchain: Toolchain, pulumi: Pulumi, pulumi_environment: dict[str, str], program: Callable[..., Path]
) -> None:
    folder = program(
        "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\ntime.sleep(600)\n",
    )
    pulumi(folder, "stack", "init", "one")
    update = subprocess.Popen(
        [toolchain.pulumi, "up", "--yes", "--skip-preview", "--non-interactive"],
        cwd=folder,
        env=pulumi_environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    lines: list[str] = []
    assert update.stdout is not None
    reader = threading.Thread(target=lambda: lines.extend(update.stdout or []))
    reader.start()
    deadline = time.monotonic() + 60
    while not (folder / "pid").exists() or not (folder / "pid").read_text():
        assert update.poll() is None and time.monotonic() < deadline, "".join(lines)
        time.sleep(0.05)
    child = int((folder / "pid").read_text())
    assert psutil.pid_exists(child)

    os.killpg(update.pid, signal.SIGINT)  # as a terminal does: to all in the foreground
    started = time.monotonic()
    try:
        update.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(update.pid, signal.SIGINT)  # a person's second Ctrl-C: end at once
        update.wait(20)
    reader.join(10)
    update.stdout.close()

    output = "".join(lines)
    assert update.returncode != 0
    assert time.monotonic() - started < 20, output
    assert "Traceback" not in output and "KeyboardInterrupt" not in output
    while psutil.pid_exists(child):
        assert time.monotonic() < started + 30, "the program outlived the engine"
        time.sleep(0.05)


@pytest.fixture
def host(toolchain: Toolchain) -> subprocess.Popen[str]:
    """Start the language host alone, as the engine starts it."""
    launcher = toolchain.pulumi.resolve().parent / "pulumi-language-python"
    return subprocess.Popen(
        [launcher, "--logtostderr", "-v=3", "127.0.0.1:1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_host_alone_serves_and_stops_silently(host: subprocess.Popen[str], number: signal.Signals) -> None:
    assert host.stdout is not None
    port = int(host.stdout.readline())
    socket.create_connection(("127.0.0.1", port), timeout=10).close()
    host.send_signal(number)
    out, err = host.communicate(timeout=10)
    assert (host.returncode, out, err) == (0, "", "")


def test_a_signal_to_another_thread_stops_the_host_at_once(host: subprocess.Popen[str]) -> None:
    """The kernel chooses the thread, and the engine waits for the host's end after every operation."""
    assert host.stdout is not None
    host.stdout.readline()
    others = [thread.id for thread in psutil.Process(host.pid).threads() if thread.id != host.pid]
    libc = ctypes.CDLL(None)

    started = time.monotonic()
    assert libc.tgkill(host.pid, others[0], signal.SIGINT) == 0
    host.communicate(timeout=10)

    # A host that does not hear of other threads' signals ends at its next look for the engine, within two seconds.
    assert time.monotonic() - started < 0.8
