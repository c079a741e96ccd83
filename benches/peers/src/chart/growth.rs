//! How cost grows: a line for each series, both axes logarithmic, its name at its end.

use std::io;

use plotters::style::{RGBColor, text_anchor::HPos};

use super::canvas::{BODY, Canvas, INK, PALE, Place, RULE, SMALL, Scale, TITLE, draw, spread};
use crate::growth::plot::{Plot, Series, counted};

const WIDTH: i32 = 900;
const HEIGHT: i32 = 480;
/// What stands round the lines: above, left, below, and right, where the names are.
const ABOVE: i32 = 46;
const LEFT: i32 = 92;
const BELOW: i32 = 54;
const RIGHT: i32 = 292;
/// How far apart the names stand at the least; where there are many the sheet grows.
const APART: i32 = 15;

/// Colours that people tell apart however they see colours.
const COLORS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(170, 68, 153),
    RGBColor(184, 134, 11),
    RGBColor(51, 51, 51),
    RGBColor(46, 146, 201),
];

/// Draws a plot.
pub(crate) fn plot_svg(plot: &Plot) -> io::Result<String> {
    let names = APART * i32::try_from(plot.series.len()).unwrap_or(i32::MAX / APART);
    let height = HEIGHT.max(ABOVE + BELOW + names + 20);
    draw((WIDTH as u32, height as u32), |canvas| paint(canvas, plot, height - BELOW))
}

fn paint(canvas: &Canvas<'_>, plot: &Plot, bottom: i32) -> io::Result<()> {
    let points = || plot.series.iter().flat_map(|series| &series.points);
    let right = WIDTH - RIGHT;
    let x = Scale::over(points().map(|(n, _)| *n as f64), (LEFT, right));
    let y = Scale::over(points().map(|(_, value)| *value), (bottom, ABOVE));
    canvas.text(&plot.title, (16, 20), HPos::Left, TITLE, &INK)?;
    for (value, place) in x.ticks() {
        canvas.line(vec![(place, ABOVE), (place, bottom)], 1, &RULE)?;
        canvas.text(&counted(value as u64), (place, bottom + 14), HPos::Center, SMALL, &PALE)?;
    }
    for (value, place) in y.ticks() {
        canvas.line(vec![(LEFT, place), (right, place)], 1, &RULE)?;
        canvas.text(&plot.y.tick(value), (LEFT - 8, place), HPos::Right, SMALL, &PALE)?;
    }
    canvas.text(plot.x, ((LEFT + right) / 2, bottom + 38), HPos::Center, BODY, &PALE)?;
    canvas.upright(&plot.y.axis(plot.of), (20, (ABOVE + bottom) / 2))?;
    let mut ends = Vec::new();
    for (series, color) in plot.series.iter().zip(COLORS.iter().cycle()) {
        let places: Vec<Place> =
            series.points.iter().map(|(n, value)| (x.at(*n as f64), y.at(*value))).collect();
        let Some(end) = places.last() else { continue };
        ends.push((*end, series, color));
        for place in &places {
            canvas.dot(*place, 3, color)?;
        }
        canvas.line(places, 2, color)?;
    }
    names(canvas, ends, right, bottom)
}

/// The names at the ends of their lines, no two on each other.
fn names(
    canvas: &Canvas<'_>,
    mut ends: Vec<(Place, &Series, &RGBColor)>,
    right: i32,
    bottom: i32,
) -> io::Result<()> {
    ends.sort_by_key(|(place, ..)| place.1);
    let mut heights: Vec<i32> = ends.iter().map(|(place, ..)| place.1).collect();
    spread(&mut heights, APART, bottom);
    for ((end, series, color), height) in ends.into_iter().zip(heights) {
        canvas.line(vec![(end.0.max(right) + 4, end.1), (right + 18, height)], 1, color)?;
        canvas.text(&series.name, (right + 22, height), HPos::Left, SMALL, color)?;
    }
    Ok(())
}
