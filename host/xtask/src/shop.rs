//! The demo's database: a shop that never was.
//!
//! Some forty thousand rows that look like three years of a shop: it grows, it
//! has a season and its bestsellers, some parcels come back. Every name is put
//! together from parts, so that no customer is a person.
//!
//! Guarantees: every run makes the same rows, on every machine, for it draws from
//! seeded generators and counts in whole numbers alone. An order's total is the
//! sum of its items, to the last digit: prices are whole quarters, which binary
//! fractions hold exactly, so that sums come out clean whoever adds them up.
//!
//! | file | makes |
//! |---|---|
//! | `people.rs`, `goods.rs` | customers, products |
//! | `sales.rs`, `reviews.rs` | orders with their items, what was said of them |
//! | `calendar.rs`, `random.rs` | days and seasons, chance |
//! | `store.rs` | the SQLite file |

mod calendar;
mod goods;
mod people;
mod random;
mod reviews;
mod sales;
mod store;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::paths::Paths;
use goods::Product;
use people::Customer;
use reviews::Review;
use sales::Order;

/// All of it. What refers to a customer or a product does so by its place in the
/// list; its id in the database is one more.
struct Shop {
    customers: Vec<Customer>,
    products: Vec<Product>,
    orders: Vec<Order>,
    reviews: Vec<Review>,
}

impl Shop {
    fn open() -> Self {
        let customers = people::customers();
        let products = goods::products();
        let orders = sales::orders(&customers, &products);
        let reviews = reviews::reviews(&products, &orders);
        Self {
            customers,
            products,
            orders,
            reviews,
        }
    }
}

/// `cargo xtask shop`.
pub(crate) fn run(paths: &Paths, arguments: &[String]) -> Result<()> {
    let file = match arguments {
        [] => paths.target.join("shop.db"),
        [file] if !file.starts_with('-') => PathBuf::from(file),
        _ => bail!("`cargo xtask shop` takes nothing but the file to write"),
    };
    write(&file)?;
    println!("{}", paths.shown(&file));
    Ok(())
}

/// Writes the shop to an SQLite file, in the place of what was there.
pub(crate) fn write(file: &Path) -> Result<()> {
    let part = file.with_extension("part");
    match fs::remove_file(&part) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("{}", part.display()));
        }
        _ => {}
    }
    store::write(&Shop::open(), &part)?;
    fs::rename(&part, file).with_context(|| format!("{}", file.display()))
}

/// An amount of money, in quarters of the currency's unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Quarters(u32);

impl Quarters {
    fn as_real(self) -> f64 {
        f64::from(self.0) / 4.0
    }
}

#[cfg(test)]
mod tests;
