"""The embedded server as a process: starts, is private, ends cleanly, survives being killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from embedded_server import Api

from argilla_embedded import EmbeddedServer
from argilla_embedded.errors import EmbeddedServerError
from argilla_embedded.home import Home

pytestmark = pytest.mark.slow

SEND = """
import json, sys, httpx
httpx.put(sys.argv[1], headers={"X-Argilla-Api-Key": sys.argv[2]}, json=json.loads(sys.argv[3]), timeout=30)
"""

START_AND_WAIT = """
import pathlib, sys, time
from argilla_embedded import EmbeddedServer
server = EmbeddedServer(pathlib.Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A server of this module's own, to be stopped and killed; each test leaves it running."""
    with EmbeddedServer(tmp_path_factory.mktemp("process") / "home") as server:
        yield server


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A server in the foreground, which is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "argilla_embedded", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_in_the_folder_is_private(server: EmbeddedServer) -> None:
    """Only its owner can look into the folder, and at the secrets and the database in it."""
    assert mode(server.home) == 0o700
    for name in ("credentials.json", "argilla.db", "server.log"):
        assert mode(server.home / name) == 0o600


def test_secrets_are_not_in_the_log_of_a_child(server: EmbeddedServer) -> None:
    """A server started for a test or the demo keeps its secrets in their file only."""
    said = Home(server.home).log.read_text()
    assert "Argilla is ready at http://127.0.0.1:" in said
    assert server.credentials.owner.password not in said


def test_it_listens_on_this_machine_only(server: EmbeddedServer) -> None:
    """Unless told otherwise, nobody outside can connect."""
    listening = [
        connection.laddr.ip
        for connection in psutil.Process(server.pid).connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]


def test_users_have_their_roles_and_workspace(server: EmbeddedServer) -> None:
    """The three users can log in, by key and by password, and share the workspace."""
    credentials = server.credentials
    roles = {credentials.owner: "owner", credentials.annotator: "annotator", credentials.loop: "admin"}
    for user, role in roles.items():
        api = Api(server, user)
        me = api.call("GET", "/me")
        assert (me["username"], me["role"]) == (user.username, role)
        assert [item["name"] for item in api.call("GET", "/me/workspaces")["items"]] == [
            credentials.workspace
        ]
        login = {"username": user.username, "password": user.password}
        assert httpx.post(f"{server.url}/api/v1/token", data=login).is_success


def test_the_web_ui_is_served(server: EmbeddedServer) -> None:
    """The root is Argilla's real UI."""
    page = httpx.get(f"{server.url}/sign-in", follow_redirects=True)
    assert page.is_success
    assert "<title>Argilla</title>" in page.text or "__NUXT__" in page.text


def test_a_second_server_on_the_folder_is_refused(server: EmbeddedServer) -> None:
    """It ends at once, with one line that says who is there; the first one is not disturbed."""
    second = run("--home", str(server.home), "--port", "0")
    assert second.returncode == 1
    assert second.stdout == ""
    assert second.stderr == (
        f"error: Another server at {server.url} (process {server.pid}) uses {server.home}: "
        "stop it first, or choose another folder.\n"
    )
    with pytest.raises(EmbeddedServerError, match=r"ended with code 1.*Another server at"):
        EmbeddedServer(server.home).start()
    assert httpx.get(f"{server.url}/api/v1/version").is_success


def test_a_taken_port_is_refused(tmp_path: Path) -> None:
    """It ends at once, with one line that names the port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        second = run("--home", str(tmp_path / "home"), "--port", str(port))
    assert second.returncode == 1
    (line,) = second.stderr.splitlines()
    assert f"Cannot listen on 127.0.0.1 port {port}" in line


def test_an_unusable_folder_is_refused(tmp_path: Path) -> None:
    """A file in the folder's place is named in one line."""
    (tmp_path / "file").write_text("")
    refused = run("--home", str(tmp_path / "file"))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: Cannot use the folder {tmp_path / 'file'}")


def contents(folder: Path) -> dict[str, tuple[int, bytes | None]]:
    """Mode, and bytes where it is a file, of everything in a folder and of the folder itself."""
    return {
        str(path.relative_to(folder)): (mode(path), path.read_bytes() if path.is_file() else None)
        for path in (folder, *folder.rglob("*"))
    }


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder that people work in, open to others, with names in it that a server might use."""
    folder = tmp_path / "project"
    (folder / "tmp").mkdir(parents=True)
    (folder / "tmp" / "precious").write_text("years of work")
    (folder / "credentials.json").write_text('{"type": "service_account"}')
    (folder / "argilla.db").write_text("not a database")
    (folder / "server.log").write_text("another server's")
    folder.chmod(0o755)
    return folder


def test_a_folder_with_other_things_is_refused_and_left_alone(project: Path) -> None:
    """One line says what to do; nothing in the folder is deleted, written or closed to others."""
    before = contents(project)
    refused = run("--home", str(project), "--port", "0")
    assert refused.returncode == 1
    assert refused.stderr == (
        f"error: {project} is no server's folder and has other things in it (argilla.db and 3 more): "
        "choose a new or an empty one by --home.\n"
    )
    assert refused.stdout == ""
    with pytest.raises(EmbeddedServerError, match="is no server's folder"):
        EmbeddedServer(project).start()
    assert contents(project) == before


def test_the_working_folder_is_refused_as_any_other(project: Path) -> None:
    """``argilla-loop server --home .`` in a project, with the real command."""
    before = contents(project)
    refused = subprocess.run(
        [sys.executable, "-m", "argilla_loop", "server", "--home", ".", "--port", "0"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert "is no server's folder" in line
    assert contents(project) == before


def test_a_taken_port_touches_nothing(tmp_path: Path, project: Path) -> None:
    """Neither a folder of others nor an empty one is touched, and none is made, before the port is taken."""
    (tmp_path / "empty").mkdir(mode=0o755)
    before = contents(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for name in ("project", "empty", "new"):
            refused = run("--home", str(tmp_path / name), "--port", str(taken.getsockname()[1]))
            assert refused.returncode == 1
            assert "Cannot listen on" in refused.stderr
    assert contents(tmp_path) == before
    assert project.exists()


def test_an_empty_folder_is_used_as_it_is(tmp_path: Path) -> None:
    """It keeps its mode, as it is somebody else's making; what is made in it is closed to others."""
    home = tmp_path / "empty"
    home.mkdir()
    home.chmod(0o755)
    with EmbeddedServer(home):
        assert mode(home) == 0o755
        made = {path.name for path in home.iterdir() if mode(path) & 0o077}
        assert made <= {Home(home).marker.name}
        assert {"argilla.db", "argilla.db-wal", "credentials.json"} <= {path.name for path in home.iterdir()}


def test_a_home_keeps_what_people_put_into_it(tmp_path: Path) -> None:
    """Starts and stops delete scratch files of the server's only."""
    home = tmp_path / "home"
    server = EmbeddedServer(home)
    server.start()
    for folder in ("tmp", "backup"):
        (home / folder).mkdir()
        (home / folder / "precious").write_text("mine")
    left = Home(home).scratch / "left"
    left.write_text("by a killed server")
    server.kill()
    server.start()
    assert not left.exists()
    server.stop()
    assert {(home / folder / "precious").read_text() for folder in ("tmp", "backup")} == {"mine"}


@pytest.mark.parametrize("missing", ["credentials.json", "argilla.db"])
def test_a_home_of_an_earlier_version_goes_on(tmp_path: Path, missing: str) -> None:
    """It has no marker, and is known by our credentials, or by a database with our search tables."""
    home = tmp_path / "home"
    with EmbeddedServer(home):
        pass
    Home(home).marker.unlink()
    (home / "tmp").mkdir()
    for file in home.glob(f"{missing}*"):
        file.unlink()
    with EmbeddedServer(home) as server:
        assert Api(server, server.credentials.owner).call("GET", "/me")["username"] == "owner"
    assert Home(home).marker.exists()
    assert (home / "tmp").exists()


def test_logins_and_secrets_outlive_a_restart(server: EmbeddedServer) -> None:
    """SIGTERM ends it with code 0; then the same login token and API key work on."""
    credentials = server.credentials
    login = {"username": credentials.annotator.username, "password": credentials.annotator.password}
    token = httpx.post(f"{server.url}/api/v1/token", data=login).json()["access_token"]
    assert server.stop() == 0
    assert not (server.home / "server.json").exists()
    assert not Home(server.home).scratch.exists()
    server.start()
    assert server.credentials == credentials
    me = httpx.get(f"{server.url}/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert me.json()["username"] == credentials.annotator.username
    assert Api(server, credentials.loop).call("GET", "/me")["username"] == "argilla-loop"


def test_ctrl_c_ends_it_cleanly(server: EmbeddedServer) -> None:
    """SIGINT is as good as SIGTERM."""
    process = psutil.Process(server.pid)
    os.kill(server.pid, signal.SIGINT)
    assert process.wait(30) in (0, None)  # None where the EmbeddedServer object has reaped it first
    assert server.stop() == 0
    server.start()


def test_a_killed_server_keeps_what_was_committed(server: EmbeddedServer) -> None:
    """After kill -9 in the middle of logging, every call that was answered is there, whole, and found by text."""
    api = Api(server, server.credentials.loop)
    options = [{"value": value, "text": value} for value in "ab"]
    dataset = api.create_dataset(
        "killed",
        fields=[{"name": "text", "settings": {"type": "text", "use_markdown": False}, "required": True}],
        questions=[
            {"name": "label", "required": True, "settings": {"type": "label_selection", "options": options}}
        ],
        metadata=[{"name": "idx", "settings": {"type": "integer"}}],
    )
    me = api.me()
    answered = []
    for batch in range(3):
        items = [
            {
                "external_id": f"{batch}-{n}",
                "fields": {"text": f"kept text {n}"},
                "metadata": {"idx": batch},
                "responses": [{"user_id": me, "status": "submitted", "values": {"label": {"value": "a"}}}],
            }
            for n in range(50)
        ]
        answered += list(api.upsert(dataset, items))
    # One more call is on its way when the server dies.
    request = {"items": [{"external_id": f"late-{n}", "fields": {"text": "kept late"}} for n in range(500)]}
    sender = subprocess.Popen(
        [
            sys.executable,
            "-c",
            SEND,
            f"{server.url}/api/v1/datasets/{dataset}/records/bulk",
            server.credentials.loop.api_key,
            json.dumps(request),
        ],
        stderr=subprocess.DEVNULL,
    )
    time.sleep(0.6)
    assert server.kill() == -signal.SIGKILL
    sender.wait(60)
    server.start()

    status = {"entity": "response", "property": "status"}
    submitted = {"type": "terms", "scope": status, "values": ["submitted"]}
    found, total = api.search(dataset, filters=[submitted], text="kept", limit=1000)
    assert (sorted(found), total) == (sorted(answered), 150)
    # The unanswered call is there whole or not at all.
    assert api.search(dataset, text="late")[1] in (0, 500)


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """A server whose starter is killed outright ends by itself, cleanly."""
    starter = subprocess.Popen(
        [
            sys.executable,
            "-c",
            START_AND_WAIT,
            str(tmp_path / "home"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout is not None
    child = psutil.Process(int(starter.stdout.readline()))
    starter.kill()
    starter.wait()
    starter.stdout.close()
    child.wait(30)
    assert not (tmp_path / "home" / "server.json").exists()


def test_new_secrets_replace_forgotten_ones(server: EmbeddedServer) -> None:
    """Deleting the file gives every user new secrets at the next start, and the old ones no longer work."""
    old = server.credentials
    server.stop()
    (server.home / "credentials.json").unlink()
    server.start()
    assert Api(server, server.credentials.annotator).call("GET", "/me")["username"] == "annotator"
    refused = httpx.get(f"{server.url}/api/v1/me", headers={"X-Argilla-Api-Key": old.annotator.api_key})
    assert refused.status_code == httpx.codes.UNAUTHORIZED
    login = {"username": "owner", "password": old.owner.password}
    assert httpx.post(f"{server.url}/api/v1/token", data=login).status_code == httpx.codes.UNAUTHORIZED


@pytest.mark.cold  # the start as a user sees it
def test_secrets_are_shown_once(tmp_path: Path) -> None:
    """The first start in a terminal prints each secret; the second prints the URL only."""
    said = []
    for _ in range(2):
        server = subprocess.Popen(
            [sys.executable, "-m", "argilla_embedded", "--home", str(tmp_path / "home"), "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert server.stdout is not None
        lines = []
        for line in server.stdout:
            lines.append(line)
            if "ready" in line:
                break
        server.terminate()
        assert server.wait(30) == 0
        server.stdout.close()
        said.append("".join(lines))
    credentials = EmbeddedServer(tmp_path / "home").credentials
    for user in (credentials.owner, credentials.annotator, credentials.loop):
        assert user.password in said[0]
        assert user.api_key in said[0]
        assert user.api_key not in said[1]


def test_statuses_left_behind_by_a_crash_are_made_right(server: EmbeddedServer) -> None:
    """A change of how many answers a record needs, whose job was killed, is done at the next start."""
    api = Api(server, server.credentials.loop)
    options = [{"value": value, "text": value} for value in "ab"]
    dataset = api.create_dataset(
        "stale",
        fields=[{"name": "text", "settings": {"type": "text", "use_markdown": False}, "required": True}],
        questions=[
            {"name": "label", "required": True, "settings": {"type": "label_selection", "options": options}}
        ],
        min_submitted=2,
    )
    answer = {"user_id": api.me(), "status": "submitted", "values": {"label": {"value": "a"}}}
    api.upsert(dataset, [{"external_id": "x", "fields": {"text": "x"}, "responses": [answer]}])
    assert api.call("GET", f"/datasets/{dataset}/progress")["completed"] == 0
    server.kill()
    with sqlite3.connect(server.home / "argilla.db") as db:
        db.execute(
            'UPDATE datasets SET distribution = \'{"strategy": "overlap", "min_submitted": 1}\' WHERE id = ?',
            (dataset.replace("-", ""),),
        )
    db.close()
    server.start()
    deadline = time.monotonic() + 60
    while api.call("GET", f"/datasets/{dataset}/progress")["completed"] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)
