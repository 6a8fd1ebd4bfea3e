"""The tables that hang on an archive and its documents, as JSON and back: whatever a person asked or entered.

Columns and tables are those of the models, so what a later version adds is backed up without a word here.
An id is written as the row's number in the backup, and turned into the new id when it is read back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, ColumnElement, Table, insert, select
from sqlalchemy.orm import Session

from storage.backup.rows import bad_backup, moment, number, typed
from storage.columns import UtcDateTime
from storage.findings import STATUSES
from storage.matrix_tables import Matrix
from storage.models import Base

WRITTEN_ELSEWHERE = {"archives", "documents", "pages", "passages", "checkpoints", "settings"}
LEFT_OUT = {"jobs", "run_metrics"}  # work in hand, and measurements that findings and matrices hold too
LISTS = {"reports.findings": "findings", f"{Matrix.__tablename__}.documents": "documents"}
NOBODY = 0  # in a list of ids: something that was deleted before
Places = dict[str, dict[int, int]]
NewIds = dict[str, list[int]]


def kept_tables() -> list[Table]:
    """Tables whose rows are backed up here, those that others point to first."""
    aside = WRITTEN_ELSEWHERE | LEFT_OUT
    return [table for table in Base.metadata.sorted_tables if table.name not in aside]


def table_rows(s: Session, table: Table, archive_id: int, places: Places) -> list[dict[str, Any]]:
    """An archive's rows of one table; notes in `places` the number of each by its id."""
    found = s.execute(select(table).where(_owned(table, archive_id)).order_by(table.c.id)).mappings().all()
    places[table.name] = {row["id"]: place for place, row in enumerate(found)}
    return [{c.name: _written(c, row[c.name], places) for c in _columns(table)} for row in found]


def add_rows(s: Session, table: Table, archive_id: int, rows: Sequence[Any], ids: NewIds) -> None:
    """Store the rows of a backup; notes in `ids` the new id of each by its number."""
    new = ids.setdefault(table.name, [])
    fields = {c.name: _kind(c) for c in _columns(table) if not c.nullable and not c.foreign_keys}
    for row in rows:
        typed(row, fields)
        values = {c.name: _read(c, row.get(c.name), ids) for c in _columns(table)}
        if "archive_id" in table.c:
            values["archive_id"] = archive_id
        if table.name == "findings" and (values["status"] == "running" or values["status"] not in STATUSES):
            values["status"] = "cancelled"
        stored = s.execute(insert(table).values(values).returning(table.c.id)).scalar_one()
        new.append(int(stored))


def _columns(table: Table) -> list[Column[Any]]:
    """All but the id and what points at tables that are not backed up."""
    return [c for c in table.c if not c.primary_key and _target(c) not in ("archives", *LEFT_OUT)]


def _target(column: Column[Any]) -> str:
    """The table that a column points at, "" for none."""
    return next((key.column.table.name for key in column.foreign_keys), "")


def _owned(table: Table, archive_id: int) -> ColumnElement[bool]:
    if "archive_id" in table.c:
        return table.c.archive_id == archive_id
    for column in table.c:
        for key in column.foreign_keys:
            if not column.nullable and key.column.table is not table:
                parent = key.column.table
                return column.in_(select(parent.c.id).where(_owned(parent, archive_id)))
    raise ValueError(f"the table {table.name} hangs on no archive")


def _written(column: Column[Any], value: Any, places: Places) -> Any:
    if target := _target(column):
        return None if value is None else places.get(target, {}).get(value)
    if listed := LISTS.get(str(column)):
        return [places.get(listed, {}).get(item) for item in value or ()]
    return value.isoformat() if isinstance(value, datetime) else value


def _read(column: Column[Any], value: Any, ids: NewIds) -> Any:
    if target := _target(column):
        found = _new_id(ids.get(target, ()), value)
        if found is None and not column.nullable:
            raise bad_backup(f"a row of {column.table.name} belongs to nothing")
        return found
    if listed := LISTS.get(str(column)):
        return [_new_id(ids.get(listed, ()), item) or NOBODY for item in value]
    if value is None:
        return None
    if isinstance(column.type, UtcDateTime):
        return moment(value)
    if _kind(column) is float:
        return number(value)
    return typed({column.name: value}, {column.name: _kind(column)})[column.name]


def _new_id(ids: Sequence[int], place: Any) -> int | None:
    known = isinstance(place, int) and not isinstance(place, bool) and 0 <= place < len(ids)
    return ids[place] if known else None


def _kind(column: Column[Any]) -> type:
    """What a value of the column is in JSON; a column of JSON holds what its default is of."""
    if isinstance(column.type, JSON):
        return type(column.default.arg(None))  # type: ignore[union-attr]
    return str if isinstance(column.type, UtcDateTime) else column.type.python_type
