//! How tables hang together.
//!
//! A step goes up, from a row to the one row it refers to, or down, to the many
//! that refer to it. A way may go down and then up, as from an artist down to
//! tracks and up to their genres: what lies at the bottom relates both ends. It
//! never goes up and then down: that would relate rows which merely have
//! something in common, as two customers have a country.

use super::{Column, Field, Schema, Table};

/// The longest way, in steps. A schema whose tables lie further apart is asked
/// about with more of them named.
const MAX_STEPS: usize = 6;
/// As many tables are visited in search of ways. A schema in which that is not
/// enough has rivals.
const MAX_VISITS: u32 = 20_000;

/// All references between tables.
#[derive(Debug)]
pub(crate) struct Graph<'a> {
    edges: Vec<Edge<'a>>,
}

#[derive(Debug)]
struct Edge<'a> {
    child: &'a Table,
    parent: &'a Table,
    pairs: Vec<(&'a Column, &'a Column)>,
}

/// From one table to the next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<'a> {
    edge: usize,
    pub(crate) up: bool,
    pub(crate) from: &'a Table,
    pub(crate) to: &'a Table,
}

impl PartialEq for Step<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.edge == other.edge && self.up == other.up
    }
}

/// Why there is no way to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoPath {
    /// The tables do not hang together.
    None,
    /// They do in several ways that mean different things.
    Several,
}

impl<'a> Graph<'a> {
    pub(crate) fn new(schema: &'a Schema) -> Self {
        let mut edges = Vec::new();
        for child in &schema.tables {
            for reference in &child.references {
                let Some(parent) = schema.table(&reference.table) else {
                    continue;
                };
                // A reference that names no columns means the primary key.
                let named = reference.to.iter().map(|name| parent.column(name));
                let to: Vec<_> = if reference.to.is_empty() {
                    parent.primary().iter().map(|field| Some(field.column)).collect()
                } else {
                    named.collect()
                };
                let own = reference.columns.iter().map(|name| child.column(name));
                let pairs: Option<Vec<_>> = own.zip(to).map(|(own, to)| Some((own?, to?))).collect();
                if let Some(pairs) = pairs.filter(|pairs| pairs.len() == reference.columns.len()) {
                    edges.push(Edge { child, parent, pairs });
                }
            }
        }
        Self { edges }
    }

    /// The columns that a step equates: those of `from`, then those of `to`.
    pub(crate) fn pairs(&self, step: &Step<'a>) -> Vec<(Field<'a>, Field<'a>)> {
        let Some(edge) = self.edges.get(step.edge) else {
            return Vec::new();
        };
        let pair = |(own, to): &(&'a Column, &'a Column)| {
            let own = Field {
                table: edge.child,
                column: own,
            };
            let to = Field {
                table: edge.parent,
                column: to,
            };
            if step.up { (own, to) } else { (to, own) }
        };
        edge.pairs.iter().map(pair).collect()
    }

    /// Whether rows of the table refer to others: an order does, a country not.
    pub(crate) fn refers(&self, table: &Table) -> bool {
        self.edges
            .iter()
            .any(|edge| edge.child == table && edge.parent != table)
    }

    /// Only up: to the one row of `to` that belongs to a row of `from`. The
    /// shortest; two of the same length cannot be told apart.
    pub(crate) fn up(&self, from: &'a Table, to: &'a Table) -> Result<Vec<Step<'a>>, NoPath> {
        self.shortest(from, to, false, 0)
    }

    /// The way from `from` to `to`: up if there is one, otherwise down and then
    /// up. A second way down that is at most one step longer is a rival.
    pub(crate) fn path(&self, from: &'a Table, to: &'a Table) -> Result<Vec<Step<'a>>, NoPath> {
        match self.up(from, to) {
            Err(NoPath::None) => self.shortest(from, to, true, 1),
            found => found,
        }
    }

    fn shortest(
        &self,
        from: &'a Table,
        to: &'a Table,
        down: bool,
        rivals: usize,
    ) -> Result<Vec<Step<'a>>, NoPath> {
        let (near, all) = self.near(from, to, down, rivals);
        let mut near = near.into_iter();
        match (near.next(), near.next()) {
            (Some(best), None) if all => Ok(best),
            (None, _) if all => Err(NoPath::None),
            _ => Err(NoPath::Several),
        }
    }

    /// All tables on the shortest ways between two, and on their rivals.
    pub(crate) fn between(&self, from: &'a Table, to: &'a Table) -> impl Iterator<Item = &'a Table> {
        let (near, _) = self.near(from, to, true, 1);
        near.into_iter().flatten().map(|step| step.to)
    }

    /// The shortest ways, and those at most so many steps longer; and whether all
    /// were looked at.
    fn near(&self, from: &'a Table, to: &'a Table, down: bool, rivals: usize) -> (Vec<Vec<Step<'a>>>, bool) {
        let mut walk = Walk {
            to,
            way: Vec::new(),
            found: Vec::new(),
            left: MAX_VISITS,
        };
        self.walk(from, down, &mut walk);
        let least = walk.found.iter().map(Vec::len).min().unwrap_or_default();
        walk.found.retain(|way| way.len() <= least + rivals);
        (walk.found, walk.left > 0)
    }

    /// Every way that visits no table twice.
    fn walk(&self, at: &'a Table, down: bool, walk: &mut Walk<'a>) {
        if at == walk.to && !walk.way.is_empty() {
            walk.found.push(walk.way.clone());
            return;
        }
        walk.left = walk.left.saturating_sub(1);
        if walk.way.len() == MAX_STEPS || walk.left == 0 {
            return;
        }
        for (index, edge) in self.edges.iter().enumerate() {
            let ups = (edge.child == at).then_some((true, edge.parent));
            let downs = (down && edge.parent == at).then_some((false, edge.child));
            for (up, next) in ups.into_iter().chain(downs) {
                if next == at || walk.way.iter().any(|step| step.from == next) {
                    continue;
                }
                walk.way.push(Step {
                    edge: index,
                    up,
                    from: at,
                    to: next,
                });
                self.walk(next, down && !up, walk);
                walk.way.pop();
            }
        }
    }
}

/// A search for ways.
struct Walk<'a> {
    to: &'a Table,
    way: Vec<Step<'a>>,
    found: Vec<Vec<Step<'a>>>,
    left: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Column, Reference};

    /// `name: parent parent ...` for each table.
    fn schema(tables: &[(&str, &[&str])]) -> Schema {
        let table = |(name, parents): &(&str, &[&str])| {
            let key = |parent: &&str| Reference {
                columns: vec![format!("{parent}_id")],
                table: (*parent).into(),
                to: Vec::new(),
            };
            let mut columns = vec![Column::new("id", "INTEGER", 1)];
            columns.extend(
                parents
                    .iter()
                    .map(|parent| Column::new(&format!("{parent}_id"), "INTEGER", 0)),
            );
            Table::new(name, false, columns, parents.iter().map(key).collect())
        };
        Schema {
            tables: tables.iter().map(table).collect(),
        }
    }

    fn way(schema: &Schema, from: &str, to: &str) -> Result<String, NoPath> {
        let graph = Graph::new(schema);
        let steps = graph.path(schema.table(from).unwrap(), schema.table(to).unwrap())?;
        let step = |step: &Step<'_>| format!("{} {}", if step.up { "up" } else { "down" }, step.to.name);
        Ok(steps.iter().map(step).collect::<Vec<_>>().join(", "))
    }

    #[test]
    fn ways_go_down_and_then_up() {
        let music = schema(&[
            ("artist", &[]),
            ("album", &["artist"]),
            ("genre", &[]),
            ("track", &["album", "genre"]),
            ("country", &[]),
            ("customer", &["country"]),
            ("shop", &["country"]),
        ]);
        assert_eq!(way(&music, "track", "artist").unwrap(), "up album, up artist");
        assert_eq!(
            way(&music, "artist", "genre").unwrap(),
            "down album, down track, up genre"
        );
        assert_eq!(way(&music, "artist", "track").unwrap(), "down album, down track");
        // Never up and then down: a customer is none of the shops of a country.
        assert_eq!(way(&music, "customer", "shop"), Err(NoPath::None));
        assert_eq!(way(&music, "artist", "customer"), Err(NoPath::None));
    }

    #[test]
    fn rivals_are_no_way() {
        let shop = schema(&[
            ("customer", &[]),
            ("product", &[]),
            ("order", &["customer"]),
            ("line", &["order", "product"]),
            ("review", &["product", "customer"]),
        ]);
        assert_eq!(way(&shop, "customer", "product"), Err(NoPath::Several));
        assert_eq!(way(&shop, "line", "customer").unwrap(), "up order, up customer");
        let flights = schema(&[("airport", &[]), ("flight", &["airport", "airport"])]);
        assert_eq!(way(&flights, "flight", "airport"), Err(NoPath::Several));
    }

    #[test]
    fn a_thicket_is_left_alone() {
        let names: Vec<String> = (0..40).map(|index| format!("t{index}")).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let tables: Vec<(&str, &[&str])> = (0..40).map(|index| (all[index], &all[index + 1..])).collect();
        let thicket = schema(&tables);
        assert_eq!(way(&thicket, "t20", "t0"), Err(NoPath::Several));
    }
}
