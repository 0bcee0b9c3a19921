//! What the server says of itself. Drivers cast values by id without looking, so every id has exactly the type that the
//! specification and the drivers agree on.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow_flight::sql::SqlInfo::{self, *};
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{
    SqlNullOrdering, SqlSupportedCaseSensitivity, SqlSupportedTransaction, SqlSupportsConvert,
    SqlTransactionIsolationLevel,
};

use super::functions;
use crate::{Error, Settings};

/// A bitmask of enumeration values.
macro_rules! mask {
    ($($value:expr),*) => { 0_i32 $(| (1 << ($value as i32)))* };
}

/// The answers of GetSqlInfo.
pub(super) struct ServerInfo {
    /// All of them, for "all".
    all: SqlInfoData,
    /// Ids that old drivers do not know and fail on: only for whoever asks for them.
    newer: SqlInfoData,
}

impl ServerInfo {
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        let mut all = SqlInfoDataBuilder::new();
        server(&mut all, settings);
        timeouts(&mut all, settings);
        names(&mut all);
        abilities(&mut all)?;
        limits(&mut all);
        transactions(&mut all);
        let mut newer = SqlInfoDataBuilder::new();
        newer.append(FlightSqlServerBulkIngestion, false);
        newer.append(FlightSqlServerIngestTransactionsSupported, false);
        Ok(Self { all: all.build()?, newer: newer.build()? })
    }

    pub(super) fn schema(&self) -> SchemaRef {
        Arc::new(SqlInfoDataBuilder::schema().clone())
    }

    /// The named infos in the order of their ids, or all; what is not known is left out.
    pub(super) fn rows(&self, ids: &[u32]) -> Result<RecordBatch, Error> {
        let newer = [FlightSqlServerBulkIngestion as u32, FlightSqlServerIngestTransactionsSupported as u32];
        let known = self.all.record_batch(ids.iter().copied())?;
        let asked: Vec<_> = ids.iter().copied().filter(|id| newer.contains(id)).collect();
        let rows = if asked.is_empty() {
            known
        } else {
            let newer = self.newer.record_batch(asked)?;
            arrow::compute::concat_batches(&known.schema(), [&known, &newer])?
        };
        Ok(rows.with_schema(self.schema())?)
    }
}

fn server(info: &mut SqlInfoDataBuilder, settings: &Settings) {
    info.append(FlightSqlServerName, settings.server_name.as_str());
    info.append(FlightSqlServerVersion, settings.server_version.as_str());
    info.append(FlightSqlServerArrowVersion, arrow::ARROW_VERSION);
    info.append(FlightSqlServerReadOnly, true);
    info.append(FlightSqlServerSql, true);
    info.append(FlightSqlServerSubstrait, false);
    info.append(FlightSqlServerSubstraitMinVersion, "");
    info.append(FlightSqlServerSubstraitMaxVersion, "");
    // Whole transactions, no savepoints: they read, from the same versions of tables.
    info.append(FlightSqlServerTransaction, SqlSupportedTransaction::Transaction as i32);
    info.append(FlightSqlServerCancel, true);
}

/// How long prepared statements and transactions are kept while nobody uses them, in milliseconds.
fn timeouts(info: &mut SqlInfoDataBuilder, settings: &Settings) {
    let millis = |seconds: u32| i32::try_from(u64::from(seconds) * 1000).unwrap_or(i32::MAX);
    info.append(FlightSqlServerStatementTimeout, millis(settings.handle_ttl_s));
    info.append(FlightSqlServerTransactionTimeout, millis(settings.transaction_ttl_s));
}

fn names(info: &mut SqlInfoDataBuilder) {
    info.append(SqlDdlCatalog, false);
    info.append(SqlDdlSchema, false);
    info.append(SqlDdlTable, false);
    info.append(SqlIdentifierCase, SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i64);
    info.append(SqlIdentifierQuoteChar, "\"");
    info.append(SqlQuotedIdentifierCase, SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive as i64);
    info.append(SqlAllTablesAreSelectable, true);
    info.append(SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i64);
    info.append(SqlKeywords, functions::KEYWORDS);
    info.append(SqlNumericFunctions, functions::NUMERIC);
    info.append(SqlStringFunctions, functions::STRING);
    info.append(SqlSystemFunctions, functions::SYSTEM);
    info.append(SqlDatetimeFunctions, functions::DATETIME);
    info.append(SqlSearchStringEscape, "\\");
    info.append(SqlExtraNameCharacters, "");
    info.append(SqlSchemaTerm, "product");
    info.append(SqlProcedureTerm, "");
    info.append(SqlCatalogTerm, "domain");
    info.append(SqlCatalogAtStart, true);
}

fn abilities(info: &mut SqlInfoDataBuilder) -> Result<(), Error> {
    info.append(SqlSupportsColumnAliasing, true);
    info.append(SqlNullPlusNullIsNull, true);
    info.append(SqlSupportsConvert, conversions());
    info.append(SqlSupportsTableCorrelationNames, true);
    info.append(SqlSupportsDifferentTableCorrelationNames, false);
    info.append(SqlSupportsExpressionsInOrderBy, true);
    info.append(SqlSupportsOrderByUnrelated, true);
    // Unrelated and beyond the select list; minimum, core and extended grammar; entry level; full outer joins.
    info.append(SqlSupportedGroupBy, mask!(0, 1));
    info.append(SqlSupportsLikeEscapeClause, true);
    info.append(SqlSupportsNonNullableColumns, true);
    info.append(SqlSupportedGrammar, mask!(0, 1));
    info.append(SqlAnsi92SupportedLevel, mask!(0));
    info.append(SqlSupportsIntegrityEnhancementFacility, false);
    info.append(SqlOuterJoinsSupportLevel, mask!(1, 2));
    info.append(SqlSchemasSupportedActions, 0_i32);
    info.append(SqlCatalogsSupportedActions, 0_i32);
    info.append(SqlSupportedPositionedCommands, 0_i32);
    info.append(SqlSelectForUpdateSupported, false);
    info.append(SqlStoredProceduresSupported, false);
    // In comparisons, in EXISTS, in IN.
    info.append(SqlSupportedSubqueries, mask!(0, 1, 2));
    info.append(SqlCorrelatedSubqueriesSupported, true);
    info.append(SqlSupportedUnions, mask!(0, 1));
    Ok(())
}

/// 0 says that there is no limit, or none that is known.
fn limits(info: &mut SqlInfoDataBuilder) {
    let unlimited = [
        SqlMaxBinaryLiteralLength,
        SqlMaxCharLiteralLength,
        SqlMaxColumnNameLength,
        SqlMaxColumnsInGroupBy,
        SqlMaxColumnsInIndex,
        SqlMaxColumnsInOrderBy,
        SqlMaxColumnsInSelect,
        SqlMaxColumnsInTable,
        SqlMaxConnections,
        SqlMaxCursorNameLength,
        SqlMaxIndexLength,
        SqlDbSchemaNameLength,
        SqlMaxProcedureNameLength,
        SqlMaxCatalogNameLength,
        SqlMaxRowSize,
        SqlMaxStatementLength,
        SqlMaxStatements,
        SqlMaxTableNameLength,
        SqlMaxTablesInSelect,
        SqlMaxUsernameLength,
    ];
    unlimited.into_iter().for_each(|id: SqlInfo| info.append(id, 0_i64));
    info.append(SqlMaxRowSizeIncludesBlobs, true);
}

/// What JDBC and ODBC tools make of transactions: their drivers begin none, so statements belong to none.
fn transactions(info: &mut SqlInfoDataBuilder) {
    info.append(SqlDefaultTransactionIsolation, SqlTransactionIsolationLevel::SqlTransactionNone as i64);
    info.append(SqlTransactionsSupported, false);
    info.append(SqlSupportedTransactionsIsolationLevels, mask!(0));
    info.append(SqlDataDefinitionCausesTransactionCommit, false);
    info.append(SqlDataDefinitionsInTransactionsIgnored, false);
    // Forward only, and read only.
    info.append(SqlSupportedResultSetTypes, mask!(1));
    info.append(SqlSupportedConcurrenciesForResultSetUnspecified, 0_i32);
    info.append(SqlSupportedConcurrenciesForResultSetForwardOnly, mask!(1));
    info.append(SqlSupportedConcurrenciesForResultSetScrollSensitive, 0_i32);
    info.append(SqlSupportedConcurrenciesForResultSetScrollInsensitive, 0_i32);
    info.append(SqlBatchUpdatesSupported, false);
    info.append(SqlSavepointsSupported, false);
    info.append(SqlNamedParametersSupported, false);
    info.append(SqlLocatorsUpdateCopy, false);
    info.append(SqlStoredFunctionsUsingCallSyntaxSupported, false);
}

/// What CAST converts into what: numbers into numbers and texts, texts and times into what they can spell.
fn conversions() -> BTreeMap<i32, Vec<i32>> {
    use SqlSupportsConvert::*;
    let numbers = [
        SqlConvertBigint,
        SqlConvertInteger,
        SqlConvertSmallint,
        SqlConvertTinyint,
        SqlConvertDecimal,
        SqlConvertNumeric,
        SqlConvertFloat,
        SqlConvertReal,
    ];
    let texts = [SqlConvertVarchar, SqlConvertChar, SqlConvertLongvarchar];
    let times = [SqlConvertDate, SqlConvertTime, SqlConvertTimestamp];
    let ids = |groups: &[&[SqlSupportsConvert]]| groups.concat().into_iter().map(|to| to as i32).collect::<Vec<_>>();
    let mut all = BTreeMap::new();
    for from in numbers {
        all.insert(from as i32, ids(&[&numbers, &texts]));
    }
    for from in texts {
        all.insert(from as i32, ids(&[&numbers, &texts, &times]));
    }
    all.insert(SqlConvertDate as i32, ids(&[&[SqlConvertDate, SqlConvertTimestamp], &texts]));
    all.insert(SqlConvertTime as i32, ids(&[&[SqlConvertTime], &texts]));
    all.insert(SqlConvertTimestamp as i32, ids(&[&times, &texts]));
    all
}

impl std::fmt::Debug for ServerInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerInfo(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Int32Type, UInt32Type};

    use super::ServerInfo;
    use crate::Settings;
    use crate::seal::tests::Counting;
    use crate::shelf::tests::Hand;

    const STRING: i8 = 0;
    const BOOL: i8 = 1;
    const BIGINT: i8 = 2;
    const BITMASK: i8 = 3;
    const LIST: i8 = 4;
    const MAP: i8 = 5;

    /// The union's child that drivers cast each id's value to.
    fn child(id: u32) -> i8 {
        match id {
            0 | 1 | 2 | 6 | 7 | 504 | 513 | 514 | 529 | 530 | 531 => STRING,
            8 | 100 | 101 | 522 | 525 | 526 | 528 | 533 | 534 | 535 | 538 | 540 | 564 | 567..=571 => BITMASK,
            503 | 505 | 507 | 541..=555 | 557..=562 => BIGINT,
            508..=512 => LIST,
            517 => MAP,
            _ => BOOL,
        }
    }

    fn info() -> ServerInfo {
        let settings = Settings::new([0; 32], Arc::new(Hand::default()), Arc::new(Counting::default()));
        ServerInfo::new(&settings).expect("builds")
    }

    fn ids(asked: &[u32]) -> Vec<u32> {
        let rows = info().rows(asked).expect("answers");
        rows.column(0).as_primitive::<UInt32Type>().values().to_vec()
    }

    #[test]
    fn all_is_every_id_of_old_drivers_with_its_child_and_nothing_else() {
        let rows = info().rows(&[]).expect("answers");
        assert_eq!(rows.schema(), info().schema());
        let all: Vec<u32> = (0..=9).chain(100..=101).chain(500..=576).collect();
        assert_eq!(ids(&[]), all);
        let values = rows.column(1).as_union();
        for (row, id) in all.into_iter().enumerate() {
            assert_eq!(values.type_id(row), child(id), "{id}");
        }
        let text = |id: u32| {
            let row = info().rows(&[id]).expect("answers");
            row.column(1).as_union().value(0).as_string::<i32>().value(0).to_owned()
        };
        assert_eq!((text(504).as_str(), text(513).as_str(), text(0).as_str()), ("\"", "\\", "Meshgate"));
        let row = info().rows(&[3]).expect("answers");
        assert!(row.column(1).as_union().value(0).as_boolean().value(0), "read only");
        let row = info().rows(&[8]).expect("answers");
        // What the Go driver does, without looking.
        assert_eq!(row.column(1).as_union().child(3).as_primitive::<Int32Type>().value(0), 1);
    }

    #[test]
    fn some_are_those_that_are_known() {
        assert_eq!(ids(&[8]), [8]);
        assert_eq!(ids(&[2, 0, 999]), [0, 2]);
        assert_eq!(ids(&[999]), [0_u32; 0]);
        assert_eq!(ids(&[10, 3, 11]), [3, 10, 11]);
        assert_eq!(info().rows(&[10]).expect("answers").column(1).len(), 1);
    }
}
