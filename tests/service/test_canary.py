"""The key comes out nowhere: every command, every standard stream closed or full, every kind of broken file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from thorough import rarely

pytestmark = pytest.mark.slow

KEY = "canary-of-a-key-0123456789"
IN_FILE = "canary-in-a-file-0123456789"
COMMANDS = ("run", "check", "status", "pool", "health", "revoke --all --yes", "webhook disable")
STREAMS = {
    "nothing closed": "",
    "stderr closed": "2>&-",
    "stderr full": "2>/dev/full",
    "stdout closed": ">&-",
    "stdout full": ">/dev/full",
    "all closed": "<&- >&- 2>&-",
    "both full": ">/dev/full 2>/dev/full",
    "a reader who has enough": "| true",
}
BROKEN = {
    "nested 3,000 deep": "labels = " + "[" * 3000 + "]" * 3000,
    "nested 3,000 tables deep": "[pool." + ".".join("a" * 3000) + "]",
    "no TOML": "slice_size = = 1",
    "NUL": "\0",
    "an unknown key": "apikey = 1",
    "wrong values": f'slice_size = "{IN_FILE}"\nlog_level = "{IN_FILE}"',
    "not UTF-8": "\udcff",
}


def said(tmp_path: Path, config: Path, commands: Sequence[str], redirection: str) -> str:
    """All that these commands say in a shell with this redirection, one after the other."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("ARGILLA_")}
    script = tmp_path / "script.sh"
    script.write_text(
        "".join(f'"$PYTHON" -m argilla_loop {one} -c "$FILE" {redirection}\n' for one in commands)
    )
    told = subprocess.run(
        ["sh", str(script)],
        env=clean | {"ARGILLA_LOOP_API_KEY": KEY, "PYTHON": sys.executable, "FILE": str(config)},
        capture_output=True,
        timeout=280,
        check=False,
    )
    return (told.stdout + told.stderr).decode("utf-8", "replace")


OFTEN = ("nothing closed", "stderr closed", "both full")


@pytest.mark.parametrize("streams", [one if one in OFTEN else rarely(one) for one in STREAMS])
def test_whatever_stream_is_closed_or_full_no_command_tells_the_key(tmp_path: Path, streams: str) -> None:
    """With settings that end every command, even `run`, once its log is set up: a label column that is not there."""
    (tmp_path / "pool.csv").write_text("text\nx\n")
    config = tmp_path / "loop.toml"
    config.write_text(
        f'api_url = "http://127.0.0.1:1"\ncache_dir = "{tmp_path}/cache"\nca_file = "{tmp_path}/none.pem"\n'
        f'headers = {{ X-Canary = "{IN_FILE}" }}\n[pool]\npath = "{tmp_path}/pool.csv"\nlabel_column = "y"\n'
        "[http]\nport = 0\n"
    )
    # each takes seconds to start: all of them where a trace used to come out, some elsewhere; `check` would ask the hub
    every = streams in ("nothing closed", "stderr closed")
    commands = [one for one in COMMANDS if one != "check"] if every else ["run", "status"]
    told = said(tmp_path, config, commands, STREAMS[streams])
    assert "canary" not in told
    assert "Traceback" not in told
    assert "locals" not in told
    if streams == "nothing closed":
        assert told.count("error:") >= len(commands) - 1


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("streams", ["nothing closed", rarely("stderr closed")])
def test_whatever_is_wrong_with_the_file_no_command_tells_the_key(
    tmp_path: Path, kind: str, streams: str
) -> None:
    config = tmp_path / "loop.toml"
    config.write_bytes(f'api_key = "{IN_FILE}"\n{BROKEN[kind]}\n'.encode("utf-8", "surrogateescape"))
    told = said(tmp_path, config, ["run", "health"], STREAMS[streams])
    assert "canary" not in told
    assert "Traceback" not in told
    if streams == "nothing closed":
        assert told.count("error:") == 2


def test_a_reader_who_has_enough_and_a_full_disk_have_exit_codes_and_no_traces(tmp_path: Path) -> None:
    full = 'for one in version --help "webhook --help"; do "$PYTHON" -m argilla_loop $one; echo $? >&2; done'
    # a pipe whose only reader goes before anything is written
    gone = 'mkfifo p; exec 3<>p 4>p 3<&-; "$PYTHON" -m argilla_loop version >&4; echo $? >&2'
    done = subprocess.run(
        ["sh", "-c", f"{full} >/dev/full; {gone}"],
        env={**os.environ, "PYTHON": sys.executable},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    codes = [line for line in done.stderr.splitlines() if line.isdigit()]
    assert codes == ["74", "74", "74", "141"]
    errors = [line for line in done.stderr.splitlines() if not line.isdigit()]
    assert len(errors) == 3
    assert all(line.startswith("error: the output cannot be written") for line in errors)
