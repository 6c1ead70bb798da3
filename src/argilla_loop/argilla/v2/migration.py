"""A dataset with other labels, made from one that is only read: ``protocol.Migration`` over HTTP.

Argilla 2.8 cannot change the labels of a question, so everything is copied. The new dataset notes in its own metadata
which one it comes from and how the labels changed. A metadata property says that it is not complete yet, and keeps
services away. What is left to do is always what the new dataset lacks of the old one, so the same steps go on after
any interruption.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from argilla_loop.argilla.protocol import Copied, DatasetInfo, Target
from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.argilla.v2.copying import copied_item, copied_question, lacking, withdrawn
from argilla_loop.argilla.v2.lease import NAME as LEASE
from argilla_loop.argilla.v2.mapping import record_of
from argilla_loop.argilla.v2.reading import INCLUDED, RecordReader
from argilla_loop.argilla.v2.schema import METADATA, TITLES, find_dataset, find_workspace, question_id_of
from argilla_loop.argilla.v2.working import MARK, UNFINISHED, is_half_made, mark_of, migration_of
from argilla_loop.argilla.v2.writing import BulkWriter, Refusal
from argilla_loop.domain import LoggedRecord
from argilla_loop.errors import GoneError, RejectedError, SettingsError
from argilla_loop.policy.migration import LabelChange

CHUNK = 100  # records per request, so that progress shows every second or so. Chosen, not measured.
_GONE = re.compile(
    r"user with id ([0-9a-f-]{36}) not found"
)  # what Argilla says of an answer of a deleted user


class ArgillaMigration:
    """``protocol.Migration`` over HTTP.

    Args:
        connection: of an owner, or of an admin of the workspace.
        source: the old dataset.
        name: of the new one.
        change: of the labels.
        before_write: called right before each request that writes; if it raises, the request is not sent.
    """

    def __init__(
        self,
        connection: Connection,
        source: DatasetInfo,
        name: str,
        change: LabelChange,
        *,
        before_write: Callable[[], object],
    ) -> None:
        self._connection, self._source, self._name, self._change = connection, source, name, change
        self._before_write = before_write
        self._workspace_id = find_workspace(connection, source.workspace)

    def target(self) -> Target:
        """Return what there is under the new name, see ``protocol.Migration``."""
        there = self._there()
        if there is None:
            return Target.MISSING
        made = migration_of(there)
        if made is None or made.get("from") != self._source.id:
            raise SettingsError(
                f"there is a dataset {self._name!r} already in workspace {self._source.workspace!r}: give another name "
                "with --to"
            )
        if made.get("labels") != self._change.key:
            raise SettingsError(
                f"dataset {self._name!r} was begun with other options of argilla-loop migrate: repeat those, or give "
                "another name with --to"
            )
        half = is_half_made(there, self._parts("/me", there["id"], "metadata-properties"))
        return Target.HALF_MADE if half else Target.COMPLETE

    def prepare(self) -> None:
        """Create what is missing: the draft, then its parts, then publish it, which cannot be undone."""
        old = self._call("GET", f"/datasets/{self._source.id}", "the old dataset")
        there = self._there()
        if there is None:
            mark = mark_of(self._name)[MARK] | {
                "migration": {"from": self._source.id, "labels": self._change.key}
            }
            there = self._write(
                "POST",
                "/datasets",
                f"creating dataset {self._name!r}",
                {
                    "name": self._name,
                    "workspace_id": self._workspace_id,
                    "guidelines": old["guidelines"] or None,
                    "allow_extra_metadata": old["allow_extra_metadata"],
                    "distribution": old["distribution"],
                    "metadata": {**(old.get("metadata") or {}), MARK: mark},
                },
            )
        if there["status"] == "draft":
            self._complete_draft(there["id"])
            self._write("PUT", f"/datasets/{there['id']}/publish", "publishing the dataset", None)

    def copy(
        self,
        anew: Callable[[Sequence[LoggedRecord]], bool],
        begun: Callable[[int], Callable[[int], None]],
    ) -> Copied:
        """Copy what the new dataset lacks, see ``protocol.Migration``."""
        new = self._new()
        included = (*INCLUDED, "vectors") if self._parts("", new.id, "vectors-settings") else INCLUDED
        items = RecordReader(self._connection, self._source, included=included).items()
        question_id = question_id_of(self._connection, self._source.id)
        fresh = anew([record_of(item, question_id=question_id) for item in items])
        there = {str(item["external_id"]): item for item in RecordReader(self._connection, new).items()}
        questions = self._questions(new.id)
        todo: list[dict[str, Any]] = []
        revoked: list[str] = []
        for item in items:
            copy = copied_item(item, self._change, questions, anew=fresh)
            before = there.get(copy["external_id"])
            revoked += withdrawn(copy, before)
            if (part := lacking(copy, before)) is not None:
                todo.append(part)
        for response_id in revoked:
            self._before_write()
            with suppress(GoneError):
                self._call("DELETE", f"/responses/{response_id}", "a service's answer")
        return self._copy(new, todo, begun(len(todo)))

    def complete(self) -> str:
        """Delete the property that keeps services away."""
        new = self._new()
        for one in self._parts("/me", new.id, "metadata-properties"):
            if one["name"] == UNFINISHED:
                self._before_write()
                with suppress(GoneError):
                    self._call(
                        "DELETE", f"/metadata-properties/{one['id']}", "the mark of a half made dataset"
                    )
        return new.id

    def _complete_draft(self, new_id: str) -> None:
        """Create the parts that the draft lacks; the mark that it is half made comes first."""
        unfinished = {
            "name": UNFINISHED,
            "title": f"Half made: argilla-loop migrate copies {self._source.name!r} into this dataset"[:500],
            "settings": {"type": "terms", "values": [self._source.id]},
            "visible_for_annotators": False,
        }
        ours = [
            {"name": name, "title": TITLES[name], "settings": settings, "visible_for_annotators": visible}
            for name, (settings, visible) in METADATA.items()
        ]
        theirs = [
            _only(one, "name", "title", "settings", "visible_for_annotators")
            for one in self._parts("/me", self._source.id, "metadata-properties")
            if one["name"] not in {LEASE, UNFINISHED, *METADATA}
        ]
        fields = self._parts("", self._source.id, "fields")
        vectors = self._parts("", self._source.id, "vectors-settings")
        questions = self._parts("", self._source.id, "questions")
        wanted: list[tuple[str, list[dict[str, Any]]]] = [
            ("metadata-properties", [unfinished, *ours, *theirs]),
            ("fields", [_only(one, "name", "title", "required", "settings") for one in fields]),
            ("vectors-settings", [_only(one, "name", "title", "dimensions") for one in vectors]),
            ("questions", [copied_question(one, self._change) for one in questions]),
        ]
        for kind, parts in wanted:
            base = "/me" if kind == "metadata-properties" else ""
            there = {one["name"] for one in self._parts(base, new_id, kind)}
            for part in parts:
                if part["name"] not in there:
                    self._write("POST", f"/datasets/{new_id}/{kind}", f"{kind} {part['name']!r}", part)

    def _copy(
        self, new: DatasetInfo, todo: Sequence[dict[str, Any]], advance: Callable[[int], None]
    ) -> Copied:
        writer = BulkWriter(self._connection, new.id, self._before_write)
        answers = gone = 0
        for start in range(0, len(todo), CHUNK):
            chunk = todo[start : start + CHUNK]
            lost = self._upsert(writer, _in_order(chunk))
            gone += lost
            answers += sum(len(item.get("responses", ())) for item in chunk) - lost
            advance(len(chunk))
        return Copied(len(todo), answers, gone)

    def _upsert(self, writer: BulkWriter, rounds: Sequence[list[dict[str, Any]]]) -> int:
        """Upsert some records; return the number of answers that were left out, as their users are gone.

        Raises:
            RejectedError: Argilla refuses a record for another reason.
        """
        lost, users = 0, set[str]()
        for items in rounds:
            left = items
            while left:
                kept = [_without(item, users) for item in left]
                lost += sum(_answers(one) - _answers(other) for one, other in zip(left, kept, strict=True))
                refused = writer.upsert(kept)
                found = {
                    m[1] for error in refused.values() for m in _GONE.finditer(getattr(error, "detail", ""))
                }
                if refused and not found - users:
                    self._refuse(refused)
                users |= found
                left = [item for item in kept if item["external_id"] in refused]
        return lost

    def _refuse(self, refused: dict[str, Refusal]) -> None:
        record_id, error = next(iter(refused.items()))
        raise RejectedError(
            f"record {record_id!r} cannot be copied ({error}); dataset {self._source.name!r} is as it was: correct the "
            "record there, and repeat the command"
        )

    def _questions(self, new_id: str) -> dict[str, tuple[str, str]]:
        """Return, by the id of a question of the old dataset, its name and its id in the new one."""
        ids = {one["name"]: str(one["id"]) for one in self._parts("", new_id, "questions")}
        old = self._parts("", self._source.id, "questions")
        return {str(one["id"]): (one["name"], ids[one["name"]]) for one in old}

    def _there(self) -> dict[str, Any] | None:
        return find_dataset(self._connection, self._workspace_id, self._name)

    def _new(self) -> DatasetInfo:
        there = self._there()
        if there is None:
            raise GoneError(f"dataset {self._name!r} is gone")
        return DatasetInfo(
            str(there["id"]),
            self._name,
            self._source.workspace,
            self._change.after,
            self._source.min_submitted,
        )

    def _parts(self, base: str, dataset_id: object, kind: str) -> list[dict[str, Any]]:
        found = self._call("GET", f"{base}/datasets/{dataset_id}/{kind}", f"the dataset's {kind}")
        return list(found["items"])

    def _write(self, method: str, path: str, where: str, body: dict[str, Any] | None) -> Any:
        self._before_write()
        return self._connection.call(method, path, where=where, **({} if body is None else {"json": body}))

    def _call(self, method: str, path: str, where: str) -> Any:
        return self._connection.call(method, path, where=where)


def _only(part: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: part[name] for name in names}


def _in_order(items: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return what to upsert, one request after the other, so that later answers have later times in Argilla, too.

    Argilla gives the times itself, and the label rule ``latest`` needs their order. Most records have one answer.
    """
    first = [{**item, "responses": [_sent(one) for one in item.get("responses", ())[:1]]} for item in items]
    most = max((_answers(item) for item in items), default=0)
    return [first, *(_answers_at(items, number) for number in range(1, most))]


def _answers_at(items: Sequence[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    return [
        {"external_id": item["external_id"], "responses": [_sent(item["responses"][number])]}
        for item in items
        if _answers(item) > number
    ]


def _sent(answer: dict[str, Any]) -> dict[str, Any]:
    return _only(answer, "user_id", "status", "values")


def _without(item: dict[str, Any], users: set[str]) -> dict[str, Any]:
    kept = [one for one in item.get("responses", ()) if one["user_id"] not in users]
    return {**item, "responses": kept}


def _answers(item: dict[str, Any]) -> int:
    return len(item.get("responses", ()))
