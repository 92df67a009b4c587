//! The tables of a statement: what is joined, and what stands in a SELECT of its
//! own behind an IN.

use crate::link::{Facts, Links, Value};
use crate::read::{Asked, Noun};
use crate::schema::{NoPath, Step, Table};

use super::sql::{names, row};
use super::{Planned, Why, name, table_name};

/// A FROM with its joins and conditions.
#[derive(Debug, Clone)]
pub(super) struct Scope<'a> {
    pub(super) root: &'a Table,
    joins: Vec<Join<'a>>,
    wheres: Vec<String>,
    /// Of an inner SELECT: the scope around it, what of that is compared, and
    /// with what of this.
    within: Option<(usize, String, String)>,
}

#[derive(Debug, Clone)]
struct Join<'a> {
    step: Step<'a>,
    /// Rows without a partner stay.
    left: bool,
}

/// A table in its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) table: &'a Table,
    pub(super) scope: usize,
}

/// A statement in the making.
pub(crate) struct Builder<'r, 'a> {
    pub(super) asked: &'r Asked<'a>,
    pub(super) links: &'r Links<'a>,
    pub(super) facts: &'r Facts<'a>,
    pub(super) nodes: Vec<Node<'a>>,
    /// Where the nouns of the question are; a column has no place of its own.
    pub(super) heads: Vec<Option<usize>>,
    pub(super) params: Vec<Value>,
    pub(super) notes: Vec<String>,
    pub(super) cost: u32,
    /// No row of the root may be chosen by what does not belong to it alone.
    pub(super) strict: bool,
    scopes: Vec<Scope<'a>>,
}

impl<'r, 'a> Builder<'r, 'a> {
    /// A statement on `root`, which is node 0 in scope 0.
    pub(super) fn new(
        asked: &'r Asked<'a>,
        root: &'a Table,
        links: &'r Links<'a>,
        facts: &'r Facts<'a>,
    ) -> Self {
        let scope = Scope {
            root,
            joins: Vec::new(),
            wheres: Vec::new(),
            within: None,
        };
        Self {
            asked,
            links,
            facts,
            nodes: vec![Node {
                table: root,
                scope: 0,
            }],
            heads: vec![None; asked.heads.len()],
            params: Vec::new(),
            notes: Vec::new(),
            cost: asked.cost,
            strict: false,
            scopes: vec![scope],
        }
    }

    pub(super) fn node(&self, index: usize) -> Planned<Node<'a>> {
        self.nodes.get(index).copied().ok_or(Why::Unfit)
    }

    /// Gives every noun of the question its place: beside the noun before it if
    /// the two hang together, otherwise beside an earlier one or the root.
    pub(super) fn place_heads(&mut self) -> Planned<()> {
        for (index, head) in self.asked.heads.iter().enumerate() {
            let Noun::Table(table) = head.noun else {
                continue;
            };
            if self.heads.get(index).is_some_and(Option::is_some) {
                continue;
            }
            let before = self
                .heads
                .get(..index)
                .unwrap_or_default()
                .iter()
                .rev()
                .flatten()
                .copied();
            let mut parents: Vec<usize> = before.chain([0]).collect();
            if let Some(under) = head
                .under
                .and_then(|under| self.heads.get(under).copied().flatten())
            {
                parents = vec![under];
            }
            let place = self.place(table, &parents)?;
            self.set_head(index, place);
        }
        Ok(())
    }

    pub(super) fn set_head(&mut self, index: usize, node: usize) {
        if let Some(place) = self.heads.get_mut(index) {
            *place = Some(node);
        }
    }

    /// Puts a table beside the first of the nodes that it hangs together with.
    pub(super) fn place(&mut self, table: &'a Table, parents: &[usize]) -> Planned<usize> {
        let mut refused = Why::Unfit;
        for parent in parents {
            let node = self.node(*parent)?;
            if node.table == table {
                return Ok(*parent);
            }
            match self.links.graph.path(node.table, table) {
                Ok(steps) => return self.place_by(*parent, &steps),
                Err(NoPath::None) => {}
                Err(NoPath::Several) => refused = refused.worse(several(node.table, table)),
            }
        }
        Err(refused)
    }

    /// Goes from a node along a way: joined as long as it goes up, in a SELECT of
    /// its own otherwise.
    pub(super) fn place_by(&mut self, parent: usize, steps: &[Step<'a>]) -> Planned<usize> {
        let node = self.node(parent)?;
        let Some((first, rest)) = steps.split_first() else {
            return Ok(parent);
        };
        let table = steps.last().map_or(first.to, |last| last.to);
        if first.up {
            self.join(node.scope, steps, false)?;
            return Ok(self.add(table, node.scope));
        }
        if self.strict {
            return Err(Why::Unfit);
        }
        let (own, theirs): (Vec<_>, Vec<_>) = self.links.graph.pairs(first).into_iter().unzip();
        let scope = self.scopes.len();
        self.scopes.push(Scope {
            root: first.to,
            joins: Vec::new(),
            wheres: Vec::new(),
            within: Some((node.scope, row(&own), names(&theirs))),
        });
        self.join(scope, rest, false)?;
        Ok(self.add(table, scope))
    }

    fn add(&mut self, table: &'a Table, scope: usize) -> usize {
        let same = |node: &Node<'_>| node.table == table && node.scope == scope;
        self.nodes.iter().position(same).unwrap_or_else(|| {
            self.nodes.push(Node { table, scope });
            self.nodes.len() - 1
        })
    }

    /// Joins along a way, whichever direction it goes. A table that is there
    /// already has to be there by the same step.
    pub(super) fn join(&mut self, scope: usize, steps: &[Step<'a>], left: bool) -> Planned<()> {
        let scope = self.scopes.get_mut(scope).ok_or(Why::Unfit)?;
        for step in steps {
            if scope.root == step.to {
                return Err(Why::Unfit);
            }
            match scope.joins.iter_mut().find(|join| join.step.to == step.to) {
                Some(join) if join.step == *step => join.left &= left,
                Some(_) => return Err(Why::Unfit),
                None => scope.joins.push(Join { step: *step, left }),
            }
        }
        Ok(())
    }

    /// Joins what a node refers to, for its columns.
    pub(super) fn join_up(&mut self, node: usize, steps: &[Step<'a>], left: bool) -> Planned<usize> {
        let scope = self.node(node)?.scope;
        self.join(scope, steps, left)?;
        let table = steps.last().map_or(self.node(node)?.table, |last| last.to);
        Ok(self.add(table, scope))
    }

    /// Binds a value and gives its place in the statement.
    pub(super) fn bind(&mut self, value: Value) -> String {
        let known = self.params.iter().position(|own| *own == value);
        let place = known.unwrap_or_else(|| {
            self.params.push(value);
            self.params.len() - 1
        });
        format!("?{}", place + 1)
    }

    pub(super) fn condition(&mut self, scope: usize, condition: String) {
        if let Some(scope) = self.scopes.get_mut(scope)
            && !scope.wheres.contains(&condition)
        {
            scope.wheres.push(condition);
        }
    }

    /// `FROM ... JOIN ... WHERE ...` of a scope, with the scopes inside it.
    pub(super) fn from(&self, index: usize) -> String {
        let Some(scope) = self.scopes.get(index) else {
            return String::new();
        };
        let mut sql = format!("FROM {}", table_name(scope.root));
        for join in &scope.joins {
            let pairs = self.links.graph.pairs(&join.step);
            let on: Vec<String> = pairs
                .iter()
                .map(|(own, to)| format!("{} = {}", name(*to), name(*own)))
                .collect();
            let kind = if join.left { "LEFT JOIN" } else { "JOIN" };
            sql.push_str(&format!(
                " {kind} {} ON {}",
                table_name(join.step.to),
                on.join(" AND ")
            ));
        }
        let inner = self.scopes.iter().enumerate().filter_map(|(inside, scope)| {
            let (outer, own, theirs) = scope.within.as_ref().filter(|(outer, ..)| *outer == index)?;
            debug_assert_eq!(*outer, index);
            Some(format!("{own} IN (SELECT {theirs} {})", self.from(inside)))
        });
        let wheres: Vec<String> = scope.wheres.iter().cloned().chain(inner).collect();
        if !wheres.is_empty() {
            sql.push_str(&format!(" WHERE {}", wheres.join(" AND ")));
        }
        sql
    }
}

pub(super) fn several(from: &Table, to: &Table) -> Why {
    Why::Several(format!(
        "{} and {} hang together in more than one way",
        from.name, to.name
    ))
}
