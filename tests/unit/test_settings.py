"""Settings: where they come from, what is refused and with which words, and that no secret is ever told."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import Mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odd_inputs import values, variables

from argilla_loop.errors import SettingsError
from argilla_loop.settings import ENV_PREFIX, Settings, load_settings, unknown_variables
from argilla_loop.settings.file import FileValues

KEY = "sekret-0123456789"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in (
        *[name for name in os.environ if name.upper().startswith(ENV_PREFIX)],
        "CREDENTIALS_DIRECTORY",
    ):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The smallest file that is complete but for the key."""
    path = tmp_path / "loop.toml"
    path.write_text('dataset = "from-file"\n[pool]\npath = "news.csv"\n', encoding="utf-8")
    return path


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of systemd credentials that holds the key."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "argilla_loop_api_key").write_text(f"{KEY}\n", encoding="utf-8")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    return folder


def refusal(config: Path | None = None, **overrides: Any) -> str:
    """The message with which settings are refused; always one line."""
    with pytest.raises(SettingsError) as caught:
        load_settings(config, **overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def complete(**overrides: Any) -> dict[str, Any]:
    """Overrides that would be accepted, but for those given."""
    return {"api_key": KEY, "pool": {"path": "news.csv"}, **overrides}


class TestSources:
    def test_a_secret_file_gives_the_key_without_its_line_end(self, config: Path, credentials: Path) -> None:
        assert credentials.is_dir()
        assert load_settings(config).api_key.get_secret_value() == KEY

    def test_a_secret_file_gives_headers_as_json(self, config: Path, credentials: Path) -> None:
        (credentials / "argilla_loop_headers").write_text('{"Authorization": "Bearer hf"}', encoding="utf-8")
        assert load_settings(config).headers["Authorization"].get_secret_value() == "Bearer hf"

    def test_environment_wins_over_secret_over_file(
        self, config: Path, credentials: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert load_settings(config).dataset == "from-file"
        (credentials / "argilla_loop_dataset").write_text("from-secret", encoding="utf-8")
        assert load_settings(config).dataset == "from-secret"
        monkeypatch.setenv("ARGILLA_LOOP_DATASET", "from-environment")
        assert load_settings(config).dataset == "from-environment"
        assert load_settings(config, dataset="from-caller").dataset == "from-caller"

    def test_nested_and_listed_values_come_from_the_environment_and_leave_the_rest_to_the_file(
        self, config: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ARGILLA_LOOP_API_KEY", KEY)
        monkeypatch.setenv("ARGILLA_LOOP_POOL__LIMIT", "7")
        monkeypatch.setenv("ARGILLA_LOOP_LABELS", '["World", "Sports"]')
        loaded = load_settings(config)
        assert (loaded.pool.limit, loaded.pool.path) == (7, [Path("news.csv")])
        assert loaded.labels == ["World", "Sports"]

    def test_the_environment_alone_is_enough(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ARGILLA_LOOP_API_KEY", KEY)
        monkeypatch.setenv("ARGILLA_LOOP_POOL__PATH", "news.csv")
        assert load_settings().pool.path == [Path("news.csv")]

    def test_a_home_folder_is_known_by_its_tilde(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        assert load_settings(**complete(cache_dir="~/cache")).cache_dir == tmp_path / "cache"

    def test_what_is_unset_has_the_documented_default(self) -> None:
        loaded = load_settings(**complete())
        assert (loaded.certainty_threshold, loaded.slice_size, loaded.train_on) == (0.9, 10, "human")
        assert loaded.cache_dir.parts[-2:] == ("xdg", "argilla-loop")


class TestRefusals:
    def test_no_file_at_the_path(self, tmp_path: Path) -> None:
        assert "does not exist" in refusal(tmp_path / "none.toml")

    def test_toml_that_cannot_be_read_names_file_and_line(self, tmp_path: Path) -> None:
        path = tmp_path / "broken.toml"
        path.write_text("a = 1\nb = = 2\n", encoding="utf-8")
        assert "broken.toml" in (message := refusal(path))
        assert "line 2" in message

    def test_a_missing_key_says_both_ways_to_give_it(self, config: Path) -> None:
        assert refusal(config) == (
            "api_key is missing: set it in the settings file or as ARGILLA_LOOP_API_KEY"
        )

    def test_no_pool(self, tmp_path: Path) -> None:
        path = tmp_path / "loop.toml"
        path.write_text("", encoding="utf-8")
        assert refusal(path, api_key=KEY).startswith("pool is missing")

    def test_no_file_says_that_one_is_needed_and_how_to_give_it(self) -> None:
        assert refusal().startswith("a settings file is needed")
        assert "-c FILE" in refusal()

    @pytest.mark.parametrize(
        ("overrides", "expected"),
        [
            ({"slice_sise": 3}, "slice_sise is unknown: did you mean slice_size?"),
            ({"pool": {"path": "x", "limt": 3}}, "pool.limt is unknown: did you mean limit?"),
            ({"zzz": 3}, "zzz is unknown: see config/example.toml for all settings"),
        ],
    )
    def test_an_unknown_key_is_named_with_a_suggestion(
        self, overrides: dict[str, Any], expected: str
    ) -> None:
        assert refusal(**complete(**overrides)) == expected

    @pytest.mark.parametrize(
        ("overrides", "key", "hint"),
        [
            ({"certainty_threshold": 0.5}, "certainty_threshold = 0.5", "greater than 0.5"),
            ({"certainty_threshold": 1.01}, "certainty_threshold = 1.01", "less than or equal to 1"),
            ({"certainty_threshold": float("nan")}, "certainty_threshold = nan", "should be"),
            ({"labels": ["A", "B", " a "]}, "labels", "twice"),
            ({"labels": ["A"]}, "labels", "two or more"),
            ({"labels": ["A", " "]}, "labels", "blank"),
            ({"labels": "A,B"}, "labels = 'A,B'", "list"),
            ({"slice_size": 501}, "slice_size = 501", "less than or equal to 500"),
            ({"strategy": "margins"}, "strategy = 'margins'", "'typical' or 'mixed'"),
            ({"dataset": " "}, "dataset", "blank"),
            ({"dataset": "d" * 201}, "dataset", "at most 200 characters"),
            ({"guidelines": "g" * 10_001}, "guidelines", "at most 10000 characters"),
            ({"api_key": ""}, "api_key", "blank"),
            ({"api_key": "with\nline"}, "api_key", "copy it again"),
            ({"api_url": "ftp://host"}, "api_url", "URL scheme should be 'http' or 'https'"),
            ({"api_url": "http://me:sekret-pass@host"}, "api_url", "header instead"),
            ({"headers": {"No Token": "x"}}, "headers", "no name of an HTTP header"),
            ({"headers": {"X-A": "sekret\r\nX-B: 1"}}, "headers", "cannot be sent"),
            ({"cache_dir": "~nobody-of-that-name/x"}, "cache_dir", "full path"),
            ({"pool": {"source": "files"}}, "pool", "needs pool.path"),
            ({"pool": {"source": "hub"}}, "pool", "needs pool.name"),
            ({"pool": {"source": "argilla"}}, "pool", "needs pool.dataset"),
            ({"pool": {"source": "hub", "name": "a/b", "path": "x"}}, "pool.path", "remove one"),
            ({"pool": {"path": "x", "limit": 0}}, "pool.limit = 0", "greater than 0"),
            ({"webhook": {"public_url": "http://me:sekret@host"}}, "webhook.public_url", "holds a login"),
            ({"webhook": {"public_url": "http://host/?key=sekret"}}, "webhook.public_url", "holds a login"),
            ({"webhook": {"public_url": "host:9091/sekret"}}, "webhook.public_url", "URL scheme should be"),
            ({"webhook": {"port": 0}}, "webhook.port = 0", "greater than or equal to 1"),
            ({"webhook": {"publicurl": "x"}}, "webhook.publicurl is unknown", "mean public_url?"),
            ({"dataset": "d", "pool": {"source": "argilla", "dataset": "d"}}, "pool.dataset", "another"),
        ],
    )
    def test_an_impossible_value_is_refused_with_its_key_and_what_would_be_right(
        self, overrides: dict[str, Any], key: str, hint: str
    ) -> None:
        message = refusal(**complete(**overrides))
        assert message.startswith(key)
        assert hint in message
        assert "sekret" not in message

    def test_all_that_is_wrong_is_said_at_once(self) -> None:
        message = refusal(**complete(slice_size=0, seed=-1))
        assert "slice_size" in message
        assert "seed" in message

    def test_a_pool_in_another_workspace_may_have_the_same_name(self) -> None:
        pool = {"source": "argilla", "dataset": "d", "workspace": "other"}
        assert load_settings(**complete(dataset="d", pool=pool)).pool.workspace == "other"


class TestUnknownVariables:
    """They are told and done without: an orchestrator sets what it likes."""

    # what Kubernetes sets for a Service called argilla-loop with a port, and for others whose names begin like it
    INJECTED: ClassVar[dict[str, str]] = {
        "ARGILLA_LOOP_SERVICE_HOST": "10.0.0.1",
        "ARGILLA_LOOP_SERVICE_PORT": "9090",
        "ARGILLA_LOOP_SERVICE_PORT_METRICS": "9090",
        "ARGILLA_LOOP_PORT": "tcp://10.0.0.1:9090",
        "ARGILLA_LOOP_PORT_9090_TCP": "tcp://10.0.0.1:9090",
        "ARGILLA_LOOP_PORT_9090_TCP_PROTO": "tcp",
        "ARGILLA_LOOP_PORT_9090_TCP_PORT": "9090",
        "ARGILLA_LOOP_PORT_9090_TCP_ADDR": "10.0.0.1",
        "ARGILLA_LOOP_HTTP_SERVICE_PORT": "9090",
        "ARGILLA_LOOP_WEBHOOK_SERVICE_HOST": "10.0.0.3",
        "ARGILLA_LOOP_HTTP__X_PORT_9090_TCP": "tcp://10.0.0.4:9090",
        "ARGILLA_LOOP_POOL__X_SERVICE_HOST": "10.0.0.5",
        "ARGILLA_LOOP__X_SERVICE_HOST": "10.0.0.6",
    }

    def test_what_kubernetes_injects_changes_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = load_settings(**complete()).model_dump()
        for name, value in self.INJECTED.items():
            monkeypatch.setenv(name, value)
        assert load_settings(**complete()).model_dump() == before
        assert unknown_variables() == dict.fromkeys(self.INJECTED)

    def test_no_setting_can_be_taken_for_what_kubernetes_injects(self) -> None:
        for name in Settings.model_fields:
            assert not re.search(r"(^|_)(service_(host|port)|port)($|_)", name)
            assert "__" not in name

    @pytest.mark.parametrize(
        ("variable", "suggestion"),
        [
            ("ARGILLA_LOOP_SLICESIZE", "ARGILLA_LOOP_SLICE_SIZE"),
            ("ARGILLA_LOOP_SLICE_SIZ", "ARGILLA_LOOP_SLICE_SIZE"),
            ("ARGILLA_LOOP_POOL__PTH", "ARGILLA_LOOP_POOL__PATH"),
            ("ARGILLA_LOOP_HTTP_PORT", "ARGILLA_LOOP_HTTP__PORT"),
            ("argilla_loop_datset", "ARGILLA_LOOP_DATASET"),
            ("ARGILLA_LOOP_LABELS__0", "ARGILLA_LOOP_LABELS"),
            ("ARGILLA_LOOP_NONSENSE", None),
        ],
    )
    def test_a_near_miss_is_named_with_what_was_meant(
        self, variable: str, suggestion: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(variable, "5")
        assert load_settings(**complete()).dataset
        assert unknown_variables() == {variable: suggestion}

    def test_what_is_a_setting_is_not_unknown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("CONFIG", "api_key", "HEADERS", "HEADERS__X_A", "POOL__PATH", "HTTP__PORT", "POOL"):
            monkeypatch.setenv(f"{ENV_PREFIX}{name}", "x")
        assert unknown_variables() == {}


def deep(levels: int) -> dict[str, bytes]:
    """Files nested so deep, each in another way."""
    return {
        "arrays": b"labels = " + b"[" * levels + b"]" * levels,
        "inline tables": b"pool = " + b"{a = " * levels + b"1" + b"}" * levels,
        "dotted keys": b"pool." + b".".join([b"a"] * levels) + b" = 1",
        "table headers": b"[pool." + b".".join([b"a"] * levels) + b"]",
    }


BROKEN: dict[str, bytes] = {
    **{f"{levels} {how}": content for levels in (90, 3000) for how, content in deep(levels).items()},
    "no TOML": b"slice_size = = 2",
    "binary": bytes(range(256)),
    "not UTF-8": "labels = ['é']".encode("latin-1"),
    "NUL bytes": b"\0" * 1000,
    "UTF-16": 'dataset = "d"'.encode("utf-16"),
    "a number of 5,000 digits": b"slice_size = " + b"9" * 5000,
    "huge": b"# " + b"x" * (1 << 21),
    "an unknown key": b"apikey = 1",
    "a value that is none": b"slice_size = [[" + b"1," * 2000 + b"]]",
    "the key elsewhere": f'dataset = ["{KEY}"]\nslice_size = "{KEY}"\nlog_level = "{KEY}"'.encode(),
    "the key in a table": f'[webhook]\npublic_url = "http://{KEY}@x"\n[http]\nport = "{KEY}"'.encode(),
}
ODD_VALUES = (f'["{KEY}"]', f'{{a = "{KEY}"}}', f'"{KEY}\\u0007"', f'"{KEY}', f"'''{KEY}")


class TestBrokenFiles:
    @pytest.mark.parametrize("kind", BROKEN)
    def test_whatever_is_in_it_is_one_short_line_without_the_key(self, kind: str, tmp_path: Path) -> None:
        path = tmp_path / "loop.toml"
        path.write_bytes(f'api_key = "{KEY}"\n'.encode() + BROKEN[kind])
        message = refusal(path)
        assert "sekret" not in message
        assert len(message) < 1000

    @pytest.mark.parametrize("name", ["api_key", "headers.X-A"])
    @pytest.mark.parametrize("value", ODD_VALUES)
    def test_whatever_the_key_is(self, name: str, value: str, tmp_path: Path) -> None:
        path = tmp_path / "loop.toml"
        path.write_text(f'{name} = {value}\n[pool]\npath = "x"\n', encoding="utf-8")
        assert "sekret" not in refusal(path)

    def test_a_folder_a_pipe_a_device_and_what_is_not_ours_are_one_line(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A pipe that nobody writes into keeps nobody waiting."""
        pipe, itself = tmp_path / "pipe", tmp_path / "itself"
        os.mkfifo(pipe)
        itself.symlink_to(itself)
        assert "is a folder" in refusal(tmp_path)
        assert "is no regular file" in refusal(pipe)
        assert "is no regular file" in refusal(Path("/dev/zero"))
        assert "does not exist" in refusal(tmp_path / "none.toml")
        assert "cannot be read" in refusal(tmp_path / ("x" * 300))
        assert "cannot be read" in refusal(Path("nul\0"))
        assert "cannot be read" in refusal(itself)
        monkeypatch.setattr(os, "open", Mock(side_effect=PermissionError(13, "Permission denied")))
        assert "Permission denied" in refusal(tmp_path / "none.toml")

    def test_too_little_memory_is_one_line(self, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("argilla_loop.settings.file.tomllib.loads", Mock(side_effect=MemoryError))
        assert "memory" in refusal(config)

    def test_no_secret_lies_open_in_what_was_read(self, tmp_path: Path) -> None:
        """A trace that showed variables would show stars."""
        path = tmp_path / "loop.toml"
        path.write_text(f'api_key = "{KEY}"\nheaders = {{ X-A = "{KEY}" }}\n', encoding="utf-8")
        assert "sekret" not in repr(FileValues(path).values)


class TestSecrets:
    def test_no_representation_of_the_settings_shows_a_secret(self) -> None:
        loaded = load_settings(**complete(headers={"Authorization": "Bearer sekret-header"}))
        for shown in (repr(loaded), str(loaded), str(loaded.model_dump()), loaded.model_dump_json()):
            assert "sekret" not in shown

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("ARGILLA_LOOP_HEADERS", '{"Authorization": "sekret'),  # broken JSON
            ("ARGILLA_LOOP_HEADERS", '["sekret"]'),
            ("ARGILLA_LOOP_HEADERS", '{"Authorization": ["sekret"]}'),
            ("ARGILLA_LOOP_API_KEY", "sekret\x7f"),
        ],
    )
    def test_no_refusal_tells_a_secret(
        self, config: Path, variable: str, value: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(variable, value)
        assert "sekret" not in refusal(config)

    def test_a_secret_in_the_wrong_place_of_the_file_is_not_told_either(self, tmp_path: Path) -> None:
        path = tmp_path / "loop.toml"
        path.write_text(f'apikey = "{KEY}"\n[pool]\npath = "x"\napi_key = "{KEY}"\n', encoding="utf-8")
        assert "sekret" not in refusal(path)


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        yield


# The fixtures only clean the environment, which examples leave as they found it.
fuzz = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def loads_or_is_refused(**overrides: Any) -> None:
    refused = ""
    try:
        assert isinstance(load_settings(**overrides), Settings)
    except SettingsError as error:
        refused = str(error) or "an empty message\n"
    assert len(refused.splitlines()) <= 1


@fuzz
@given(values)
def test_whatever_the_values_settings_load_or_are_refused_in_one_line(overrides: dict[str, Any]) -> None:
    loads_or_is_refused(**overrides)
    loads_or_is_refused(**complete(**overrides))


@fuzz
@given(variables)
def test_whatever_the_environment_settings_load_or_are_refused_in_one_line(values: dict[str, str]) -> None:
    with environment(values):
        loads_or_is_refused(**complete())


@fuzz
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_whatever_the_file_settings_load_or_are_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.toml"
    path.write_bytes(content)
    loads_or_is_refused(config=path)
