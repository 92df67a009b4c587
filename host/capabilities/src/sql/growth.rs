//! How large SQLite may make a statement while it compiles it.
//!
//! SQLite replaces a column of a subquery by the expression behind it, wherever
//! it is named. `SELECT x+x AS x FROM (SELECT x+x AS x FROM ...)` thus doubles
//! with every level: a kilobyte of text becomes gigabytes of expressions, and
//! neither the progress handler nor an interrupt is looked at meanwhile. So the
//! statement is measured before SQLite sees it.
//!
//! The measure knows only parentheses, `SELECT`, the names of common table
//! expressions where tables are named, and how many names a result column holds.
//! It may find a statement larger than SQLite will make it, never much smaller:
//! every word that is not certainly something else counts as the name of a
//! column, and every name as that of the longest one in reach.

mod reader;
mod tokens;

use reader::{Named, Reader};
use tokens::Token;

/// The `SELECT`s one statement may have, those of the views it names included.
pub(super) const SELECTS_MAX: u64 = 100;

/// The pieces of expression that a statement may grow to; one takes SQLite
/// about 80 bytes. What people and models write stays below a hundredth of it.
const PIECES_MAX: u64 = 500_000;

/// Refuses, in one sentence, what would grow too large.
pub(super) fn check(sql: &str) -> Result<(), String> {
    let tokens = tokens::read(sql);
    let selects = tokens.iter().filter(|token| token.is("SELECT")).count() as u64;
    if selects > SELECTS_MAX {
        return Err(format!(
            "the statement has {selects} SELECTs, and may have {SELECTS_MAX}: split it"
        ));
    }
    let pieces = Plan::of(&tokens).pieces();
    if pieces > PIECES_MAX {
        return Err(String::from(
            "the statement names the columns of its nested SELECTs so often that it would grow without bound: name each once in a level, or split it",
        ));
    }
    Ok(())
}

/// One `SELECT` of a compound: `SELECT ... FROM ... WHERE ...`.
#[derive(Debug, Default)]
struct Arm {
    /// Names anywhere in it, those of the queries within it included, and
    /// numbers that may stand for a result column.
    names: u64,
    /// The most names in one of its result columns.
    most: u64,
    /// Its result columns, those that a star stands for left out.
    columns: u64,
    /// What stands for all columns of the queries within: `*`, `NATURAL`.
    stars: u64,
    /// Uses of windows, each of which may be a copy of one that it names.
    overs: u64,
    inner: Vec<Inner>,
}

/// A query that an arm is made of.
#[derive(Clone, Copy, Debug)]
enum Inner {
    /// It stands within the arm.
    Within(usize),
    /// The arm names it, or may.
    Named(usize),
}

/// The queries of a statement: what stands in parentheses, or at the top.
#[derive(Debug, Default)]
struct Plan {
    queries: Vec<Vec<Arm>>,
    top: Option<usize>,
}

impl Plan {
    fn of(tokens: &[Token<'_>]) -> Plan {
        let mut first = Plan::default();
        let mut named = Named::new();
        Reader::new(&mut first, &Named::new(), Some(&mut named)).read(tokens);
        // Once more, now that every name is known: one may be used before it
        // is defined.
        let mut plan = Plan::default();
        Reader::new(&mut plan, &named, None).read(tokens);
        plan
    }

    fn pieces(&self) -> u64 {
        let mut sizes = vec![Known::No; self.queries.len()];
        self.top
            .map_or(0, |top| self.size(Inner::Within(top), 0, 0, &mut sizes).total)
    }

    /// `depth` counts the queries that led here, `named` is the place among them
    /// of the last one that was named and does not stand within the one before.
    fn size(&self, inner: Inner, depth: usize, named: usize, sizes: &mut Vec<Known>) -> Size {
        let (query, within) = match inner {
            Inner::Within(query) => (query, named),
            Inner::Named(query) => (query, depth),
        };
        let (Some(known), Some(arms)) = (sizes.get_mut(query), self.queries.get(query)) else {
            return Size::LEAF;
        };
        match known {
            Known::Size(size) => return *size,
            // It names itself: a recursive query, which is not copied.
            Known::At(at) if *at >= named => return Size::LEAF,
            // Two that name each other. SQLite refuses that, or does not mean
            // the same two; either way there is no telling.
            Known::At(_) => return Size::ENDLESS,
            Known::No => *known = Known::At(depth),
        }
        let mut size = Size::default();
        for arm in arms {
            let mut base = 1u64;
            let mut all = Size::default();
            for inner in &arm.inner {
                let inner = self.size(*inner, depth + 1, within, sizes);
                base = base.max(inner.column);
                let columns = inner.column.saturating_mul(inner.width);
                all.column = all.column.saturating_add(columns);
                all.width = all.width.saturating_add(inner.width);
                all.total = all.total.saturating_add(inner.total);
            }
            let column = arm.most.max(1).saturating_mul(base);
            let names = arm.names.saturating_mul(arm.overs + 1);
            let stars = all.column.saturating_mul(arm.stars);
            let own = names.saturating_mul(column).saturating_add(stars);
            let width = all.width.saturating_mul(arm.stars).saturating_add(arm.columns);
            size.column = size.column.saturating_add(column);
            size.width = size.width.saturating_add(width);
            size.total = size.total.saturating_add(own).saturating_add(all.total);
        }
        if let Some(known) = sizes.get_mut(query) {
            *known = Known::Size(size);
        }
        size
    }
}

/// What is known of a query while all are measured.
#[derive(Clone, Copy, Debug)]
enum Known {
    No,
    /// It is being measured, at this depth.
    At(usize),
    Size(Size),
}

/// How large a query becomes, in pieces of expression.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    /// What the name of one of its columns may become.
    column: u64,
    /// How many columns it has.
    width: u64,
    /// All of it, with all within it.
    total: u64,
}

impl Size {
    const LEAF: Size = Size {
        column: 1,
        width: 1,
        total: 0,
    };

    const ENDLESS: Size = Size {
        column: u64::MAX,
        width: u64::MAX,
        total: u64::MAX,
    };
}

#[cfg(test)]
mod tests;
