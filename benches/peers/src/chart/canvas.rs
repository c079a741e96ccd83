//! What charts are drawn with: words, lines and dots on a sheet, and logarithmic scales.

use std::{fmt::Display, io};

use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

/// What is written, and what stands behind it.
pub(super) const INK: RGBColor = RGBColor(34, 34, 34);
pub(super) const PALE: RGBColor = RGBColor(110, 110, 110);
pub(super) const RULE: RGBColor = RGBColor(222, 222, 222);

/// How large words are.
pub(super) const TITLE: u32 = 20;
pub(super) const BODY: u32 = 16;
pub(super) const SMALL: u32 = 14;

/// A pixel.
pub(super) type Place = (i32, i32);

/// A sheet of this many pixels that becomes an SVG.
pub(super) struct Canvas<'a>(DrawingArea<SVGBackend<'a>, Shift>);

/// Draws on a sheet, and gives it as SVG.
pub(super) fn draw(
    size: (u32, u32),
    paint: impl FnOnce(&Canvas<'_>) -> io::Result<()>,
) -> io::Result<String> {
    let mut svg = String::new();
    let canvas = Canvas(SVGBackend::with_string(&mut svg, size).into_drawing_area());
    canvas.0.fill(&WHITE).map_err(failed)?;
    paint(&canvas)?;
    canvas.0.present().map_err(failed)?;
    drop(canvas);
    Ok(svg)
}

fn failed(problem: impl Display) -> io::Error {
    io::Error::other(format!("drawing: {problem}"))
}

impl Canvas<'_> {
    /// Words whose middle is at this height, which begin, end or have their middle there.
    pub(super) fn text(
        &self,
        text: &str,
        at: Place,
        side: HPos,
        size: u32,
        color: &RGBColor,
    ) -> io::Result<()> {
        let style = ("sans-serif", size).into_font().color(color).pos(Pos::new(side, VPos::Center));
        self.0.draw(&Text::new(text, at, style)).map_err(failed)
    }

    /// Words that are read from below upwards, with their middle there.
    pub(super) fn upright(&self, text: &str, at: Place) -> io::Result<()> {
        let font = ("sans-serif", BODY).into_font().transform(FontTransform::Rotate270);
        let style = font.color(&PALE).pos(Pos::new(HPos::Center, VPos::Center));
        self.0.draw(&Text::new(text, at, style)).map_err(failed)
    }

    pub(super) fn line(&self, places: Vec<Place>, width: u32, color: &RGBColor) -> io::Result<()> {
        self.0.draw(&PathElement::new(places, color.stroke_width(width))).map_err(failed)
    }

    pub(super) fn dot(&self, at: Place, radius: i32, color: &RGBColor) -> io::Result<()> {
        self.0.draw(&Circle::new(at, radius, color.filled())).map_err(failed)
    }

    /// A dot that what is behind it does not show through.
    pub(super) fn ring(&self, at: Place, radius: i32, color: &RGBColor) -> io::Result<()> {
        self.0.draw(&Circle::new(at, radius, WHITE.filled())).map_err(failed)?;
        self.0.draw(&Circle::new(at, radius, color.stroke_width(2))).map_err(failed)
    }
}

/// A logarithmic scale over whole decades.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    /// The first and the last power of ten.
    decades: (i32, i32),
    /// The pixels at which they stand.
    pixels: Place,
}

impl Scale {
    /// The scale that has all of these, which are positive; of one decade at the least.
    pub(super) fn over(values: impl Iterator<Item = f64>, pixels: Place) -> Self {
        let (low, high) = values
            .fold((f64::MAX, f64::MIN_POSITIVE), |(low, high), value| (low.min(value), high.max(value)));
        let from = low.min(high).log10().floor() as i32;
        Self { decades: (from, (high.log10().ceil() as i32).max(from + 1)), pixels }
    }

    /// Where a value stands.
    pub(super) fn at(&self, value: f64) -> i32 {
        let (from, to) = self.decades;
        let part = (value.log10() - f64::from(from)) / f64::from(to - from);
        let (first, last) = self.pixels;
        first + (f64::from(last - first) * part).round() as i32
    }

    /// The powers of ten, and where they stand.
    pub(super) fn ticks(&self) -> impl Iterator<Item = (f64, i32)> {
        let Self { decades: (from, to), .. } = *self;
        (from..=to).map(|decade| 10_f64.powi(decade)).map(|value| (value, self.at(value)))
    }
}

/// Puts labels, which are given in their order, at least so far apart, each as near to its place as that
/// allows, and none beyond `floor`.
pub(super) fn spread(places: &mut [i32], apart: i32, floor: i32) {
    // Labels that push each other stand as one block round the middle of their places.
    let mut blocks: Vec<(i64, i64)> = Vec::new(); // the sum of their places without the gaps, how many
    for (number, place) in (0..).zip(places.iter()) {
        blocks.push((i64::from(place - number * apart), 1));
        while let [.., before, last] = blocks[..]
            && before.0 * last.1 > last.0 * before.1
        {
            blocks.truncate(blocks.len() - 2);
            blocks.push((before.0 + last.0, before.1 + last.1));
        }
    }
    let starts = blocks.into_iter().flat_map(|(sum, count)| (0..count).map(move |_| (sum / count) as i32));
    let last = places.len() as i32 - 1;
    for ((number, start), place) in (0..).zip(starts.collect::<Vec<_>>()).zip(places) {
        *place = start.min(floor - last * apart) + number * apart;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_has_whole_decades_and_every_value() {
        let scale = Scale::over([3.0, 250.0].into_iter(), (100, 400));
        assert_eq!(scale.ticks().collect::<Vec<_>>(), [(1.0, 100), (10.0, 200), (100.0, 300), (1000.0, 400)]);
        assert_eq!(Scale::over([10.0, 10.0].into_iter(), (0, 60)).at(10.0), 0, "one value has a decade");
    }

    #[test]
    fn labels_that_would_overlap_stand_apart_and_stay_on_the_sheet() {
        let mut places = [10, 12, 50, 60, 97];
        spread(&mut places, 16, 100);
        assert_eq!(places, [3, 19, 47, 63, 97], "each pair round its middle");
        let mut places = [90, 95, 97];
        spread(&mut places, 15, 100);
        assert_eq!(places, [70, 85, 100]);
    }
}
