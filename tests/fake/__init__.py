"""Parts of the fake Milvus server; use :mod:`tests.fake_milvus`."""
