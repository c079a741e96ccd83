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
/// How many letters of the limit's and a peer's name are shown.
const LIMIT: usize = 36;
const NAME: usize = 34;

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
    peers: Vec<Name>,
}

/// A peer's name, below its dot.
struct Name {
    dot: i32,
    words: String,
    /// Whether it ends at its dot, where it would not fit behind it.
    is_before: bool,
    /// In which line below the rule it stands.
    lane: i32,
}

impl<'a> Line<'a> {
    /// Finds for each name the first line in which it meets no other. Names begin at their dots, and who
    /// stands further left stands lower: so no line from a dot to its name crosses another name.
    fn of(row: &'a Row, scale: Scale) -> Self {
        let dot = |nanos: f64| scale.at(nanos / row.limit.nanos);
        let has_limit = row.limit.nanos > 0.0;
        let mut peers: Vec<_> = match has_limit {
            true => row.peers.iter().map(|peer| (dot(peer.nanos), cut(&peer.name))).collect(),
            false => Vec::new(),
        };
        peers.sort_by_key(|(dot, _)| std::cmp::Reverse(*dot));
        let mut free: Vec<i32> = Vec::new(); // up to where each line has nothing yet
        let place = |(dot, words): (i32, String)| {
            let width = (words.chars().count() as f64 * LETTER) as i32 + 8;
            let is_before = dot + width > RIGHT;
            let (from, to) = if is_before { (dot - width, dot) } else { (dot, dot + width) };
            let lane = free.iter().position(|free| to < *free).unwrap_or(free.len());
            free.resize(free.len().max(lane + 1), i32::MAX);
            free[..lane].fill(dot); // by the line that leads there
            free[lane] = from;
            Name { dot, words, is_before, lane: lane as i32 }
        };
        Self { peers: peers.into_iter().map(place).collect(), row }
    }

    fn height(&self) -> i32 {
        let lanes = self.peers.iter().map(|peer| peer.lane + 1).max().unwrap_or(0);
        ROW.max(24 + lanes * LANE)
    }

    fn paint(&self, canvas: &Canvas<'_>, scale: Scale, top: i32) -> io::Result<()> {
        let Row { what, limit, ours, .. } = self.row;
        let rule = top + 12;
        canvas.line(vec![(16, top - 2), (WIDTH - 16, top - 2)], 1, &RULE)?;
        canvas.text(&shortened(what, WORDS), (16, rule), HPos::Left, BODY, &INK)?;
        let judged = limit.goal.as_ref();
        let color = if judged.is_none_or(|judged| judged.met) { &OURS } else { &SHORT };
        if let Some(judged) = judged {
            let goal = format!("goal {}", judged.goal);
            canvas.text(&goal, (RIGHT + 14, rule + 14), HPos::Left, SMALL, &PALE)?;
        }
        if limit.nanos <= 0.0 {
            // Nothing that it could be drawn in times of.
            return canvas.text(&shown(*ours), (RIGHT + 14, rule), HPos::Left, BODY, color);
        }
        let beside = format!("{} ({})", shortened(&limit.name, LIMIT), shown(limit.nanos));
        canvas.text(&beside, (16, rule + 14), HPos::Left, SMALL, &PALE)?;
        for Name { dot, words, is_before, lane } in &self.peers {
            let below = rule + 13 + lane * LANE;
            let (side, gap) = if *is_before { (HPos::Right, -4) } else { (HPos::Left, 4) };
            canvas.line(vec![(*dot, rule), (*dot, below + 4)], 1, &RULE)?;
            canvas.text(words, (dot + gap, below), side, SMALL, &PALE)?;
        }
        for peer in &self.peers {
            canvas.ring((peer.dot, rule), 4, &PEER)?;
        }
        if let Some(judged) = judged {
            let goal = scale.at(judged.nanos_most / limit.nanos);
            canvas.line(vec![(goal, rule - 7), (goal, rule + 7)], 3, &INK)?;
            canvas.text(&judged.ratio, (RIGHT + 14, rule), HPos::Left, BODY, color)?;
        }
        canvas.dot((scale.at(ours / limit.nanos), rule), 5, color)
    }
}

/// A peer's name without what explains it.
fn cut(name: &str) -> String {
    shortened(name.split('(').next().unwrap_or(name).trim(), NAME)
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
            .peer("tokio broadcast (bounded)", 99.0, None)
            .peer("signals2", 9_000.0, None);
        let line = Line::of(&row, Scale::over([1.0, 1e4].into_iter(), (LEFT, RIGHT)));
        let lanes: Vec<_> = line.peers.iter().map(|peer| (peer.words.as_str(), peer.lane)).collect();
        assert_eq!(lanes, [("signals2", 0), ("crossbeam fan-out", 0), ("tokio broadcast", 1)]);
    }

    #[test]
    fn a_row_without_a_limit_says_what_ours_takes() {
        let row = Row::new("mirror", "publish until it is read", ("-", 0.0), 1e6, Goal::Nanos(5e6));
        let svg = table_svg(&[row]).expect("draws");
        assert!(svg.contains("1.00 ms"), "{svg}");
    }
}
