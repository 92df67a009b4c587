//! What keeps a host answering while what it depends on does not.
//!
//! Pure policy on tokio's clock: no sockets, no wasm, no HTTP. Each mechanism is
//! a file with its transitions as a table and a test for each row.
