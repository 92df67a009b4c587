//! What never ends by itself. `black_box` keeps the optimiser from ending it.

use std::hint::black_box;

use segue_sdk::Result;

pub(crate) fn compute() -> Result<()> {
    let mut n = 0_u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

pub(crate) fn allocate() -> Result<()> {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}

#[expect(unconditional_recursion, reason = "it is what this is for")]
pub(crate) fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    recurse(black_box(depth + 1)).wrapping_add(frame.iter().sum())
}
