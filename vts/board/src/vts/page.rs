// SPDX-License-Identifier: Apache-2.0
//! The page for people: what passed, and the board afterwards.

use super::results::{Counts, Suite, Verdict, escaped};

/// The board after the tests, in its own words.
pub struct State {
    /// The service's dump.
    pub dump: String,
    /// Counters of the driver's regions.
    pub heaps: String,
    /// Counters of the CMA areas.
    pub cma: String,
    /// What the demonstration shows.
    pub demonstration: String,
    /// Whether it left a picture.
    pub has_picture: bool,
}

const STYLE: &str = "body{font:15px/1.4 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}\
    table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.1em .6em;\
    border-bottom:1px solid #ddd}.failed{background:#fdd}.skipped{background:#ffd}\
    pre{background:#f5f5f5;padding:.6em;overflow:auto}img{max-width:100%}";

/// All of it; the picture is beside it.
pub fn html(suites: &[Suite], counts: &Counts, state: &State) -> String {
    let tables: String = suites.iter().map(table).collect();
    let section =
        |title: &str, text: &str| format!("<h2>{title}</h2><pre>{}</pre>\n", escaped(text));
    let picture = match state.has_picture {
        true => "<img src=\"camera.png\" alt=\"what the camera captured\">\n",
        false => "",
    };
    let state = [
        section("Heaps, as the allocator tells", &state.dump),
        section("Regions: /sys/kernel/dmaheap", &state.heaps),
        section("CMA areas: /sys/kernel/mm/cma", &state.cma),
        section("The demonstration", &state.demonstration),
    ]
    .concat();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <title>dmaheap-gralloc: {counts}</title><style>{STYLE}</style></head><body>\n\
         <h1>{counts}</h1>\n{tables}{state}\
         {picture}\
         </body></html>\n"
    )
}

/// A program's tests; what needs attention comes first.
fn table(suite: &Suite) -> String {
    let mut counts = Counts::default();
    counts.add(suite);
    let mut rows: Vec<_> = suite.cases.iter().collect();
    rows.sort_by_key(|case| match case.verdict {
        Verdict::Failed(_) => 0,
        Verdict::Skipped(_) => 1,
        Verdict::Passed => 2,
    });
    let rows: String = rows
        .into_iter()
        .map(|case| {
            let (class, why) = match &case.verdict {
                Verdict::Failed(why) => ("failed", why.as_str()),
                Verdict::Skipped(why) => ("skipped", why.as_str()),
                Verdict::Passed => ("passed", ""),
            };
            let (name, why) = (escaped(&case.name), escaped(why));
            format!(
                "<tr class=\"{class}\"><td>{name}</td><td>{class}</td><td>{}</td><td>{why}</td></tr>\n",
                escaped(&case.time)
            )
        })
        .collect();
    format!(
        "<h2>{}: {counts}</h2>\n<table><tr><th>test</th><th>result</th><th>seconds</th>\
         <th>why</th></tr>\n{rows}</table>\n",
        suite.name
    )
}
