"""The files that deploy the service are valid, pinned, closed, and agree with settings, commands and exit codes."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import jsonschema
import pytest
import typer.main
import yaml
from argilla_server.jobs.queues import DEFAULT_QUEUE, HIGH_QUEUE
from argilla_server.search_engine.commons import es_index_name_for_dataset

from argilla_loop import __version__, errors
from argilla_loop.cli.app import TRY_AGAIN, app
from argilla_loop.cli.common import INTERRUPTED
from argilla_loop.settings import CONFIG_ENV, ENV_PREFIX, Settings
from argilla_loop.settings.table import all_settings, variable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"
ENV_EXAMPLE = ROOT / ".env.example"
DOCKERFILE = ROOT / "Dockerfile"
UNIT = ROOT / "config" / "argilla-loop@.service"
GUIDE = ROOT / "docs" / "deployment.md"
SCHEMA = ROOT / "tests" / "support" / "schemas" / "compose-spec.json"

COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = SERVICES["argilla-loop"]
SECRET = re.compile(r"PASSWORD|SECRET|KEY|TOKEN", re.IGNORECASE)
each_service = pytest.mark.parametrize("name", SERVICES)


def example_environment() -> dict[str, str]:
    lines = ENV_EXAMPLE.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def parse_command(*arguments: str) -> str:
    """Parse a command line as ``argilla-loop`` would, without running it; an error is click's own."""
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group)
    context = group.make_context("argilla-loop", [], resilient_parsing=True)
    name, command, rest = group.resolve_command(context, list(arguments))
    assert command is not None
    assert name is not None
    command.make_context(name, rest, parent=context)
    return name


class TestEveryFile:
    @pytest.mark.parametrize(
        "path",
        [COMPOSE_FILE, ENV_EXAMPLE, DOCKERFILE, UNIT, GUIDE, ROOT / "config" / "argilla-loop.env.example"],
        ids=lambda path: path.name,
    )
    def test_every_variable_of_ours_that_it_names_is_a_setting(self, path: Path) -> None:
        known = {variable(key) for key, _ in all_settings()} | {CONFIG_ENV}
        named = set(re.findall(rf"{ENV_PREFIX}[A-Z_]*[A-Z]", path.read_text(encoding="utf-8")))
        assert named <= known
        assert named or path == ENV_EXAMPLE


class TestCompose:
    def test_it_is_what_the_compose_specification_allows(self) -> None:
        schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
        jsonschema.validate(COMPOSE, schema, cls=jsonschema.Draft202012Validator)

    def test_the_schema_would_tell(self) -> None:
        schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
        wrong = {"services": {"x": {"image": "y:1.0", "restarts": "always"}}}
        with pytest.raises(jsonschema.ValidationError, match="restarts"):
            jsonschema.validate(wrong, schema, cls=jsonschema.Draft202012Validator)

    def test_it_has_the_parts_that_argilla_and_the_service_need(self) -> None:
        assert set(SERVICES) == {
            "argilla",
            "worker",
            "postgres",
            "elasticsearch",
            "redis",
            "argilla-loop",
            "proxy",
        }
        assert [name for name, service in SERVICES.items() if "profiles" in service] == ["proxy"]

    @each_service
    def test_every_image_has_an_exact_tag(self, name: str) -> None:
        assert re.fullmatch(r"[a-z0-9./-]+:v?\d+\.\d+(\.\d+)?(-bookworm|-alpine)?", SERVICES[name]["image"])

    def test_argilla_is_the_version_that_the_tests_run_against_and_ours_is_this_one(self) -> None:
        expected = f"argilla/argilla-server:v{version('argilla-server')}"
        assert SERVICES["argilla"]["image"] == SERVICES["worker"]["image"] == expected
        assert OURS["image"] == f"argilla-loop:{__version__}"

    @each_service
    def test_every_service_is_watched_restarted_and_gains_no_privilege(self, name: str) -> None:
        service = SERVICES[name]
        assert set(service["healthcheck"]) >= {"test", "interval", "timeout", "retries", "start_period"}
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
        assert service["restart"] == "unless-stopped"
        assert "no-new-privileges:true" in service["security_opt"]

    @each_service
    def test_every_dependency_is_waited_for_until_healthy(self, name: str) -> None:
        for needed, how in SERVICES[name].get("depends_on", {}).items():
            assert needed in SERVICES
            assert how["condition"] == "service_healthy"

    def test_the_service_starts_last(self) -> None:
        def all_needed(name: str) -> set[str]:
            direct = set(SERVICES[name].get("depends_on", {}))
            return direct.union(*map(all_needed, direct))

        assert all_needed("argilla-loop") == {"argilla", "postgres", "elasticsearch", "redis"}

    def test_nothing_is_published_but_the_ui_on_this_machine(self) -> None:
        published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
        with_tls = published.pop("proxy")  # only if its profile is asked for
        assert published == {"argilla": ["127.0.0.1:6900:6900"]}
        assert with_tls == ["80:80", "443:443"]
        assert all(service.get("network_mode") is None for service in SERVICES.values())

    @each_service
    def test_every_service_has_a_limit_of_memory(self, name: str) -> None:
        assert SERVICES[name]["mem_limit"]

    def test_the_folder_of_the_pool_exists(self) -> None:
        assert example_environment()["LOOP_POOL"] == "./pool"
        assert (ROOT / "pool").is_dir()

    def test_databases_are_in_a_network_without_a_way_out_that_the_service_is_not_in(self) -> None:
        assert COMPOSE["networks"]["inside"]["internal"] is True
        for name in ("postgres", "elasticsearch", "redis"):
            assert SERVICES[name]["networks"] == ["inside"]
        assert OURS["networks"] == ["outside"]

    def test_no_secret_stands_in_the_file(self) -> None:
        for service in SERVICES.values():
            for name, value in service.get("environment", {}).items():
                if SECRET.search(name):
                    assert re.fullmatch(r"\$\{[A-Z_]+(:\?[^}]+|:-)\}", value), name
                for login in re.findall(r"://[^/]*@", str(value)):
                    assert re.fullmatch(r"://argilla:\$\{[A-Z_]+:\?[^}]+\}@", login)

    def test_what_must_be_given_is_in_the_example_empty_and_nothing_more_is_there(self) -> None:
        text = COMPOSE_FILE.read_text(encoding="utf-8")
        required = set(re.findall(r"\$\{([A-Z_]+):\?set it in \.env, see \.env\.example\}", text))
        defaulted = dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", text))
        assert len(re.findall(r"\$\{", text)) == len(re.findall(r"\$\{[A-Z_]+:[?-]", text))
        example = example_environment()
        assert set(example) == required | set(defaulted)
        assert {name: example[name] for name in defaulted} == defaulted
        assert all(example[name] == "" for name in required if SECRET.search(name))

    def test_the_key_is_a_secret_file_that_settings_read_and_git_ignores(self) -> None:
        for secret in OURS["secrets"]:
            assert secret.removeprefix(ENV_PREFIX.lower()) in Settings.model_fields
            # Compose cannot give a secret from the environment to a read-only container.
            file = COMPOSE["secrets"][secret]["file"]
            assert file == f"./secrets/{secret}"
            assert file.removeprefix("./") in ENV_EXAMPLE.read_text(encoding="utf-8")
        assert (ROOT / "secrets" / ".gitignore").read_text(encoding="utf-8").splitlines()[1:] == [
            "*",
            "!.gitignore",
        ]

    def test_the_service_can_write_to_its_cache_and_tmp_only(self) -> None:
        assert OURS["read_only"] is True
        assert OURS["cap_drop"] == ["ALL"]
        writable = [v for v in OURS["volumes"] if isinstance(v, str) or not v["read_only"]]
        assert writable == ["loop-cache:/var/cache/argilla-loop"]
        assert OURS["tmpfs"] == ["/tmp"]  # noqa: S108  inside the container

    def test_every_named_volume_and_network_is_declared_and_used(self) -> None:
        mounts = [
            v for service in SERVICES.values() for v in service.get("volumes", []) if isinstance(v, str)
        ]
        assert {mount.split(":")[0] for mount in mounts} == set(COMPOSE["volumes"])
        used = {network for service in SERVICES.values() for network in service["networks"]}
        assert used == set(COMPOSE["networks"])

    def test_the_index_is_neither_made_read_only_nor_made_again_with_guessed_types(self) -> None:
        environment = SERVICES["elasticsearch"]["environment"]
        assert environment["cluster.routing.allocation.disk.threshold_enabled"] == "false"
        patterns = environment["action.auto_create_index"].split(",")  # the first that fits decides
        assert patterns == ["-rg.*", "+*"]
        assert es_index_name_for_dataset(SimpleNamespace(id="1")).startswith("rg.")

    @pytest.mark.parametrize("name", ["ES_JAVA_OPTS", "CLI_JAVA_OPTS"])
    def test_options_for_newer_arm_processors_are_no_error_elsewhere(self, name: str) -> None:
        options = SERVICES["elasticsearch"]["environment"][name].split()
        assert options.index("-XX:+IgnoreUnrecognizedVMOptions") < options.index("-XX:UseSVE=0")

    def test_webhooks_do_not_wait_behind_long_jobs(self) -> None:
        command = SERVICES["worker"]["command"]
        queues = [value for option, value in pairwise(command) if option == "--queues"]
        assert queues == [HIGH_QUEUE.name, DEFAULT_QUEUE.name]  # the first one named comes first

    def test_the_index_is_made_anew_only_where_that_is_asked_for(self) -> None:
        assert SERVICES["argilla"]["environment"]["REINDEX_DATASETS"] == "${REINDEX_DATASETS:-0}"
        assert "REINDEX_DATASETS" not in SERVICES["worker"]["environment"]

    def test_who_fills_in_the_example_is_told_what_the_start_script_of_argilla_cannot_take(self) -> None:
        lines = ENV_EXAMPLE.read_text(encoding="utf-8").splitlines()
        above = lines[: lines.index("ARGILLA_OWNER_USERNAME=owner")]
        assert "blanks" in " ".join(above[-2:])

    def test_its_health_check_is_a_command(self) -> None:
        kind, program, *arguments = OURS["healthcheck"]["test"]
        assert (kind, program) == ("CMD", "argilla-loop")
        assert parse_command(*arguments) == "health"

    @pytest.mark.parametrize("name", ["argilla", "worker"])
    def test_checks_in_python_are_python(self, name: str) -> None:
        kind, program, option, code = SERVICES[name]["healthcheck"]["test"]
        assert (kind, program, option) == ("CMD", "python", "-c")
        compile(code, name, "exec")
        assert "$" not in code  # compose would replace it


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line.strip())]


class TestImage:
    def test_hadolint_finds_nothing(self) -> None:
        hadolint = Path(sys.executable).with_name("hadolint")
        result = subprocess.run(
            [hadolint, "--no-color", DOCKERFILE], capture_output=True, text=True, check=False, timeout=60
        )
        assert (result.returncode, result.stdout) == (0, "")

    def test_stages_start_from_one_exact_python_or_from_each_other(self) -> None:
        stages = [rest.split() for word, rest in instructions() if word == "FROM"]
        names = {stage[2] for stage in stages if len(stage) == 3}
        bases = {stage[0] for stage in stages} - names
        assert len(bases) == 1
        assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", bases.pop())
        assert len(stages[-1]) == 1  # the image itself

    def last_stage(self) -> list[tuple[str, str]]:
        whole = instructions()
        return whole[max(n for n, (word, _) in enumerate(whole) if word == "FROM") :]

    def test_it_runs_as_a_user_with_a_fixed_number_and_installs_nothing_in_the_last_stage(self) -> None:
        stage = self.last_stage()
        assert ("USER", "10001:10001") in stage
        assert not any("pip install" in rest for _, rest in stage)
        users = [n for n, (word, _) in enumerate(stage) if word == "USER"]
        assert users[0] < next(n for n, (word, _) in enumerate(stage) if word == "ENTRYPOINT")

    def test_what_it_runs_and_how_it_is_watched_are_commands(self) -> None:
        stage = dict(self.last_stage())
        assert json.loads(stage["ENTRYPOINT"]) == ["argilla-loop"]
        assert parse_command(*json.loads(stage["CMD"])) == "run"
        watch = json.loads(stage["HEALTHCHECK"].partition("CMD ")[2])
        assert watch[0] == "argilla-loop"
        assert parse_command(*watch[1:]) == "health"

    def test_all_that_it_writes_by_itself_lies_in_the_volume(self) -> None:
        stage = dict(self.last_stage())
        environment = dict(re.findall(r"(\w+)=(\S+)", stage["ENV"]))
        assert stage["VOLUME"] == "/var/cache/argilla-loop"
        assert environment["XDG_CACHE_HOME"] + "/argilla-loop" == stage["VOLUME"]
        assert environment["HF_HOME"].startswith(stage["VOLUME"])
        assert environment["HOME"] == stage["VOLUME"]
        assert f"loop-cache:{stage['VOLUME']}" in OURS["volumes"]

    def test_the_settings_file_is_where_compose_mounts_it(self) -> None:
        environment = dict(re.findall(r"(\w+)=(\S+)", dict(self.last_stage())["ENV"]))
        assert environment[CONFIG_ENV] in [v["target"] for v in OURS["volumes"] if isinstance(v, dict)]

    def test_every_install_is_pinned_by_the_constraints(self) -> None:
        installs = [rest for word, rest in instructions() if word == "RUN" and "pip install" in rest]
        assert len(installs) == 4
        for install in installs:
            assert "--constraint constraints.txt" in install or "--no-deps --force-reinstall ." in install

    def test_the_build_sees_what_it_copies_and_no_more(self) -> None:
        lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if not line.startswith(("#", "!", "**"))] == ["*"]
        seen = {line[1:] for line in lines if line.startswith("!")}
        copied = {
            source
            for word, rest in instructions()
            if word == "COPY" and "--from" not in rest
            for source in rest.split()[:-1]
        }
        assert all((ROOT / source).exists() for source in copied | seen)
        assert {s for s in copied if not any(s == a or s.startswith(f"{a}/") for a in seen)} == set()
        assert seen <= copied


def directives() -> dict[str, list[str]]:
    """The unit's directives; one may stand there several times."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


def fatal_codes() -> set[int]:
    """Those that errors.py gives a meaning; 1 is any other failure, which a new start may mend."""
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.FatalError)
    ]
    return {kind.exit_code for kind in kinds} - {1}


class TestUnit:
    def test_it_is_hardened(self) -> None:
        unit = directives()
        expected = {
            "Type": "notify",
            "DynamicUser": "yes",
            "NoNewPrivileges": "yes",
            "ProtectSystem": "strict",
            "ProtectHome": "yes",
            "PrivateTmp": "yes",
            "PrivateDevices": "yes",
            "CapabilityBoundingSet": "",
            "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
            "CacheDirectory": "argilla-loop/%i",
            "Restart": "on-failure",
        }
        assert {name: unit[name][-1] for name in expected} == expected
        assert unit["SystemCallFilter"][0] == "@system-service"
        assert {"WatchdogSec", "StartLimitIntervalSec", "StartLimitBurst"} <= set(unit)

    def test_what_it_starts_is_a_command_with_these_options(self) -> None:
        (start,) = directives()["ExecStart"]
        program, *arguments = start.split()
        assert Path(program).name == "argilla-loop"
        assert parse_command(*arguments) == "run"
        with pytest.raises(click.UsageError):
            parse_command("run", "--no-such-option")

    def test_it_does_not_try_again_what_a_person_must_mend(self) -> None:
        (codes,) = directives()["RestartPreventExitStatus"]
        # what cannot be printed ends a command that runs once, and never the service
        of_the_service = fatal_codes() - {errors.OutputError.exit_code}
        assert {int(code) for code in codes.split()} == of_the_service == {2, 3, 4, 5, 6}

    def test_its_credential_is_a_secret_that_settings_read(self) -> None:
        (credential,) = directives()["LoadCredential"]
        name, path = credential.split(":")
        assert name.removeprefix(ENV_PREFIX.lower()) in Settings.model_fields
        assert path == "/etc/argilla-loop/%i.key"

    def test_the_watchdog_outlasts_the_longest_silence_of_the_defaults(self) -> None:
        (limit,) = directives()["WatchdogSec"]
        seconds = 60 * int(limit.removesuffix("min"))
        fields = Settings.model_fields
        assert seconds > sum(
            fields[n].default for n in ("retry_max_wait", "request_timeout", "poll_interval")
        )

    @pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
    def test_systemd_understands_it_and_rates_it_well(self, tmp_path: Path) -> None:
        copy = tmp_path / "argilla-loop@news.service"
        text = UNIT.read_text(encoding="utf-8")
        copy.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
        for arguments in (["verify"], ["security", "--offline=true", "--threshold=15"]):
            result = subprocess.run(
                ["systemd-analyze", *arguments, copy], capture_output=True, text=True, check=False, timeout=60
            )
            assert result.returncode == 0, result.stdout + result.stderr
            assert result.stderr == ""


class TestGuide:
    TEXT = GUIDE.read_text(encoding="utf-8")

    def test_its_exit_codes_are_those_of_the_errors(self) -> None:
        table = self.TEXT.partition("## Exit codes")[2].partition("\n## ")[0]
        told = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
        assert told == {0, 1, TRY_AGAIN, INTERRUPTED, 128 + signal.SIGPIPE} | fatal_codes()

    def test_its_settings_are_settings(self) -> None:
        for block in re.findall(r"```toml\n(.*?)```", self.TEXT, re.DOTALL):
            assert set(tomllib.loads(block)) <= set(Settings.model_fields)

    def test_it_names_every_service_and_each_build_argument(self) -> None:
        for name in SERVICES:
            assert f"\n| {name} |" in self.TEXT
        for word, rest in instructions():
            if word == "ARG":
                assert f"* `{rest.partition('=')[0]}`:" in self.TEXT

    def test_the_runbook_of_a_lost_index_names_what_the_service_says_and_the_cure(self) -> None:
        runbook = self.TEXT.partition("## The index is lost, or lags behind")[2].partition("\n## ")[0]
        source = (ROOT / "src/argilla_loop/argilla/index_watch.py").read_text(encoding="utf-8")
        for event in ("index_behind", "index_healed", "index_recovered"):
            assert f"`{event}`" in runbook
            assert f'"{event}"' in source
        assert "argilla_loop_index_behind_records" in runbook
        assert "python -m argilla_server search-engine reindex" in runbook
        assert "REINDEX_DATASETS=1" in runbook

    def test_the_files_it_names_exist(self) -> None:
        for name in re.findall(r"config/[\w@.-]+\w|\.env\.example|docker-compose\.yml", self.TEXT):
            assert (ROOT / name).exists(), name
