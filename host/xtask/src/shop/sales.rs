//! Who bought what, and when.

use super::Quarters;
use super::calendar::{DAYS, Day};
use super::goods::{Product, season};
use super::people::Customer;
use super::random::{Random, Weights, zipf};

const ORDERS: usize = 10_000;

pub(super) struct Order {
    pub(super) customer: usize,
    pub(super) ordered: Day,
    pub(super) status: &'static str,
    pub(super) items: Vec<Item>,
}

pub(super) struct Item {
    pub(super) product: usize,
    pub(super) quantity: u32,
    pub(super) unit_price: Quarters,
}

impl Order {
    pub(super) fn total(&self) -> Quarters {
        let sums = self.items.iter().map(|item| item.quantity * item.unit_price.0);
        Quarters(sums.sum())
    }
}

pub(super) const DELIVERED: &str = "delivered";

/// In the order in which they came.
pub(super) fn orders(customers: &[Customer], products: &[Product]) -> Vec<Order> {
    let mut random = Random::seeded(3);
    let mut days: Vec<Day> = (0..DAYS).map(Day).collect();
    let trade = Weights::new(days.iter().map(|day| day.trade()));
    days = (0..ORDERS)
        .map(|_| Day(u32::try_from(trade.draw(days.len(), &mut random)).unwrap_or(0)))
        .collect();
    days.sort_unstable();
    let count = u32::try_from(customers.len()).unwrap_or(0);
    let loyalty = Weights::new(zipf(count, 60, &mut random));
    let shelves: Vec<Weights> = (1..=12)
        .map(|month| {
            let weight = |product: &Product| product.weight * season(product.category, month) / 100;
            Weights::new(products.iter().map(weight))
        })
        .collect();
    let mut orders = Vec::with_capacity(days.len());
    for ordered in days {
        // Only who has come by then.
        let known = customers.partition_point(|customer| customer.created <= ordered);
        let customer = loyalty.draw(known, &mut random);
        let month = ordered.month().saturating_sub(1) as usize;
        let items = shelves
            .get(month)
            .map(|shelf| basket(shelf, products, ordered, &mut random));
        orders.push(Order {
            customer,
            ordered,
            status: status(ordered, &mut random),
            items: items.unwrap_or_default(),
        });
    }
    orders
}

/// One to six different products.
fn basket(shelf: &Weights, products: &[Product], day: Day, random: &mut Random) -> Vec<Item> {
    let wanted = random.pick(&[1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 6]);
    let mut items: Vec<Item> = Vec::with_capacity(wanted);
    while items.len() < wanted {
        let product = shelf.draw(products.len(), random);
        if items.iter().any(|item| item.product == product) {
            continue;
        }
        let unit_price = products.get(product).map(|product| product.price_on(day));
        items.push(Item {
            product,
            quantity: random.pick(&[1, 1, 1, 1, 1, 1, 2, 2, 3, 4]),
            unit_price: unit_price.unwrap_or_default(),
        });
    }
    items
}

/// How far an order of this day has come by the end of the last one.
fn status(ordered: Day, random: &mut Random) -> &'static str {
    let in_100 = random.below(100);
    match DAYS - ordered.0 {
        _ if in_100 < 5 => "cancelled",
        1..=2 => "pending",
        3..=7 => "shipped",
        _ if in_100 < 12 => "returned",
        _ => DELIVERED,
    }
}
