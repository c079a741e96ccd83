//! The table as dots: a line for each row, in times of what the limit takes.

use std::io;

use plotters::style::{RGBColor, text_anchor::HPos};

use super::canvas::{BODY, Canvas, INK, PALE, RULE, SMALL, Scale, TITLE, draw};
use crate::report::{Row, shown};

const WIDTH: i32 = 900;
/// What stands above and below the rows.
const ABOVE: i32 = 78;
const BELOW: i32 = 24;
/// Where the rule of a row begins and ends; before it is what was measured, behind it the ratio.
const LEFT: i32 = 330;
const RIGHT: i32 = 762;
/// How high a row is without names of peers, and each line of these.
const ROW: i32 = 40;
const LANE: i32 = 15;
/// How wide a small letter is, about, and how many of a row's words fit before its rule.
const LETTER: f64 = 6.4;
const WORDS: usize = 44;
/// How many letters of a peer's name are shown.
const NAME: usize = 26;

const OURS: RGBColor = RGBColor(0, 114, 178);
const SHORT: RGBColor = RGBColor(194, 60, 0);
const PEER: RGBColor = RGBColor(125, 125, 125);

/// Draws the rows of the table.
pub(crate) fn table_svg(rows: &[Row]) -> io::Result<String> {
    let ratios = rows.iter().filter(|row| row.limit.nanos > 0.0).flat_map(ratios);
    let scale = Scale::over(ratios.chain([1.0]).filter(|ratio| *ratio > 0.0), (LEFT, RIGHT));
    let lines: Vec<Line<'_>> = rows.iter().map(|row| Line::of(row, scale)).collect();
    let height = lines.iter().map(Line::height).sum::<i32>() + ABOVE + BELOW;
    draw((WIDTH as u32, height as u32), |canvas| {
        head(canvas, scale, height)?;
        let mut top = ABOVE;
        for line in &lines {
            line.paint(canvas, scale, top)?;
            top += line.height();
        }
        Ok(())
    })
}

/// All that a row has a dot for, in times of its limit.
fn ratios(row: &Row) -> impl Iterator<Item = f64> {
    let goal = row.limit.goal.as_ref().map(|goal| goal.nanos_most);
    let peers = row.peers.iter().map(|peer| peer.nanos);
    [row.ours].into_iter().chain(goal).chain(peers).map(|nanos| nanos / row.limit.nanos)
}

/// The title, what the signs mean, and the scale.
fn head(canvas: &Canvas<'_>, scale: Scale, height: i32) -> io::Result<()> {
    canvas.text("Time, in times of what the limit takes", (16, 20), HPos::Left, TITLE, &INK)?;
    let signs = [(16, "planbus"), (116, "planbus, short of its goal"), (316, "a peer"), (396, "the goal")];
    for (place, meaning) in signs {
        canvas.text(meaning, (place + 16, 44), HPos::Left, SMALL, &INK)?;
    }
    canvas.dot((22, 44), 5, &OURS)?;
    canvas.dot((122, 44), 5, &SHORT)?;
    canvas.ring((322, 44), 4, &PEER)?;
    canvas.line(vec![(402, 38), (402, 50)], 3, &INK)?;
    for (value, place) in scale.ticks() {
        let is_limit = (value - 1.0).abs() < 1e-9;
        let (width, color, words) = match is_limit {
            true => (2, PALE, "limit".to_owned()),
            false => (1, RULE, format!("{value}x")),
        };
        canvas.line(vec![(place, ABOVE - 6), (place, height - BELOW)], width, &color)?;
        canvas.text(&words, (place, ABOVE - 14), HPos::Center, SMALL, &PALE)?;
    }
    Ok(())
}

/// A row, and where the names of its peers stand.
struct Line<'a> {
    row: &'a Row,
    /// The dot of each peer, its name, the middle of it, and in which line below the rule.
    peers: Vec<(i32, String, i32, i32)>,
}

impl<'a> Line<'a> {
    /// Finds for each name the first line in which it meets no other.
    fn of(row: &'a Row, scale: Scale) -> Self {
        let mut peers: Vec<(i32, String)> = match row.limit.nanos > 0.0 {
            true => row
                .peers
                .iter()
                .map(|peer| (scale.at(peer.nanos / row.limit.nanos), cut(&peer.name)))
                .collect(),
            false => Vec::new(),
        };
        peers.sort_by_key(|(place, _)| *place);
        let mut taken: Vec<i32> = Vec::new(); // up to where each line has words
        let place = |(dot, name): (i32, String)| {
            let half = (name.chars().count() as f64 * LETTER / 2.0) as i32;
            let middle = dot.clamp(LEFT + half, RIGHT - half);
            let lane = taken.iter().position(|end| *end < middle - half).unwrap_or(taken.len());
            taken.resize(taken.len().max(lane + 1), 0);
            taken[lane] = middle + half + 6;
            (dot, name, middle, lane as i32)
        };
        Self { peers: peers.into_iter().map(place).collect(), row }
    }

    fn height(&self) -> i32 {
        let lanes = self.peers.iter().map(|(.., lane)| lane + 1).max().unwrap_or(0);
        ROW.max(24 + lanes * LANE)
    }

    fn paint(&self, canvas: &Canvas<'_>, scale: Scale, top: i32) -> io::Result<()> {
        let Row { what, limit, ours, .. } = self.row;
        let rule = top + 12;
        canvas.line(vec![(16, top - 2), (WIDTH - 16, top - 2)], 1, &RULE)?;
        canvas.text(&shortened(what, WORDS), (16, rule), HPos::Left, BODY, &INK)?;
        if limit.nanos <= 0.0 {
            return canvas.text(
                &format!("no limit; {}", shown(*ours)),
                (LEFT, rule),
                HPos::Left,
                SMALL,
                &PALE,
            );
        }
        let beside = format!("{} ({})", shortened(&limit.name, WORDS - 12), shown(limit.nanos));
        canvas.text(&beside, (16, rule + 14), HPos::Left, SMALL, &PALE)?;
        for (dot, name, middle, lane) in &self.peers {
            let below = rule + 13 + lane * LANE;
            canvas.line(vec![(*dot, rule), (*dot, below - 6)], 1, &RULE)?;
            canvas.ring((*dot, rule), 4, &PEER)?;
            canvas.text(name, (*middle, below), HPos::Center, SMALL, &PALE)?;
        }
        let judged = limit.goal.as_ref();
        let color = if judged.is_none_or(|judged| judged.met) { &OURS } else { &SHORT };
        if let Some(judged) = judged {
            let goal = scale.at(judged.nanos_most / limit.nanos);
            canvas.line(vec![(goal, rule - 7), (goal, rule + 7)], 3, &INK)?;
            canvas.text(&judged.ratio, (RIGHT + 14, rule), HPos::Left, BODY, color)?;
            canvas.text(
                &format!("goal {}", judged.goal),
                (RIGHT + 14, rule + 14),
                HPos::Left,
                SMALL,
                &PALE,
            )?;
        }
        canvas.dot((scale.at(ours / limit.nanos), rule), 5, color)
    }
}

/// A peer's name without what explains it.
fn cut(name: &str) -> String {
    shortened(name.split(['(', ',']).next().unwrap_or(name).trim(), NAME)
}

fn shortened(words: &str, most: usize) -> String {
    match words.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", words[..end].trim_end()),
        None => words.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Goal;

    #[test]
    fn names_of_peers_that_cost_the_same_stand_below_each_other() {
        let row = Row::new("dispatch", "publish", ("bare loop", 10.0), 12.0, Goal::AtMost(1.4))
            .peer("crossbeam fan-out", 100.0, None)
            .peer("tokio broadcast (bounded)", 101.0, None)
            .peer("signals2", 9_000.0, None);
        let line = Line::of(&row, Scale::over([1.0, 1e4].into_iter(), (LEFT, RIGHT)));
        let lanes: Vec<_> = line.peers.iter().map(|(_, name, _, lane)| (name.as_str(), *lane)).collect();
        assert_eq!(lanes, [("crossbeam fan-out", 0), ("tokio broadcast", 1), ("signals2", 0)]);
    }

    #[test]
    fn a_row_without_a_limit_is_drawn_in_words() {
        let row = Row::new("mirror", "publish until it is read", ("-", 0.0), 1e6, Goal::Nanos(5e6));
        let svg = table_svg(&[row]).expect("draws");
        assert!(svg.contains("no limit; 1.00 ms"), "{svg}");
    }
}
