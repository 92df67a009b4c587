//! The rules against real databases.

mod chinook;
mod database;
mod handler;
mod model;
mod northwind;
mod probe;
mod random;
mod shop;
mod wide;
