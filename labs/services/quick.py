"""Database statements for the way in, where each message runs a dozen of them.

Measured: of the processor time of one small query by the ORM, nine tenths go into composing its SQL
anew, and twice that for a bulk insert. So what is the same each time is composed once. Models,
columns and queries are the ORM's own; only signals are not sent, and there are none.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from django.db import connection, models
from django.db.models.query import get_related_populators


class Compiled:
    """A query of the ORM, composed when it is first run and run with other values afterwards.

    Give it the query with any values in its filters, `exact` ones and in the order in which
    the values will be given: `Compiled(Clinic.objects.filter(pk=0))`.
    """

    def __init__(self, query: models.QuerySet[Any, Any]) -> None:
        self._query = query
        self._composed: _Composed | None = None

    def rows(self, *values: Any) -> list[Any]:
        """Rows as tuples: of a query with `values_list`."""
        composed = self._compose(values)
        with connection.cursor() as cursor:
            cursor.execute(composed.sql, values)
            found: list[Any] = cursor.fetchall()
        if composed.converters:
            return list(composed.compiler.apply_converters(found, composed.converters))
        return found

    def all(self, *values: Any) -> list[Any]:
        """Rows as model instances, with those that `select_related` names."""
        composed = self._compose(values)
        made = []
        for row in self.rows(*values):
            instance = composed.model.from_db(
                connection.alias, composed.names, row[: len(composed.names)]
            )
            for populator in composed.populators:
                populator.populate(row, instance)
            made.append(instance)
        return made

    def first(self, *values: Any) -> Any:
        return next(iter(self.all(*values)), None)

    def get(self, *values: Any) -> Any:
        """The one row. Raises the model's DoesNotExist."""
        row = self.first(*values)
        if row is None:
            raise self._query.model.DoesNotExist
        return row

    def _compose(self, values: tuple[Any, ...]) -> _Composed:
        if self._composed is None:
            # A copy, because composing works on the query itself: two threads that did so at their
            # first request would spoil the statement for as long as the process lives.
            compiler = self._query.query.clone().get_compiler(connection=connection)
            sql, samples = compiler.as_sql()
            if len(samples) != len(values):
                raise ValueError(f"{len(samples)} values are needed for {sql}")
            self._composed = _Composed(compiler, sql)
        return self._composed


class _Composed:
    """What the ORM's compiler made of a query: its SQL, and how rows become instances."""

    def __init__(self, compiler: Any, sql: str) -> None:
        self.compiler, self.sql = compiler, sql
        columns = [column for column, *_ in compiler.select]
        self.converters = compiler.get_converters(columns)
        if compiler.klass_info is None:  # of `values_list`
            return
        self.model = compiler.klass_info["model"]
        # The model's own columns are the first ones.
        own = len(compiler.klass_info["select_fields"])
        self.names = [column.target.attname for column in columns[:own]]
        # The stubs are those of Django 6, which wants one argument more.
        self.populators = get_related_populators(  # type: ignore[call-arg]
            compiler.klass_info, compiler.select, connection.alias
        )


def insert(instance: models.Model) -> None:
    """`instance.save()` of a new row."""
    if instance.pk is not None:
        raise ValueError(f"{instance!r} is no new row.")
    fields = _fields(type(instance))
    with connection.cursor() as cursor:
        cursor.execute(
            _insert_sql(type(instance)),
            [
                field.get_db_prep_save(field.pre_save(instance, True), connection)
                for field in fields
            ],
        )
        instance.pk = cursor.fetchone()[0]
    instance._state.adding, instance._state.db = False, connection.alias


def update(instance: models.Model, *names: str, if_still: str = "") -> bool:
    """`instance.save(update_fields=names)`; with `if_still` only where the row's state is that.
    Returns whether a row was written: then it is locked for the rest of the transaction."""
    fields = [_field(type(instance), name) for name in names]
    values = [
        field.get_db_prep_save(field.pre_save(instance, False), connection) for field in fields
    ]
    sql, values = _update_sql(type(instance), names), [*values, instance.pk]
    if if_still:
        sql, values = f"{sql} AND state = %s", [*values, if_still]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return bool(cursor.rowcount)


def insert_many(model: type[models.Model], rows: Sequence[dict[str, Any]]) -> None:
    """New rows, each the same column names and their values; lists and dicts go into JSON columns.
    PostgreSQL takes them by COPY, at a sixth of what an INSERT of so many values costs it and us.
    """
    if not rows:
        return
    columns = tuple(rows[0])
    lines = [[_text(value) for value in row.values()] for row in rows]
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            cursor.executemany(_insert_sql(model, columns, returning=False), lines)
            return
        with cursor.copy(f"COPY {_table(model)} ({_names(columns)}) FROM STDIN") as copy:
            for line in lines:
                copy.write_row(line)


def _text(value: Any) -> Any:
    if isinstance(value, (list, dict)):
        return json.dumps(value) if value else "[]" if isinstance(value, list) else "{}"
    return value


@cache
def _fields(model: type[models.Model]) -> list[models.Field[Any, Any]]:
    return [field for field in model._meta.concrete_fields if not field.primary_key]


def _field(model: type[models.Model], name: str) -> models.Field[Any, Any]:
    field = model._meta.get_field(name)
    if not isinstance(field, models.Field):
        raise TypeError(f"{name} is no column.")
    return field


@cache
def _insert_sql(
    model: type[models.Model], columns: tuple[str, ...] = (), *, returning: bool = True
) -> str:
    columns = columns or tuple(str(field.column) for field in _fields(model))
    marks = ", ".join(["%s"] * len(columns))
    sql = f"INSERT INTO {_table(model)} ({_names(columns)}) VALUES ({marks})"  # noqa: S608 - ours
    return f"{sql} RETURNING id" if returning else sql


@cache
def _update_sql(model: type[models.Model], names: tuple[str, ...]) -> str:
    columns = [connection.ops.quote_name(str(_field(model, name).column)) for name in names]
    assignments = ", ".join(f"{column} = %s" for column in columns)
    return f"UPDATE {_table(model)} SET {assignments} WHERE id = %s"  # noqa: S608 - ours


def _table(model: type[models.Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)


def _names(columns: Sequence[str]) -> str:
    return ", ".join(map(connection.ops.quote_name, columns))
