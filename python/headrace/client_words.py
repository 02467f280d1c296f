"""What both clients share and what needs no server: where they go, and the words in which collections are described."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.addressing import endpoint_of
from headrace.arguments import explained
from headrace.config import Endpoint
from headrace.schema import CollectionSchema, DataType, FieldSchema, Function, IndexParams
from headrace.transport import AsyncTransport, SyncTransport

__all__ = ["ClientWords"]


class ClientWords:
    """A client of one server.

    Args:
        uri: ``http://host:port``, ``https://host:port`` or a path that ends in ``.db`` (embedded); None for
            ``MILVUS_URI``, else ``http://localhost:19530``. It may hold credentials and a database, as pymilvus's may.
        user: The user, with ``password``; instead of a token.
        password: The user's password.
        db_name: The database; empty for ``MILVUS_DB``, else the server's default.
        token: ``user:password`` or an API key; empty for ``MILVUS_TOKEN``, else none: no credentials are sent then.
        timeout: Seconds to establish the connection, and nothing else; None for 10.
        secure: Whether to use TLS; None leaves it to ``https://``.
        ca_pem_path: PEM file with the certificate authorities to trust; None for the system's.
        server_pem_path: PEM file with the server's certificate, to trust it alone.
        client_pem_path: PEM file with the client's certificate chain, for mutual TLS.
        client_key_path: PEM file with the client's private key, for mutual TLS.
        server_name: The name to verify the server's certificate against, where it differs from the host.

    Raises:
        ConfigError: If a value cannot be used.
    """

    @explained
    def __init__(  # noqa: PLR0917 - pymilvus's order
        self,
        uri: str | os.PathLike[str] | None = None,
        user: str = "",
        password: str = "",
        db_name: str = "",
        token: str = "",
        timeout: float | None = None,
        *,
        secure: bool | None = None,
        ca_pem_path: str | os.PathLike[str] | None = None,
        server_pem_path: str | os.PathLike[str] | None = None,
        client_pem_path: str | os.PathLike[str] | None = None,
        client_key_path: str | os.PathLike[str] | None = None,
        server_name: str = "",
    ) -> None:
        files = {
            "ca_pem_path": ca_pem_path,
            "server_pem_path": server_pem_path,
            "client_pem_path": client_pem_path,
            "client_key_path": client_key_path,
        }
        endpoint = endpoint_of(
            uri=uri,
            user=user,
            password=password,
            db_name=db_name,
            token=token,
            timeout=timeout,
            secure=secure,
            files=files,
            server_name=server_name,
        )
        self._way = self._begin(endpoint)

    @abstractmethod
    def _begin(self, endpoint: Endpoint) -> SyncTransport | AsyncTransport:
        """Make the transport."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._way.endpoint.uri!r})"

    def get_server_type(self) -> str:
        """``"zilliz"`` for Zilliz Cloud, by its host name; ``"milvus"`` for everything else."""
        endpoint = self._way.endpoint
        return "zilliz" if not endpoint.is_embedded and "zilliz" in endpoint.address.lower() else "milvus"

    @staticmethod
    @explained
    def create_schema(
        *,
        auto_id: bool | None = None,
        enable_dynamic_field: bool = False,
        description: str = "",
        functions: Sequence[Function] | None = None,
        primary_field: str | None = None,
        partition_key_field: str | None = None,
        clustering_key_field: str | None = None,
        properties: Mapping[str, str] | None = None,
        enable_dynamic_fields: bool = False,
        enable_dynamic_schema: bool = False,
    ) -> CollectionSchema:
        """A schema without fields; add them with :meth:`CollectionSchema.add_field`.

        Args:
            auto_id: Whether the server makes the keys.
            enable_dynamic_field: Whether undeclared columns are kept.
            description: Free text.
            functions: What the server computes from fields.
            primary_field: The name of the primary key, where its field does not say so.
            partition_key_field: The name of the partition key, where its field does not say so.
            clustering_key_field: The name of the clustering key, where its field does not say so.
            properties: Properties of the schema.
            enable_dynamic_fields: What many guides write for ``enable_dynamic_field``; pymilvus ignores it.
            enable_dynamic_schema: The same.
        """
        return CollectionSchema.empty(
            description,
            auto_id=auto_id,
            enable_dynamic_field=enable_dynamic_field or enable_dynamic_fields or enable_dynamic_schema,
            functions=functions,
            primary_field=primary_field,
            partition_key_field=partition_key_field,
            clustering_key_field=clustering_key_field,
            properties=properties,
        )

    @staticmethod
    @explained
    def create_field_schema(name: str, data_type: DataType | int, desc: str = "", **facts: Any) -> FieldSchema:
        """One field; see :class:`FieldSchema`."""
        return FieldSchema(name, data_type, desc, **facts)

    @staticmethod
    @explained
    def prepare_index_params(field_name: str = "", **facts: Any) -> IndexParams:
        """Indexes to be built; empty, or with one where a field is named: see :meth:`IndexParams.add_index`."""
        params = IndexParams()
        return params.add_index(field_name, **facts) if field_name else params
