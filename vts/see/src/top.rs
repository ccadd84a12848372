// SPDX-License-Identifier: Apache-2.0
//! Who takes more and more: the picture again and again, in a terminal.
//!
//! Who has grown most since the first look comes first, for that is whom a leak is looked for at. Each
//! look is a step; how long one takes is the caller's.

use std::collections::{BTreeMap, VecDeque};

use ratatui::backend::TestBackend;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table};
use ratatui::{Frame, Terminal};

use crate::picture::{COLOURS, Holder, Region, bytes};
use crate::text::letters;
use crate::{Picture, text};

/// In the order of the page's.
const COLOUR: [Color; COLOURS] = [
    Color::LightBlue,
    Color::LightRed,
    Color::LightGreen,
    Color::LightMagenta,
    Color::Yellow,
    Color::LightCyan,
    Color::Magenta,
    Color::Green,
];

/// The rate is that of so many steps.
const STEPS: usize = 10;

/// What was seen so far.
#[derive(Debug, Default)]
pub struct Top {
    now: Option<Picture>,
    /// Of each holder, the buffers at the first look and at the last ones.
    history: BTreeMap<(String, u32), (usize, VecDeque<usize>)>,
    looks: usize,
}

/// A holder, and how it changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// As it is now.
    pub holder: Holder,
    /// Buffers more than at the first look.
    pub more: i64,
    /// Buffers more for each step, of the last ones.
    pub rate: f64,
}

impl Top {
    /// Takes another look.
    pub fn step(&mut self, picture: Picture) {
        for holder in &picture.holders {
            // Who was not there at the first look had nothing.
            let first = if self.looks == 0 { holder.buffers } else { 0 };
            let key = (holder.name.clone(), holder.uid);
            let (_, last) = self.history.entry(key).or_insert((first, VecDeque::new()));
            last.push_back(holder.buffers);
            if last.len() > STEPS + 1 {
                last.pop_front();
            }
        }
        let is_there = |key: &(String, u32)| {
            picture.holders.iter().any(|holder| (&holder.name, holder.uid) == (&key.0, key.1))
        };
        self.history.retain(|key, _| is_there(key));
        self.looks += 1;
        self.now = Some(picture);
    }

    /// Who has grown most comes first; of equals who holds most.
    pub fn changes(&self) -> Vec<Change> {
        let holders = self.now.iter().flat_map(|picture| &picture.holders);
        let change = |holder: &Holder| {
            let (first, last) = self.history.get(&(holder.name.clone(), holder.uid))?;
            let (from, to) = (*last.front()? as f64, *last.back()? as f64);
            let steps = (last.len() - 1).max(1) as f64;
            let more = holder.buffers as i64 - *first as i64;
            Some(Change { holder: holder.clone(), more, rate: (to - from) / steps })
        };
        let mut changes: Vec<Change> = holders.filter_map(change).collect();
        // The order was by bytes, and sorting keeps it.
        changes.sort_by_key(|change| -change.more);
        changes
    }

    /// Draws all of it.
    pub fn draw(&self, frame: &mut Frame) {
        let Some(picture) = &self.now else { return };
        let regions = picture.regions.len() as u16 * 2;
        let refusals = picture.refusals.len() as u16;
        let parts =
            [Constraint::Length(regions + 1), Constraint::Min(3), Constraint::Length(refusals + 1)];
        let [above, middle, below] = Layout::vertical(parts).areas(frame.area());
        let width = usize::from(above.width);
        let lines = picture.regions.iter().flat_map(|region| bar(region, width));
        frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), above);
        frame.render_widget(self.table(), middle);
        let refusals =
            picture.refusals.iter().map(|(heap, why)| format!("last refusal of {heap}: {why}"));
        let help = format!("look {}   q quits", self.looks);
        let lines: Vec<Line> = refusals.chain([help]).map(Line::from).collect();
        frame.render_widget(Paragraph::new(lines), below);
    }

    /// One frame, as text.
    pub fn once(&self) -> String {
        const WIDTH: u16 = 100;
        let rows = self
            .now
            .as_ref()
            .map_or(0, |now| now.regions.len() * 2 + now.holders.len() + now.refusals.len() + 4);
        let backend = TestBackend::new(WIDTH, u16::try_from(rows).unwrap_or(u16::MAX).max(1));
        // It is memory, and does not fail.
        let Ok(mut terminal) = Terminal::new(backend) else { return String::new() };
        let _ = terminal.draw(|frame| self.draw(frame));
        let buffer = terminal.backend().buffer();
        let line = |y| (0..WIDTH).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        let lines = (0..buffer.area.height).map(line);
        lines.map(|line| line.trim_end().to_owned() + "\n").collect()
    }

    fn table(&self) -> Table<'_> {
        let holders = self.now.as_ref().map_or(&[][..], |picture| &picture.holders);
        let row = |change: Change| {
            let Change { holder, more, rate } = change;
            let at = holders.iter().position(|one| *one == holder).unwrap_or_default();
            let letter = letters().nth(at).unwrap_or('*').to_string();
            Row::new([
                Cell::from(letter).style(COLOUR[at % COLOURS]),
                Cell::from(holder.name),
                Cell::from(holder.uid.to_string()),
                Cell::from(holder.buffers.to_string()),
                Cell::from(bytes(holder.bytes)),
                Cell::from(format!("{more:+}")),
                Cell::from(format!("{rate:+.1}")),
            ])
        };
        let widths = [1, 28, 8, 8, 10, 7, 9].map(Constraint::Length);
        let heads = ["", "who asked", "uid", "buffers", "memory", "more", "per look"];
        let bold = Style::new().add_modifier(Modifier::BOLD);
        Table::new(self.changes().into_iter().map(row), widths).header(Row::new(heads).style(bold))
    }
}

/// What a region is, and its strip.
fn bar(region: &Region, width: usize) -> [Line<'static>; 2] {
    let (size, used, hole) = (bytes(region.size), bytes(region.used), bytes(region.hole.1));
    let about = format!("{}: {used} of {size}, largest hole {hole}", region.name);
    let span = |letter: char| {
        let at = letters().take(26).position(|one| one == letter);
        let style = at.map_or(Style::new(), |at| Style::new().fg(COLOUR[at % COLOURS]));
        Span::styled(letter.to_string(), style)
    };
    [Line::from(about), text::strip(region, width).chars().map(span).collect()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Snapshot;

    /// Ten apps, each with buffers that come and go; one keeps one more at each step.
    fn look(step: u64) -> Picture {
        let mut text = "= map camera@54000000\n0x54000000 8388608 clean\n= buffers\n".to_owned();
        let mut inode = 0;
        for app in 0..10u64 {
            let buffers = 20 + (step * 7 + app * 3) % 11 + if app == 6 { step } else { 0 };
            for _ in 0..buffers {
                inode += 1;
                text += &format!(
                    "{{\"inode\":{inode},\"metadata\":false,\"name\":\"n\",\"uid\":{},\
                     \"context\":null,\"pid\":1,\"process\":\"app{app}\",\"at\":1.0,\"rule\":\"r\",\
                     \"heap\":\"h\",\"size\":4096,\"address\":null,\"format\":\"BLOB\",\"width\":1,\
                     \"height\":1,\"layers\":1,\"usage\":\"NONE\"}}\n",
                    10_000 + app
                );
            }
        }
        let refusal = "{\"heaps\":[{\"name\":\"h\",\"last_failure\":\"it is full\"}]}";
        Picture::new(&Snapshot::parse(&format!("{text}= dump\n{refusal}")).unwrap())
    }

    #[test]
    fn who_leaks_a_buffer_at_each_step_comes_first_and_stays_there() {
        let mut top = Top::default();
        for step in 0..60 {
            top.step(look(step));
            let first = &top.changes()[0];
            assert!(step < 12 || first.holder.name == "app6", "at step {step}: {first:?}");
        }
        let shown = top.once();
        let lines: Vec<&str> = shown.lines().collect();
        let head = lines.iter().position(|line| line.contains("who asked")).unwrap();
        assert!(
            lines[head + 1].contains("app6") && lines[head + 1].contains("10006"),
            "{lines:#?}"
        );
        assert!(top.changes()[0].more > 40);
    }

    #[test]
    fn frame_has_regions_holders_and_refusals() {
        let mut top = Top::default();
        assert_eq!(top.once(), "\n");
        top.step(look(0));
        let text = top.once();
        for part in [
            "camera@54000000: 0 B of 8 MiB, largest hole 8 MiB",
            "....",
            "app0",
            "it is full",
            "q quits",
        ] {
            assert!(text.contains(part), "{part} is missing in:\n{text}");
        }
    }

    #[test]
    fn who_is_gone_is_forgotten() {
        let mut top = Top::default();
        top.step(look(0));
        top.step(Picture::new(&Snapshot::default()));
        assert!(top.changes().is_empty() && top.history.is_empty());
    }
}
