"""Airflow's names, from where Airflow 3 has them, else from where Airflow 2.10 has them."""

from __future__ import annotations

try:
    from airflow.sdk import Asset, BaseHook, BaseOperator, BaseSensorOperator, ObjectStoragePath
except ImportError:  # Airflow 2
    from airflow.datasets import Dataset as Asset
    from airflow.hooks.base import BaseHook
    from airflow.io.path import ObjectStoragePath
    from airflow.models import BaseOperator
    from airflow.sensors.base import BaseSensorOperator

try:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException
except ImportError:  # before Airflow 3.2
    from airflow.exceptions import AirflowException, AirflowFailException

try:
    from airflow.sdk.log import mask_secret
except ImportError:  # Airflow 2
    from airflow.utils.log.secrets_masker import mask_secret

__all__ = [
    "AirflowException",
    "AirflowFailException",
    "Asset",
    "BaseHook",
    "BaseOperator",
    "BaseSensorOperator",
    "ObjectStoragePath",
    "mask_secret",
]
