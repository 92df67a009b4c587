//! Plain text: paragraphs are what stands between empty lines.

use super::{Block, Shape};

pub(super) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut start = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let empty = line.trim().is_empty();
        match (start, empty) {
            (None, false) => start = Some(at),
            (Some(from), true) => {
                blocks.push(paragraph(from, at));
                start = None;
            }
            _ => {}
        }
        at += line.len();
    }
    if let Some(from) = start {
        blocks.push(paragraph(from, at));
    }
    blocks
}

fn paragraph(from: usize, to: usize) -> Block {
    Block {
        range: from..to,
        shape: Shape::Prose,
    }
}
