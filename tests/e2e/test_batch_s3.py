"""Batch jobs from S3 to S3, against a small real one."""

import gzip
import io
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from produtos.data import dataset
from produtos.data.source import SHIPPED
from produtos.errors import BadInput
from produtos.io import csv, parquet, sinks, storage
from produtos.io.products import open_products
from produtos.io.rows import strings
from tests.e2e.small_s3 import running_s3

NAMES = [f"boneca {number}" for number in range(700_000)]
SCHEMA = strings(["nome"])


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client for an S3 with the bucket `lotes`."""
    with (
        running_s3(tmp_path_factory.mktemp("s3")) as variables,
        pytest.MonkeyPatch.context() as own,
    ):
        for name in storage.ENDPOINT_VARIABLES:
            own.delenv(name, raising=False)
        for name, value in variables.items():
            own.setenv(name, value)
        # A company's proxy has no business on this machine.
        own.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        own.setenv("NO_PROXY", "127.0.0.1")
        storage.s3.cache_clear()
        client = storage.s3()
        client.create_bucket(Bucket="lotes")
        yield client
        storage.s3.cache_clear()


def texts(address: str) -> list[str]:
    return [
        text
        for location in storage.input_files(address)
        for chunk in (
            parquet.open_table(location, None)
            if location.is_parquet
            else csv.open_table(location, None, "utf-8")
        ).chunks()
        for text in chunk.texts
    ]


def test_what_is_written_in_several_parts_is_read_back(s3: Any) -> None:
    with sinks.csv_file(storage.locate("s3://lotes/pasta/a.csv"), SCHEMA.names) as write:
        for start in range(0, len(NAMES), 5_000):
            write(sinks.csv_text([name] for name in NAMES[start : start + 5_000]))
        with pytest.raises(BadInput, match="no such file or folder"):
            storage.input_files("s3://lotes/pasta/a.csv")
    head = s3.head_object(Bucket="lotes", Key="pasta/a.csv")
    # Larger than what is sent in one part: eight megabytes.
    assert head["ContentLength"] == sum(len(name) + 1 for name in NAMES) + 5 > 8 << 20
    assert texts("s3://lotes/pasta/a.csv") == NAMES


def test_a_folder_of_all_kinds(s3: Any) -> None:
    table = io.BytesIO()
    pq.write_table(pa.table({"nome": NAMES[:3]}), table)
    content = "\n".join(["nome", *NAMES[:4]]).encode()
    objects = {"b.csv.gz": gzip.compress(content), "c.parquet": table.getvalue(), "_x.csv": content}
    for name, body in objects.items():
        s3.put_object(Bucket="lotes", Key=f"tudo/{name}", Body=body)
    assert texts("s3://lotes/tudo") == [*NAMES[:4], *NAMES[:3]]


def test_products_to_train_on_are_read_from_a_prefix(s3: Any) -> None:
    content = SHIPPED.read_bytes()
    cut = content.index(b"\n", len(content) // 2) + 1
    header = content[: content.index(b"\n") + 1]
    for name, body in (("a.csv", content[:cut]), ("b.csv", header + content[cut:])):
        s3.put_object(Bucket="lotes", Key=f"produtos/{name}", Body=body)
    products = open_products("s3://lotes/produtos")
    found = [product for block in products.blocks() for product in block]
    assert found == list(dataset.load().products)


def test_what_cannot_be_done_is_one_line(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    s3.put_object(Bucket="lotes", Key="cortado.csv.gz", Body=gzip.compress(b"nome\nhalo\n")[:-9])
    with pytest.raises(BadInput, match="cannot be read"):
        texts("s3://lotes/cortado.csv.gz")
    with pytest.raises(BadInput, match=r"input s3://nada/a[.]csv: cannot be read"):
        storage.input_files("s3://nada/a.csv")
    with (
        pytest.raises(BadInput, match=r"output s3://nada/a[.]csv: cannot be written"),
        sinks.csv_file(storage.locate("s3://nada/a.csv"), SCHEMA.names),
    ):
        pass
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    storage.s3.cache_clear()
    try:
        with pytest.raises(BadInput, match="cannot be read") as error:
            storage.input_files("s3://lotes/pasta/a.csv")
        assert "wrong" not in str(error.value)
    finally:
        storage.s3.cache_clear()
