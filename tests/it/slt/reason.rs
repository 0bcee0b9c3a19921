//! Why a record is not run against the gateway, or may be answered otherwise.

/// Each is a line of `left-out.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Reason {
    Others,
    Explain,
    Spark,
    NotShipped,
    Rust,
    NotBuilt,
    Listing,
    Functions,
    Forms,
    Types,
    Names,
    Settings,
    Views,
    Decimals,
    Wire,
    Twins,
    Limits,
}

impl Reason {
    pub(super) const ALL: [Self; 17] = [
        Self::Others,
        Self::Explain,
        Self::Spark,
        Self::NotShipped,
        Self::Rust,
        Self::NotBuilt,
        Self::Listing,
        Self::Functions,
        Self::Forms,
        Self::Types,
        Self::Names,
        Self::Settings,
        Self::Views,
        Self::Decimals,
        Self::Wire,
        Self::Twins,
        Self::Limits,
    ];

    /// A word for tables.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Others => "other engines",
            Self::Explain => "EXPLAIN",
            Self::Spark => "Spark",
            Self::NotShipped => "data",
            Self::Rust => "Rust",
            Self::NotBuilt => "features",
            Self::Listing => "listings",
            Self::Functions => "functions",
            Self::Forms => "forms",
            Self::Types => "types",
            Self::Names => "names",
            Self::Settings => "settings",
            Self::Views => "views",
            Self::Decimals => "decimals",
            Self::Wire => "wire types",
            Self::Twins => "twins",
            Self::Limits => "limits",
        }
    }

    /// What it means.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Others => "`onlyif` another engine, or after `skipif` ours",
            Self::Explain => {
                "EXPLAIN: the gateway tells plans in words of its own, physical ones to owners only; asked all the same, for faults of its own"
            }
            Self::Spark => "functions and dialect of the crate `datafusion-spark`, which the gateway does not serve",
            Self::NotShipped => {
                "reads files that the crate does not hold: those of other crates of DataFusion, `arrow-testing`, `parquet-testing`, TPC-H"
            }
            Self::Rust => "tables and functions that the crate's runner makes in Rust, or the file by CREATE FUNCTION",
            Self::NotBuilt => {
                "DataFusion itself, as the gateway has it built, gives another answer: formats and plug-ins that are not compiled in"
            }
            Self::Listing => {
                "`information_schema`, SHOW and DESCRIBE: they tell of the mesh, not of DataFusion's session"
            }
            Self::Functions => "functions that the gateway does not allow (`crates/govern/src/functions/lists.rs`)",
            Self::Forms => "forms of a query that the gateway does not serve: table functions, TABLESAMPLE and others",
            Self::Types => {
                "a table has values that no Delta table holds as they are: unsigned numbers, nanoseconds, intervals, times of day, dictionaries, unions, odd names of fields"
            }
            Self::Names => "names of catalogs that are no domain: `datafusion.public.t`",
            Self::Settings => {
                "depends on a setting of the engine, which no session can change, or sets a time zone that does not exist, which the gateway refuses at once"
            }
            Self::Views => {
                "depends on what a view is made of, which the planner looks into; the gateway is given what it holds"
            }
            Self::Decimals => {
                "`1.5` is a decimal at the gateway, as the SQL standard has it, and a float to DataFusion"
            }
            Self::Wire => {
                "a type that travels as a compatible one: decimals of more than 38 digits as text, dictionaries as their values; times of day with parts of microseconds not at all"
            }
            Self::Twins => {
                "two columns of one name, which DataFusion refuses and the gateway serves, as other databases do"
            }
            Self::Limits => "refused by a limit of the gateway on what one statement may cost",
        }
    }
}
