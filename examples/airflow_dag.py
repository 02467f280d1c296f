"""An Airflow DAG that loads files in parts, several at once, and finishes the collection when all are loaded.

Needs ``pip install 'headrace[airflow]'`` and a connection ``milvus_default`` of the type Milvus, and the variable
HEADRACE_SAMPLE with the files to load where they are not beside this one. See docs/airflow.md.
"""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import DAG

from headrace.airflow.operators import MilvusFinishOperator, MilvusLoadOperator, MilvusPlanOperator

SOURCE = os.environ.get("HEADRACE_SAMPLE", str(Path(__file__).resolve().with_name("wordnet-2k.parquet")))

with DAG("load_wordnet", schedule=None, catchup=False, tags=["milvus"]):
    plan = MilvusPlanOperator(task_id="plan", source=SOURCE, collection="wordnet", create=True, parts=4)
    load = MilvusLoadOperator.partial(
        task_id="load", collection="wordnet", retries=2, max_active_tis_per_dagrun=4
    ).expand(part=plan.output)
    finish = MilvusFinishOperator(
        task_id="finish", collection="wordnet", source=SOURCE, reports=load.output, verify="sample"
    )
    load >> finish
