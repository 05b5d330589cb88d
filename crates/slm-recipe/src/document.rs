//! A TOML document in which every key and value knows where it was written.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::{Place, RecipeError};

/// A value and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    /// Where its key is; of an element of a list, where the element is.
    pub(crate) key_place: Place,
    /// Where the value itself is.
    pub(crate) place: Place,
}

/// What TOML can say.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Datetime,
    Array(Vec<Node>),
    Table(Table),
}

/// The keys of a table.
pub(crate) type Table = BTreeMap<String, Node>;

/// A text and how a position in it is told.
struct Source<'a> {
    text: &'a str,
    place: &'a dyn Fn(usize, usize) -> Place,
}

/// Parses a file's text.
pub(crate) fn parse_file(file: &Path, text: &str) -> Result<Node, Vec<(Place, RecipeError)>> {
    let place = |line, column| Place::Position {
        file: file.into(),
        line,
        column,
    };
    let source = Source {
        text,
        place: &place,
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut problems: Vec<_> = errors.iter().map(|error| source.syntax(error)).collect();
    // The rest of a line after its first error means nothing.
    problems.dedup_by_key(|(place, _)| place.line());
    let whole = Place::File { file: file.into() };
    let value = Value::Table(source.table(table.into_inner(), &mut problems));
    if problems.is_empty() {
        Ok(Node {
            value,
            key_place: whole.clone(),
            place: whole,
        })
    } else {
        Err(problems)
    }
}

/// Parses the value of an override; what does not look like TOML is a text.
pub(crate) fn parse_override(text: &str, value: &str) -> Result<Node, RecipeError> {
    let whole = Place::Override { text: text.into() };
    let place = |_, _| whole.clone();
    let source = Source {
        text: value,
        place: &place,
    };
    let mut problems = Vec::new();
    match DeValue::parse(value) {
        Ok(parsed) => {
            let node = source.node(whole.clone(), parsed, &mut problems);
            problems.pop().map_or(Ok(node), |(_, error)| Err(error))
        }
        Err(error) if value.starts_with(['[', '{', '"', '\'']) => Err(source.syntax(&error).1),
        Err(_) => Ok(Node {
            value: Value::String(value.into()),
            key_place: whole.clone(),
            place: whole,
        }),
    }
}

impl Source<'_> {
    fn table(&self, table: DeTable<'_>, problems: &mut Vec<(Place, RecipeError)>) -> Table {
        let entries = table.into_iter().map(|(key, value)| {
            let place = self.at(key.span());
            (
                key.into_inner().into_owned(),
                self.node(place, value, problems),
            )
        });
        entries.collect()
    }

    fn node(
        &self,
        key_place: Place,
        value: Spanned<DeValue<'_>>,
        problems: &mut Vec<(Place, RecipeError)>,
    ) -> Node {
        let place = self.at(value.span());
        let value = match value.into_inner() {
            DeValue::String(text) => Value::String(text.into_owned()),
            DeValue::Boolean(value) => Value::Boolean(value),
            DeValue::Datetime(_) => Value::Datetime,
            DeValue::Integer(value) => Value::Integer(
                i64::from_str_radix(value.as_str(), value.radix()).unwrap_or_else(|_| {
                    let reason = format!("`{value}` does not fit into 64 bits");
                    problems.push((place.clone(), RecipeError::Syntax { reason }));
                    0
                }),
            ),
            DeValue::Float(value) => Value::Float(value.as_str().parse().unwrap_or_else(|_| {
                let reason = format!("`{value}` is not a number");
                problems.push((place.clone(), RecipeError::Syntax { reason }));
                0.0
            })),
            DeValue::Array(items) => Value::Array(
                items
                    .into_iter()
                    .map(|item| self.node(self.at(item.span()), item, problems))
                    .collect(),
            ),
            DeValue::Table(table) => Value::Table(self.table(table, problems)),
        };
        Node {
            value,
            key_place,
            place,
        }
    }

    fn syntax(&self, error: &toml::de::Error) -> (Place, RecipeError) {
        let reason = error.message().replace('\n', ", ");
        (
            self.at(error.span().unwrap_or_default()),
            RecipeError::Syntax { reason },
        )
    }

    fn at(&self, span: Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (self.place)(
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    }
}

impl Node {
    /// The keys, if it is a table.
    pub(crate) fn table(&self) -> Option<&Table> {
        if let Value::Table(table) = &self.value {
            Some(table)
        } else {
            None
        }
    }

    /// Lays `child` over this one: tables are merged, anything else is replaced.
    pub(crate) fn overlay(&mut self, child: Self) {
        match (&mut self.value, child) {
            (
                Value::Table(ours),
                Self {
                    value: Value::Table(theirs),
                    key_place,
                    place,
                },
            ) => {
                for (key, node) in theirs {
                    match ours.get_mut(&key) {
                        Some(own) => own.overlay(node),
                        None => drop(ours.insert(key, node)),
                    }
                }
                (self.key_place, self.place) = (key_place, place);
            }
            (_, child) => *self = child,
        }
    }

    /// Sets the value at a path; an element of a list is named by its number. Tables on the way are made.
    pub(crate) fn set(&mut self, path: &[&str], node: Self) -> Result<(), RecipeError> {
        let Some((first, rest)) = path.split_first() else {
            self.overlay(node);
            return Ok(());
        };
        match &mut self.value {
            Value::Table(table) => {
                let empty = Self {
                    value: Value::Table(Table::new()),
                    ..node.clone()
                };
                table
                    .entry((*first).into())
                    .or_insert(empty)
                    .set(rest, node)
            }
            Value::Array(items) => {
                let count = items.len();
                let item = first
                    .parse()
                    .ok()
                    .and_then(|index: usize| items.get_mut(index));
                let reason =
                    format!("`{first}` is no element: the list has {count}, counted from 0");
                item.ok_or(RecipeError::Override { reason })?
                    .set(rest, node)
            }
            _ => Err(RecipeError::Override {
                reason: format!("`{first}` is below a value that is no table"),
            }),
        }
    }

    /// The node at a dotted path.
    pub(crate) fn get(&self, path: &str) -> Option<&Self> {
        path.split('.')
            .try_fold(self, |node, name| match &node.value {
                Value::Table(table) => table.get(name),
                Value::Array(items) => items.get(name.parse::<usize>().ok()?),
                _ => None,
            })
    }

    /// Where the key of a dotted path is, or else the nearest section around it.
    pub(crate) fn place_of(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(node) = self.get(path) {
                return node.key_place.clone();
            }
            let Some((section, _)) = path.rsplit_once('.') else {
                return self.place.clone();
            };
            path = section;
        }
    }
}
