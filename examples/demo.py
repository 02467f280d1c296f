"""Load 2,000 WordNet synsets into an embedded Milvus, prove it, and search them.

    python examples/demo.py [DB_PATH] [--word WORD]

Needs headrace[lite] and no network. The database stays where it is: a second run finds the collection with its rows
in it, upserts the same rows, and ends with the same 2,000.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path

import pyarrow.parquet as pq

import headrace
from headrace.console import table
from headrace.operations import AnnSearchRequest, RRFRanker
from headrace.summary import mapping_table, report_lines

SAMPLE = Path(__file__).resolve().parent / "wordnet-2k.parquet"
COLLECTION = "wordnet"
SHOWN = ["lemmas", "pos", "gloss"]
HITS = 6


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("db_path", nargs="?", type=Path, default=Path("demo.db"), help="where the database is kept")
    parser.add_argument("--word", default="guitar", help="search around this word; eagle, cheese, storm, novel, ...")
    options = parser.parse_args(arguments)
    key = find_word(options.word)
    if key is None:
        parser.error(f"no synset of the sample has the word {options.word!r}; try guitar, eagle, cheese or storm")
    try:
        load(options.db_path)
        with headrace.MilvusClient(options.db_path) as client:
            client.load_collection(COLLECTION)
            search(client, options.word, key)
    except headrace.HeadraceError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


def load(db_path: Path) -> None:
    """Load the sample, verify a random sample of it byte for byte, and print the account."""
    heading(f"Loading {SAMPLE.name} into {db_path}")
    report = headrace.load(
        SAMPLE,
        collection=COLLECTION,
        uri=db_path,
        create=True,
        searchable="before",
        verify="sample",
        state_dir=db_path.absolute().with_name(db_path.name + "-state"),
    )
    print(mapping_table(report.mapping))
    print()
    for line in report_lines(report):
        print(line)
    if report.verify is not None:
        print(f"\n{report.verify['checked']} random rows were read back and compared byte for byte, and each row was")
        print("found among the first hits of its own dense and sparse vector.")


def search(client: headrace.MilvusClient, word: str, key: int) -> None:
    """One dense, one sparse and one hybrid search with the stored vectors of one synset."""
    row = client.get(COLLECTION, ids=[key], output_fields=["gloss", "embedding", "bm25"])[0]
    print()
    for line in textwrap.wrap(f"The query: the stored vectors of {word!r}, {row['gloss']}", 100):
        print(line)

    heading("Dense search: near in meaning (cosine of the embeddings)")
    found = client.search(COLLECTION, [row["embedding"]], anns_field="embedding", limit=HITS, output_fields=SHOWN)
    print_hits(found[0])

    heading("Sparse search: the same rare words (inner product of the BM25 weights)")
    found = client.search(COLLECTION, [row["bm25"]], anns_field="bm25", limit=HITS, output_fields=SHOWN)
    print_hits(found[0])

    heading("Hybrid search: both lists merged by reciprocal rank")
    parts = [
        AnnSearchRequest([row["embedding"]], "embedding", limit=20),
        AnnSearchRequest([row["bm25"]], "bm25", limit=20),
    ]
    found = client.hybrid_search(COLLECTION, parts, RRFRanker(), limit=HITS, output_fields=SHOWN)
    print_hits(found[0])


def find_word(word: str) -> int | None:
    """The key of the first noun with that word, else of any synset."""
    rows = pq.read_table(SAMPLE, columns=["id", "lemmas", "pos"]).to_pylist()
    found = [row for row in rows if word in row["lemmas"]]
    found.sort(key=lambda row: row["pos"] != "noun")
    return found[0]["id"] if found else None


def heading(text: str) -> None:
    print(f"\n{text}\n{'=' * len(text)}")


def print_hits(hits: list[dict]) -> None:
    rows = []
    for hit in hits:
        entity = hit["entity"]
        rows.append([f"{hit['distance']:.3f}", ", ".join(entity["lemmas"][:3]), entity["pos"], entity["gloss"]])
    print(table(("score", "synset", "pos", "gloss"), rows, width=110, numbers=(0,)))


if __name__ == "__main__":
    sys.exit(main())
