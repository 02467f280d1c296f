"""Collections as Airflow assets: ``milvus://CONNECTION/COLLECTION``."""

from __future__ import annotations

from urllib.parse import SplitResult

from headrace.airflow.compat import Asset

__all__ = ["collection_asset", "sanitize_uri"]


def collection_asset(conn_id: str, collection: str) -> Asset:
    """The asset that stands for a collection; the connection's id names the server, so that no address is in it."""
    return Asset(f"milvus://{conn_id}/{collection}")


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Take only ``milvus://CONNECTION/COLLECTION``; Airflow calls this where an asset is declared.

    Raises:
        ValueError: For anything else.
    """
    if not uri.netloc or len([part for part in uri.path.split("/") if part]) != 1:
        raise ValueError(f"asset {uri.geturl()!r}: expected milvus://CONNECTION/COLLECTION")
    return uri
