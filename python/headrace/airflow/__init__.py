"""headrace in Apache Airflow: a hook, operators, a sensor. Airflow finds them by :func:`get_provider_info`.

This module imports nothing of Airflow's; the others of this package do, and need ``pip install headrace[airflow]``.
"""

from __future__ import annotations

from typing import Any

__all__ = ["get_provider_info"]

_TEXT = {"type": ["string", "null"]}
_SECRET = {"type": ["string", "null"], "format": "password"}
#: The fields of a connection beside Airflow's own: label and JSON schema.
CONNECTION_FIELDS: dict[str, dict[str, Any]] = {
    "secure": {"label": "TLS", "schema": {"type": ["boolean", "null"], "default": False}},
    "token": {"label": "Token (API key), instead of login and password", "schema": _SECRET},
    "ca_cert": {"label": "Path of the certificate authorities (PEM)", "schema": _TEXT},
    "client_cert": {"label": "Path of the client's certificate (PEM)", "schema": _TEXT},
    "client_key": {"label": "Path of the client's key (PEM)", "schema": _TEXT},
    "timeout": {"label": "Seconds to connect", "schema": {"type": ["number", "null"], "default": 10}},
    "server_name": {"label": "Name in the server's certificate", "schema": _TEXT},
}
RELABELING = {"schema": "Database", "host": "Host or URI"}
PLACEHOLDERS = {"host": "milvus.example.com", "port": "19530", "login": "root", "schema": "default"}


def get_provider_info() -> dict[str, Any]:
    """What Airflow's provider manager has to know; the entry point ``apache_airflow_provider``."""
    name = "Milvus (headrace)"
    return {
        "package-name": "headrace",
        "name": name,
        "description": "Bulk loads into Milvus that account for every row.",
        "integrations": [
            {"integration-name": name, "external-doc-url": "https://milvus.io/", "tags": ["software"]},
        ],
        "hooks": [{"integration-name": name, "python-modules": ["headrace.airflow.hooks"]}],
        "operators": [{"integration-name": name, "python-modules": ["headrace.airflow.operators"]}],
        "sensors": [{"integration-name": name, "python-modules": ["headrace.airflow.sensors"]}],
        "triggers": [{"integration-name": name, "python-modules": ["headrace.airflow.triggers"]}],
        "asset-uris": [{"schemes": ["milvus"], "handler": "headrace.airflow.assets.sanitize_uri"}],
        "connection-types": [
            {
                "connection-type": "milvus",
                "hook-class-name": "headrace.airflow.hooks.MilvusHook",
                "hook-name": "Milvus",
                "conn-fields": CONNECTION_FIELDS,
                "ui-field-behaviour": {
                    "hidden-fields": ["extra"],
                    "relabeling": RELABELING,
                    "placeholders": PLACEHOLDERS,
                },
            }
        ],
    }
