"""Writes Iceberg tables with Spark, merge-on-read in every way, and says what is in each of their snapshots.

    histories.py <jar of iceberg-spark-runtime> <warehouse>
"""

import json
import sys
from pathlib import Path

from pyspark.sql import SparkSession

# (table, version of the format, granularity of positional deletes, partitioned)
TABLES = [
    ("by_file", 2, "file", False),
    ("by_partition", 2, "partition", True),
    ("vectors", 3, "file", False),
    ("vectors_partitioned", 3, "partition", True),
    ("upgraded", 2, "partition", True),
]
COLUMNS = "id, region, amount"


def session(jar: str, warehouse: str) -> SparkSession:
    settings = {
        "spark.jars": jar,
        "spark.driver.memory": "1g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.lake.type": "hadoop",
        "spark.sql.catalog.lake.warehouse": warehouse,
    }
    builder = SparkSession.builder.master("local[1]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def history(spark: SparkSession, name: str, version: int, granularity: str, partitioned: bool) -> list[dict]:
    """The rows of each snapshot, as Spark reads them."""
    table = f"lake.db.{name}"
    properties = {"format-version": version, "write.delete.granularity": granularity}
    properties |= {f"write.{kind}.mode": "merge-on-read" for kind in ("delete", "update", "merge")}
    listed = ", ".join(f"'{key}' = '{value}'" for key, value in properties.items())
    partition = "PARTITIONED BY (region)" if partitioned else ""
    seen = []

    def ran(sql: str) -> None:
        spark.sql(sql)
        snapshot = spark.sql(f"SELECT snapshot_id FROM {table}.history ORDER BY made_current_at DESC LIMIT 1").collect()
        if snapshot and (not seen or seen[-1]["snapshot"] != str(snapshot[0][0])):
            rows = [list(row) for row in spark.sql(f"SELECT {COLUMNS} FROM {table}").collect()]
            seen.append({"snapshot": str(snapshot[0][0]), "rows": rows})

    ran(f"CREATE TABLE {table} (id INT, region STRING, amount INT) USING iceberg {partition} TBLPROPERTIES ({listed})")
    for first in (0, 40):
        of = f"CAST(id AS INT), element_at(array('EU', 'US', NULL), CAST(id % 3 AS INT) + 1), CAST(id * 10 AS INT)"
        ran(f"INSERT INTO {table} SELECT {of} FROM range({first}, {first + 40})")
    ran(f"DELETE FROM {table} WHERE id % 7 = 0")
    ran(f"UPDATE {table} SET amount = amount + 1 WHERE id % 5 = 0")
    if name == "upgraded":
        ran(f"ALTER TABLE {table} SET TBLPROPERTIES ('format-version' = '3')")
    ran(f"ALTER TABLE {table} ALTER COLUMN amount TYPE BIGINT")
    ran(f"DELETE FROM {table} WHERE amount > 300 AND id % 2 = 0")
    ran(f"MERGE INTO {table} t USING (SELECT CAST(id AS INT) AS id FROM range(30, 90)) s ON t.id = s.id "
        f"WHEN MATCHED AND t.id % 4 = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET amount = 0 "
        f"WHEN NOT MATCHED THEN INSERT (id, region, amount) VALUES (s.id, 'new', 1)")
    ran(f"DELETE FROM {table} WHERE region IS NULL")
    kinds = spark.sql(f"SELECT DISTINCT content, file_format FROM {table}.all_delete_files").collect()
    seen[-1]["kinds"] = sorted(f"{kind} {form}" for kind, form in kinds)
    return seen


def main() -> None:
    jar, warehouse = sys.argv[1:]
    spark = session(jar, warehouse)
    spark.sparkContext.setLogLevel("ERROR")
    told = {name: history(spark, name, *options) for name, *options in TABLES}
    Path(warehouse, "told.json").write_text(json.dumps(told))
    spark.stop()


if __name__ == "__main__":
    main()
