//! Random queries over the twin worlds, biased towards leaks: expressions that fail on some values, masked columns where
//! they decide something, what statistics could answer, constants drawn from hidden values, names that are hidden.

mod query;
mod words;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::canary;
use super::worlds::{ORDERS, PEOPLE};
use words::WORDS;

pub use query::{Kind, Query};

/// Writes queries.
pub struct Writer {
    random: StdRng,
    /// How many expressions of this query may still be such that fail on some values: with several it would depend on
    /// chance which one fails first.
    fallible: u8,
}

/// Columns of one type that a query sees, with their aliases.
#[derive(Clone, Default)]
struct Scope {
    ints: Vec<String>,
    texts: Vec<String>,
    dates: Vec<String>,
    others: Vec<String>,
    flags: Vec<String>,
    /// What makes an order total.
    keys: Vec<String>,
}

impl Scope {
    fn people(alias: &str) -> Self {
        let names = |names: &[&str]| names.iter().map(|name| format!("{alias}.{name}")).collect::<Vec<_>>();
        let mut texts = names(&["region", "team", "note", "mail", "code", "label"]);
        texts.push(format!("{alias}.address['city']"));
        Self {
            ints: names(&["id", "salary", "salary", "bonus", "pin"]),
            texts,
            dates: names(&["birth"]),
            others: names(&["score", "price", "seen"]),
            flags: names(&["flag"]),
            keys: names(&["id"]),
        }
    }

    fn orders(alias: &str) -> Self {
        let names = |names: &[&str]| names.iter().map(|name| format!("{alias}.{name}")).collect::<Vec<_>>();
        Self {
            ints: names(&["id", "person", "units"]),
            texts: names(&["status"]),
            keys: names(&["id"]),
            ..Self::default()
        }
    }

    fn and(mut self, other: Self) -> Self {
        self.ints.extend(other.ints);
        self.texts.extend(other.texts);
        self.dates.extend(other.dates);
        self.others.extend(other.others);
        self.flags.extend(other.flags);
        self.keys.extend(other.keys);
        self
    }
}

impl Writer {
    /// The queries of a seed.
    pub fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), fallible: 0 }
    }

    /// The next query.
    pub fn query(&mut self) -> Query {
        self.fallible = u8::from(self.chance(60));
        if self.chance(8) {
            let (words, table) = (*self.pick(WORDS), *self.pick(&PEOPLE));
            return Query { whole: Some(words.replace("{t}", table)), ..Query::default() };
        }
        let mut query = match self.below(10) {
            0..=2 => self.plain(),
            3..=4 => self.aggregate(),
            5..=6 => self.joined(),
            7 => self.window(),
            8 => self.nested(),
            _ => self.set(),
        };
        query.cte = self.chance(10) && query.limit.is_none();
        query.explain = self.chance(8);
        query
    }

    fn plain(&mut self) -> Query {
        let scope = Scope::people("p");
        let mut query = Query { from: self.people("p"), ..Query::default() };
        query.select = self.list(&scope);
        query.filter = self.filters(&scope);
        query.distinct = self.chance(15);
        if !query.distinct {
            self.order(&mut query, &scope);
        }
        query
    }

    fn aggregate(&mut self) -> Query {
        let scope = Scope::people("p");
        let mut query = Query { from: self.people("p"), filter: self.filters(&scope), ..Query::default() };
        for _ in 0..self.below(3) {
            let key = match self.below(5) {
                0 => self.text(&scope, 1),
                1 => self.int(&scope, 1),
                _ => self.any(&scope),
            };
            query.group.push(key);
        }
        query.select = query.group.clone();
        for _ in 0..1 + self.below(3) {
            let aggregate = self.aggregated(&scope);
            query.select.push(aggregate);
        }
        if self.chance(25) {
            query.having = Some(format!("{} > {}", self.aggregated_int(&scope), self.constant()));
        }
        query
    }

    fn joined(&mut self) -> Query {
        let (people, orders) = (self.people("p"), format!("{} AS o", self.pick(&ORDERS)));
        let scope = Scope::people("p").and(Scope::orders("o"));
        let mut on = vec!["p.id = o.person".to_owned()];
        if self.chance(50) {
            let more = self.condition(&scope, 1);
            on.push(more);
        }
        let kind = *self.pick(&["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
        let (left, right) = if self.chance(50) { (people, orders) } else { (orders, people) };
        let mut query = Query { from: format!("{left} {kind} {right} ON {}", on.join(" AND ")), ..Query::default() };
        query.select = self.list(&scope);
        query.filter = self.filters(&scope);
        if self.chance(40) {
            query.select = vec!["count(*)".to_owned(), self.aggregated(&scope)];
        } else {
            self.order(&mut query, &scope);
        }
        query
    }

    fn window(&mut self) -> Query {
        let scope = Scope::people("p");
        let function = *self.pick(&[
            "row_number()",
            "rank()",
            "sum({x})",
            "min({x})",
            "lag({x})",
            "count({x})",
            "first_value({x})",
        ]);
        let value = self.int(&scope, 1);
        let by = self.any(&scope);
        let partition = if self.chance(50) { format!("PARTITION BY {by} ") } else { String::new() };
        let mut query = Query { from: self.people("p"), filter: self.filters(&scope), ..Query::default() };
        let over = format!("{} OVER ({partition}ORDER BY p.id)", function.replace("{x}", &value));
        query.select = vec!["p.id".to_owned(), over];
        self.order(&mut query, &scope);
        query
    }

    fn nested(&mut self) -> Query {
        let (scope, inner) = (Scope::people("p"), Scope::people("q"));
        let mut query = Query { from: self.people("p"), ..Query::default() };
        let from = self.people("q");
        let condition = self.condition(&inner, 1);
        query.filter = vec![match self.below(6) {
            0 => format!("p.id IN (SELECT q.id FROM {from} WHERE {condition})"),
            1 => format!("p.id NOT IN (SELECT q.id FROM {from} WHERE {condition})"),
            2 => format!("EXISTS (SELECT 1 FROM {from} WHERE q.id = p.id AND {condition})"),
            3 => format!("NOT EXISTS (SELECT 1 FROM {from} WHERE q.salary = p.salary + 1 AND {condition})"),
            4 => format!("p.salary > (SELECT {} FROM {from} WHERE {condition})", self.aggregated_int(&inner)),
            _ => format!("p.mail IN (SELECT q.mail FROM {from} WHERE {condition})"),
        }];
        query.select = self.list(&scope);
        self.order(&mut query, &scope);
        query
    }

    fn set(&mut self) -> Query {
        let scope = Scope::people("p");
        let half = |writer: &mut Self| {
            let mut query = Query { from: writer.people("p"), filter: writer.filters(&scope), ..Query::default() };
            query.select = vec![writer.int(&scope, 1), writer.text(&scope, 1)];
            query
        };
        let (mut query, other) = (half(self), half(self));
        let operator = *self.pick(&["UNION", "UNION ALL", "INTERSECT", "EXCEPT"]);
        query.other = Some((operator, Box::new(other)));
        query
    }

    fn people(&mut self, alias: &str) -> String {
        let table = *self.pick(&PEOPLE);
        let pin = if table.starts_with("hr") && self.chance(10) { " FOR VERSION AS OF 0" } else { "" };
        format!("{table}{pin} AS {alias}")
    }

    fn list(&mut self, scope: &Scope) -> Vec<String> {
        (0..1 + self.below(4)).map(|_| self.any(scope)).collect()
    }

    fn filters(&mut self, scope: &Scope) -> Vec<String> {
        (0..self.below(3)).map(|_| self.condition(scope, 2)).collect()
    }

    fn order(&mut self, query: &mut Query, scope: &Scope) {
        if self.chance(50) {
            return;
        }
        if self.chance(50) {
            let by = self.any(scope);
            let direction = self.pick(&["", " DESC", " NULLS FIRST"]);
            query.order.push(format!("{by}{direction}"));
        }
        query.order.extend(scope.keys.iter().cloned());
        if self.chance(50) {
            query.limit = Some((1 + self.below(12), [0, 0, 3, 85][self.below(4)]));
        }
    }

    /// An expression of any type that rows can be ordered and grouped by.
    fn any(&mut self, scope: &Scope) -> String {
        match self.below(8) {
            0..=2 => self.int(scope, 2),
            3..=4 => self.text(scope, 1),
            5 if !scope.dates.is_empty() => self.pick(&scope.dates).clone(),
            6 if !scope.others.is_empty() => self.pick(&scope.others).clone(),
            _ => self.pick(&scope.ints).clone(),
        }
    }

    fn int(&mut self, scope: &Scope, depth: u8) -> String {
        if self.fallible > 0 && self.chance(25) {
            self.fallible -= 1;
            return self.fallible_int(scope);
        }
        if depth == 0 || self.chance(50) {
            return self.pick(&scope.ints).clone();
        }
        let inner = self.int(scope, depth - 1);
        match self.below(6) {
            0 => format!("abs({inner} % 1000)"),
            1 => format!("coalesce({inner}, {})", self.below(5)),
            2 => format!("nullif({inner}, {})", self.constant()),
            3 => format!("CASE WHEN {} THEN {inner} ELSE 0 END", self.condition(scope, depth - 1)),
            4 => format!("length({})", self.text(scope, depth - 1)),
            _ => inner,
        }
    }

    /// Fails on some values and not on others.
    fn fallible_int(&mut self, scope: &Scope) -> String {
        let (int, text) = (self.pick(&scope.ints).clone(), self.pick(&scope.texts).clone());
        let constant = self.constant();
        match self.below(7) {
            0 => format!("1 / ({int} - {constant})"),
            1 => format!("{int} % ({int} - {constant})"),
            2 => format!("CAST({text} AS INT)"),
            3 => format!("CAST({int} AS SMALLINT)"),
            4 => format!("CAST(substr({text}, 1, 2) AS INT)"),
            5 => format!("arrow_cast({text}, 'Int16')"),
            _ => format!("1 / ({int} % {})", 2 + self.below(5)),
        }
    }

    fn text(&mut self, scope: &Scope, depth: u8) -> String {
        let column = self.pick(&scope.texts).clone();
        if depth == 0 || self.chance(60) {
            return column;
        }
        match self.below(5) {
            0 => format!("upper({column})"),
            1 => format!("substr({column}, 1, {})", 1 + self.below(6)),
            2 => format!("{column} || {}", self.text_constant()),
            3 => format!("CASE WHEN {} THEN {column} ELSE 'x' END", self.condition(scope, depth - 1)),
            _ => format!("md5({column})"),
        }
    }

    fn condition(&mut self, scope: &Scope, depth: u8) -> String {
        if depth > 0 && self.chance(30) {
            let (left, right) = (self.condition(scope, depth - 1), self.condition(scope, depth - 1));
            return match self.below(3) {
                0 => format!("({left} AND {right})"),
                1 => format!("({left} OR {right})"),
                _ => format!("NOT ({left})"),
            };
        }
        let comparison = *self.pick(&["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM"]);
        match self.below(9) {
            0..=2 => format!("{} {comparison} {}", self.int(scope, 1), self.constant()),
            3 => format!("{} {comparison} {}", self.text(scope, 1), self.text_constant()),
            4 => format!("{} IN ({}, {}, {})", self.int(scope, 0), self.constant(), self.constant(), self.constant()),
            5 => format!("{} IS NOT NULL", self.any(scope)),
            6 => format!("{} LIKE {}", self.text(scope, 0), self.pick(&["'CNRY%'", "'%x@%'", "'n%'", "'1_'", "'US%'"])),
            7 => format!("{} BETWEEN {} AND {}", self.int(scope, 0), self.constant(), self.constant()),
            _ if !scope.flags.is_empty() => self.pick(&scope.flags).clone(),
            _ => format!("{} IS NULL", self.any(scope)),
        }
    }

    fn aggregated(&mut self, scope: &Scope) -> String {
        match self.below(9) {
            0..=1 => "count(*)".to_owned(),
            2 => format!("count(DISTINCT {})", self.any(scope)),
            3 => format!("min({})", self.any(scope)),
            4 => format!("max({})", self.any(scope)),
            5 => format!("min({})", self.text(scope, 0)),
            6 => format!("count({})", self.any(scope)),
            7 => format!("approx_distinct({})", self.text(scope, 0)),
            _ => self.aggregated_int(scope),
        }
    }

    fn aggregated_int(&mut self, scope: &Scope) -> String {
        let function = *self.pick(&["sum", "min", "max", "count"]);
        format!("{function}({})", self.int(scope, 1))
    }

    /// Numbers that hidden rows hold, and others.
    fn constant(&mut self) -> String {
        let planted = canary::number(self.random.random_range(0..9)).to_string();
        let candidates = ["0", "5000", "5000", "7777", &planted, "10", "400", "1037", "9223372036854775807"];
        (*self.pick(&candidates)).to_owned()
    }

    fn text_constant(&mut self) -> String {
        let planted = canary::text("row", self.random.random_range(0..9));
        let candidates = ["EU", "US", "APAC", &planted, "T1", "12", "xxxxnnn@xx.xxx", "CNRY", "a"];
        format!("'{}'", self.pick(&candidates))
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_ratio(percent, 100)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.random_range(0..bound)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        from.choose(&mut self.random).expect("something to pick")
    }
}

#[cfg(test)]
mod tests {
    use super::Writer;

    #[test]
    fn a_seed_always_asks_the_same() {
        let ask = |seed| {
            let mut writer = Writer::new(seed);
            (0..50).map(|_| writer.query().sql()).collect::<Vec<_>>()
        };
        assert_eq!(ask(7), ask(7));
        assert_ne!(ask(7), ask(8));
    }
}
