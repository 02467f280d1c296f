"""Patterns of paths: ``*``, ``?``, ``[...]`` inside a component, ``**`` across them, ``{part}`` for a named ``*``."""

from __future__ import annotations

import re
from fnmatch import translate

__all__ = ["MAGIC", "PLACE", "as_glob", "matcher", "split_pattern"]

MAGIC = re.compile(r"[*?\[]")
#: A named wildcard.
PLACE = re.compile(r"\{([A-Za-z_]\w*)\}")
#: The same once fnmatch has escaped it.
_ESCAPED_PLACE = re.compile(r"\\\{([A-Za-z_]\w*)\\\}")


def as_glob(path: str) -> str:
    """The pattern with ``*`` for each of its places."""
    return PLACE.sub("*", path)


def split_pattern(path: str) -> tuple[str, str]:
    """The part of a path before the first component with a wildcard, and the rest (empty where there is none)."""
    match = MAGIC.search(path)
    # In a URI, what follows "?" are options.
    if match is None or (match.group() == "?" and "://" in path):
        return path, ""
    cut = path.rfind("/", 0, match.start())
    return path[: max(0, cut)], path[cut + 1 :]


def matcher(pattern: str) -> re.Pattern[str]:
    """A matcher of relative paths; ``**`` stands for any directories, each place is a group of its name."""
    components = pattern.split("/")
    expression = ""
    for number, component in enumerate(components):
        last = number == len(components) - 1
        if component == "**":
            expression += ".*" if last else "(?:.*/)?"
            continue
        # translate() wraps the expression as (?s:...)\Z and lets "*" cross "/".
        inside = re.sub(r"\(\?s:(.*)\)\\[Zz]", r"\1", translate(component)).replace(".*", "[^/]*")
        expression += inside if last else f"{inside}/"
    return re.compile(f"(?s:{_with_groups(expression)})$")


def _with_groups(expression: str) -> str:
    seen: set[str] = set()

    def group(place: re.Match[str]) -> str:
        name = place[1]
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        return f"(?P<{name}>[^/]+)"

    return _ESCAPED_PLACE.sub(group, expression)
