//! The runtime as a whole, with real components: how calls end, what a swap may
//! and may not do, and what the compile cache is trusted with.

mod calls;
mod guest;
mod host;
mod loading;
mod overhead;
mod panics;
mod swap;
