"""The guidelines of a new dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from argilla_loop.errors import SettingsError
from argilla_loop.policy.presentation import KEYS, KEYS_WITHOUT_COMMENTS, MAX_GUIDELINES, Presentation
from argilla_loop.settings import Settings, load_settings


def test_the_keys_are_those_of_the_dataset() -> None:
    assert KEYS in Presentation().full_guidelines()
    assert KEYS_WITHOUT_COMMENTS not in Presentation().full_guidelines()
    assert KEYS_WITHOUT_COMMENTS in Presentation(comments=False).full_guidelines()


def test_guidelines_of_the_operator_stay_as_they_are_and_are_followed_by_the_meanings() -> None:
    own = "# Read this\n\nOne *topic* a text."
    assert Presentation(guidelines=own).full_guidelines() == own
    text = Presentation(guidelines=own, label_descriptions={"a|b": "x\ny <b> *z* [l](u)"}).full_guidelines()
    assert text.startswith(own + "\n\n| label | what it means |\n|---|---|\n")
    assert text.splitlines()[-1] == r"| **a\|b** | x y &lt;b&gt; \*z\* \[l\](u) |"


def test_guidelines_that_argilla_would_refuse_are_refused_before() -> None:
    full = Presentation(guidelines="g" * MAX_GUIDELINES)
    assert len(full.full_guidelines()) == MAX_GUIDELINES
    with pytest.raises(SettingsError, match="10,000: shorten them"):
        Presentation(guidelines=full.guidelines, label_descriptions={"a": "b"}).full_guidelines()


def test_a_description_of_no_label_is_refused(tmp_path: Path) -> None:
    def settings(**more: Any) -> Settings:
        values: dict[str, Any] = {"api_key": "k", "pool": {"path": "x.csv"}, "cache_dir": tmp_path}
        return Settings(**values, **more)

    assert settings(labels=["a", "b"], label_descriptions={"a": "first"}).label_descriptions == {"a": "first"}
    assert settings(label_descriptions={"c": "of the pool"}).label_descriptions == {"c": "of the pool"}
    with pytest.raises(ValueError, match="describes 'c', which is not in labels"):
        settings(labels=["a", "b"], label_descriptions={"c": "third"})


def test_meanings_are_read_from_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGILLA_LOOP_API_KEY", "k")
    file = tmp_path / "s.toml"
    file.write_text(
        'labels = ["good", "not good"]\n[pool]\npath = "x.csv"\n[label_descriptions]\n"not good" = "bad"\n'
    )
    assert load_settings(file).label_descriptions == {"not good": "bad"}
