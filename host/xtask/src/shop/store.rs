//! The shop as an SQLite file.

use std::path::Path;

use anyhow::{Context as _, Result};
use rusqlite::{Connection, Transaction, params};

use super::Shop;

const SCHEMA: &str = "
CREATE TABLE customers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT NOT NULL UNIQUE,
    city TEXT NOT NULL,
    country TEXT NOT NULL,
    created_at DATE NOT NULL
);
CREATE TABLE products (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    category TEXT NOT NULL,
    price REAL NOT NULL,
    stock INTEGER NOT NULL
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    ordered_at DATE NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'shipped', 'delivered', 'returned', 'cancelled')),
    total REAL NOT NULL
);
CREATE TABLE order_items (
    id INTEGER PRIMARY KEY,
    order_id INTEGER NOT NULL REFERENCES orders (id),
    product_id INTEGER NOT NULL REFERENCES products (id),
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    unit_price REAL NOT NULL
);
CREATE TABLE reviews (
    id INTEGER PRIMARY KEY,
    product_id INTEGER NOT NULL REFERENCES products (id),
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    rating INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 5),
    comment TEXT,
    created_at DATE NOT NULL
);
";

/// Made after the rows, which is faster.
const INDEXES: &str = "
CREATE INDEX orders_by_customer ON orders (customer_id);
CREATE INDEX order_items_by_order ON order_items (order_id);
CREATE INDEX order_items_by_product ON order_items (product_id);
CREATE INDEX reviews_by_product ON reviews (product_id);
CREATE INDEX reviews_by_customer ON reviews (customer_id);
";

pub(super) fn write(shop: &Shop, path: &Path) -> Result<()> {
    let at = || format!("{}", path.display());
    let mut file = Connection::open(path).with_context(at)?;
    // The file is of use when it is whole, and is made anew otherwise.
    file.execute_batch("PRAGMA foreign_keys = ON; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
    let all = file.transaction()?;
    fill(shop, &all).with_context(at)?;
    all.commit().with_context(at)
}

fn fill(shop: &Shop, all: &Transaction<'_>) -> rusqlite::Result<()> {
    all.execute_batch(SCHEMA)?;
    let mut customer = all.prepare("INSERT INTO customers VALUES (NULL, ?1, ?2, ?3, ?4, ?5)")?;
    for it in &shop.customers {
        customer.execute(params![it.name, it.email, it.city, it.country, it.created.iso()])?;
    }
    let mut product = all.prepare("INSERT INTO products VALUES (NULL, ?1, ?2, ?3, ?4)")?;
    for it in &shop.products {
        product.execute(params![it.name, it.category, it.price.as_real(), it.stock])?;
    }
    let mut order = all.prepare("INSERT INTO orders VALUES (NULL, ?1, ?2, ?3, ?4)")?;
    let mut item = all.prepare("INSERT INTO order_items VALUES (NULL, ?1, ?2, ?3, ?4)")?;
    for it in &shop.orders {
        let (customer, total) = (id(it.customer), it.total().as_real());
        let order = order.insert(params![customer, it.ordered.iso(), it.status, total])?;
        for it in &it.items {
            item.execute(params![
                order,
                id(it.product),
                it.quantity,
                it.unit_price.as_real()
            ])?;
        }
    }
    let mut review = all.prepare("INSERT INTO reviews VALUES (NULL, ?1, ?2, ?3, ?4, ?5)")?;
    for it in &shop.reviews {
        let (product, customer) = (id(it.product), id(it.customer));
        review.execute(params![
            product,
            customer,
            it.rating,
            it.comment,
            it.created.iso()
        ])?;
    }
    all.execute_batch(INDEXES)
}

/// The id of what stands at this place of its list.
fn id(place: usize) -> i64 {
    i64::try_from(place).map_or(0, |place| place + 1)
}
