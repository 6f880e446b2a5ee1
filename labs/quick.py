"""Database statements for the way in, where each message runs a dozen of them, and for what every
page asks.

Measured: of the processor time of one small query by the ORM, nine tenths go into composing its SQL
anew, and twice that for a bulk insert. So what is the same each time is composed once. Models,
columns and queries are the ORM's own; only signals are not sent, and there are none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date
from functools import cache
from typing import Any

from django.db import connection, models


class Given(models.Expression):
    """In the filters of a `Compiled` query, in place of a value: the one of that name is given when
    the query is run."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", [self]


class Compiled:
    """A query of the ORM, composed when it is first run and run with other values afterwards.

    Give it a query of `values_list` with `Given` where a value differs from one time to the next:
    `Compiled(Clinic.objects.filter(pk=Given("pk")).values_list("name")).rows(pk=3)`.
    """

    def __init__(self, query: models.QuerySet[Any, Any]) -> None:
        self._query = query
        self._composed: tuple[str, list[Any], Any, Any] | None = None

    def rows(self, **values: Any) -> list[Any]:
        """Tuples."""
        sql, places, compiler, converters = self._composed or self._compose(values)
        adapt = connection.ops.adapt_unknown_value
        params = [adapt(values[p.name]) if type(p) is Given else p for p in places]
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            found: list[Any] = cursor.fetchall()
        return list(compiler.apply_converters(found, converters)) if converters else found

    def _compose(self, values: dict[str, Any]) -> tuple[str, list[Any], Any, Any]:
        # A copy, because composing works on the query itself: two threads that did so at their
        # first request would spoil the statement for as long as the process lives.
        compiler = self._query.query.clone().get_compiler(connection=connection)
        sql, places = compiler.as_sql()
        if (names := {p.name for p in places if type(p) is Given}) != set(values):
            raise ValueError(f"{sorted(names)} are needed for {sql}")
        # (On SQLite a time is text by then, and passes.)
        if any(isinstance(p, date) for p in places):
            raise ValueError(f"The time at which this was composed would stay in it: {sql}")
        columns = [column for column, *_ in compiler.select]
        self._composed = sql, list(places), compiler, compiler.get_converters(columns)
        return self._composed


class Records(Compiled):
    """The same for model instances: of `query`, with its annotations of those names, and of what it
    reaches by each path of `related` (`select_related`), each path after the one that it begins
    with. No columns (`only`, or of a path) are all of the model's columns."""

    def __init__(
        self,
        query: models.QuerySet[Any, Any],
        *annotations: str,
        only: Sequence[str] = (),
        **related: Sequence[str],
    ) -> None:
        self._parts = [_Part(query.model, "", only)]
        for path, columns in related.items():
            model = _reached(query.model, path)
            self._parts.append(_Part(model, path, columns))
        self._annotations = annotations
        names = [name for part in self._parts for name in part.names]
        super().__init__(query.values_list(*names, *annotations))

    def all(self, **values: Any) -> list[Any]:
        made = []
        for row in self.rows(**values):
            instances: dict[str, Any] = {}
            start = 0
            for part in self._parts:
                end = start + len(part.columns)
                instance = part.instance(row[start:end])
                instances[part.path] = instance
                if part.path and instances[part.parent] is not None:
                    part.attach(instances[part.parent], instance)
                start = end
            for name, value in zip(self._annotations, row[start:], strict=True):
                setattr(instances[""], name, value)
            made.append(instances[""])
        return made

    def first(self, **values: Any) -> Any:
        return next(iter(self.all(**values)), None)


class _Part:
    def __init__(self, model: type[models.Model], path: str, columns: Sequence[str]) -> None:
        self.model, self.path = model, path
        self.parent, _, self.name = path.rpartition("__")
        self.columns = ["id", *columns] if columns else [f.attname for f in _columns(model)]
        self.names = [f"{path}__{column}" if path else column for column in self.columns]
        self.key = self.columns.index("id")

    def instance(self, row: Sequence[Any]) -> Any:
        """None where an outer join found nothing."""
        if row[self.key] is None:
            return None
        return self.model.from_db(connection.alias, self.columns, row)

    def attach(self, parent: models.Model, instance: models.Model | None) -> None:
        """As `select_related` does: what is not there is not looked for again."""
        if instance is not None:
            setattr(parent, self.name, instance)
        else:
            relation: Any = parent._meta.get_field(self.name)
            relation.set_cached_value(parent, None)


def _reached(model: type[models.Model], path: str) -> type[models.Model]:
    for name in path.split("__"):
        related = model._meta.get_field(name).related_model
        if related is None or isinstance(related, str):
            raise TypeError(f"{path} leads to no model.")
        model = related
    return model


def all_but(model: type[models.Model], *names: str) -> list[str]:
    """Columns for `Records`, without the large ones that a page does not need (`defer`)."""
    return [f.attname for f in _columns(model)[1:] if f.name not in names]


def insert(*instances: models.Model) -> None:
    """`instance.save()` of new rows of one model, in one statement."""
    model = type(instances[0])
    if any(instance.pk is not None for instance in instances):
        raise ValueError(f"{instances!r} are no new rows.")
    values = [value for instance in instances for value in _values(instance, adding=True)]
    with connection.cursor() as cursor:
        cursor.execute(_insert_sql(model, rows=len(instances)), values)
        for instance, (pk,) in zip(instances, cursor.fetchall(), strict=True):
            instance.pk = pk
            instance._state.adding, instance._state.db = False, connection.alias


def insert_unless_there(instance: models.Model, *, unique: str) -> bool:
    """`insert` of one row, but where another one has its value of `unique`, a column with a unique
    index, nothing is written: false."""
    sql = _insert_sql(type(instance), unless=unique)
    with connection.cursor() as cursor:
        cursor.execute(sql, list(_values(instance, adding=True)))
        row = cursor.fetchone()
    if row is None:
        return False
    instance.pk = row[0]
    instance._state.adding, instance._state.db = False, connection.alias
    return True


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
    lines = [list(row.values()) for row in rows]
    for place in _json_columns(model, columns):
        for line in lines:
            line[place] = json.dumps(line[place]) if line[place] else EMPTY[type(line[place])]
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            cursor.executemany(_insert_sql(model, columns, returning=False), lines)
            return
        with cursor.copy(f"COPY {_table(model)} ({_names(columns)}) FROM STDIN") as copy:
            for line in lines:
                copy.write_row(line)


EMPTY: dict[type[Any], str] = {list: "[]", dict: "{}"}


@cache
def _json_columns(model: type[models.Model], columns: tuple[str, ...]) -> list[int]:
    json_columns = {f.attname for f in _columns(model) if isinstance(f, models.JSONField)}
    return [place for place, column in enumerate(columns) if column in json_columns]


def _values(instance: models.Model, *, adding: bool) -> Iterable[Any]:
    """Of all columns but the primary key."""
    for field in _columns(type(instance))[1:]:
        if type(field) in AS_THEY_ARE:
            yield instance.__dict__[field.attname]
        else:
            yield field.get_db_prep_save(field.pre_save(instance, adding), connection)


# Whose Python values are what the database's drivers take.
AS_THEY_ARE = {models.CharField, models.TextField, models.BooleanField, models.ForeignKey}


@cache
def _columns(model: type[models.Model]) -> list[models.Field[Any, Any]]:
    """The primary key first."""
    return sorted(model._meta.concrete_fields, key=lambda field: not field.primary_key)


def _field(model: type[models.Model], name: str) -> models.Field[Any, Any]:
    field = model._meta.get_field(name)
    if not isinstance(field, models.Field):
        raise TypeError(f"{name} is no column.")
    return field


@cache
def _insert_sql(
    model: type[models.Model],
    columns: tuple[str, ...] = (),
    *,
    rows: int = 1,
    unless: str = "",
    returning: bool = True,
) -> str:
    columns = columns or tuple(str(field.column) for field in _columns(model)[1:])
    marks = ", ".join([f"({', '.join(['%s'] * len(columns))})"] * rows)
    sql = f"INSERT INTO {_table(model)} ({_names(columns)}) VALUES {marks}"  # noqa: S608 - ours
    if unless:
        sql += f" ON CONFLICT ({connection.ops.quote_name(unless)}) DO NOTHING"
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
