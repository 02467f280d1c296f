"""Generated protobuf messages (``protos/regen.sh``); the only Python modules that know Milvus's field numbers."""
