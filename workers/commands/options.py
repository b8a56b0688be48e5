"""The options that every sub-command takes."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from workers.settings import Settings, load_settings

DEFAULT_CONFIG = Path("fleet.yaml")


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` its `settings`, from --config, --redis and the environment."""

    @click.option(
        "--redis", "redis_url", metavar="URL", help="The server (redis://, rediss://, ...)."
    )
    @click.option(
        "--config",
        type=click.Path(path_type=Path),
        help="Settings file.  [default: fleet.yaml, if there is one]",
    )
    @wraps(command)
    def wrapped(redis_url: str | None, config: Path | None, **arguments: Any) -> None:
        command(settings=settings_of(redis_url, config), **arguments)

    return wrapped


def settings_of(redis_url: str | None, config: Path | None) -> Settings:
    """The settings that these two options ask for."""
    if config is None and DEFAULT_CONFIG.exists():
        config = DEFAULT_CONFIG
    overrides = {"redis": {"url": redis_url, "embedded": False}} if redis_url else {}
    return load_settings(config, overrides)


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
