//! Measures: as one number, or for each of something.

use crate::link::{Facts, Links};
use crate::read::{Act, Asked, By, Function, Key, Noun, Op, Rank, Sort};
use crate::schema::Table;
use crate::words::{plural, written};

use super::conditions::figure;
use super::keys::Keys;
use super::measured::{Expression, Over};
use super::scope::Builder;
use super::sql::alias;
use super::{Planned, Query, Shape, Top, Why, name, spoken, subject};

/// So many are told when the question wants "the best" without a number.
pub(super) const SOME: u32 = 10;

pub(super) fn plan<'a>(
    asked: &Asked<'a>,
    expression: &Expression<'a>,
    links: &Links<'a>,
    facts: &Facts<'a>,
) -> Planned<(Query, u32)> {
    let mut builder = Builder::new(asked, expression.table, links, facts);
    builder.strict = expression.strict;
    let measured_subject = asked.measure.is_some().then(|| subject(asked)).flatten();
    let other = |rank: &Rank<'a>| !matches!(rank.by, Some(By::Measure));
    if asked.rank.as_ref().is_some_and(other) {
        return Err(Why::Unfit);
    }
    let crossed = measured_subject.is_some() && !asked.keys.is_empty();
    if crossed || !asked.shown.is_empty() {
        return Err(Why::Unfit);
    }
    // Those with few or none of something are found from their own side.
    let few = asked.rank.as_ref().is_some_and(|rank| !rank.up)
        || matches!(
            asked.having,
            Some((Op::Less | Op::LessOrEqual, _)) | Some((Op::Equal, 0.0))
        );
    let mut keys = Keys::default();
    match measured_subject {
        Some(Noun::Table(table)) => {
            let (node, across) = builder.key_table(table, expression)?;
            keys.spread |= across;
            if few && across {
                return Err(Why::Unfit);
            }
            builder.set_head(asked.subject.unwrap_or_default(), node);
            keys.table(table);
        }
        Some(Noun::Column(mention)) => builder.key(&Key::Column(mention.clone()), expression, &mut keys)?,
        Some(Noun::Part(part)) => builder.key(&Key::Part(*part), expression, &mut keys)?,
        None => {}
    }
    // What is counted is the root itself.
    for (index, head) in asked.heads.iter().enumerate() {
        let own = matches!(head.noun, Noun::Table(table) if table == expression.table);
        if own && builder.heads.get(index).is_some_and(Option::is_none) {
            builder.set_head(index, 0);
        }
    }
    for key in &asked.keys {
        builder.key(key, expression, &mut keys)?;
    }
    builder.place_heads()?;
    builder.conditions()?;
    let measure = builder.measure(expression, keys.spread)?;
    if keys.select.is_empty() {
        if asked.rank.is_some() || asked.limit.is_some() || asked.order.is_some() || asked.having.is_some() {
            return Err(Why::Unfit);
        }
        return Ok(builder.number(expression, &measure));
    }
    match measured_subject {
        Some(Noun::Table(table))
            if few
                && !matches!(
                    expression.function,
                    Function::Average | Function::Least | Function::Most
                ) =>
        {
            builder.few(expression, &measure, table)
        }
        _ => builder.groups(expression, &measure, &keys),
    }
}

impl<'a> Builder<'_, 'a> {
    /// The aggregate in SQL.
    fn measure(&mut self, expression: &Expression<'a>, spread: bool) -> Planned<String> {
        let of = match &expression.over {
            Over::Rows if spread => match *expression.table.primary() {
                [key] => format!("DISTINCT {}", name(key)),
                _ => return Err(Why::Unfit),
            },
            Over::Rows => "*".into(),
            Over::Different(field) => format!("DISTINCT {}", name(*field)),
            Over::Text(_) if spread => return Err(Why::Unfit),
            Over::Text(text) => text.clone(),
        };
        Ok(format!("{}({of})", function(expression.function)))
    }

    fn number(self, expression: &Expression<'a>, measure: &str) -> (Query, u32) {
        let sql = format!("SELECT {measure} AS {} {}", expression.alias, self.from(0));
        let shape = match expression.function {
            Function::Count => Shape::Count {
                noun: counted_noun(expression),
            },
            _ => Shape::Number {
                what: expression.what.clone(),
            },
        };
        self.query(sql, shape)
    }

    fn groups(mut self, expression: &Expression<'a>, measure: &str, keys: &Keys) -> Planned<(Query, u32)> {
        let asked = self.asked;
        let (select, group) = (keys.select.join(", "), keys.group.join(", "));
        let mut having = Vec::new();
        if let Some((op, number)) = asked.having {
            let bound = self.bind(figure(number));
            having.push(format!("{measure} {} {bound}", op.sign()));
            self.notes.push(format!(
                "the {} is {}{}",
                expression.what,
                op.said(),
                written(number)
            ));
        }
        let from = self.from(0);
        if asked.rank.is_some() && asked.order.is_some() {
            return Err(Why::Unfit);
        }
        if asked.act == Act::Count && asked.measure.is_some() {
            if having.is_empty() || asked.rank.is_some() || asked.limit.is_some() || asked.order.is_some() {
                return Err(Why::Unfit);
            }
            let having = having.join(" AND ");
            let counted = alias(&plural(&keys.noun));
            let sql = format!(
                "SELECT COUNT(*) AS {counted} FROM (SELECT 1 {from} GROUP BY {group} HAVING {having})"
            );
            return Ok(self.query(
                sql,
                Shape::Count {
                    noun: keys.noun.clone(),
                },
            ));
        }
        let mut top = None;
        if let Some(rank) = &asked.rank {
            if rank.one {
                let best = if rank.up { "MAX" } else { "MIN" };
                having.push(format!(
                    "{measure} = (SELECT {best}(n) FROM (SELECT {measure} AS n {from} GROUP BY {group}))"
                ));
                top = Some(Top::One);
            } else if let Some(limit) = asked.limit.or((!rank.all).then_some(SOME)) {
                top = Some(if rank.up {
                    Top::Most(limit)
                } else {
                    Top::Fewest(limit)
                });
            }
        }
        let having = if having.is_empty() {
            String::new()
        } else {
            format!(" HAVING {}", having.join(" AND "))
        };
        let order = self.group_order(expression, keys)?;
        let limit = match (top, asked.limit) {
            (Some(Top::Most(limit) | Top::Fewest(limit)), _) | (None, Some(limit)) => {
                format!(" LIMIT {limit}")
            }
            _ => String::new(),
        };
        let called = &expression.alias;
        let sql = format!(
            "SELECT {select}, {measure} AS {called} {from} GROUP BY {group}{having} ORDER BY {order}{limit}"
        );
        let shape = Shape::Groups {
            noun: keys.noun.clone(),
            what: expression.what.clone(),
            keys: keys.select.len(),
            top,
        };
        Ok(self.query(sql, shape))
    }

    /// The largest first; what follows the calendar, in its order.
    fn group_order(&mut self, expression: &Expression<'a>, keys: &Keys) -> Planned<String> {
        let by_key = keys
            .select
            .iter()
            .map(|key| key.split(" AS ").last().unwrap_or(key))
            .collect::<Vec<_>>()
            .join(", ");
        let by_measure = |down: bool| {
            let direction = if down { " DESC" } else { "" };
            format!("{}{direction}, {by_key}", expression.alias)
        };
        let asked = self.asked;
        if let Some(rank) = &asked.rank {
            return Ok(by_measure(rank.up));
        }
        match &asked.order {
            Some(order) => match &order.by {
                Sort::Measure => Ok(by_measure(order.descending)),
                Sort::Label => Ok(by_key),
                Sort::Column(mention) => {
                    let (field, _) = self.column(mention, &[0], false, |_| true)?;
                    // Only what is grouped by, or measured, has one value.
                    let column = name(field);
                    let direction = if order.descending { " DESC" } else { "" };
                    if keys.group.contains(&column) || keys.select.contains(&column) {
                        Ok(format!("{column}{direction}"))
                    } else if matches!(&expression.over, Over::Text(text) if *text == column) {
                        Ok(by_measure(order.descending))
                    } else {
                        Err(Why::Unfit)
                    }
                }
                Sort::Quality(_) => Err(Why::Unfit),
            },
            None if keys.calendar => Ok(by_key),
            None => Ok(by_measure(true)),
        }
    }

    /// Those with the fewest, or fewer than so many: none counts as well.
    fn few(mut self, expression: &Expression<'a>, measure: &str, table: &'a Table) -> Planned<(Query, u32)> {
        // The subject is joined in the scope of the measure, where its own
        // conditions stand; here it has to stand alone.
        let asked = self.asked;
        let cut = asked.limit.is_some() && asked.rank.is_none();
        if !asked.conditions.is_empty() || asked.heads.len() > 2 || asked.order.is_some() || cut {
            return Err(Why::Unfit);
        }
        let primary = table.primary();
        let [key] = *primary else {
            return Err(Why::Unfit);
        };
        let label = table.label();
        let select = if label.is_empty() { vec![key] } else { label };
        let select: Vec<String> = select.into_iter().map(name).collect();
        let (keys, own) = (select.len(), table_alias(table));
        let select = select.join(", ");
        let called = &expression.alias;
        let number = format!("COALESCE(m.{called}, 0)");
        let inner = format!(
            "SELECT {} AS k, {measure} AS {called} {} GROUP BY {}",
            name(key),
            self.from(0),
            name(key)
        );
        let from = format!("FROM {own} LEFT JOIN ({inner}) AS m ON m.k = {}", name(key));
        let mut wheres = String::new();
        if let Some((op, limit)) = self.asked.having {
            let bound = self.bind(figure(limit));
            wheres = format!(" WHERE {number} {} {bound}", op.sign());
            self.notes.push(format!(
                "the {} is {}{}",
                expression.what,
                op.said(),
                written(limit)
            ));
            if self.asked.act == Act::Count {
                let sql = format!(
                    "SELECT COUNT(*) AS {} {from}{wheres}",
                    alias(&plural(&spoken(table)))
                );
                return Ok(self.query(sql, Shape::Count { noun: spoken(table) }));
            }
        }
        let mut top = None;
        let mut limit = String::new();
        if let Some(rank) = &self.asked.rank {
            if rank.one {
                wheres = format!(" WHERE {number} = (SELECT MIN({number}) {from})");
                top = Some(Top::One);
            } else if let Some(some) = self.asked.limit.or((!rank.all).then_some(SOME)) {
                limit = format!(" LIMIT {some}");
                top = Some(Top::Fewest(some));
            }
        }
        let sql = format!(
            "SELECT {select}, {number} AS {called} {from}{wheres} ORDER BY {number}, {select}{limit}"
        );
        let what = expression.what.clone();
        let noun = spoken(table);
        Ok(self.query(
            sql,
            Shape::Groups {
                noun,
                what,
                keys,
                top,
            },
        ))
    }

    pub(super) fn query(self, sql: String, shape: Shape) -> (Query, u32) {
        let query = Query {
            sql,
            params: self.params,
            shape,
            conditions: self.notes,
        };
        (query, self.cost)
    }
}

fn table_alias(table: &Table) -> String {
    super::table_name(table)
}

fn counted_noun(expression: &Expression<'_>) -> String {
    match &expression.over {
        Over::Different(field) => format!("different {}", field.column.words.join(" ")),
        _ => spoken(expression.table),
    }
}

fn function(function: Function) -> &'static str {
    match function {
        Function::Count => "COUNT",
        Function::Sum => "SUM",
        Function::Average => "AVG",
        Function::Least => "MIN",
        Function::Most => "MAX",
    }
}
