"""Arguments that a call does not have, and those of the wrong kind, refused by name before anything is sent."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from headrace.errors import ConfigError, explain

__all__ = ["closest", "explained", "misuse"]

P = ParamSpec("P")
T = TypeVar("T")


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that a mistyped one most resembles; None where none does."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.7)), None)


def explained(call: Callable[P, T]) -> Callable[P, T]:
    """Make a function refuse arguments that it does not take by their names, with a ConfigError."""

    @functools.wraps(call)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return call(*args, **kwargs)
        except TypeError as error:
            if reason := misuse(call, args, kwargs):
                raise ConfigError(reason) from error
            raise

    return checked


def misuse(call: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
    """Why a call cannot be made with these arguments, in the form of every error; None where it can.

    Asked after a TypeError, so that calls that are right pay nothing.
    """
    signature = inspect.signature(call)
    where, parameters = f"{call.__name__}()", dict(signature.parameters)
    if "self" in parameters:
        where, args = f"{type(args[0]).__name__}()", args[1:]
        del parameters["self"]
    takes_any = any(item.kind is inspect.Parameter.VAR_KEYWORD for item in parameters.values())
    parameters = {name: item for name, item in parameters.items() if item.kind is not inspect.Parameter.VAR_KEYWORD}
    for name in kwargs:
        if name not in parameters and not takes_any:
            match = closest(name, parameters)
            remedy = f"did you mean {match!r}?" if match else f"it takes {', '.join(parameters)}"
            return explain(where, "one of its parameters", repr(name), remedy)
    positional = [item for item in parameters.values() if item.kind is not inspect.Parameter.KEYWORD_ONLY]
    if len(args) > len(positional):
        return explain(where, f"at most {len(positional)} positional arguments", str(len(args)), "name the others")
    given = {item.name for item in positional[: len(args)]} | set(kwargs)
    for item in positional[: len(args)]:
        if item.name in kwargs:
            return explain(where, f"{item.name} once", "it twice, by position and by name", "leave one out")
    missing = [name for name, item in parameters.items() if item.default is item.empty and name not in given]
    if missing:
        return explain(where, " and ".join(missing), "nothing", "give it" if len(missing) == 1 else "give them")
    return None
