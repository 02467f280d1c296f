"""Which parts of texts a search marks in its hits (Milvus 3.0); built as in pymilvus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

__all__ = ["LexicalHighlighter", "SemanticHighlighter"]


class LexicalHighlighter:
    """Marks the words of a text search, or of queries of its own.

    Args:
        highlight_query: Queries as dicts of ``type``, ``field`` and ``text``; see :meth:`with_query`.
        highlight_search_text: Whether the words that were searched for are marked.
        pre_tags: What stands before a marked word.
        post_tags: What stands after it.
        fragment_offset: Characters that a fragment has before its first marked word.
        fragment_size: Characters of a fragment.
        num_of_fragments: Most fragments of a text.
    """

    #: Its number on the wire (``common.proto``, ``HighlightType``).
    type: ClassVar[int] = 0

    def __init__(
        self,
        *,
        highlight_query: Sequence[dict[str, str]] | None = None,
        highlight_search_text: bool | None = None,
        pre_tags: Sequence[str] | None = None,
        post_tags: Sequence[str] | None = None,
        fragment_offset: int | None = None,
        fragment_size: int | None = None,
        num_of_fragments: int | None = None,
    ) -> None:
        self._queries = None if highlight_query is None else list(highlight_query)
        self._options = {
            "pre_tags": pre_tags,
            "post_tags": post_tags,
            "fragment_offset": fragment_offset,
            "fragment_size": fragment_size,
            "num_of_fragments": num_of_fragments,
            "highlight_search_text": highlight_search_text,
        }

    def with_query(self, field: str, text: str, query_type: str) -> None:
        """Mark in a field what a text matches."""
        self._queries = [*(self._queries or []), {"type": query_type, "field": field, "text": text}]

    @property
    def params(self) -> dict[str, Any]:
        """What was given, by its name on the wire."""
        return _given(self._options | {"highlight_query": self._queries})


class SemanticHighlighter:
    """Marks what a model holds for an answer to queries.

    Args:
        queries: What is asked.
        input_fields: The fields in whose texts is marked.
        pre_tags: What stands before a marked part.
        post_tags: What stands after it.
        threshold: The least confidence of a marked part, from 0 to 1.
        highlight_only: Whether only the marked parts are returned.
        model_deployment_id: The model.
        max_client_batch_size: Most texts in one request to the model.
    """

    #: Its number on the wire (``common.proto``, ``HighlightType``).
    type: ClassVar[int] = 1

    def __init__(
        self,
        queries: Sequence[str],
        input_fields: Sequence[str],
        *,
        pre_tags: Sequence[str] | None = None,
        post_tags: Sequence[str] | None = None,
        threshold: float | None = None,
        highlight_only: bool | None = None,
        model_deployment_id: str | None = None,
        max_client_batch_size: int | None = None,
    ) -> None:
        self._options = {
            "queries": queries,
            "input_fields": input_fields,
            "pre_tags": pre_tags,
            "post_tags": post_tags,
            "threshold": threshold,
            "highlight_only": highlight_only,
            "model_deployment_id": model_deployment_id,
            "max_client_batch_size": max_client_batch_size,
        }

    @property
    def params(self) -> dict[str, Any]:
        """What was given, by its name on the wire."""
        return _given(self._options)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in options.items() if value is not None
    }
