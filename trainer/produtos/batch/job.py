"""One batch job from end to end: read, classify, write, and say what came of it."""

import contextlib
import gc
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import mlflow.artifacts
import pyarrow as pa
from tqdm import tqdm  # type: ignore[import-untyped]

from produtos.batch.answered import Answered, Form
from produtos.batch.differences import Differences
from produtos.batch.inputs import Inputs, answer_columns, version_columns
from produtos.batch.pool import ModelFolder
from produtos.batch.record import Record, Result, origin_of
from produtos.batch.request import Request
from produtos.errors import BadInput, in_one_line
from produtos.io import database
from produtos.io.sinks import BadRows, Output, Write, csv_file, csv_text, parquet_file
from produtos.io.storage import locate
from produtos.language import tr
from produtos.registry.reference import ModelReference

Engine = Callable[[Sequence[ModelFolder], Form], Iterator[Answered]]
"""Reads the whole input and has these models answer, in its order and in this form."""


def run(
    request: Request,
    inputs: Inputs,
    models: Sequence[ModelReference],
    engine: Engine,
    *,
    record: Record | None,
) -> None:
    """Do the job, and tell on standard error what came of it.

    Nothing is to be seen in the output until all of it is there, and all of it is recorded.

    Args:
        request: what is asked.
        inputs: what `open_inputs` found.
        models: the versions that `request.models` mean.
        engine: what does the work.
        record: the run to record it with, if there is one.

    Raises:
        BadInput: a file, the database or a model is of no use.
    """
    versions = dict(zip(version_columns(request), models, strict=True))
    if notice := inputs.notice():
        _tell(notice)
    if record is not None:
        record.start(request, versions)
    schema = inputs.schema
    for name in answer_columns(request):
        schema = schema.append(pa.field(name, pa.string()))
    differences = Differences(request.labels()) if len(models) == 2 else None
    made_by = origin_of(versions) | {"run_id": record.run_id if record else ""}
    with (
        BadRows(request.bad_rows_address, request.encoding, request.output_encoding) as bad,
        _output(request, schema, made_by) as write,
    ):
        with tempfile.TemporaryDirectory(prefix="batch-") as folder:
            folders = [_download(model, Path(folder, str(n))) for n, model in enumerate(models)]
            started = time.monotonic()
            answered = engine(folders, Form(schema, request.writes_csv))
            rows = _classify(answered, inputs.size, write, bad, differences)
        result = Result(rows, bad.count, time.monotonic() - started, differences)
        if record is not None:
            record.result(result)
        # Also of a job that fails for them.
        bad.commit()
        if record is not None and bad.count:
            record.bad_rows(bad)
        check_answered(request, result, bad)
    if differences is not None:
        _tell(differences.table())
    _tell(_summary(result, models, request, bad))


def _tell(lines: str) -> None:
    print(lines, file=sys.stderr, flush=True)


def check_answered(request: Request, result: Result, bad: BadRows) -> None:
    """See that enough of the rows were classified.

    Raises:
        BadInput: they are too few.
    """
    rows = result.rows + result.bad_rows
    if rows == 0:
        raise BadInput(
            "input {input}: no rows below the header; if they are in its line, the line "
            "ends were lost, as by curl -d instead of --data-binary",
            input=request.input,
        )
    if result.rows == 0 or result.rows < request.min_answered * rows:
        raise BadInput(
            "output {shown_output}: not written, since {rows:,} of {rows2:,} rows could "
            "be classified (--min-answered {min_answered:g}); {summary}",
            shown_output=request.shown_output,
            rows=result.rows,
            rows2=rows,
            min_answered=request.min_answered,
            summary=bad.summary(),
        )


def _classify(
    answered: Iterator[Answered],
    size: int,
    write: Write,
    bad: BadRows,
    differences: Differences | None,
) -> int:
    rows = 0
    # The chunks' many lists make Python look for cycles again and again; without this, among all
    # that was imported, too, which takes as long as reading.
    gc.freeze()
    # Not on a screen: no bar. A log file has no use for one.
    with (
        tqdm(total=size or None, unit="B", unit_scale=True, disable=None, leave=False) as bar,
        # Closed at once when something goes wrong below, so that the workers end.
        contextlib.closing(answered),  # type: ignore[type-var]
    ):
        for some in answered:
            bad.write(some.bad)
            if some.count:
                write(some.rows)
                if differences is not None:
                    differences.add(*some.compared)
            rows += some.count
            bar.set_postfix_str(tr("{rows:,} rows").format(rows=rows), refresh=False)
            bar.update(some.size)
    return rows


def _output(request: Request, schema: pa.Schema, made_by: dict[str, str]) -> Output:
    if request.to_database:
        return database.appended(request.output, schema, made_by)
    if not request.output:
        sys.stdout.write(csv_text([schema.names]))
        return contextlib.nullcontext(sys.stdout.write)
    target = locate(request.output)
    if target.is_parquet:
        return parquet_file(target, schema, made_by)
    return csv_file(target, schema.names, request.output_encoding)


def _download(model: ModelReference, folder: Path) -> ModelFolder:
    folder.mkdir()
    try:
        path = mlflow.artifacts.download_artifacts(artifact_uri=model.uri, dst_path=str(folder))
    except Exception as error:
        raise BadInput(
            "model {uri}: its files cannot be fetched ({error})",
            uri=model.uri,
            error=in_one_line(error),
        ) from None
    return path, tr("model {uri}").format(uri=model.uri)


def _summary(
    result: Result, models: Sequence[ModelReference], request: Request, bad: BadRows
) -> str:
    products = (
        tr("1 product") if result.rows == 1 else tr("{rows:,} products").format(rows=result.rows)
    )
    by = tr(" and ").join(map(str, models))
    line = tr("{products} classified by {by} in {seconds:.1f} s").format(
        products=products, by=by, seconds=result.seconds
    )
    if request.output:
        line += tr(", written to {shown_output}").format(shown_output=request.shown_output)
    return f"{line}; {bad.summary()}" if bad.count else line
