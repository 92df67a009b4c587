//! The runtime as a whole, with real components: how calls end, what a swap may
//! and may not do, and what the compile cache is trusted with.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used
)]

mod calls;
mod capability;
mod guest;
mod host;
mod loading;
mod overhead;
mod panics;
mod swap;
