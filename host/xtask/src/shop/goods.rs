//! What is sold.

use super::Quarters;
use super::calendar::Day;
use super::random::{Random, zipf};

pub(super) struct Product {
    pub(super) name: String,
    /// What it is, in one or two words: `desk lamp`.
    pub(super) noun: &'static str,
    pub(super) category: &'static str,
    pub(super) price: Quarters,
    /// What it cost before [`RISE`].
    pub(super) old_price: Quarters,
    pub(super) stock: u32,
    /// How much it is bought, against the others.
    pub(super) weight: u32,
    /// How good it is, from 0 to 4.
    pub(super) quality: u32,
}

/// Prices went up once, on 1 March 2024.
const RISE: Day = Day(365 + 31 + 29);

impl Product {
    pub(super) fn price_on(&self, day: Day) -> Quarters {
        if day < RISE { self.old_price } else { self.price }
    }
}

/// Each thing is sold in some of these lines.
const LINES: [&str; 12] = [
    "Aurora", "Basalt", "Cedar", "Drift", "Fjord", "Harbour", "Juniper", "Meadow", "Nimbus", "Orchard",
    "Pebble", "Solstice",
];
const LINES_OF_A_THING: usize = 4;

/// Things of a category, each with the least that it costs.
type Category = (&'static str, [(&'static str, u32); 10]);

#[rustfmt::skip]
const CATEGORIES: [Category; 10] = [
    ("Kitchen", [
        ("Bread Knife", 18), ("Casserole", 65), ("Chopping Board", 24), ("Coffee Grinder", 48), ("Frying Pan", 39),
        ("Kettle", 35), ("Mixing Bowl", 14), ("Pepper Mill", 22), ("Teapot", 28), ("Whisk", 7),
    ]),
    ("Garden", [
        ("Bird Feeder", 16), ("Flower Pot", 9), ("Garden Bench", 140), ("Garden Hose", 26), ("Hand Trowel", 11),
        ("Lantern", 21), ("Parasol", 85), ("Pruning Shears", 19), ("Rain Barrel", 72), ("Watering Can", 17),
    ]),
    ("Furniture", [
        ("Armchair", 260), ("Bedside Table", 95), ("Bookcase", 180), ("Coat Rack", 58), ("Coffee Table", 150),
        ("Dining Chair", 89), ("Footstool", 64), ("Shoe Rack", 45), ("Sideboard", 340), ("Writing Desk", 290),
    ]),
    ("Lighting", [
        ("Ceiling Lamp", 110), ("Clip Light", 19), ("Desk Lamp", 42), ("Fairy Lights", 13), ("Floor Lamp", 98),
        ("Night Light", 12), ("Pendant Lamp", 76), ("Reading Light", 33), ("Table Lamp", 54), ("Wall Lamp", 47),
    ]),
    ("Office", [
        ("Card Index", 27), ("Desk Mat", 23), ("Fountain Pen", 32), ("Letter Tray", 18), ("Monitor Stand", 44),
        ("Notebook", 8), ("Office Chair", 210), ("Pencil Case", 12), ("Stapler", 10), ("Wall Planner", 14),
    ]),
    ("Bedding", [
        ("Bed Sheet", 29), ("Bedspread", 68), ("Blanket", 49), ("Cushion", 19), ("Duvet", 92),
        ("Duvet Cover", 46), ("Mattress Topper", 130), ("Pillow", 34), ("Pillowcase", 13), ("Throw", 38),
    ]),
    ("Bath", [
        ("Bath Mat", 22), ("Bath Towel", 24), ("Bathrobe", 62), ("Hand Towel", 11), ("Laundry Basket", 37),
        ("Mirror", 56), ("Shower Curtain", 25), ("Soap Dish", 9), ("Toothbrush Mug", 8), ("Towel Rail", 41),
    ]),
    ("Toys", [
        ("Building Blocks", 28), ("Doll House", 95), ("Jigsaw", 16), ("Kite", 20), ("Marble Run", 45),
        ("Puppet", 18), ("Rocking Horse", 120), ("Spinning Top", 6), ("Train Set", 64), ("Xylophone", 23),
    ]),
    ("Outdoor", [
        ("Camp Stove", 52), ("Camping Chair", 36), ("Compass", 21), ("Daypack", 58), ("Head Torch", 27),
        ("Picnic Rug", 31), ("Sleeping Bag", 99), ("Tent", 185), ("Vacuum Flask", 24), ("Water Bottle", 15),
    ]),
    ("Music", [
        ("Drum Pad", 78), ("Guitar Stand", 19), ("Kalimba", 33), ("Metronome", 25), ("Music Stand", 29),
        ("Piano Stool", 88), ("Recorder", 14), ("Tambourine", 17), ("Tuning Fork", 9), ("Ukulele", 67),
    ]),
];

/// By category; no two have the same name.
pub(super) fn products() -> Vec<Product> {
    let mut random = Random::seeded(2);
    let mut products = Vec::new();
    for (category, things) in CATEGORIES {
        for (noun, least) in things {
            let mut lines = LINES;
            random.shuffle(&mut lines);
            for line in lines.into_iter().take(LINES_OF_A_THING) {
                let price = least * 4 + random.below(least * 3);
                let old_price = price - price * random.between(3, 9) / 100;
                products.push(Product {
                    name: format!("{line} {noun}"),
                    noun,
                    category,
                    price: Quarters(price),
                    old_price: Quarters(old_price),
                    stock: if random.percent(6) {
                        0
                    } else {
                        random.between(1, 400)
                    },
                    weight: 0,
                    quality: random.below(5).max(random.below(5)),
                });
            }
        }
    }
    let count = u32::try_from(products.len()).unwrap_or(0);
    for (product, weight) in products.iter_mut().zip(zipf(count, 8, &mut random)) {
        // What is dear is bought less often.
        product.weight = weight * 400 / (200 + product.price.0);
    }
    products
}

/// How much more or less than usual of a category is bought in a month, in
/// percent.
pub(super) fn season(category: &str, month: u32) -> u32 {
    match (category, month) {
        ("Garden", 3..=6) | ("Outdoor", 5..=8) => 250,
        ("Garden" | "Outdoor", 10..=12 | 1) => 40,
        ("Toys" | "Music", 11 | 12) => 240,
        ("Lighting", 10..=12) | ("Bedding", 1 | 10 | 11) | ("Office", 8 | 9) => 160,
        _ => 100,
    }
}
