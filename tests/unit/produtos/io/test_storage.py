"""Files by address, of this machine and of S3."""

import gzip
import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from produtos.errors import BadInput
from produtos.io import csv, parquet, sinks, storage
from produtos.io.rows import strings

SCHEMA = strings(["nome"])


class S3:
    """Objects in memory, and how much of each answer is sent."""

    def __init__(self, **objects: bytes) -> None:
        self.objects = {f"pasta/{name.replace('_', '.', 1)}": objects[name] for name in objects}
        self.asked: list[str] = []
        self.sent = 1.0
        self.error: Exception | None = None

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        assert Bucket == "lotes"
        return {"ContentLength": len(self.objects[Key]), "ETag": f"etag of {Key}"}

    def get_object(self, *, Bucket: str, Key: str, IfMatch: str, Range: str) -> dict[str, Any]:
        assert (Bucket, IfMatch) == ("lotes", f"etag of {Key}")
        self.asked.append(Range)
        if self.error:
            raise self.error
        first, last = map(int, Range.removeprefix("bytes=").split("-"))
        part = self.objects[Key][first : last + 1]
        return {"Body": io.BytesIO(part[: int(len(part) * self.sent)])}

    def head_bucket(self, *, Bucket: str) -> None:
        if Bucket != "lotes":
            raise refusal("404", "Not Found")

    def get_paginator(self, operation: str) -> "S3":
        assert operation == "list_objects_v2"
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> list[dict[str, Any]]:
        assert Bucket == "lotes"
        found = [{"Key": key} for key in self.objects if key.startswith(Prefix)]
        return [{"Contents": found[:1]}, {"Contents": found[1:]}, {}]

    def upload_fileobj(self, file: Any, bucket: str, key: str) -> None:
        if self.error:
            raise self.error
        self.objects[key] = file.read()
        assert bucket == "lotes"


def refusal(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


def use(monkeypatch: pytest.MonkeyPatch, s3: S3) -> S3:
    monkeypatch.setattr(storage, "s3", lambda: s3)
    monkeypatch.setattr(sinks, "s3", lambda: s3)
    return s3


def texts(address: str) -> list[str]:
    table = csv.open_table(storage.locate(address), None, "utf-8")
    return [text for chunk in table.chunks() for text in chunk.texts]


NAMES = [f"boneca {number}" for number in range(5_000)]
TABLE = "\n".join(["nome", *NAMES]).encode()


def parquet_bytes() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"nome": NAMES}), file)
    return file.getvalue()


def test_an_object_is_read_in_ranges_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = use(monkeypatch, S3(a_csv=TABLE, b_csv=gzip.compress(TABLE), c_parquet=parquet_bytes()))
    raw = storage.locate("s3://lotes/pasta/a.csv").open()
    assert (raw.readable(), raw.seekable(), raw.tell()) == (True, True, 0)
    assert raw.seek(-4, io.SEEK_END) == len(TABLE) - 4
    assert raw.read(3) == TABLE[-4:-1]
    assert raw.seek(-1, io.SEEK_CUR) == raw.tell() == len(TABLE) - 2
    assert raw.read(9) == TABLE[-2:]
    assert raw.read(9) == b""
    last = len(TABLE) - 1
    assert s3.asked == [f"bytes={last - 3}-{last - 1}", f"bytes={last - 1}-{last}"]
    assert storage.locate("s3://lotes/pasta/a.csv").size() == len(TABLE)


@pytest.mark.parametrize("name", ["a.csv", "b.csv.gz"])
def test_tables_on_s3_are_read_as_on_this_machine(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = use(monkeypatch, S3())
    s3.objects = {"a.csv": TABLE, "b.csv.gz": gzip.compress(TABLE), "c.parquet": parquet_bytes()}
    assert texts(f"s3://lotes/{name}") == NAMES
    table = parquet.open_table(storage.locate("s3://lotes/c.parquet"), None)
    assert [text for chunk in table.chunks() for text in chunk.texts] == NAMES


def test_an_answer_that_ends_early_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = use(monkeypatch, S3(a_csv=TABLE))
    s3.sent = 0.5
    with pytest.raises(BadInput, match=r"input s3://lotes/pasta/a.csv: cannot be read \(it ended"):
        texts("s3://lotes/pasta/a.csv")


def test_a_file_whose_size_cannot_be_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is asked for between one file and the next, when nobody is reading."""
    path = tmp_path / "a.csv"
    with pytest.raises(BadInput, match=f"input {path}: cannot be read .No such file"):
        storage.locate(str(path)).size()

    def gone(**_: str) -> None:
        raise EndpointConnectionError(endpoint_url="http://s3:9000")

    monkeypatch.setattr(use(monkeypatch, S3(a_csv=TABLE)), "head_object", gone)
    with pytest.raises(BadInput, match=r"input s3://lotes/pasta/a.csv: cannot be read .*s3:9000"):
        storage.locate("s3://lotes/pasta/a.csv").size()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (refusal("PreconditionFailed", "it was replaced"), "PreconditionFailed: it was replaced"),
        (EndpointConnectionError(endpoint_url="http://s3:9000"), "http://s3:9000"),
    ],
)
def test_what_s3_says_is_told(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    s3 = use(monkeypatch, S3(a_csv=TABLE))
    s3.error = error
    with pytest.raises(BadInput, match=rf"input s3://lotes/pasta/a.csv: cannot be read \(.*{said}"):
        texts("s3://lotes/pasta/a.csv")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with (
        pytest.raises(BadInput, match=rf"output s3://lotes/saida.csv: cannot be written .*{said}"),
        sinks.csv_file(storage.locate("s3://lotes/saida.csv"), SCHEMA.names),
    ):
        pass
    assert not list(tmp_path.iterdir())
    assert list(s3.objects) == ["pasta/a.csv"]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (gzip.compress(TABLE)[:-20], "a.csv.gz"),
        (gzip.compress(TABLE)[:-4], "a.csv.gz"),
        (gzip.compress(TABLE)[:500] + b"\0" * 500, "a.csv.gz"),
        (parquet_bytes()[:-10], "a.parquet"),
    ],
)
def test_a_file_that_was_cut_off_is_an_error(content: bytes, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    location = storage.locate(str(path))

    def read() -> None:
        if location.is_parquet:
            parquet.open_table(location, None)
        list(csv.open_table(location, None, "utf-8").chunks())

    with pytest.raises(BadInput, match=r"cannot be read"):
        read()


def test_the_files_of_a_folder_on_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = use(monkeypatch, S3())
    s3.objects = dict.fromkeys(
        ("pasta/b.csv", "pasta/a/z.parquet", "pasta/_r/c.csv", "pasta/notas.md", "pasta2/d.csv"),
        b"",
    )
    found = storage.input_files("s3://lotes/pasta/")
    assert [(each.address, each.path) for each in found] == [
        ("s3://lotes/pasta/a/z.parquet", "pasta/a/z.parquet"),
        ("s3://lotes/pasta/b.csv", "pasta/b.csv"),
    ]
    assert len(storage.input_files("s3://lotes")) == 3
    (one,) = storage.input_files("s3://lotes/pasta/b.csv")
    assert (one.bucket, one.is_local) == ("lotes", False)
    with pytest.raises(BadInput, match="no such file or folder"):
        storage.input_files("s3://lotes/pas")


def test_an_object_is_there_in_whole_when_the_job_is_done(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    s3 = use(monkeypatch, S3())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for error in (KeyboardInterrupt(), None):
        with (
            suppress(KeyboardInterrupt),
            sinks.csv_file(storage.locate("s3://lotes/saida.csv"), SCHEMA.names) as write,
        ):
            write(sinks.csv_text([["halo"]]))
            assert not s3.objects
            if error:
                raise error
        assert not list(tmp_path.iterdir())
    assert s3.objects == {"saida.csv": b"nome\nhalo\n"}


def test_a_bucket_that_is_not_there_is_told_before_the_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use(monkeypatch, S3())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with (
        pytest.raises(BadInput, match=r"output s3://nada/a.csv: cannot be written \(404: Not Fou"),
        sinks.csv_file(storage.locate("s3://nada/a.csv"), SCHEMA.names),
    ):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("variables", "endpoint", "region"),
    [
        ({}, "https://s3.sa-east-1.amazonaws.com", "sa-east-1"),
        ({"AWS_ENDPOINT": "s3:9000"}, "http://s3:9000", "sa-east-1"),
        (
            {"AWS_ENDPOINT_URL": "http://b:1", "MLFLOW_S3_ENDPOINT_URL": "http://a:1"},
            "http://a:1",
            "sa-east-1",
        ),
        ({"AWS_REGION": "", "MLFLOW_S3_ENDPOINT_URL": "http://a:1"}, "http://a:1", "us-east-1"),
    ],
)
def test_the_usual_variables_say_where_s3_is(
    variables: dict[str, str], endpoint: str, region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*storage.ENDPOINT_VARIABLES, "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", "sa-east-1")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    storage.s3.cache_clear()
    client = storage.s3()
    storage.s3.cache_clear()
    assert (client.meta.endpoint_url, client.meta.region_name) == (endpoint, region)
    settings = client.meta.config
    assert (settings.connect_timeout, settings.read_timeout) == (10, 10)
    assert settings.request_checksum_calculation == "when_required"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s3://", "name a bucket"),
        ("s3://chave:segredo@lotes/a.csv", "holds no keys; set AWS_ACCESS_KEY_ID"),
        ("s3://chave:segredo", "holds no keys"),
        ("ftp://ana:segredo@host/a.csv", "ftp://host/a.csv: only paths and s3://"),
        ("https://host/a.csv?sig=segredo", "https://host/a.csv.*: only paths and s3://"),
    ],
)
def test_addresses_that_are_none_and_no_secret_is_repeated(address: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as error:
        storage.locate(address)
    assert "segredo" not in str(error.value)


def test_a_folder_on_s3_and_an_output_in_it() -> None:
    assert storage.would_be_input("s3://lotes/pasta/r.csv", "s3://lotes/pasta/")
    assert not storage.would_be_input("s3://lotes/pasta/_r/r.csv", "s3://lotes/pasta")
    assert not storage.would_be_input("s3://lotes/pasta2/r.csv", "s3://lotes/pasta")
    assert not storage.would_be_input("s3://outro/pasta/r.csv", "s3://lotes/pasta")
    assert not storage.would_be_input("r.csv", "s3://lotes/pasta")


def test_a_folder_that_links_lead_to_again_is_read_once(tmp_path: Path) -> None:
    folder = tmp_path / "dados"
    (folder / "b").mkdir(parents=True)
    (folder / "b" / "x.csv").touch()
    (folder / "a.csv").touch()
    for link, target in (("_a", "b"), ("c", "."), ("d", ".."), ("b/up", ".."), ("z", "b")):
        (folder / link).symlink_to(target)
    found = [file.path for file in storage.input_files(str(folder))]
    assert found == [str(folder / "a.csv"), str(folder / "b" / "x.csv")]
