"""Operators: divide a source into parts, load it or a part of it, and finish what many tasks have loaded."""

from __future__ import annotations

from headrace.airflow.finishing import MilvusFinishOperator
from headrace.airflow.loading import MilvusLoadOperator
from headrace.airflow.planning import MilvusPlanOperator

__all__ = ["MilvusFinishOperator", "MilvusLoadOperator", "MilvusPlanOperator"]
