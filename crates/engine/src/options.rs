//! Every limit of the engine.

use std::path::PathBuf;

use crate::QueryLimits;

/// Limits, each with a default that serves one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Memory that all queries share, in bytes.
    pub memory_bytes: usize,
    /// The part of it that one query may have, in bytes.
    pub memory_bytes_per_query: usize,
    /// Where sorts, aggregates and joins spill to.
    pub spill_dir: PathBuf,
    /// The most that may lie there, in bytes.
    pub spill_bytes: u64,
    /// Threads that execute queries; also the partitions of a plan.
    pub threads: usize,
    /// Seconds a query may take if it does not say.
    pub deadline_s_default: u32,
    /// Seconds a query may ask for at most.
    pub deadline_s_max: u32,
    /// Queries that run at the same time.
    pub queries_max: usize,
    /// Queries of one principal that run or wait at the same time.
    pub queries_per_principal_max: usize,
    /// Queries that wait for their turn.
    pub queue_len_max: usize,
    /// Rows of one result; 0 for no limit.
    pub result_rows_max: u64,
    /// Rows that all steps of a recursive query make together.
    pub recursion_rows_max: usize,
    /// Bytes of one statement's text.
    pub sql_bytes_max: usize,
    /// Tokens of one statement.
    pub sql_tokens_max: usize,
    /// Operators of one statement: `+`, `AND`, `UNION` and the like.
    pub sql_operators_max: usize,
    /// Tables that one statement reads, each WITH query counted as often as it is read.
    pub sql_relations_max: usize,
    /// How deep a statement may nest, WITH queries that build on each other included.
    pub sql_depth_max: usize,
}

impl Options {
    /// Seconds that a query may take in the end.
    pub fn deadline_s(&self, limits: &QueryLimits) -> u32 {
        limits.deadline_s.unwrap_or(self.deadline_s_default).min(self.deadline_s_max)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            memory_bytes: 4 << 30,
            memory_bytes_per_query: 4 << 30,
            spill_dir: PathBuf::from("spill"),
            spill_bytes: 50 << 30,
            threads: 2,
            deadline_s_default: 300,
            deadline_s_max: 3_600,
            queries_max: 64,
            queries_per_principal_max: 32,
            queue_len_max: 256,
            result_rows_max: 0,
            recursion_rows_max: 10_000_000,
            sql_bytes_max: 1 << 20,
            sql_tokens_max: 100_000,
            sql_operators_max: 4_000,
            sql_relations_max: 256,
            sql_depth_max: 60,
        }
    }
}
