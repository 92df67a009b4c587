//! The rules against real databases.

mod chinook;
mod database;
mod handler;
mod model;
mod northwind;
mod random;
mod shop;
mod wide;
