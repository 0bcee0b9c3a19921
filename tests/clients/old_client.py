"""Clients of an older Arrow that a test steers, as `program.py` says: pyarrow 15, flightsql-dbapi, and SQLAlchemy 1 over it as
Superset uses it. It runs in an environment of its own, with `canonical.py` beside it and nothing else of the matrix."""

import json
import sys
import time
import urllib.parse

import flightsql
import flightsql.sqlalchemy  # noqa: F401  registers the dialect
import pandas
import pyarrow
import sqlalchemy
from flightsql import FlightSQLClient

from canonical import canonical

clients, engines = {}, {}


def open_client(name, host, port, *pairs):
    options = dict(pair.split("=", 1) for pair in pairs)
    clients[name] = FlightSQLClient(host=host, port=int(port), insecure=True, **options)
    return pyarrow.__version__


def rows(name, sql):
    """By pyarrow alone."""
    client = clients[name]
    table = client.do_get(client.execute(sql).endpoints[0].ticket).read_all()
    columns = [{"name": field.name, "type": str(field.type)} for field in table.schema]
    return {"columns": columns, "rows": canonical(table)}


def to_pandas(name, sql):
    """What pandas makes of it."""
    client = clients[name]
    frame = client.do_get(client.execute(sql).endpoints[0].ticket).read_all().to_pandas()
    return {"columns": list(frame.columns), "rows": [[str(value) for value in row] for row in frame.values.tolist()]}


def dbapi(name, sql, *parameters):
    with flightsql.connect(clients[name]) as connection:
        cursor = connection.cursor()
        cursor.execute(sql, [json.loads(parameter) for parameter in parameters] or None)
        return {"columns": [column[0] for column in cursor.description], "rows": cursor.fetchall()}


def begin(name, sql):
    """Runs a statement to its end, whatever that is."""
    begun, failed = time.monotonic(), None
    try:
        rows(name, sql)
    except Exception as error:  # the failure is the answer
        failed = told(error)
    return {"error": failed, "elapsed_ms": int((time.monotonic() - begun) * 1000)}


def engine(name, url):
    engines[name] = sqlalchemy.create_engine(url)
    with engines[name].connect() as connection:
        return connection.execute(sqlalchemy.text("SELECT 1")).scalar()


def introspect(name):
    """Everything that a tool asks before it shows a list of data sets."""
    inspector = sqlalchemy.inspect(engines[name])
    return {
        schema: {
            table: [{"name": column["name"], "type": str(column["type"]), "nullable": column["nullable"]}
                    for column in inspector.get_columns(table, schema)]
            for table in inspector.get_table_names(schema)
        }
        for schema in inspector.get_schema_names()
    }


def keys(name, table, schema):
    return sqlalchemy.inspect(engines[name]).get_pk_constraint(table, schema)


def read_sql(name, sql):
    """A chart's query, as pandas reads it."""
    frame = pandas.read_sql_query(sql, engines[name])
    return {"columns": list(frame.columns), "rows": [[str(value) for value in row] for row in frame.values.tolist()]}


def select(name, schema, table, column, value):
    """A chart's query, as SQLAlchemy writes it."""
    of = sqlalchemy.Table(table, sqlalchemy.MetaData(), autoload_with=engines[name], schema=schema)
    query = sqlalchemy.select(of.c[column], sqlalchemy.func.count().label("n")).where(of.c[column] > int(value))
    query = query.group_by(of.c[column]).order_by(of.c[column].desc()).limit(2)
    with engines[name].connect() as connection:
        return [list(row) for row in connection.execute(query)]


def close(name):
    clients.pop(name).close()
    return True


COMMANDS = {
    "open": open_client, "rows": rows, "pandas": to_pandas, "dbapi": dbapi, "begin": begin, "engine": engine,
    "introspect": introspect, "keys": keys, "read_sql": read_sql, "select": select, "close": close,
}


def told(error):
    return {"message": f"{type(error).__name__}: {error}", "code": type(error).__name__}


def main():
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        command, *words = [urllib.parse.unquote_plus(word) for word in line.rstrip("\n").split(" ")]
        try:
            answer = {"ok": COMMANDS[command](*words)}
        except Exception as error:  # the failure is the answer
            answer = {"error": told(error)}
        print(json.dumps(answer, default=str), file=answers, flush=True)


if __name__ == "__main__":
    main()
