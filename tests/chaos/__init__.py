"""Loads on a real Milvus 2.3.5 under faults, by seeds: ``python -m tests.chaos --help``."""
