//! A query in parts, so that it can be made simpler.

/// A query in parts, so that it can be made simpler.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// In front of all: `EXPLAIN`.
    pub(super) explain: bool,
    /// Whether it stands in a CTE.
    pub(super) cte: bool,
    pub(super) distinct: bool,
    pub(super) select: Vec<String>,
    pub(super) from: String,
    pub(super) filter: Vec<String>,
    pub(super) group: Vec<String>,
    pub(super) having: Option<String>,
    /// A second query of the same columns, behind UNION and the like.
    pub(super) other: Option<(&'static str, Box<Query>)>,
    pub(super) order: Vec<String>,
    pub(super) limit: Option<(usize, usize)>,
    /// Text as it stands, instead of all parts.
    pub(super) whole: Option<String>,
}

/// What may be compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Rows that a reference without policies gives, too.
    Rows,
    /// Plans, listings, errors: only twins are compared.
    Words,
}

impl Query {
    /// The text.
    pub fn sql(&self) -> String {
        if let Some(whole) = &self.whole {
            return whole.clone();
        }
        let mut sql = self.core();
        if let Some((operator, other)) = &self.other {
            sql = format!("{sql} {operator} {}", other.core());
        }
        if !self.order.is_empty() {
            sql += &format!(" ORDER BY {}", self.order.join(", "));
        }
        if let Some((limit, offset)) = self.limit {
            sql += &format!(" LIMIT {limit} OFFSET {offset}");
        }
        if self.cte {
            sql = format!("WITH c AS ({sql}) SELECT * FROM c");
        }
        if self.explain { format!("EXPLAIN {sql}") } else { sql }
    }

    fn core(&self) -> String {
        let distinct = if self.distinct { "DISTINCT " } else { "" };
        let mut sql = format!("SELECT {distinct}{} FROM {}", self.select.join(", "), self.from);
        if !self.filter.is_empty() {
            sql += &format!(" WHERE {}", self.filter.join(" AND "));
        }
        if !self.group.is_empty() {
            sql += &format!(" GROUP BY {}", self.group.join(", "));
        }
        if let Some(having) = &self.having {
            sql += &format!(" HAVING {having}");
        }
        sql
    }

    /// Whether the rows come in an order.
    pub fn is_ordered(&self) -> bool {
        !self.order.is_empty() && !self.cte
    }

    /// What may be compared.
    pub fn kind(&self) -> Kind {
        if self.whole.is_some() || self.explain { Kind::Words } else { Kind::Rows }
    }

    /// Queries with one part less each.
    pub fn simpler(&self) -> Vec<Self> {
        let mut all = Vec::new();
        let mut push = |change: &dyn Fn(&mut Self)| {
            let mut query = self.clone();
            change(&mut query);
            all.push(query);
        };
        if self.cte {
            push(&|query| query.cte = false);
        }
        if self.other.is_some() {
            push(&|query| query.other = None);
        }
        if self.distinct {
            push(&|query| query.distinct = false);
        }
        for index in 0..self.filter.len() {
            push(&|query| drop(query.filter.remove(index)));
        }
        if self.having.is_some() {
            push(&|query| query.having = None);
        }
        if self.limit.is_some() {
            push(&|query| query.limit = None);
        }
        if !self.order.is_empty() && self.limit.is_none() {
            push(&|query| query.order.clear());
        }
        if self.select.len() > 1 && self.other.is_none() && self.group.is_empty() && self.order.is_empty() {
            for index in 0..self.select.len() {
                push(&|query| drop(query.select.remove(index)));
            }
        }
        all
    }
}
