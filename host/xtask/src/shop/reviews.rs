//! What buyers say.

use std::collections::BTreeSet;

use super::calendar::{DAYS, Day};
use super::goods::Product;
use super::random::Random;
use super::sales::{DELIVERED, Order};

/// Of a hundred things that were delivered, so many are reviewed.
const REVIEWED: u32 = 26;

pub(super) struct Review {
    pub(super) product: usize,
    pub(super) customer: usize,
    /// One to five stars.
    pub(super) rating: u32,
    /// Some only give stars.
    pub(super) comment: Option<String>,
    pub(super) created: Day,
}

/// What is said with so many stars; `{}` is what was bought.
const VERDICTS: [[&str; 4]; 5] = [
    [
        "This {} broke in the first week.",
        "Not what the picture shows. The {} goes back.",
        "I would not buy this {} again.",
        "The {} arrived damaged.",
    ],
    [
        "The {} does its work, but feels cheap.",
        "I had expected more of a {} at this price.",
        "The {} is smaller than I thought.",
        "One part of the {} was missing.",
    ],
    [
        "A {} like any other.",
        "The {} is fine, no more and no less.",
        "Good {}, but the delivery took long.",
        "The {} is all right for the money.",
    ],
    [
        "A good {}, well made.",
        "We like the {}, and the colour suits the room.",
        "Pleased with this {}.",
        "The {} does just what it should.",
    ],
    [
        "The best {} I have had.",
        "A lovely {}. I have ordered a second one.",
        "This {} is beautiful and will last for years.",
        "Our friends ask where we got the {}.",
    ],
];
const ENDINGS: [&str; 5] = [
    "",
    "",
    " Well packed.",
    " It came within three days.",
    " It was a present.",
];

/// In the order in which they were written. Nobody reviews a thing twice, nor
/// before it was delivered.
pub(super) fn reviews(products: &[Product], orders: &[Order]) -> Vec<Review> {
    let mut random = Random::seeded(4);
    let mut seen = BTreeSet::new();
    let mut reviews = Vec::new();
    for order in orders.iter().filter(|order| order.status == DELIVERED) {
        for item in &order.items {
            let created = Day(order.ordered.0 + random.between(4, 28));
            let Some(product) = products.get(item.product) else {
                continue;
            };
            let written = random.percent(REVIEWED) && created.0 < DAYS;
            if !written || !seen.insert((item.product, order.customer)) {
                continue;
            }
            let rating = rating(product.quality, &mut random);
            reviews.push(Review {
                product: item.product,
                customer: order.customer,
                rating,
                comment: comment(rating, product.noun, &mut random),
                created,
            });
        }
    }
    reviews.sort_by_key(|review| review.created);
    reviews
}

/// Around what the thing deserves, and rather kind.
fn rating(quality: u32, random: &mut Random) -> u32 {
    let mood = random.pick(&[0, 1, 1, 2, 2, 2, 3]);
    (quality + mood).clamp(1, 5)
}

fn comment(rating: u32, noun: &str, random: &mut Random) -> Option<String> {
    let verdicts = VERDICTS.get(rating.saturating_sub(1) as usize)?;
    let verdict = random.pick(verdicts).replace("{}", &noun.to_lowercase());
    let ending = random.pick(&ENDINGS);
    random.percent(78).then(|| format!("{verdict}{ending}"))
}
