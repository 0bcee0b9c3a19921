//! Words and functions that SqlInfo lists for tools that complete or fold SQL. The functions are those with a name that
//! JDBC and ODBC know too; `SHOW FUNCTIONS` has all.

pub(super) const KEYWORDS: &[&str] = &[
    "ANTI",
    "DATABASE",
    "DESCRIBE",
    "EXCEPT",
    "EXCLUDE",
    "EXPLAIN",
    "FILTER",
    "ILIKE",
    "LIMIT",
    "OFFSET",
    "QUALIFY",
    "RLIKE",
    "SEMI",
    "SHOW",
    "TIMESTAMP",
    "USE",
    "VERSION",
    "WINDOW",
];

pub(super) const NUMERIC: &[&str] = &[
    "ABS", "ACOS", "ASIN", "ATAN", "ATAN2", "CEIL", "COS", "COT", "DEGREES", "EXP", "FLOOR", "LN", "LOG", "LOG10",
    "PI", "POWER", "RADIANS", "ROUND", "SIGNUM", "SIN", "SQRT", "TAN", "TRUNC",
];

pub(super) const STRING: &[&str] = &[
    "ASCII",
    "BTRIM",
    "CHARACTER_LENGTH",
    "CHR",
    "CONCAT",
    "CONCAT_WS",
    "INITCAP",
    "LEFT",
    "LOWER",
    "LPAD",
    "LTRIM",
    "OCTET_LENGTH",
    "POSITION",
    "REPEAT",
    "REPLACE",
    "REVERSE",
    "RIGHT",
    "RPAD",
    "RTRIM",
    "SPLIT_PART",
    "SUBSTR",
    "TRANSLATE",
    "TRIM",
    "UPPER",
];

pub(super) const SYSTEM: &[&str] = &["COALESCE", "NULLIF", "NVL"];

pub(super) const DATETIME: &[&str] = &[
    "CURRENT_DATE",
    "CURRENT_TIME",
    "DATE_BIN",
    "DATE_PART",
    "DATE_TRUNC",
    "EXTRACT",
    "NOW",
    "TO_CHAR",
    "TO_TIMESTAMP",
];
