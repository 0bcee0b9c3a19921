"""Queries of all shapes over the restricted tables, in the SQL that the gateway and DuckDB have in common.

Every query says how NULLs are ordered, and orders completely where it limits, so that one answer is right.
"""

C = "crm.people.customer"
N = "crm.people.nation"
O = "sales.deals.orders"
PHONE = "nn-nnn-nnn-"


def all_queries() -> dict[str, tuple[str, tuple]]:
    """Name -> (SQL, parameters)."""
    kinds = {
        "scan": scans(), "aggregate": aggregates(), "join": joins(), "subquery": subqueries(), "cte": ctes(),
        "window": windows(), "set": sets(), "order": orders(), "expression": expressions(), "prepared": prepared(),
    }
    named = {}
    for kind, queries in kinds.items():
        for number, query in enumerate(queries):
            named[f"{kind}-{number:02}"] = query if isinstance(query, tuple) else (query, ())
    return named


def scans():
    predicates = [
        "c_mktsegment = 'AUTOMOBILE'", "c_mktsegment = 'BUILDING'", "c_mktsegment IS NULL", "c_nationkey = 20",
        "c_nationkey BETWEEN 3 AND 9", "c_phone IS NULL", f"c_phone LIKE '{PHONE}%'", "c_phone LIKE '%1'",
        "c_phone LIKE '25-%'", "c_name IS NOT NULL", "c_name LIKE 'Customer%'", "c_name < '8'", "c_acctbal > 5000.00",
        "c_acctbal < 0 AND c_mktsegment IN ('MACHINERY', 'FURNITURE')", "NOT (c_nationkey > 5)",
        "c_acctbal > 0 OR c_phone IS NULL", "c_custkey IN (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144)",
    ]
    yield f"SELECT * FROM {C}"
    yield f"SELECT * FROM {O}"
    yield f"SELECT * FROM {N}"
    yield f"SELECT DISTINCT c_mktsegment, c_nationkey FROM {C}"
    yield f"SELECT DISTINCT o_orderdate, o_clerk FROM {O}"
    for predicate in predicates:
        yield f"SELECT c_custkey, c_name, c_phone, c_acctbal FROM {C} WHERE {predicate}"
    for predicate in ["o_orderdate = DATE '1995-03-01'", "o_orderdate = DATE '1995-03-07'", "o_orderpriority = '1-URGENT'",
                      "o_orderstatus = 'P'", "o_totalprice > 200000", "o_totalprice IS NULL", "o_clerk LIKE 'Clerk%'",
                      "o_orderdate >= DATE '1997-01-01' AND o_orderdate < DATE '1997-04-01'"]:
        yield f"SELECT o_orderkey, o_orderdate, o_clerk, o_totalprice FROM {O} WHERE {predicate}"


def aggregates():
    for column in ["c_custkey", "c_name", "c_phone", "c_mktsegment", "c_nationkey", "c_acctbal"]:
        yield f"SELECT count(*), count({column}), count(DISTINCT {column}), min({column}), max({column}) FROM {C}"
    for column in ["o_orderkey", "o_totalprice", "o_orderdate", "o_orderpriority", "o_clerk", "o_orderstatus"]:
        yield f"SELECT count(*), count({column}), count(DISTINCT {column}), min({column}), max({column}) FROM {O}"
    yield f"SELECT sum(c_acctbal), avg(c_acctbal), avg(c_custkey), sum(c_nationkey) FROM {C}"
    for keys in ["c_mktsegment", "c_nationkey", "c_nationkey, c_mktsegment", "substr(c_phone, 12)"]:
        yield f"SELECT {keys}, count(*), sum(c_acctbal), min(c_phone), max(c_name) FROM {C} GROUP BY {keys}"
    for keys in ["o_orderdate", "o_orderstatus", "o_orderpriority", "o_clerk", "o_orderstatus, o_orderpriority"]:
        yield f"SELECT {keys}, count(*), sum(o_totalprice), count(DISTINCT o_custkey) FROM {O} GROUP BY {keys}"
    yield f"SELECT o_custkey, count(*) AS n FROM {O} GROUP BY o_custkey HAVING count(*) > 8"
    yield f"SELECT o_custkey, max(o_totalprice) FROM {O} GROUP BY o_custkey HAVING max(o_totalprice) > 300000"
    yield f"SELECT c_mktsegment, c_nationkey, count(*) FROM {C} GROUP BY ROLLUP (c_mktsegment, c_nationkey)"
    yield f"SELECT o_orderstatus, o_orderpriority, sum(o_totalprice) FROM {O} GROUP BY CUBE (o_orderstatus, o_orderpriority)"
    yield f"SELECT count(*) FILTER (WHERE c_acctbal > 0), count(*) FILTER (WHERE c_phone IS NULL) FROM {C}"
    yield f"SELECT c_nationkey, sum(CASE WHEN c_acctbal < 0 THEN 1 ELSE 0 END) FROM {C} GROUP BY c_nationkey"
    yield f"SELECT count(*) FROM {C} WHERE c_mktsegment = 'BUILDING'"
    yield f"SELECT min(o_orderkey), max(o_orderkey) FROM {O} WHERE o_orderpriority IS NULL"


def joins():
    for kind in ["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]:
        yield f"SELECT c_custkey, c_phone, o_orderkey, o_orderdate FROM {C} {kind} {O} ON c_custkey = o_custkey"
        yield (f"SELECT c_custkey, o_orderkey FROM {C} {kind} {O} ON c_custkey = o_custkey AND o_totalprice > 250000 "
               f"AND c_acctbal > 1000")
        yield f"SELECT n_name, count(c_custkey), count(*) FROM {N} n {kind} {C} c ON n.n_nationkey = c.c_nationkey GROUP BY n_name"
    for kind in ["LEFT SEMI JOIN", "LEFT ANTI JOIN"]:
        duck = kind.removeprefix("LEFT ")
        yield f"SELECT c_custkey FROM {C} /*gate*/{kind}/*duck {duck}*/ {O} ON c_custkey = o_custkey"
    yield f"SELECT a.c_custkey, b.c_custkey FROM {C} a JOIN {C} b ON a.c_phone = b.c_phone AND a.c_custkey < b.c_custkey"
    yield f"SELECT a.c_custkey, b.c_custkey FROM {C} a JOIN {C} b ON a.c_name = b.c_name WHERE a.c_nationkey = 3"
    yield f"SELECT a.o_orderdate, count(*) FROM {O} a JOIN {O} b ON a.o_orderdate = b.o_orderdate AND a.o_custkey = b.o_custkey GROUP BY 1"
    yield (f"SELECT n_name, o_orderstatus, count(*), sum(o_totalprice) FROM {N} n, {C} c, {O} o "
           f"WHERE n.n_nationkey = c.c_nationkey AND c_custkey = o_custkey GROUP BY n_name, o_orderstatus")
    yield (f"SELECT n_name, c_phone, o_clerk FROM {N} n JOIN {C} c ON n_nationkey = c.c_nationkey "
           f"JOIN {O} o ON c_custkey = o_custkey WHERE o_orderdate = DATE '1996-05-01'")
    yield f"SELECT count(*) FROM {N} a CROSS JOIN {N} b"
    yield f"SELECT count(*) FROM {C} CROSS JOIN {N}"
    yield f"SELECT a.n_name, b.n_name FROM {N} a JOIN {N} b ON a.n_nationkey < b.n_nationkey AND a.n_regionkey = b.n_regionkey"
    yield f"SELECT a.c_custkey, b.n FROM {C} a JOIN (SELECT c_custkey, c_nationkey AS n FROM {C}) b USING (c_custkey) WHERE c_acctbal > 9000"
    yield f"SELECT o_custkey, c_custkey FROM {O} LEFT JOIN {C} ON o_custkey = c_custkey WHERE c_custkey IS NULL"
    yield f"SELECT count(*) FROM {C} c FULL JOIN {O} o ON c.c_custkey = o.o_custkey AND o.o_orderstatus = 'P'"
    yield f"SELECT c.c_custkey, o.o_orderkey FROM {C} c LEFT JOIN {O} o ON o.o_custkey = c.c_custkey AND o.o_totalprice IS NULL"


def subqueries():
    yield f"SELECT c_custkey FROM {C} WHERE c_custkey IN (SELECT o_custkey FROM {O} WHERE o_totalprice > 300000)"
    yield f"SELECT c_custkey FROM {C} WHERE c_custkey NOT IN (SELECT o_custkey FROM {O})"
    yield f"SELECT c_custkey, c_phone FROM {C} c WHERE EXISTS (SELECT 1 FROM {O} o WHERE o.o_custkey = c.c_custkey AND o_orderstatus = 'P')"
    yield f"SELECT c_custkey FROM {C} c WHERE NOT EXISTS (SELECT 1 FROM {O} o WHERE o.o_custkey = c.c_custkey)"
    yield f"SELECT c_custkey, (SELECT count(*) FROM {O} o WHERE o.o_custkey = c.c_custkey) AS n FROM {C} c"
    yield f"SELECT c_custkey, (SELECT max(o_totalprice) FROM {O} o WHERE o.o_custkey = c.c_custkey) AS top FROM {C} c"
    yield f"SELECT c_custkey FROM {C} WHERE c_acctbal > (SELECT avg(c_acctbal) FROM {C})"
    yield f"SELECT c_custkey FROM {C} c WHERE c_acctbal = (SELECT max(c_acctbal) FROM {C} d WHERE d.c_nationkey = c.c_nationkey)"
    yield f"SELECT count(*) FROM (SELECT DISTINCT c_name FROM {C}) t"
    yield f"SELECT segment, n FROM (SELECT c_mktsegment AS segment, count(*) AS n FROM {C} GROUP BY 1) t WHERE n > 100"
    yield f"SELECT n_name FROM {N} WHERE n_nationkey IN (SELECT c_nationkey FROM {C} WHERE c_phone IS NULL)"
    yield f"SELECT o_orderkey FROM {O} WHERE o_orderdate = (SELECT max(o_orderdate) FROM {O})"
    yield f"SELECT o_orderkey FROM {O} WHERE o_clerk = (SELECT min(o_clerk) FROM {O}) AND o_totalprice > 280000"
    yield f"SELECT (SELECT count(*) FROM {C}) AS c, (SELECT count(*) FROM {O}) AS o, (SELECT count(*) FROM {N}) AS n"
    yield f"SELECT c_custkey FROM {C} WHERE c_phone IN (SELECT c_phone FROM {C} GROUP BY c_phone HAVING count(*) > 1)"
    yield f"SELECT c_custkey FROM {C} WHERE (c_acctbal > 9000) = (c_custkey IN (SELECT o_custkey FROM {O} WHERE o_orderstatus = 'P'))"
    for limit in [100000, 200000, 400000]:
        yield (f"SELECT c_mktsegment, count(*) FROM {C} WHERE c_custkey IN "
               f"(SELECT o_custkey FROM {O} GROUP BY o_custkey HAVING sum(o_totalprice) > {limit}) GROUP BY c_mktsegment")


def ctes():
    yield f"WITH big AS (SELECT * FROM {O} WHERE o_totalprice > 200000) SELECT o_orderstatus, count(*) FROM big GROUP BY 1"
    yield f"WITH t AS (SELECT c_custkey AS k, c_phone FROM {C}) SELECT a.k, b.k FROM t a JOIN t b ON a.c_phone = b.c_phone WHERE a.k < b.k"
    yield f"WITH a AS (SELECT c_nationkey AS n, count(*) AS c FROM {C} GROUP BY 1), b AS (SELECT max(c) AS m FROM a) SELECT n FROM a, b WHERE c = m"
    yield f"WITH customer AS (SELECT c_custkey FROM {C} WHERE c_acctbal < 0) SELECT count(*) FROM customer"
    yield f"WITH m AS (SELECT o_orderdate AS month, sum(o_totalprice) AS s FROM {O} GROUP BY 1) SELECT month, s FROM m WHERE s > 1000000"
    yield f"WITH a(k, v) AS (SELECT c_nationkey, c_acctbal FROM {C}) SELECT k, max(v) FROM a GROUP BY k"
    yield f"WITH x AS (SELECT o_custkey, o_orderkey FROM {O}), y AS (SELECT * FROM x WHERE o_custkey < 100) SELECT count(*), min(o_orderkey) FROM y"
    yield f"WITH RECURSIVE r(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM r WHERE n < 24) SELECT n, n_name FROM r LEFT JOIN {N} ON n = n_nationkey"
    yield f"WITH e AS (SELECT * FROM {C} WHERE false) SELECT count(*), max(c_phone) FROM e"
    yield f"WITH s AS (SELECT c_mktsegment, row_number() OVER (PARTITION BY c_mktsegment ORDER BY c_custkey) AS r, c_custkey FROM {C}) SELECT c_mktsegment, c_custkey FROM s WHERE r <= 3"
    for status in "FOP":
        yield f"WITH s AS (SELECT * FROM {O} WHERE o_orderstatus = '{status}') SELECT o_clerk, count(*), min(o_orderdate) FROM s GROUP BY o_clerk"


def windows():
    for call in ["row_number()", "rank()", "dense_rank()", "ntile(4)", "percent_rank()", "cume_dist()",
                 "lag(c_custkey)", "lead(c_phone)", "first_value(c_custkey)", "last_value(c_custkey)",
                 "sum(c_acctbal)", "count(c_phone)", "min(c_name)", "avg(c_acctbal)"]:
        yield (f"SELECT c_custkey, {call} OVER (PARTITION BY c_mktsegment ORDER BY c_acctbal NULLS LAST, c_custkey NULLS LAST) "
               f"FROM {C}")
    for frame in ["ROWS BETWEEN 2 PRECEDING AND CURRENT ROW", "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING",
                  "ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING"]:
        yield (f"SELECT o_orderkey, sum(o_totalprice) OVER (PARTITION BY o_custkey ORDER BY o_orderkey NULLS LAST {frame}) "
               f"FROM {O} WHERE o_custkey < 300")
    yield f"SELECT DISTINCT c_nationkey, count(*) OVER (PARTITION BY c_nationkey) FROM {C}"
    yield f"SELECT o_orderkey, count(*) OVER () FROM {O} WHERE o_orderdate = DATE '1994-02-01'"
    yield f"SELECT c_custkey FROM {C} QUALIFY rank() OVER (PARTITION BY c_nationkey ORDER BY c_acctbal DESC NULLS LAST) = 1"


def sets():
    left = f"SELECT c_custkey FROM {C}"
    right = f"SELECT o_custkey FROM {O}"
    for operator in ["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "INTERSECT ALL", "EXCEPT ALL"]:
        yield f"{left} {operator} {right}"
        yield f"{left} WHERE c_acctbal > 5000 {operator} {right} WHERE o_totalprice > 200000"
    yield f"SELECT c_phone AS t FROM {C} UNION SELECT o_clerk FROM {O} UNION SELECT n_name FROM {N}"
    yield f"SELECT c_nationkey, NULL AS x FROM {C} UNION ALL SELECT NULL, o_orderkey FROM {O} WHERE o_orderkey < 100"
    # Branches of different types meet in the wider one.
    yield f"SELECT c_custkey AS x FROM {C} UNION ALL SELECT 2.5"
    yield f"SELECT n_nationkey AS x FROM {N} UNION ALL SELECT 5000000000"
    yield f"SELECT c_acctbal AS x FROM {C} UNION SELECT 0.12345"
    yield f"SELECT count(*) FROM (SELECT c_custkey FROM {C} UNION ALL SELECT c_custkey FROM {C}) t"
    yield f"(SELECT n_nationkey FROM {N} EXCEPT SELECT c_nationkey FROM {C}) UNION SELECT -1"


def orders():
    for keys in ["c_acctbal DESC NULLS LAST, c_custkey NULLS LAST", "c_name NULLS FIRST, c_custkey NULLS LAST",
                 "c_phone DESC NULLS LAST, c_custkey NULLS LAST", "c_mktsegment NULLS LAST, c_acctbal NULLS LAST, c_custkey NULLS LAST"]:
        for limit in ["", " LIMIT 10", " LIMIT 10 OFFSET 95", " LIMIT 0"]:
            yield f"SELECT c_custkey, c_name, c_phone, c_mktsegment, c_acctbal FROM {C} ORDER BY {keys}{limit}"
    yield f"SELECT o_orderdate, o_orderkey FROM {O} ORDER BY o_orderdate DESC NULLS LAST, o_orderkey NULLS LAST LIMIT 25"
    yield f"SELECT o_orderkey FROM {O} ORDER BY o_totalprice DESC NULLS FIRST, o_orderkey NULLS LAST LIMIT 25"


def expressions():
    for expression in [
        "upper(c_mktsegment)", "lower(c_name)", "length(c_phone)", "substr(c_name, 1, 8)", "c_phone || '/' || c_mktsegment",
        "concat(c_phone, '-', c_nationkey)", "coalesce(c_phone, 'none')", "nullif(c_mktsegment, 'MACHINERY')",
        "replace(c_phone, '-', '')", "reverse(c_mktsegment)", "left(c_phone, 3)", "right(c_phone, 4)", "abs(c_acctbal)",
        "c_acctbal * 2 - c_custkey", "c_custkey % 10", "CASE WHEN c_acctbal > 0 THEN 'plus' WHEN c_acctbal < 0 THEN 'minus' END",
        "CAST(c_nationkey AS VARCHAR)", "CAST(right(c_phone, 4) AS BIGINT)", "c_phone IS NULL", "c_name LIKE '%a%'",
        "greatest(c_custkey, 700)", "trim(c_mktsegment)", "lpad(c_mktsegment, 12, '.')",
    ]:
        yield f"SELECT c_custkey, {expression} AS x FROM {C}"
    for expression in ["extract(year FROM o_orderdate)", "extract(day FROM o_orderdate)", "date_trunc('year', o_orderdate)",
                       "o_orderdate + INTERVAL '1' DAY", "CAST(o_orderdate AS VARCHAR)", "o_totalprice + 1"]:
        yield f"SELECT o_orderkey, {expression} AS x FROM {O} WHERE o_custkey < 200"


def prepared():
    for segment in ["AUTOMOBILE", "BUILDING", "HOUSEHOLD", "none", None]:
        yield f"SELECT c_custkey, c_phone FROM {C} WHERE c_mktsegment = ?", (segment,)
    for low, high in [(0, 3), (5, 17), (18, 30), (9, 2)]:
        yield f"SELECT c_custkey, c_nationkey FROM {C} WHERE c_nationkey BETWEEN ? AND ?", (low, high)
    for price, status in [(250000.0, "F"), (100.5, "P"), (300000.0, "O")]:
        yield f"SELECT count(*), max(o_totalprice) FROM {O} WHERE o_totalprice > ? AND o_orderstatus = ?", (price, status)
    for text in ["%1", "%99", PHONE + "1%"]:
        yield f"SELECT c_custkey FROM {C} WHERE c_phone LIKE ?", (text,)
    yield f"SELECT o_orderkey FROM {O} o JOIN {C} c ON o.o_custkey = c.c_custkey WHERE c.c_acctbal < ? AND o.o_orderstatus <> ?", (0, "F")
    yield f"SELECT c_custkey FROM {C} WHERE c_custkey IN (?, ?, ?)", (1, 4, 700)
    yield f"SELECT c_custkey, c_acctbal + ? AS x FROM {C} WHERE c_custkey < ?", (10, 50)
