// SPDX-License-Identifier: Apache-2.0
//! The table for people: every file, every crate, and the whole.

use comfy_table::{CellAlignment, Table, presets};

use super::lines::{Count, Source};

/// Files in the order of their names, the sums below their files.
pub fn of(sources: &[Source]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["file", "lines", "covered", "%", "lines that have not run"]);
    for files in sources.chunk_by(|a, b| package(a) == package(b)) {
        for source in files {
            table.add_row(row(&source.path, source.count(), source.missing()));
        }
        if let Some(first) = files.first() {
            table.add_row(sum(package(first), files));
        }
    }
    table.add_row(sum("service", sources));
    for column in 1..=3 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn row(name: &str, count: Count, missing: String) -> [String; 5] {
    let Count { lines, covered } = count;
    let percent = format!("{:.1}", count.percent());
    [name.to_owned(), lines.to_string(), covered.to_string(), percent, missing]
}

fn sum(name: &str, sources: &[Source]) -> [String; 5] {
    let count = sources.iter().map(Source::count).sum();
    row(&format!("all of {name}/"), count, String::new())
}

/// The folder of the crate that a file belongs to.
fn package(source: &Source) -> &str {
    source.path.split("/src/").next().unwrap_or_default()
}
