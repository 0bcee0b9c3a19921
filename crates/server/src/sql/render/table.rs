//! Aligned columns for people, in bounded memory: widths are fitted to the first rows and may grow with later ones.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// How many rows the widths are fitted to at a time.
const ROWS_FITTED: usize = 1_000;

pub(super) struct Table<W: Write> {
    out: W,
    titles: Vec<String>,
    /// Numbers stand right.
    right: Vec<bool>,
    widths: Vec<usize>,
    waiting: Vec<Vec<String>>,
    begun: bool,
}

impl<W: Write> Table<W> {
    pub(super) fn new(out: W, schema: &SchemaRef) -> Self {
        let titles: Vec<String> = schema.fields().iter().map(|field| one_line(field.name())).collect();
        let right = schema.fields().iter().map(|field| is_number(field.data_type())).collect();
        let widths = titles.iter().map(|title| width(title)).collect();
        Self { out, titles, right, widths, waiting: Vec::new(), begun: false }
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let options = FormatOptions::default().with_null("NULL");
        let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let cells = columns.iter().map(|column| column.value(row).try_to_string().map(|cell| one_line(&cell)));
            self.waiting.push(cells.collect::<Result<_, _>>()?);
            if self.waiting.len() == ROWS_FITTED {
                self.print()?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<W, ArrowError> {
        self.print()?;
        Ok(self.out)
    }

    fn print(&mut self) -> Result<(), ArrowError> {
        for row in &self.waiting {
            for (fitted, cell) in self.widths.iter_mut().zip(row) {
                *fitted = width(cell).max(*fitted);
            }
        }
        if !self.begun && !self.titles.is_empty() {
            self.begun = true;
            let titles = std::mem::take(&mut self.titles);
            self.line(&titles)?;
            let rule: Vec<String> = self.widths.iter().map(|width| "-".repeat(width + 2)).collect();
            writeln!(self.out, "{}", rule.join("+"))?;
        }
        for row in std::mem::take(&mut self.waiting) {
            self.line(&row)?;
        }
        Ok(())
    }

    fn line(&mut self, cells: &[String]) -> Result<(), ArrowError> {
        let padded: Vec<String> = cells
            .iter()
            .zip(&self.widths)
            .zip(&self.right)
            .map(|((cell, fitted), right)| {
                let pad = " ".repeat(fitted - width(cell));
                if *right { format!(" {pad}{cell} ") } else { format!(" {cell}{pad} ") }
            })
            .collect();
        writeln!(self.out, "{}", padded.join("|").trim_end())?;
        Ok(())
    }
}

/// Control characters would break the table, or do worse to a terminal.
fn one_line(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

fn width(text: &str) -> usize {
    console::measure_text_width(text)
}

fn is_number(kind: &DataType) -> bool {
    kind.is_numeric()
}
