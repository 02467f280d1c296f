"""The settings file, and the environment: what options have where the command line says nothing.

One order for all of them: the command line, then the environment (``HEADRACE_LOAD_MAX_REJECTS``; ``MILVUS_URI``,
``MILVUS_TOKEN`` and ``MILVUS_DB``), then the settings file, then the default.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

__all__ = ["Commands", "config_option"]

#: Options that the environment sets under a name that other Milvus tools know, too.
_VARIABLES = {"uri": "MILVUS_URI", "token": "MILVUS_TOKEN", "db": "MILVUS_DB"}
Settings = Mapping[str, Any]


class Commands(click.Group):
    """A group that suggests a command for one that it does not have, and where an option of a command belongs."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what stands before the command; a usage error that says so for an option that belongs behind it."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            commands = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
            known = {option for it in commands.values() if it is not None for each in it.params for option in each.opts}
            if like := difflib.get_close_matches(error.option_name, known, n=1):
                name = like[0]
                ctx.fail(f"No such option {error.option_name!r} before the command. Did you mean {name!r} behind it?")
            raise

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments name; a usage error with one of a like name where there is none."""
        name = args[0]
        if self.get_command(ctx, name) is None and (like := difflib.get_close_matches(name, self.list_commands(ctx))):
            ctx.fail(f"No such command {name!r}. Did you mean {_either(like)}?")
        return super().resolve_command(ctx, args)


def _read(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    """Make what a file says the defaults of every command's options."""
    if context.resilient_parsing:
        return
    if path is None:
        path = _default_path()
        if not path.is_file():
            return
    import tomllib

    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{path}: {error}") from error
    group = context.command
    if isinstance(group, click.Group):
        context.default_map = _defaults(path, group, context, settings)


config_option = click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    is_eager=True,
    expose_value=False,
    callback=_read,
    help="Take what the command line and the environment leave open from this TOML file. "
    "[default: $XDG_CONFIG_HOME/headrace/config.toml, if there]",
)


def _default_path() -> Path:
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "headrace" / "config.toml"


def _defaults(path: Path, group: click.Group, context: click.Context, settings: Settings) -> dict[str, dict[str, Any]]:
    """Values by command and parameter, of keys for all commands that have the option and of a table per command."""
    commands = {name: group.get_command(context, name) for name in group.list_commands(context)}
    known = {name: _options(command) for name, command in commands.items() if command is not None}
    everywhere = {key: value for key, value in settings.items() if key not in known}
    _check(path, "", everywhere, {key for options in known.values() for key in options})
    found = {}
    for name, options in known.items():
        own = settings.get(name, {})
        if not isinstance(own, Mapping):
            raise click.UsageError(f"{path}: {name}: expected a table, [{name}], of that command's options")
        _check(path, f"[{name}] ", own, options)
        given = {**everywhere, **own}
        found[name] = {
            parameter: given[key]
            for key, parameter in options.items()
            if key in given and not os.environ.get(_VARIABLES.get(key, ""))
        }
    return found


def _options(command: click.Command) -> dict[str, str]:
    """The name of each parameter by its option's, with underscores: ``max_rejects``."""
    found = {}
    for parameter in command.params:
        names = [option for option in parameter.opts if option.startswith("--")]
        if isinstance(parameter, click.Option) and names and parameter.name and parameter.name != "help":
            found[names[0].removeprefix("--").replace("-", "_")] = parameter.name
    return found


def _check(path: Path, where: str, given: Settings, known: Iterable[str]) -> None:
    names = sorted(known)
    for key in given:
        if key not in names:
            like = difflib.get_close_matches(key, names)
            hint = f"; did you mean {_either(like)}?" if like else ""
            raise click.UsageError(f"{path}: {where}{key}: expected an option's name, with underscores{hint}")


def _either(names: list[str]) -> str:
    return " or ".join(map(repr, names))
