"""An Airflow connection of the type ``milvus``, and the client that it leads to."""

from __future__ import annotations

from typing import Any

from headrace import operations as ops
from headrace.airflow import CONNECTION_FIELDS, PLACEHOLDERS, RELABELING
from headrace.airflow.compat import BaseHook, mask_secret
from headrace.calls import drive_sync
from headrace.client import MilvusClient
from headrace.config import Endpoint
from headrace.errors import HeadraceError
from headrace.transport import SyncTransport

__all__ = ["MilvusHook", "endpoint_of"]

_DEFAULT_PORT = 19530
_CONNECT_SECONDS = 10.0


def endpoint_of(connection: Any) -> Endpoint:
    """The server that an Airflow connection means; ``MILVUS_*`` of the environment have no part in it.

    Host and port, or a whole URI (``https://...``, a path that ends in ``.db``) as the host; login and password, or a
    token (``token`` of the extra, or a password alone); the schema is the database. Secrets are masked in task logs.

    Raises:
        ConfigError: If a value cannot be used.
    """
    extra = connection.extra_dejson
    host = connection.host or "localhost"
    if host.endswith(".db"):
        uri = host
    elif "://" in host:
        uri = host if connection.port is None else f"{host}:{connection.port}"
    else:
        secure = str(extra.get("secure", "")).casefold() in ("true", "1", "yes")
        uri = f"{'https' if secure else 'http'}://{host}:{connection.port or _DEFAULT_PORT}"
    token = extra.get("token") or (None if connection.login else connection.password) or None
    if token:
        mask_secret(token)
    endpoint = Endpoint.resolve(
        uri,
        token=token,
        user=None if token else connection.login,
        password=None if token else connection.password,
        db_name=connection.schema or "",
        environ={},
        ca_cert=extra.get("ca_cert") or None,
        client_cert=extra.get("client_cert") or None,
        client_key=extra.get("client_key") or None,
        server_name=extra.get("server_name") or None,
        timeout=float(extra.get("timeout") or _CONNECT_SECONDS),
    )
    if endpoint.authorization:
        mask_secret(endpoint.authorization)
    return endpoint


class MilvusHook(BaseHook):
    """Talks to the Milvus server of an Airflow connection.

    :param milvus_conn_id: the connection (type ``milvus``): host and port, login and password or a token, the
        database as schema, TLS and certificates in the extra.
    """

    conn_name_attr = "milvus_conn_id"
    default_conn_name = "milvus_default"
    conn_type = "milvus"
    hook_name = "Milvus"

    def __init__(self, milvus_conn_id: str = default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.milvus_conn_id = milvus_conn_id

    @property
    def endpoint(self) -> Endpoint:
        """The server that the connection means."""
        return endpoint_of(self.get_connection(self.milvus_conn_id))

    def get_conn(self) -> MilvusClient:
        """A client of the server, with pymilvus's calls; the caller closes it."""
        endpoint = self.endpoint
        return MilvusClient(
            endpoint.uri,
            token=endpoint.token or "",
            db_name=endpoint.db_name,
            timeout=endpoint.timeout,
            ca_pem_path=endpoint.ca_cert,
            client_pem_path=endpoint.client_cert,
            client_key_path=endpoint.client_key,
            server_name=endpoint.server_name or "",
        )

    def test_connection(self) -> tuple[bool, str]:
        """Whether the server answers, with its version or with the reason why it does not."""
        try:
            with SyncTransport(self.endpoint) as transport:
                version = drive_sync(transport, ops.get_server_version())
        except HeadraceError as error:
            return False, str(error)
        return True, f"Milvus {version} answers"

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """How the form of a connection differs from the usual one (Airflow before 3.2; later ones ask the provider)."""
        return {"hidden_fields": ["extra"], "relabeling": RELABELING, "placeholders": PLACEHOLDERS}

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """The fields of the form that other connections do not have (Airflow before 3.2)."""
        from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
        from wtforms import BooleanField, PasswordField, StringField

        def field(name: str, label: str) -> Any:
            if name == "secure":
                return BooleanField(label)
            if name == "token":
                return PasswordField(label, widget=BS3PasswordFieldWidget())
            return StringField(label, widget=BS3TextFieldWidget())

        return {name: field(name, str(entry["label"])) for name, entry in CONNECTION_FIELDS.items()}
