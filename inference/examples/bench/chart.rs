//! The chart of the results: ratios to llama.cpp on one thread, a panel a test.

use serde_json::Value;

use super::table::{list, test_name};

const PANEL_WIDTH: f64 = 460.0;
const LABEL_WIDTH: f64 = 82.0;
/// Room for the numbers after the longest bar.
const NUMBER_WIDTH: f64 = 128.0;
const BAR: f64 = 13.0;
const GAP: f64 = 9.0;
const TOP: f64 = 62.0;
const TITLE: f64 = 34.0;

/// A bar: what it stands for, its ratio, our tokens a second, and whether it is of the second group.
struct Bar {
    label: String,
    ratio: f64,
    speed: f64,
    second: bool,
}

/// Bars of a test, those of the same shape and quantisation together.
fn bars(results: &Value, test: &str) -> Vec<Bar> {
    let rows = list(results, "rows").iter();
    let mut bars: Vec<Bar> = rows
        .filter(|row| row["test"] == test && row["threads"] == 1)
        .filter_map(|row| {
            let peer = row["peer_name"].as_str()?;
            let shape = format!(
                "{} {}",
                row["shape"].as_str()?,
                row["quantisation"].as_str()?
            );
            peer.starts_with("llama.cpp").then_some(Bar {
                label: shape,
                ratio: row["ratio"].as_f64()?,
                speed: row["sworn"].as_f64()?,
                second: peer != "llama.cpp",
            })
        })
        .collect();
    let mut order: Vec<String> = Vec::new();
    for bar in &bars {
        if !order.contains(&bar.label) {
            order.push(bar.label.clone());
        }
    }
    bars.sort_by_key(|bar| {
        (
            order.iter().position(|label| *label == bar.label),
            bar.second,
        )
    });
    bars
}

/// The height of a panel.
fn height(bars: &[Bar]) -> f64 {
    let groups = bars.chunk_by(|a, b| a.label == b.label).count();
    TITLE + bars.len() as f64 * BAR + groups as f64 * GAP + 14.0
}

fn panel(out: &mut String, title: &str, bars: &[Bar], largest: f64, (x, y): (f64, f64)) {
    let zero = x + LABEL_WIDTH;
    let scale = (PANEL_WIDTH - LABEL_WIDTH - NUMBER_WIDTH) / largest;
    out.push_str(&format!(
        "<text class=\"title\" x=\"{zero}\" y=\"{}\">{title}</text>\n",
        y + 20.0
    ));
    let mut at = y + TITLE;
    for group in bars.chunk_by(|a, b| a.label == b.label) {
        let middle = at + group.len() as f64 * BAR / 2.0 + 4.5;
        out.push_str(&format!(
            "<text class=\"label\" x=\"{}\" y=\"{middle:.1}\">{}</text>\n",
            zero - 8.0,
            group[0].label
        ));
        for bar in group {
            let width = (bar.ratio * scale).max(1.0);
            let class = if bar.second { "b" } else { "a" };
            let speed = match bar.speed {
                speed if speed >= 100.0 => format!("{speed:.0}"),
                speed => format!("{speed:.1}"),
            };
            out.push_str(&format!(
                "<rect class=\"{class}\" x=\"{zero}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\"/><text class=\"number\" x=\"{:.1}\" y=\"{:.1}\"><tspan class=\"ratio\">{:.2}×</tspan> {speed} tok/s</text>\n",
                at + 1.0,
                BAR - 2.0,
                zero + width + 6.0,
                at + BAR - 2.5,
                bar.ratio,
            ));
            at += BAR;
        }
        at += GAP;
    }
    let one = zero + scale;
    out.push_str(&format!(
        "<path class=\"one\" d=\"M{one:.1} {:.1}V{:.1}\"/>\n",
        y + TITLE - 4.0,
        at - GAP + 4.0
    ));
}

/// The chart. Colours and a middle grey that are readable on light and on dark pages.
pub(crate) fn svg(results: &Value) -> String {
    let mut tests: Vec<&str> = Vec::new();
    for row in list(results, "rows") {
        let test = row["test"].as_str().unwrap_or_default();
        if !tests.contains(&test) {
            tests.push(test);
        }
    }
    let panels: Vec<(String, Vec<Bar>)> = tests
        .iter()
        .map(|test| (test_name(test), bars(results, test)))
        .filter(|(_, bars)| !bars.is_empty())
        .collect();
    let all = || panels.iter().flat_map(|(_, bars)| bars);
    let largest = all().map(|bar| bar.ratio).fold(1.0, f64::max);
    let (mut body, mut y) = (String::new(), TOP);
    for pair in panels.chunks(2) {
        for (i, (title, bars)) in pair.iter().enumerate() {
            let x = i as f64 * PANEL_WIDTH;
            panel(&mut body, title, bars, largest, (x, y));
        }
        y += pair
            .iter()
            .map(|(_, bars)| height(bars))
            .fold(0.0, f64::max);
    }
    let legend = if all().any(|bar| bar.second) {
        "<rect class=\"a\" x=\"82\" y=\"38\" width=\"11\" height=\"11\"/><text class=\"number\" x=\"99\" y=\"48\">both with all that the processor has</text>\n\
         <rect class=\"b\" x=\"342\" y=\"38\" width=\"11\" height=\"11\"/><text class=\"number\" x=\"359\" y=\"48\">both with AVX2 only</text>\n"
    } else {
        ""
    };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height:.0}\" font-family=\"Helvetica, Arial, sans-serif\">\n\
         <style>\n  .head {{ font-size: 16px; font-weight: bold; fill: #7a8694 }}\n  .title {{ font-size: 14px; font-weight: bold; fill: #7a8694 }}\n\
         \x20 .label {{ font-size: 12px; fill: #7a8694; text-anchor: end }}\n  .number {{ font-size: 11.5px; fill: #7a8694 }}\n  .ratio {{ font-weight: bold }}\n\
         \x20 .a {{ fill: #3f7fbf }}\n  .b {{ fill: #d08a2e }}\n  .one {{ stroke: #7a8694; stroke-width: 1; stroke-dasharray: 3 3 }}\n</style>\n\
         <text class=\"head\" x=\"82\" y=\"24\">Speed of Sworn as a multiple of llama.cpp's, one thread (dashed: equal)</text>\n{legend}{body}</svg>\n",
        width = 2.0 * PANEL_WIDTH,
        height = y + 6.0,
    )
}
