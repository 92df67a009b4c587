//! One pass over the tokens of a statement, which fills the plan.

use std::collections::HashMap;

use super::tokens::{Kind, Token};
use super::{Arm, Inner, Plan};

/// Words that end a list of result columns. All are reserved, so none can be a
/// column's name.
const ENDS: [&str; 9] = [
    "FROM",
    "WHERE",
    "GROUP",
    "HAVING",
    "ORDER",
    "LIMIT",
    "UNION",
    "EXCEPT",
    "INTERSECT",
];

/// Other reserved words that stand between names; they count as none.
const NO_NAMES: [&str; 17] = [
    "SELECT", "DISTINCT", "AS", "CASE", "WHEN", "THEN", "ELSE", "AND", "OR", "NOT", "NULL", "IS", "IN",
    "BETWEEN", "ON", "JOIN", "EXISTS",
];

/// The queries that a name may stand for: the same name may be defined more
/// than once, and which one is meant is not asked.
pub(super) type Named = HashMap<String, Vec<usize>>;

/// An open parenthesis, or the statement as a whole.
#[derive(Debug, Default)]
struct Frame<'sql> {
    query: Option<usize>,
    /// Where the count of names stood at the start of the arm and of the column.
    arm: u64,
    column: u64,
    in_columns: bool,
    /// Whether tables are named here: after `FROM`, and in parentheses there.
    in_tables: bool,
    /// Whether windows are defined here.
    windows: bool,
    overs: u64,
    /// The common table expression that it is, if it is one.
    defines: Option<&'sql str>,
    /// The word before it: `c` of `c(x, y) AS (...)`.
    before: Option<&'sql str>,
}

pub(super) struct Reader<'run, 'sql> {
    plan: &'run mut Plan,
    named: &'run Named,
    found: Option<&'run mut Named>,
    frames: Vec<Frame<'sql>>,
    names: u64,
}

impl<'run, 'sql> Reader<'run, 'sql> {
    pub(super) fn new(plan: &'run mut Plan, named: &'run Named, found: Option<&'run mut Named>) -> Self {
        Reader {
            plan,
            named,
            found,
            frames: vec![Frame::default()],
            names: 0,
        }
    }

    pub(super) fn read(mut self, tokens: &[Token<'sql>]) {
        let mut before: Option<Token<'sql>> = None;
        // What `AS` speaks of: the name before it, or the one before the
        // parenthesis before it.
        let mut subject: Option<&'sql str> = None;
        let mut closed: Option<&'sql str> = None;
        for (at, token) in tokens.iter().enumerate() {
            let after = |keyword| before.is_some_and(|before: Token<'_>| before.is(keyword));
            match token.kind {
                Kind::Open => {
                    let defines = after("AS") || after("MATERIALIZED");
                    let in_tables = self.names_table(before.as_ref());
                    self.frames.push(Frame {
                        in_tables,
                        defines: subject.filter(|_| defines),
                        before: before.filter(Token::may_name).map(|before| before.text),
                        ..Frame::default()
                    });
                }
                Kind::Close => closed = self.close(),
                Kind::Comma => self.column_ends(true),
                Kind::Star => {
                    let kind = before.map(|before| before.kind);
                    let columns = matches!(kind, Some(Kind::Comma | Kind::Dot))
                        || ["SELECT", "DISTINCT", "ALL"].into_iter().any(after);
                    self.stars(columns);
                }
                Kind::Number => self.ordinal(),
                Kind::Text => self.mentions(token, before.as_ref()),
                Kind::Word if token.is("AS") => {
                    let named = before.filter(Token::may_name).map(|before| before.text);
                    subject = named.or(closed);
                }
                Kind::Word if token.is("SELECT") => self.select(),
                Kind::Word => {
                    let ends = ENDS.iter().any(|end| token.is(end));
                    if ends && !(token.is("FROM") && after("DISTINCT")) {
                        self.column_ends(false);
                        self.tables_begin(token.is("FROM"));
                    } else if !after("AS") && before.is_none_or(|before| before.kind != Kind::Dot) {
                        let call = tokens.get(at + 1).is_some_and(|next| next.kind == Kind::Open);
                        self.mentions(token, before.as_ref());
                        self.name(token, call);
                    }
                }
                Kind::Dot | Kind::Other => {}
            }
            before = Some(*token);
        }
        while self.frames.len() > 1 {
            self.close();
        }
        self.arm_ends();
        self.plan.top = self.frames.first().and_then(|frame| frame.query);
    }

    fn select(&mut self) {
        self.arm_ends();
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        let query = *frame.query.get_or_insert_with(|| {
            self.plan.queries.push(Vec::new());
            self.plan.queries.len() - 1
        });
        (frame.arm, frame.column, frame.in_columns) = (self.names, self.names, true);
        (frame.in_tables, frame.windows, frame.overs) = (false, false, 0);
        if let Some(arms) = self.plan.queries.get_mut(query) {
            arms.push(Arm::default());
        }
    }

    /// The arm that the innermost parenthesis is in the midst of, or the one
    /// around it.
    fn arm(&mut self, around: bool) -> Option<&mut Arm> {
        let query = match around {
            true => self.frames.iter().rev().find_map(|frame| frame.query),
            false => self.frames.last()?.query,
        };
        self.plan.queries.get_mut(query?)?.last_mut()
    }

    fn column_ends(&mut self, another: bool) {
        let names = self.names;
        let Some(frame) = self.frames.last_mut().filter(|frame| frame.in_columns) else {
            return;
        };
        let held = names - frame.column;
        (frame.column, frame.in_columns) = (names, another);
        if let Some(arm) = self.arm(false) {
            arm.most = arm.most.max(held);
            arm.columns += 1;
        }
    }

    fn arm_ends(&mut self) {
        self.column_ends(false);
        let names = self.names;
        let Some(frame) = self.frames.last() else {
            return;
        };
        let (since, overs) = (frame.arm, if frame.windows { frame.overs } else { 0 });
        if let Some(arm) = self.arm(false) {
            arm.names = arm.names.max(names - since);
            arm.overs = overs;
        }
    }

    /// Ends a parenthesis and gives the word before it.
    fn close(&mut self) -> Option<&'sql str> {
        self.arm_ends();
        if self.frames.len() < 2 {
            return None;
        }
        let frame = self.frames.pop()?;
        match (frame.query, frame.defines) {
            (Some(query), Some(name)) => {
                if let Some(found) = &mut self.found {
                    found.entry(key(name)).or_default().push(query);
                }
            }
            (Some(query), None) => {
                if let Some(arm) = self.arm(true) {
                    arm.inner.push(Inner::Within(query));
                }
            }
            (None, _) => {}
        }
        frame.before
    }

    /// After its result columns, a number may stand for one of them.
    fn ordinal(&mut self) {
        let frame = self.frames.last();
        if frame.is_some_and(|frame| frame.query.is_some() && !frame.in_columns) {
            self.names += 1;
        }
    }

    fn stars(&mut self, columns: bool) {
        if let Some(arm) = self.arm(true).filter(|_| columns) {
            arm.stars += 1;
        }
    }

    fn name(&mut self, token: &Token<'sql>, call: bool) {
        self.stars(token.is("NATURAL"));
        if let Some(frame) = self.frames.iter_mut().rev().find(|frame| frame.query.is_some()) {
            frame.overs += u64::from(token.is("OVER"));
            frame.windows |= token.is("WINDOW");
        }
        if !call && !NO_NAMES.iter().any(|word| token.is(word)) {
            self.names += 1;
        }
    }

    fn tables_begin(&mut self, begin: bool) {
        if let Some(frame) = self.frames.last_mut() {
            frame.in_tables = begin;
        }
    }

    /// Whether a table is named after this, or a parenthesis with tables opens.
    fn names_table(&self, before: Option<&Token<'sql>>) -> bool {
        let here = self.frames.last().is_some_and(|frame| frame.in_tables);
        before.is_some_and(|before| {
            let listed = matches!(before.kind, Kind::Comma | Kind::Open);
            before.is("FROM") || before.is("JOIN") || (here && listed)
        })
    }

    /// Where a table is named, or after `IN`, it may be a common table
    /// expression.
    fn mentions(&mut self, token: &Token<'sql>, before: Option<&Token<'sql>>) {
        let named = self.named;
        if named.is_empty() || !(self.names_table(before) || before.is_some_and(|before| before.is("IN"))) {
            return;
        }
        if let Some(queries) = named.get(&key(token.text))
            && let Some(arm) = self.arm(true)
        {
            arm.inner.extend(queries.iter().copied().map(Inner::Named));
        }
    }
}

/// A name, however it is quoted.
fn key(name: &str) -> String {
    name.replace(['"', '`', '[', ']', '\''], "").to_lowercase()
}
