//! Chance that is the same everywhere and always.

/// SplitMix64, after Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
/// Generators" (2014): a counter and a mixing of its bits, which is all that a
/// sample needs.
pub(super) struct Random(u64);

impl Random {
    /// Each table has a seed of its own, so that a change to one leaves the
    /// others as they were.
    pub(super) fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to one less than `bound`; 0 when that is 0.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        let scaled = (self.next() >> 32) * u64::from(bound);
        u32::try_from(scaled >> 32).unwrap_or(0)
    }

    /// From `low` to `high`, both among them.
    pub(super) fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    pub(super) fn percent(&mut self, chance: u32) -> bool {
        self.below(100) < chance
    }

    pub(super) fn pick<T: Copy + Default>(&mut self, of: &[T]) -> T {
        let at = self.below(u32::try_from(of.len()).unwrap_or(u32::MAX));
        of.get(at as usize).copied().unwrap_or_default()
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let bound = u32::try_from(last + 1).unwrap_or(u32::MAX);
            items.swap(last, self.below(bound) as usize);
        }
    }
}

/// Draws places of a list, each as often as its weight says.
pub(super) struct Weights {
    /// The sum of all weights up to and with this one.
    sums: Vec<u32>,
}

impl Weights {
    pub(super) fn new(weights: impl IntoIterator<Item = u32>) -> Self {
        let sums = weights.into_iter().scan(0, |sum: &mut u32, weight| {
            *sum = sum.saturating_add(weight);
            Some(*sum)
        });
        Self { sums: sums.collect() }
    }

    /// The place of one of the first `count`, or of all there are.
    pub(super) fn draw(&self, count: usize, random: &mut Random) -> usize {
        let sums = self.sums.get(..count).unwrap_or(&self.sums);
        let drawn = random.below(sums.last().copied().unwrap_or(0));
        sums.partition_point(|sum| *sum <= drawn)
    }
}

/// The weights of `count` things of which few are much loved and most are not
/// (G. K. Zipf, "Human Behavior and the Principle of Least Effort", 1949), in no
/// order. The larger `head`, the less the first few stand out.
pub(super) fn zipf(count: u32, head: u32, random: &mut Random) -> Vec<u32> {
    let mut weights: Vec<u32> = (0..count).map(|rank| 100_000 / (rank + head)).collect();
    random.shuffle(&mut weights);
    weights
}
