"""Some rows with their answers, and where these come from."""

import pyarrow as pa

SCHEMA = pa.schema([("id", pa.int64()), ("texto", pa.string()), ("categoria", pa.string())])


ORIGIN = {"modelo": "classificador-produtos", "versao": "2", "run_id": "abc"}


def batch(*rows: tuple[int, str, str]) -> pa.RecordBatch:
    names = SCHEMA.names
    records = [dict(zip(names, row, strict=True)) for row in rows]
    return pa.RecordBatch.from_pylist(records, schema=SCHEMA)


ONE = batch((1, 'boneca "Lili"; azul', "brinquedo"))


TWO = batch((2, "halo\n3\r", "game"), (3, "ação", "livro"))
