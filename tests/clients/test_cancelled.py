"""Cancelling stops each operator of a query: within a second its processors rest and its memory is back."""

import os
import threading
import time

import pyarrow as pa
import pyarrow.flight
import pytest

import gate

# Of lineitem: 60,000 rows at the scale of the tests.
T = "sales.orders.lineitem"
# Rows without end, as far as a test is concerned.
MANY = f"(SELECT a.l_orderkey * 7 + b.l_partkey AS k, a.l_extendedprice AS p, b.l_comment AS c, b.l_orderkey AS o FROM {T} a CROSS JOIN {T} b)"
# Enough to be held by something that holds all it is given, for a while.
SOME = f"(SELECT a.l_orderkey * 7 + b.n AS k, a.l_extendedprice AS p, a.l_comment AS c, a.l_orderkey AS o FROM {T} a CROSS JOIN (SELECT l_partkey AS n FROM {T} LIMIT 2000) b)"
# What fits into one batch of a window's, and keeps it busy.
FEW = SOME.replace("2000)", "200)")

OPERATORS = {
    "scan and filter": f"SELECT count(*) FROM {MANY} WHERE p || c LIKE '%zzzz%'",
    "projection": f"SELECT max(upper(c) || lower(c) || reverse(c)) FROM {MANY}",
    "regular expression": f"SELECT count(*) FROM {MANY} WHERE regexp_like(p || c, '(a+b*)+z[x-z]{{2}}')",
    "slow function": f"SELECT max(levenshtein(c || p, repeat(reverse(c), 3))) FROM {MANY}",
    "cross join": f"SELECT sum(p) FROM {MANY}",
    "nested loop join": f"SELECT count(*) FROM {T} a JOIN {T} b ON a.l_orderkey + b.l_partkey < 5 JOIN {T} c ON a.l_orderkey < c.l_partkey",
    "nested loop left join": f"SELECT count(*) FROM {T} a LEFT JOIN {T} b ON a.l_comment > b.l_comment || 'x'",
    "nested loop anti join": f"SELECT count(*) FROM {T} a WHERE NOT EXISTS (SELECT 1 FROM {T} b WHERE a.l_comment || b.l_comment = 'x')",
    "hash join, few keys": f"SELECT sum(a.l_extendedprice * b.l_discount) FROM {T} a JOIN {T} b ON a.l_returnflag = b.l_returnflag",
    "hash join, full": f"SELECT count(*) FROM {T} a FULL JOIN {T} b ON a.l_linestatus = b.l_linestatus AND a.l_comment > b.l_comment",
    "hash semi join": f"SELECT count(*) FROM {MANY} m WHERE k IN (SELECT l_orderkey FROM {T})",
    "building a hash join": f"SELECT max(a.p) FROM {SOME} a JOIN {SOME} b ON a.k = b.k AND a.c = b.c",
    "sort": f"SELECT * FROM {SOME} ORDER BY c, k",
    "sort of numbers": f"SELECT k FROM {SOME} ORDER BY k",
    "top k": f"SELECT * FROM {MANY} ORDER BY c, k LIMIT 10",
    "aggregation, few groups": f"SELECT o % 7, sum(p), min(c) FROM {MANY} GROUP BY 1",
    "aggregation, many groups": f"SELECT k, sum(p), max(c) FROM {SOME} GROUP BY k, c",
    "distinct": f"SELECT DISTINCT c, k FROM {SOME}",
    "distinct count": f"SELECT count(DISTINCT c), count(DISTINCT k) FROM {MANY}",
    "grouping sets": f"SELECT o, c, sum(p) FROM {SOME} GROUP BY CUBE (o, c, k)",
    "median": f"SELECT median(p) FILTER (WHERE k % 64 = 0), approx_percentile_cont(p, 0.9) FROM {MANY}",
    "array_agg": f"SELECT o, array_agg(c ORDER BY k) FROM {SOME} GROUP BY o",
    "string_agg": f"SELECT string_agg(c, ',') FILTER (WHERE k % 64 = 0) FROM {MANY}",
    "window": f"SELECT max(r) FROM (SELECT row_number() OVER (PARTITION BY o ORDER BY k) AS r FROM {FEW})",
    "window of a moving frame": f"SELECT max(r) FROM (SELECT sum(p) OVER (ORDER BY k ROWS BETWEEN 1000 PRECEDING AND 1000 FOLLOWING) AS r FROM {FEW})",
    "window of whole partitions": f"SELECT max(r) FROM (SELECT max(p) OVER (PARTITION BY k) AS r FROM {FEW})",
    "window that sorts each frame": f"SELECT max(r) FROM (SELECT median(p) OVER (ORDER BY k ROWS BETWEEN 30000 PRECEDING AND 30000 FOLLOWING) AS r FROM {FEW})",
    "window of frames to the end": f"SELECT max(r) FROM (SELECT sum(p) OVER (ORDER BY k RANGE BETWEEN 5 PRECEDING AND UNBOUNDED FOLLOWING) AS r FROM {FEW})",
    "window of ranks": f"SELECT max(r) FROM (SELECT nth_value(p, 2) OVER (ORDER BY k RANGE BETWEEN 5 PRECEDING AND UNBOUNDED FOLLOWING) AS r FROM {FEW})",
    "union": f"SELECT count(*) FROM (SELECT k FROM {MANY} UNION ALL SELECT o FROM {MANY}) WHERE k < 0",
    "intersection": f"SELECT k FROM {MANY} INTERSECT SELECT k FROM {SOME}",
    "difference": f"SELECT k, c FROM {SOME} EXCEPT SELECT k, c FROM {SOME}",
    "unnest": f"SELECT count(*) FROM (SELECT unnest(string_to_array(c, ' ')) AS w FROM {MANY}) WHERE w = 'zzzz'",
    "offset": f"SELECT k FROM {MANY} OFFSET 3000000000",
    "recursion": f"WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 2000000000) SELECT max(n) FROM r",
    "recursion that joins": f"WITH RECURSIVE r AS (SELECT 0 AS n, 0 AS k UNION ALL SELECT n + 1, min(a.l_orderkey) FROM r, {T} a WHERE n < 100000000 AND a.l_orderkey + r.k > 0 GROUP BY 1) SELECT max(n) FROM r",
    "correlated subquery": f"SELECT count(*) FROM {T} a WHERE l_extendedprice > (SELECT avg(b.l_extendedprice) FROM {MANY} m JOIN {T} b ON b.l_orderkey = m.o WHERE b.l_partkey = a.l_partkey)",
    "rows to a reader": f"SELECT * FROM {MANY}",
}

WITHIN_S = float(os.environ.get("MESHGATE_CLIENTS_CANCELLED_S", "1"))
WORKING_S = 1.0
# A process whose processors do nothing for so long rests.
RESTING_S = 0.1


def cpu_s(pid: int) -> float:
    """Processor time of a process so far."""
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rests(pid: int) -> bool:
    before = cpu_s(pid)
    time.sleep(RESTING_S)
    return cpu_s(pid) - before <= 0.02


# A machine that does something else meanwhile may be late once; an operator that does not look is late every time.
TRIES = 3


@pytest.fixture(scope="module")
def busy_gate(tpch_mesh, tmp_path_factory):
    """With little memory: to fill gigabytes of it for the first time takes longer than a second on some machines."""
    state = tmp_path_factory.mktemp("state") / "state"
    process = gate.Gate(tpch_mesh, state, MESHGATE_ENGINE__MEMORY_MIB=2048).start()
    yield process
    process.kill()


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_stops(busy_gate, name):
    late, working_s = [], WORKING_S
    for _ in range(TRIES):
        seconds, early = cancelled(busy_gate, OPERATORS[name], working_s)
        if early:
            # A fast machine has filled the memory already: less time, then.
            working_s /= 4
        elif seconds < WITHIN_S:
            return
        else:
            late.append(seconds)
    assert late, f"this tests nothing: the query ended before it was cancelled: {early}"
    pytest.fail(f"after {late} s its processors rested")


def cancelled(process: gate.Gate, sql: str, working_s: float) -> tuple[float, list]:
    """Cancels a query that works, and says after how many seconds the process rests, and how the query had ended before."""
    pid = process.process.pid
    gate.wait_until(lambda: rests(pid), "nothing runs before", 30)
    with process.flight(process.token("canceller")) as client:
        reader = client.stream(client.info(sql))
        ended = []

        def read():
            try:
                for _ in reader:
                    pass
                ended.append("to its end")
            except (pa.ArrowException, pyarrow.flight.FlightError) as error:
                ended.append(str(error))

        reading = threading.Thread(target=read, daemon=True)
        before = cpu_s(pid)
        reading.start()
        time.sleep(working_s)
        worked, early = cpu_s(pid) - before, list(ended)
        reader.cancel()
        begun = time.monotonic()
        assert worked > working_s / 10, "this tests nothing: the query does not work"
        gate.wait_until(lambda: rests(pid), "it still works", 60, 0)
        seconds = time.monotonic() - begun - RESTING_S
        reading.join(10)
        assert ended
        return seconds, early
