//! Counts what an instance allocates, over all its memories and tables.
//!
//! Wasmtime asks before each growth, the initial sizes included. A growth that
//! would pass the limit is denied, which the guest sees as a failed
//! `memory.grow`; most then trap. The denial is remembered, so that the trap can
//! be told from any other.

use wasmtime::ResourceLimiter;

/// What a table element is taken to cost. Wasmtime needs a pointer; twice that
/// keeps a guest from hiding memory in tables.
const TABLE_ELEMENT_BYTES: u64 = 16;

#[derive(Debug)]
pub(crate) struct Meter {
    limit_bytes: u64,
    used_bytes: u64,
    peak_bytes: u64,
    /// Used and peak before the growth granted last, which may yet fail.
    before: (u64, u64),
    denied: bool,
}

impl Meter {
    pub(crate) fn new(limit_bytes: u64) -> Meter {
        Meter {
            limit_bytes,
            used_bytes: 0,
            peak_bytes: 0,
            before: (0, 0),
            denied: false,
        }
    }

    /// Whether a growth was refused because of the limit.
    pub(crate) fn denied(&self) -> bool {
        self.denied
    }

    pub(crate) fn peak_bytes(&self) -> u64 {
        self.peak_bytes
    }

    pub(crate) fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    fn grow(&mut self, by_bytes: u64) -> bool {
        let wanted = self.used_bytes.saturating_add(by_bytes);
        if wanted > self.limit_bytes {
            self.denied = true;
            return false;
        }
        self.before = (self.used_bytes, self.peak_bytes);
        self.used_bytes = wanted;
        self.peak_bytes = self.peak_bytes.max(wanted);
        true
    }

    fn take_back(&mut self) {
        (self.used_bytes, self.peak_bytes) = self.before;
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(desired.saturating_sub(current) as u64))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.take_back();
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let elements = desired.saturating_sub(current) as u64;
        Ok(self.grow(elements.saturating_mul(TABLE_ELEMENT_BYTES)))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.take_back();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_over_the_sum_of_all_memories_and_tables() {
        let mut meter = Meter::new(300_000);
        assert!(meter.memory_growing(0, 131_072, None).unwrap());
        assert!(meter.memory_growing(0, 131_072, None).unwrap());
        assert!(meter.table_growing(0, 1_000, None).unwrap());
        assert!(!meter.denied());
        assert!(!meter.memory_growing(131_072, 196_608, None).unwrap());
        assert!(meter.denied());
        assert_eq!(meter.peak_bytes(), 2 * 131_072 + 16_000);
    }

    #[test]
    fn a_growth_that_then_fails_is_not_counted() {
        let mut meter = Meter::new(200_000);
        assert!(meter.memory_growing(0, 131_072, None).unwrap());
        meter
            .memory_grow_failed(wasmtime::Error::msg("no pages"))
            .unwrap();
        assert!(meter.memory_growing(0, 131_072, None).unwrap());
        assert!(!meter.denied());
    }
}
