"""``argilla-loop start`` as a new user types it: a file, labels, and nothing else."""

from __future__ import annotations

import csv
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from daemon import PATIENCE, Person, until
from typing_extensions import Self
from worlds import TOPICS, sentences

from argilla_embedded import Credentials, load_credentials
from argilla_loop.settings import load_settings

TEXTS = sentences(80)
GOLD = {text: label for _, text, label in TEXTS}
LABELS = ",".join(TOPICS)
FIRST = 15  # three labels, five examples each


class Started:
    """The command in a process of its own, with what it has said so far."""

    def __init__(self, folder: Path, *arguments: str, **more: str) -> None:
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            command(*arguments), cwd=folder, env=environment() | more, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.stop()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))
        self._process.stdout.close()

    def wait_for(self, words: str) -> str:
        """Wait for a line with ``words``, and return it."""

        def there() -> bool:
            assert self._process.poll() is None or self.said(words), "\n".join(self.lines)
            return self.said(words)

        until(there, what=words)
        return next(line for line in self.lines if words in line)

    def said(self, words: str) -> bool:
        return any(words in line for line in list(self.lines))

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        self._process.send_signal(how)
        return self.ended()

    def ended(self) -> int:
        """Wait until it ends; its exit code."""
        code = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "argilla_loop", "start", *arguments]


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("ARGILLA_") and k != "DISPLAY"}


def write_texts(folder: Path, rows: Sequence[tuple[str, str, str]] = TEXTS) -> Path:
    """A file as users have them: the texts' column has some name, and others stand beside it."""
    file = folder / "my texts.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["nr", "topic", "body"])
        writer.writerows([n, label, text] for n, (_, text, label) in enumerate(rows))
        writer.writerow([len(rows), rows[0][2], rows[0][1]])  # a duplicate
    return file


@dataclass(frozen=True)
class Server:
    """The server that the command started."""

    url: str
    credentials: Credentials


def test_one_command_leads_from_a_file_to_labelling_and_the_same_one_goes_on(tmp_path: Path) -> None:
    write_texts(tmp_path)
    home, settings = tmp_path / "my-texts" / "argilla", tmp_path / "my-texts" / "settings.toml"
    with Started(tmp_path, "my texts.csv", "--labels", LABELS, "--port", "0") as started:
        where = started.wait_for("label at http://127.0.0.1:")
        password = load_credentials(home).annotator.password
        started.wait_for(f"log in as annotator with password {password}")
        assert started.lines[0] == "reading my texts.csv ..."
        assert started.said(
            f"{len(TEXTS)} texts from column 'body' (left out: 1 repeated); labels: {', '.join(TOPICS)}"
        )
        url = where.removeprefix("label at ").partition("/dataset/")[0]
        started.wait_for(f"batch 0: {FIRST} texts for people")
        person = Person(Server(url, load_credentials(home)), "my-texts")
        first = person.waiting()
        assert len(first) == FIRST
        for record in first:
            person.answer(record, GOLD[record["fields"]["text"]])
        started.wait_for("batch 1: ")
        assert stat.S_IMODE(settings.stat().st_mode) == 0o600
        assert started.stop() == 0
        assert started.said("  argilla-loop start 'my texts.csv'")
    assert not any("error" in line.lower() for line in started.lines)
    assert not (home / "server.json").exists()  # the server is gone

    # somebody who also has an Argilla of a team names it in the environment: it is not meant here
    elsewhere = {"ARGILLA_LOOP_API_URL": "http://127.0.0.1:1", "ARGILLA_LOOP_API_KEY": "of-a-team"}
    more = ("--annotators", "anna, ben,anna")
    with Started(tmp_path, "my texts.csv", "--labels", LABELS, *more, **elsewhere) as again:
        again.wait_for("going on with my-texts/settings.toml")
        again.wait_for(where)  # the same dataset at the same address
        again.wait_for("batch 1: ")
        logins = [line.split() for line in again.lines if line.startswith("  log in as ")]
        assert [words[3] for words in logins] == ["anna", "ben"]
        for words in logins:
            login = {"username": words[3], "password": words[-1]}
            token = httpx.post(f"{url}/api/v1/token", data=login).raise_for_status().json()["access_token"]
            me = httpx.get(f"{url}/api/v1/me/datasets", headers={"Authorization": f"Bearer {token}"})
            assert [dataset["name"] for dataset in me.json()["items"]] == ["my-texts"]
        assert stat.S_IMODE((home / "annotators.json").stat().st_mode) == 0o600
        second = person.waiting()
        assert second
        assert not {record["id"] for record in first} & {record["id"] for record in second}
        for record in second:
            person.answer(record, GOLD[record["fields"]["text"]])
        again.wait_for("batch 2: ")
        assert again.stop(signal.SIGTERM) == 0
    person.close()
    with Started(tmp_path, "my texts.csv") as third:
        third.wait_for("texts wait for people")
        assert [line.split() for line in third.lines if line.startswith("  log in as ")] == logins
        os.kill(json.loads((home / "server.json").read_text())["pid"], signal.SIGKILL)
        third.wait_for("error: Argilla has ended unexpectedly")
        assert third.ended() == 1
    log = (tmp_path / "my-texts" / "service.log").read_text(encoding="utf-8")
    assert json.dumps(load_credentials(home).loop.api_key) not in log


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["none.csv", "--labels", "a,b"], 5, "the file {folder}/none.csv does not exist"),
        (["my texts.csv"], 2, "no labels are known: add --labels A,B,C, or --label-column"),
        (["my texts.csv", "--labels", "a"], 2, "there is only one label, 'a'"),
        (
            ["my texts.csv", "--labels", "a,b", "--text-column", "x"],
            5,
            "set --text-column to one of its columns",
        ),
        (
            ["my texts.csv", "--labels", "a,b", "--label-column", "x"],
            5,
            "set --label-column to one of its columns",
        ),
        (
            ["my texts.csv", "--labels", "a,b", "--api-url", "http://127.0.0.1:1"],
            2,
            "set ARGILLA_LOOP_API_KEY",
        ),
        (
            ["my texts.csv", "--labels", "a,b", "--api-url", "http://127.0.0.1:1", "--annotators", "anna"],
            2,
            "--annotators is for the embedded server",
        ),
        (["my texts.csv", "--labels", "a,b", "--annotators", "anna,../b"], 2, "'../b' cannot be a username"),
    ],
)
def test_what_cannot_be_started_is_one_line_and_leaves_nothing(
    tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    write_texts(tmp_path)
    done = subprocess.run(
        command(*arguments), cwd=tmp_path, env=environment(), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == code
    (line,) = done.stderr.splitlines()
    assert said.format(folder=tmp_path) in line
    assert [path.name for path in tmp_path.iterdir()] == ["my texts.csv"]


def test_options_that_do_not_go_with_an_earlier_start_are_refused_before_anything_starts(
    tmp_path: Path,
) -> None:
    file, folder = write_texts(tmp_path), tmp_path / "mine"
    folder.mkdir()
    (folder / "settings.toml").write_text(
        f'api_key = "k"\ndataset = "mine"\nlabels = ["a", "b"]\n[pool]\npath = {json.dumps(str(file))}\n'
    )
    for arguments, said in (
        (["--labels", "a,c"], "has other labels (a, b)"),
        (["--text-column", "body"], "reads the texts from column 'text'"),
        (["--annotators", "anna"], "--annotators is for the embedded server"),
    ):
        done = subprocess.run(
            command("my texts.csv", "--name", "mine", *arguments), cwd=tmp_path, env=environment(),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert said in done.stderr
    assert [path.name for path in folder.iterdir()] == ["settings.toml"]
    (folder / "argilla").mkdir()  # as of an embedded server
    done = subprocess.run(
        command("my texts.csv", "--name", "mine", "--api-url", "http://127.0.0.1:1"), cwd=tmp_path,
        env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert (
        "mine was begun with an embedded Argilla, which holds its labels: leave --api-url out" in done.stderr
    )


def test_init_writes_settings_that_load_and_starts_nothing(tmp_path: Path) -> None:
    write_texts(tmp_path)
    arguments = [
        "init",
        "my texts.csv",
        "--labels",
        LABELS,
        "--api-url",
        "http://argilla.example:6900",
        "--name",
        "mine",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "argilla_loop", *arguments], cwd=tmp_path, env=environment(),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    file = tmp_path / "mine" / "settings.toml"
    settings = load_settings(file, api_key="k")
    assert (settings.dataset, settings.labels) == ("mine", list(TOPICS))
    assert (str(settings.api_url), settings.pool.text_column) == ("http://argilla.example:6900/", "body")
    assert (settings.target_precision, settings.promise, settings.refill_at) == (0.95, "dataset", 1)
    assert "api_key =" not in file.read_text(encoding="utf-8")
    assert "argilla-loop check -c mine/settings.toml" in done.stdout

    again = subprocess.run(
        [sys.executable, "-m", "argilla_loop", *arguments], cwd=tmp_path, env=environment(),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert again.returncode == 2
    assert "mine/settings.toml is there already" in again.stderr


def test_init_asks_at_a_terminal_for_what_is_left_out(tmp_path: Path) -> None:
    write_texts(tmp_path)
    typed = f"my texts.csv\n{LABELS}\n\n"
    primary, secondary = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "argilla_loop", "init"], cwd=tmp_path, env=environment(),
        stdin=secondary, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        os.write(primary, typed.encode())
        said, _ = process.communicate(timeout=PATIENCE)
    os.close(primary)
    os.close(secondary)
    assert process.returncode == 0, said
    assert "File with the texts" in said
    settings = load_settings(tmp_path / "my-texts" / "settings.toml", api_key="k")
    assert (settings.labels, str(settings.api_url)) == (list(TOPICS), "http://127.0.0.1:6900/")


def test_ctrl_c_while_the_modules_are_imported_is_no_traceback() -> None:
    """The imports take a second or two; the interrupt comes in the middle of them."""
    interrupt = """
import os, signal, sys
class Finder:
    def find_spec(self, name, path, target=None):
        if name == "argilla_loop.cli.pool":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
signal.signal(signal.SIGINT, signal.default_int_handler)
from argilla_loop.__main__ import main
sys.exit(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", interrupt], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
