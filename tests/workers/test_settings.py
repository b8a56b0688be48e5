"""The settings: one file, the environment, and errors that name every bad key."""

from pathlib import Path

import pytest

from workers.settings import SettingsError, duration_ns, load_settings

GOOD = """
redis: {url: redis://example:6379/1}
shards: 8
plans:
  core:
    timeframe: 60s
    values: {RSI_14: rsi(length=14)}
    signals:
      oversold: rsi(length=14) < 30
      dear: {when: close > 100, value: close, cooldown: 5m}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "fleet.yaml"
    path.write_text(text)
    return path


def test_a_file_says_everything_and_a_rule_has_a_short_form(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, GOOD))
    assert settings.shards == 8
    assert settings.plans["core"].timeframe == "1m"
    assert settings.plans["core"].signals["oversold"].when == "rsi(length=14) < 30"
    assert settings.plans["core"].signals["dear"].cooldown == "5m"


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEET_REDIS__URL", "redis://from-environment:1/0")
    monkeypatch.setenv("FLEET_REDIS__PASSWORD", "hidden")
    monkeypatch.setenv("FLEET_SHARDS", "4")
    path = write(tmp_path, GOOD)
    settings = load_settings(path, {"shards": 2})
    assert settings.redis.url == "redis://from-environment:1/0"
    assert settings.shards == 2
    assert "hidden" not in repr(settings)


def test_one_error_names_every_unknown_and_bad_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEET_SHARDZ", "4")
    bad = "shards: many\nredis: {urll: x}\nplans: {core: {timeframe: 7m, emit: sometimes}}\n"
    with pytest.raises(SettingsError) as caught:
        load_settings(write(tmp_path, bad))
    message = str(caught.value)
    for key in ("FLEET_SHARDZ", "shards", "redis.urll: unknown key", "plans.core.timeframe",
                "plans.core.emit"):  # fmt: skip
        assert key in message


def test_what_kubernetes_injects_for_a_service_called_fleet_is_no_mistake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FLEET_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("FLEET_PORT", "tcp://10.0.0.1:80")
    assert load_settings().shards == 16


@pytest.mark.parametrize("text", ["- a\n", "a: [", "\xff"])
def test_a_file_that_is_no_mapping_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(SettingsError, match=r"fleet\.yaml"):
        load_settings(path)


def test_a_missing_file_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nowhere"):
        load_settings(tmp_path / "nowhere.yaml")


def test_durations_are_exact_nanoseconds() -> None:
    assert duration_ns("250ms") == 250_000_000
    assert duration_ns("1d") == 86_400_000_000_000
    for bad in ("0s", "5", "five", "-1s", "1w"):
        with pytest.raises(ValueError, match="duration"):
            duration_ns(bad)
