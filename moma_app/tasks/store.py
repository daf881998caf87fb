"""Task data on disk: one Parquet file per task, its description in the schema's metadata.

Columns: ``material_id`` string, ``row`` int32, ``numbers`` list<int16>, ``cell``
list<float64>[9] (lattice vectors as rows, Å), ``frac_coords`` list<float32> (3 per atom),
``target`` float64, and ``forces`` list<float32> (3 per atom, eV/Å) where there are any. The
schema metadata key ``moma_task`` holds JSON. List columns go from Arrow's flat buffers into
numpy as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from moma_app.errors import DamagedFileError, InputError
from moma_app.files import atomic_path, lock_for
from moma_app.structures import StructureSet
from moma_app.tasks.catalogue import catalogue
from moma_app.tasks.data import TaskData
from moma_app.tasks.specs import TaskSpec, spec_from_metadata

if TYPE_CHECKING:
    import pyarrow as pa

METADATA_KEY = b"moma_task"
_HEAVIEST = 118


def _schema(*, with_forces: bool) -> pa.Schema:
    import pyarrow as pa

    def listed(kind: pa.DataType, size: int = -1) -> pa.DataType:
        return pa.list_(pa.field("element", kind), size)

    fields = [
        pa.field("material_id", pa.string()),
        pa.field("row", pa.int32()),
        pa.field("numbers", listed(pa.int16())),
        pa.field("cell", listed(pa.float64(), 9)),
        pa.field("frac_coords", listed(pa.float32())),
        pa.field("target", pa.float64()),
    ]
    if with_forces:
        fields.append(pa.field("forces", listed(pa.float32())))
    return pa.schema(fields)


def read_metadata(path: Path) -> dict[str, Any]:
    """Return what the file says of its task, without reading any row.

    Raises:
        DamagedFileError: the file is no Parquet file, or its description is missing or broken.
    """
    import pyarrow.parquet as pq

    with _reading(path):
        schema = pq.read_schema(path)
    raw = (schema.metadata or {}).get(METADATA_KEY)
    if raw is None:
        raise DamagedFileError(
            f"{path} is a Parquet file but no task: its schema has no {METADATA_KEY.decode()} key."
        )
    try:
        meta = json.loads(raw)
    except ValueError as exc:
        raise DamagedFileError(f"{path}: the task description in the schema is no valid JSON.") from exc
    if not isinstance(meta, dict):
        raise DamagedFileError(f"{path}: the task description in the schema is no JSON object.")
    return meta


def read_spec(path: Path) -> TaskSpec:
    """Return the spec of a stored task: the catalogue's, where the file does not say otherwise."""
    return _spec_of(path, read_metadata(path))


def _spec_of(path: Path, meta: dict[str, Any]) -> TaskSpec:
    base = catalogue().get(str(meta.get("name", path.stem)))
    try:
        return spec_from_metadata({"name": path.stem, **meta}, base)
    except InputError as exc:
        raise DamagedFileError(f"{path}: {exc}") from exc


def read_rows(path: Path) -> NDArray[np.int32]:
    """Return only the row indices of a stored task, int32 [n]."""
    table = _read_table(path, ["row"])
    return np.asarray(_column(path, table, "row").to_numpy(zero_copy_only=False), dtype=np.int32)


def read_targets(path: Path) -> NDArray[np.float64]:
    """Return only the targets of a stored task, float64 [n]."""
    table = _read_table(path, ["target"])
    return np.array(_column(path, table, "target").to_numpy(zero_copy_only=False), dtype=np.float64)


def read_task(path: Path) -> TaskData:
    """Read a task file.

    Raises:
        DamagedFileError: the file cannot be read or breaks the format; names the column.
    """
    meta = read_metadata(path)
    table = _read_table(path, None)
    counts, numbers = _lists(path, table, "numbers")
    n = len(counts)
    if n and counts.min() < 1:
        raise _damaged(path, "numbers", f"row {int(counts.argmin())} has no atoms")
    if len(numbers) and (numbers.min() < 1 or numbers.max() > _HEAVIEST):
        raise _damaged(path, "numbers", "holds a number that is no atomic number")
    _, cells = _lists(path, table, "cell", np.full(n, 9))
    _, coords = _lists(path, table, "frac_coords", 3 * counts)
    forces = None
    if "forces" in table.column_names:
        forces = _lists(path, table, "forces", 3 * counts)[1].astype(np.float64).reshape(-1, 3)
    targets = _column(path, table, "target").to_numpy(zero_copy_only=False)
    if not np.isfinite(targets).all():
        raise _damaged(path, "target", f"row {int(np.argmin(np.isfinite(targets)))} is not finite")
    spec = _spec_of(path, meta)
    if spec.kind == "classification":
        assert spec.n_classes is not None
        inside = (targets >= 0) & (targets < spec.n_classes) & (targets == np.floor(targets))
        if not inside.all():
            raise _damaged(
                path, "target", f"row {int(np.argmin(inside))} is none of the {spec.n_classes} classes"
            )
    return TaskData(
        spec=spec,
        ids=_column(path, table, "material_id").to_pylist(),
        rows=np.asarray(_column(path, table, "row").to_numpy(zero_copy_only=False), dtype=np.int32),
        structures=StructureSet(
            np.asarray(numbers, dtype=np.int16),
            np.asarray(cells, dtype=np.float64).reshape(n, 3, 3),
            coords.astype(np.float64).reshape(-1, 3),
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        ),
        targets=np.array(targets, dtype=np.float64),
        forces=forces,
        metadata=meta,
    )


def write_task(path: Path, data: TaskData) -> None:
    """Write a task file so that readers see the old one or the new one, never a part.

    Fractional coordinates are stored as float32: a position moves by less than 1e-6 of a cell
    vector. ``data.metadata`` is kept, the spec has the last word over it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(with_forces=data.forces is not None)
    structures, n = data.structures, len(data)

    def listed(name: str, values: NDArray[Any], offsets: NDArray[np.int64]) -> pa.Array:
        kind = schema.field(name).type
        flat = pa.array(np.ascontiguousarray(values).ravel(), type=kind.value_type)
        return pa.ListArray.from_arrays(pa.array(offsets, type=pa.int32()), flat, type=kind)

    flat_cells = pa.array(np.ascontiguousarray(structures.cells).ravel(), type=pa.float64())
    columns = [
        pa.array(data.ids, type=pa.string()),
        pa.array(data.rows, type=pa.int32()),
        listed("numbers", structures.numbers, structures.ptr),
        pa.FixedSizeListArray.from_arrays(flat_cells, type=schema.field("cell").type),
        listed("frac_coords", structures.frac_coords.astype(np.float32), 3 * structures.ptr),
        pa.array(data.targets, type=pa.float64()),
    ]
    if data.forces is not None:
        columns.append(listed("forces", data.forces.astype(np.float32), 3 * structures.ptr))
    meta = {**data.metadata, **data.spec.to_metadata(), "rows": n}
    schema = schema.with_metadata({METADATA_KEY: json.dumps(meta, ensure_ascii=False).encode()})
    table = pa.Table.from_arrays(columns, schema=schema)
    with lock_for(path), atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn what pyarrow raises about ``path`` into one sentence."""
    import pyarrow as pa

    try:
        yield
    except FileNotFoundError as exc:
        raise DamagedFileError(f"There is no file {path}.") from exc
    except (pa.ArrowException, OSError, ValueError) as exc:
        reason = str(exc).splitlines()[0].rstrip(". ") if str(exc) else type(exc).__name__
        raise DamagedFileError(
            f"{path} is damaged or no Parquet file ({reason}): fetch or copy it again."
        ) from exc


def _damaged(path: Path, column: str, what: str) -> DamagedFileError:
    return DamagedFileError(f"{path}, column {column}: {what}.")


def _read_table(path: Path, columns: list[str] | None) -> pa.Table:
    import pyarrow.parquet as pq

    with _reading(path):
        table = pq.read_table(path, columns=columns, page_checksum_verification=True, use_threads=False)
    return table.combine_chunks()


def _column(path: Path, table: pa.Table, name: str) -> pa.Array:
    """Return a column without nulls, of the type that the format names."""
    import pyarrow as pa

    if name not in table.column_names:
        raise _damaged(path, name, "is missing")
    expected = _schema(with_forces=True).field(name).type
    column = table.column(name)
    if column.type != expected:
        try:
            column = column.cast(expected)
        except pa.ArrowException as exc:
            raise _damaged(path, name, f"has the type {column.type}, not {expected}") from exc
    array = column.combine_chunks()
    if array.null_count:
        raise _damaged(path, name, "has empty entries")
    return array


def _lists(
    path: Path, table: pa.Table, name: str, lengths: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return the lengths [n] of a list column's rows, and all its values one after another."""
    import pyarrow.compute as pc

    array = _column(path, table, name)
    found = np.asarray(pc.list_value_length(array).to_numpy(zero_copy_only=False), dtype=np.int64)
    if lengths is not None and not np.array_equal(found, lengths):
        row = int(np.argmax(found != lengths))
        raise _damaged(path, name, f"row {row} holds {found[row]} values where {lengths[row]} are expected")
    flat = array.flatten()
    if flat.null_count:
        raise _damaged(path, name, "has empty entries inside a list")
    values = flat.to_numpy(zero_copy_only=False)
    if not np.isfinite(values).all():
        raise _damaged(path, name, "holds a value that is not finite")
    return found, values
