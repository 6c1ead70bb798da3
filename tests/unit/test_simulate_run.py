"""All runs of a simulation: which, resumed, interrupted, kept apart where they differ."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from worlds import CentroidLearner, sentences

from argilla_loop.domain import Encoder
from argilla_loop.errors import SettingsError
from argilla_loop.learning.encoders.fake import HashingEncoder
from argilla_loop.learning.label_names import name_sentences
from argilla_loop.policy.rules import Rules
from argilla_loop.settings import Settings
from argilla_loop.simulate import store
from argilla_loop.simulate.data import Labelled, LabelledSet
from argilla_loop.simulate.replay import Run, quiet_logs
from argilla_loop.simulate.run import Options, Outcome, simulate, strategies_of

ALL = [Labelled(*row) for row in sentences(108)]
DATA = LabelledSet("reports", ALL[:80], ALL[80:])
OPTIONS = Options(
    strategies=["random", "sequential"],
    rules=Rules(slice_size=5, min_examples_per_label=3),
    budget=20,
    seeds=2,
)


class Played:
    """Makes learners, and remembers for which runs; stands for Ctrl-C at one of them."""

    def __init__(self, interrupt_at: int | None = None) -> None:
        self.runs: list[str] = []
        self.encoders: list[Encoder] = []
        self._interrupt_at = interrupt_at

    def __call__(self, run: Run, encoder: Encoder) -> CentroidLearner:
        if len(self.runs) == self._interrupt_at:
            raise KeyboardInterrupt
        self.runs.append(f"{run.name}-{run.seed}")
        return CentroidLearner(encoder)


def play(folder: Path, options: Options = OPTIONS, data: LabelledSet = DATA) -> tuple[Outcome, list[str]]:
    played = Played()
    return simulate(data, HashingEncoder(), options, folder, make_learner=played), played.runs


def test_every_strategy_is_played_with_every_seed_and_each_row_says_what_it_is_of(tmp_path: Path) -> None:
    outcome, played = play(tmp_path)
    assert played == ["random-0", "sequential-0", "random-1", "sequential-1"]
    assert (outcome.finished, outcome.planned) == (4, 4)
    assert {(r["strategy"], r["seed"]) for r in outcome.rows} == {
        ("random", 0),
        ("random", 1),
        ("sequential", 0),
        ("sequential", 1),
    }
    last = outcome.rows[-1]
    assert last["human_labels"] == 20
    assert last["finished"] is True
    assert (last["set"], last["labels"], last["pool"], last["held_back"]) == ("reports", 3, 80, 28)
    assert (last["slice_size"], last["noise"], last["train_on"]) == (5, 0.0, "human")
    assert last["version_scikit_learn"]


def test_what_is_done_is_not_done_again_and_gives_the_same_rows(tmp_path: Path) -> None:
    first, _ = play(tmp_path)
    again, played = play(tmp_path)
    assert played == []
    assert again == first


def test_more_seeds_play_only_those_that_lack(tmp_path: Path) -> None:
    play(tmp_path)
    outcome, played = play(tmp_path, replace(OPTIONS, seeds=3))
    assert played == ["random-2", "sequential-2"]
    assert outcome.finished == 6


@pytest.mark.parametrize(
    "changed",
    [
        {"noise": 0.2},
        {"budget": 25},
        {"slice_size": 6},
        {"min_examples_per_label": 2},
        {"certainty_threshold": None},
        {"train_on_model": True},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_other_settings_are_other_runs(tmp_path: Path, changed: dict[str, float | bool | None]) -> None:
    play(tmp_path)
    owner = OPTIONS if set(changed) <= {"noise", "budget"} else OPTIONS.rules
    new = replace(owner, **changed)  # type: ignore[arg-type]  # one field of several types
    _, played = play(tmp_path, new if isinstance(new, Options) else replace(OPTIONS, rules=new))
    assert len(played) == 4


def test_other_texts_or_other_code_are_other_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play(tmp_path)
    _, played = play(tmp_path, data=replace(DATA, pool=DATA.pool[:-1]))
    assert len(played) == 4
    monkeypatch.setattr(store, "_code", lambda: "changed")
    _, played = play(tmp_path)
    assert len(played) == 4


def test_the_code_that_counts_is_there() -> None:
    """A file that moved would silently no longer be looked at."""
    files = [file.name for file in store._sources(Path(store.__file__).parents[1])]
    assert {"turn.py", "batch.py", "plan.py", "learner.py", "memory.py", "replay.py", "stock.py"} <= set(
        files
    )
    assert "show.py" not in files


def test_ctrl_c_keeps_what_is_done_and_the_same_call_goes_on(tmp_path: Path) -> None:
    played = Played(interrupt_at=1)
    outcome = simulate(DATA, HashingEncoder(), OPTIONS, tmp_path, make_learner=played)
    assert (outcome.finished, outcome.planned) == (1, 4)
    assert {(r["strategy"], r["seed"], r["finished"]) for r in outcome.rows} == {("random", 0, True)}
    rest, played_then = play(tmp_path)
    assert played_then == ["sequential-0", "random-1", "sequential-1"]
    assert rest.finished == 4


def test_the_rows_of_half_a_run_are_kept_and_marked(tmp_path: Path) -> None:
    """Killed in the middle, even of a line: what was written is there, and the run is played again from its start."""
    options = replace(OPTIONS, strategies=["random"], seeds=1)
    whole, _ = play(tmp_path, options)
    (file,) = (tmp_path / "runs").iterdir()
    lines = file.read_text().splitlines()
    file.with_suffix(store.UNFINISHED).write_text("\n".join(lines[:3]) + "\n" + lines[3][:20])
    file.unlink()
    half = simulate(DATA, HashingEncoder(), options, tmp_path, make_learner=Played(interrupt_at=0))
    assert half.rows == []  # begun anew, and interrupted before its first row
    file.with_suffix(store.UNFINISHED).write_text("\n".join(lines[:3]) + "\n" + lines[3][:20])
    run = options.runs()[0]
    kept = list(store.read_run(file, store.run_columns(run, DATA, HashingEncoder())))
    assert [{**row, "finished": True} for row in kept] == list(whole.rows[:3])
    assert {row["finished"] for row in kept} == {False}
    again, _ = play(tmp_path, options)
    figures = [(r["human_labels"], r["accuracy"], r["model"]) for r in whole.rows]
    assert [(r["human_labels"], r["accuracy"], r["model"]) for r in again.rows] == figures


def test_texts_and_label_names_are_embedded_once_for_all_runs(tmp_path: Path) -> None:
    encoder = HashingEncoder()
    simulate(DATA, encoder, OPTIONS, tmp_path, make_learner=Played())
    assert encoder.encoded == len(ALL) + len(name_sentences(DATA.labels))


def test_several_processes_give_the_same_as_one(tmp_path: Path) -> None:
    """In a process of its own, as a script would: each worker imports the script anew."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from unit.test_simulate_run import DATA, OPTIONS, centroids\n"
        "from argilla_loop.learning.encoders.fake import HashingEncoder\n"
        "from argilla_loop.simulate.run import simulate\n"
        "if __name__ == '__main__':\n"
        "    folder = Path(sys.argv[1])\n"
        "    outcome = simulate(DATA, HashingEncoder(), OPTIONS, folder, jobs=2, make_learner=centroids)\n"
        "    assert outcome.finished == outcome.planned == 4\n"
    )
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(tests), str(tests / "support")])
    subprocess.run(
        [sys.executable, str(script), str(tmp_path / "two")],
        env={**os.environ, "PYTHONPATH": path},
        check=True,
        timeout=120,
    )
    one, _ = play(tmp_path / "one")
    two, played = play(tmp_path / "two")
    assert played == []

    def figures(outcome: Outcome) -> list[tuple[object, ...]]:
        return [
            (r["strategy"], r["seed"], r["human_labels"], r["accuracy"], r["model"]) for r in outcome.rows
        ]

    assert figures(two) == figures(one)


def centroids(_: Run, encoder: Encoder) -> CentroidLearner:
    """A learner that a worker can be told of by name."""
    return CentroidLearner(encoder)


def test_labels_that_never_leave_the_cold_start_are_warned_of(tmp_path: Path) -> None:
    with capture_logs() as logs:
        play(tmp_path, replace(OPTIONS, seeds=1, rules=replace(OPTIONS.rules, min_examples_per_label=50)))
    (warning,) = [one for one in logs if one["event"] == "labels_too_rare"]
    assert warning["labels"] == 3


def test_there_must_be_something_to_simulate_and_a_folder_for_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="give --strategies or --baseline"):
        play(tmp_path, replace(OPTIONS, strategies=[]))
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="cannot make the folder"):
        play(tmp_path / "file")


def test_strategies_are_named_with_commas_and_unknown_ones_refused() -> None:
    assert set(strategies_of("random, sequential,random")) == {"random", "sequential"}
    with pytest.raises(SettingsError, match=r"there is no strategy 'ramdom': choose among .*random"):
        strategies_of("ramdom")


def test_the_loops_settings_have_the_services_defaults() -> None:
    def default(name: str) -> object:
        return Settings.model_fields[name].get_default()

    run = Options(strategies=["random"]).runs()[0]
    defaults = Rules()
    assert run.rules.slice_size == default("slice_size") == defaults.slice_size
    assert run.rules.min_examples_per_label == Settings.model_fields["min_examples_per_label"].default
    assert run.rules.certainty_threshold == default("certainty_threshold")
    assert run.rules.train_on_model is (default("train_on") != "human")


def test_logs_are_as_before_after_a_run() -> None:
    import structlog  # noqa: PLC0415 - only to look at its configuration

    before = structlog.get_config()["wrapper_class"]
    with pytest.raises(ZeroDivisionError), quiet_logs():
        raise ZeroDivisionError
    assert structlog.get_config()["wrapper_class"] is before


def test_every_other_rule_is_a_setting_of_the_same_name_and_default() -> None:
    named = {rule.name: rule.default for rule in fields(Rules)}
    del named["train_on_model"]  # of train_on, which the test above compares
    assert {name: Settings.model_fields[name].default for name in named} == named
