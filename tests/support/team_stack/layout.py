"""Where a stack listens and where it keeps its data."""

from __future__ import annotations

import json
import os
import secrets
import socket
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one stack, all on 127.0.0.1."""

    server: int
    postgres: int
    redis: int
    elasticsearch: int

    @classmethod
    def from_base(cls, base: int) -> Ports:
        """``base`` for Argilla and the three after it: stacks on other bases run beside it."""
        return cls(*range(base, base + 4))

    @classmethod
    def free(cls) -> Ports:
        """Ports that nobody listens on at this moment."""
        with ExitStack() as held:
            sockets = [held.enter_context(socket.socket()) for _ in range(4)]
            for one in sockets:
                one.bind((HOST, 0))
            return cls(*(one.getsockname()[1] for one in sockets))


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of one stack: data, logs, process ids, secrets."""

    folder: Path

    def make(self) -> None:
        """Make the folders that are not there yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("logs", "run", "argilla", "redis", "elasticsearch"):
            (self.folder / name).mkdir(exist_ok=True)

    def log(self, part: str) -> Path:
        """The log of a part."""
        return self.folder / "logs" / f"{part}.log"

    def process(self, part: str) -> Path:
        """The file that remembers the process of a part."""
        return self.folder / "run" / f"{part}.json"

    def ports(self, wanted: Ports | None) -> Ports:
        """The ports of this home: those ``wanted``, remembered from now on; else those it had, or free ones."""
        file = self.folder / "ports.json"
        if wanted is None and file.exists():
            return Ports(**json.loads(file.read_text(encoding="utf-8")))
        ports = wanted or Ports.free()
        file.write_text(json.dumps(asdict(ports)), encoding="utf-8")
        return ports

    def secret(self, name: str) -> str:
        """A secret of this home: made at the first call, in a file that only its owner reads."""
        file = self.folder / f"{name}.secret"
        if not file.exists():
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
                opened.write(secrets.token_hex(16))
        return file.read_text(encoding="utf-8")
