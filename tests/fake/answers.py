"""The fake's normal answer to every method, as Milvus gives it."""

from __future__ import annotations

import json
import re

from headrace._proto import admin_pb2, common_pb2, milvus_pb2, schema_pb2
from headrace.collection_messages import schema_from_proto
from headrace.schema import DYNAMIC_FIELD_NAME
from tests.fake.encoding import encode_batch
from tests.fake.store import FakeCollection, Refused


def _connect(server, request):
    return milvus_pb2.ConnectResponse(server_info=common_pb2.ServerInfo(build_tags=server.version), identifier=7)


def _get_version(server, request):
    return milvus_pb2.GetVersionResponse(version=server.version)


def _check_health(server, request):
    return milvus_pb2.CheckHealthResponse(isHealthy=True)


def _create_collection(server, request):
    if request.collection_name in server.collections:
        raise Refused(65535, "create duplicate collection with different parameters")
    proto = schema_pb2.CollectionSchema.FromString(request.schema)
    server.clock += 1
    server.collections[request.collection_name] = FakeCollection(
        name=request.collection_name,
        schema=schema_from_proto(proto),
        schema_proto=proto,
        collection_id=400 + server.clock,
        created_timestamp=server.clock << 18,
        shards_num=request.shards_num or 1,
        num_partitions=request.num_partitions or 1,
        consistency_level=request.consistency_level,
        properties={pair.key: pair.value for pair in request.properties},
    )
    return common_pb2.Status()


def _find(server, name):
    if name not in server.collections:
        raise Refused(100, f"collection not found[database=default][collection={name}]", legacy=4)
    return server.collections[name]


def _drop_collection(server, request):
    server.collections.pop(request.collection_name, None)
    return common_pb2.Status()


def _has_collection(server, request):
    return milvus_pb2.BoolResponse(value=request.collection_name in server.collections)


def _describe_collection(server, request):
    found = _find(server, request.collection_name)
    proto = schema_pb2.CollectionSchema()
    proto.CopyFrom(found.schema_proto)
    return milvus_pb2.DescribeCollectionResponse(
        schema=proto,
        collectionID=found.collection_id,
        created_timestamp=found.created_timestamp,
        update_timestamp=found.update_timestamp,
        shards_num=found.shards_num,
        num_partitions=found.num_partitions,
        consistency_level=found.consistency_level,
        collection_name=found.name,
        properties=[common_pb2.KeyValuePair(key=key, value=value) for key, value in found.properties.items()],
    )


def _show_collections(server, request):
    return milvus_pb2.ShowCollectionsResponse(
        collection_names=sorted(server.collections),
        collection_ids=[server.collections[name].collection_id for name in sorted(server.collections)],
    )


def _create_index(server, request):
    found = _find(server, request.collection_name)
    params = {pair.key: pair.value for pair in request.extra_params}
    found.indexes[request.index_name or request.field_name] = (request.field_name, params)
    return common_pb2.Status()


def _describe_index(server, request):
    found = _find(server, request.collection_name)
    answer = milvus_pb2.DescribeIndexResponse()
    for name, (field, params) in found.indexes.items():
        if request.field_name in ("", field) and request.index_name in ("", name):
            pairs = [common_pb2.KeyValuePair(key=key, value=value) for key, value in params.items()]
            answer.index_descriptions.add(index_name=name, field_name=field, params=pairs, state=3)
    if not answer.index_descriptions:
        raise Refused(700, f"index not found[collection={found.name}]", legacy=25)
    return answer


def _load_collection(server, request):
    found = _find(server, request.collection_name)
    indexed = {field for field, _ in found.indexes.values()}
    missing = [item.name for item in found.schema.vector_fields if item.name not in indexed]
    if missing:
        raise Refused(700, f"there is no vector index on field: {missing}, please create index firstly", legacy=25)
    found.loaded = True
    return common_pb2.Status()


def _release_collection(server, request):
    _find(server, request.collection_name).loaded = False
    return common_pb2.Status()


def _get_load_state(server, request):
    found = server.collections.get(request.collection_name)
    state = 0 if found is None else 3 if found.loaded else 1
    return milvus_pb2.GetLoadStateResponse(state=state)


def _create_partition(server, request):
    found = _find(server, request.collection_name)
    if not re.fullmatch(r"[A-Za-z_]\w*", request.partition_name, re.ASCII):
        raise Refused(1100, f"Invalid partition name: {request.partition_name}", legacy=5)
    found.partitions.setdefault(request.partition_name, len(found.partitions) + 1)
    return common_pb2.Status()


def _show_partitions(server, request):
    return admin_pb2.ShowPartitionsResponse(partition_names=list(_find(server, request.collection_name).partitions))


def _flush(server, request):
    for name in request.collection_names:
        _find(server, name)
    return milvus_pb2.FlushResponse()


def _ids(keys):
    if keys and isinstance(keys[0], str):
        return schema_pb2.IDs(str_id=schema_pb2.StringArray(data=keys))
    return schema_pb2.IDs(int_id=schema_pb2.LongArray(data=keys))


def _write(server, request, *, upsert, take):
    found = _find(server, request.collection_name)
    keys = found.write(request, upsert=upsert, take=take)
    server.clock += 1
    rows = request.num_rows
    return milvus_pb2.MutationResult(
        IDs=_ids(keys),
        succ_index=range(rows),
        insert_cnt=rows,
        upsert_cnt=rows if upsert else 0,
        delete_cnt=rows if upsert else 0,
        timestamp=server.clock << 18,
    )


def _delete(server, request):
    found = _find(server, request.collection_name)
    keys = [row.as_dict()[found.key_name] for row in found.select(request.expr)]
    found.delete(keys)
    server.clock += 1
    return milvus_pb2.MutationResult(delete_cnt=len(keys), timestamp=server.clock << 18)


def _query(server, request):
    found = _find(server, request.collection_name)
    if not found.loaded:
        raise Refused(101, f"collection not loaded[collection={found.collection_id}]")
    if list(request.output_fields) == ["count(*)"]:
        column = schema_pb2.FieldData(type=5, field_name="count(*)")
        column.scalars.long_data.data.append(found.count_matching(request.expr, request.partition_names))
        return milvus_pb2.QueryResults(fields_data=[column], collection_name=found.name, output_fields=["count(*)"])
    params = {pair.key: pair.value for pair in request.query_params}
    limit = int(params.get("limit", 0))
    if not request.expr.strip() and not limit:
        raise Refused(65535, "empty expression should be used with limit")
    rows = found.select(request.expr, request.partition_names)[int(params.get("offset", 0)) :]
    rows = rows[:limit] if limit else rows
    names = _output_names(found, request.output_fields)
    answer = milvus_pb2.QueryResults(collection_name=found.name, output_fields=names)
    if rows:
        answer.fields_data.extend(encode_batch(found.batch_of(rows, names), found.schema, padded=True))
    return answer


def _search(server, request):
    """The first keys for every query vector, each a step further away than the one before."""
    found = _find(server, request.collection_name)
    if not found.loaded:
        raise Refused(101, f"collection not loaded[collection={found.collection_id}]")
    params = {pair.key: pair.value for pair in request.search_params}
    rows = found.select(request.dsl, request.partition_names)[int(params.get("offset", 0)) :][: int(params["topk"])]
    data = schema_pb2.SearchResultData(
        num_queries=request.nq,
        topks=[len(rows)] * request.nq,
        scores=[float(place) for place in range(len(rows))] * request.nq,
        ids=_ids([row.as_dict()[found.key_name] for row in rows] * request.nq),
        primary_field_name=found.key_name,
        output_fields=request.output_fields,
    )
    if rows and request.output_fields:
        names = [name for name in _output_names(found, request.output_fields) if name in request.output_fields]
        data.fields_data.extend(encode_batch(found.batch_of(rows * request.nq, names), found.schema, padded=True))
    return milvus_pb2.SearchResults(results=data, collection_name=found.name)


def _output_names(found, asked):
    known = [item.name for item in found.schema.fields]
    if found.schema.enable_dynamic_field:
        known.append(DYNAMIC_FIELD_NAME)
    if "*" in asked:
        return known
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise Refused(65535, f"field {unknown[0]} not exist")
    return [name for name in known if name in asked or name == found.key_name]


def _describe_database(server, request):
    if request.db_name == "nowhere":
        raise Refused(800, f"database not found[database={request.db_name}]")
    return admin_pb2.DescribeDatabaseResponse(db_name=request.db_name)


def _update_credential(server, request):
    return common_pb2.Status()


#: Method -> (request class, answer function). Insert and Upsert are apart, because rows may be left out there.
METHODS = {
    "Connect": (milvus_pb2.ConnectRequest, _connect),
    "GetVersion": (milvus_pb2.GetVersionRequest, _get_version),
    "CheckHealth": (milvus_pb2.CheckHealthRequest, _check_health),
    "CreateCollection": (milvus_pb2.CreateCollectionRequest, _create_collection),
    "DropCollection": (milvus_pb2.DropCollectionRequest, _drop_collection),
    "HasCollection": (milvus_pb2.HasCollectionRequest, _has_collection),
    "DescribeCollection": (milvus_pb2.DescribeCollectionRequest, _describe_collection),
    "ShowCollections": (milvus_pb2.ShowCollectionsRequest, _show_collections),
    "CreateIndex": (milvus_pb2.CreateIndexRequest, _create_index),
    "DescribeIndex": (milvus_pb2.DescribeIndexRequest, _describe_index),
    "LoadCollection": (milvus_pb2.LoadCollectionRequest, _load_collection),
    "ReleaseCollection": (milvus_pb2.ReleaseCollectionRequest, _release_collection),
    "GetLoadState": (milvus_pb2.GetLoadStateRequest, _get_load_state),
    "CreatePartition": (admin_pb2.PartitionRequest, _create_partition),
    "ShowPartitions": (admin_pb2.ShowPartitionsRequest, _show_partitions),
    "Flush": (milvus_pb2.FlushRequest, _flush),
    "DescribeDatabase": (admin_pb2.DescribeDatabaseRequest, _describe_database),
    "UpdateCredential": (admin_pb2.UpdateCredentialRequest, _update_credential),
    "Delete": (milvus_pb2.DeleteRequest, _delete),
    "Query": (milvus_pb2.QueryRequest, _query),
    "Search": (milvus_pb2.SearchRequest, _search),
}
WRITES = {"Insert": milvus_pb2.InsertRequest, "Upsert": milvus_pb2.UpsertRequest}


def answer(server, method, raw, *, take=None):
    """The normal answer's bytes.

    Raises:
        Refused: If Milvus would refuse the request.
    """
    if method in WRITES:
        request = WRITES[method].FromString(raw)
        return _write(server, request, upsert=method == "Upsert", take=take).SerializeToString()
    request_class, function = METHODS[method]
    return function(server, request_class.FromString(raw)).SerializeToString()


def keys_expression(name, keys):
    """``name in [...]`` as Milvus reads it."""
    return f"{name} in {json.dumps(list(keys), ensure_ascii=False)}"
