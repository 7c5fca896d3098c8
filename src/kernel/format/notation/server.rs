//! What the layouts of nginx and Apache have in common: text with variables in it, and the columns that these fill.

use std::collections::{BTreeMap, BTreeSet};

use super::super::definition::{CaptureDef, OneOrMany};
use super::{Translated, literal, typed};

/// How the server escapes what a client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// nginx's default and Apache: `\x22`, `\"`. What is missing is `-`.
    Backslash,
    /// nginx's `escape=json`. What is missing is empty.
    Json,
    /// nginx's `escape=none`.
    None,
}

/// What the value of a variable looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Anything.
    Text,
    /// A path: anything behind a slash.
    Path,
    /// No blank and no quote in it.
    Word,
    /// Digits.
    Number,
    /// Digits, perhaps with a fraction.
    Decimal,
    /// Words of several upstreams, of which the last one answered.
    List,
    /// A regular expression of its own.
    Is(&'static str),
    /// Nothing, or a question mark and what stands behind it.
    Query,
    /// A regular expression that was made for this layout.
    Owned(Box<str>),
}

/// What the value of a variable is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Text in this column.
    Text(&'static str),
    /// A number in this column.
    Integer(&'static str),
    /// An address in this column.
    Ip(&'static str),
    /// An address or a name, in two columns that begin so.
    Host(&'static str),
    /// Address and port, in two columns that begin so.
    IpPort(&'static str),
    /// A duration of this unit in this column.
    Duration(&'static str, &'static str),
    /// A time of one of these layouts.
    Time(&'static [&'static str]),
    /// The same of one layout.
    TimeOf(&'static str),
    /// The first line of the request.
    Request,
    /// Target of the request.
    Url,
    /// None of the columns: what it is called is its name in `fields`.
    Field,
}

impl Meaning {
    /// The columns that it fills.
    fn columns(self) -> Vec<String> {
        match self {
            Self::Text(column) | Self::Integer(column) | Self::Ip(column) | Self::Duration(column, _) => vec![column.to_owned()],
            Self::Host(prefix) => vec![format!("{prefix}_ip"), format!("{prefix}_host")],
            Self::IpPort(prefix) => vec![format!("{prefix}_ip"), format!("{prefix}_port")],
            Self::Time(_) | Self::TimeOf(_) => vec!["time".to_owned()],
            Self::Request => ["request", "method", "url", "path", "query", "protocol"].map(str::to_owned).to_vec(),
            Self::Url => ["url", "path", "query"].map(str::to_owned).to_vec(),
            Self::Field => vec![],
        }
    }

    fn capture(self, name: &str) -> CaptureDef {
        match self {
            Self::Text(column) => typed("text", column),
            Self::Integer(column) => typed("integer", column),
            Self::Ip(column) => typed("ip", column),
            Self::Host(prefix) => typed("host", prefix),
            Self::IpPort(prefix) => typed("ip_port", prefix),
            Self::Duration(column, unit) => CaptureDef { unit: Some(unit.to_owned()), ..typed("duration", column) },
            Self::Time(layouts) => {
                let layouts = layouts.iter().map(|&layout| layout.to_owned()).collect();
                CaptureDef { layout: Some(OneOrMany::Many(layouts)), ..typed("time", "time") }
            }
            Self::TimeOf(layout) => CaptureDef { layout: Some(OneOrMany::One(layout.to_owned())), ..typed("time", "time") },
            Self::Request => typed("http_request", "request"),
            Self::Url => typed("url", "url"),
            Self::Field => typed("text", &format!("fields.{name}")),
        }
    }
}

/// A variable of a layout.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    /// What it is called, as a capture and in `fields`.
    pub(super) name: String,
    pub(super) shape: Shape,
    pub(super) meaning: Meaning,
    /// Of several that fill one column, the one with the lowest number does.
    pub(super) rank: u8,
    /// A value as the server would write it, and columns that it fills.
    pub(super) example: String,
    pub(super) expect: Vec<(&'static str, &'static str)>,
}

/// A part of a layout.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Literal(String),
    Variable(Variable),
}

/// Puts the parts of a layout together.
pub(super) fn assemble(items: &[Item], escape: Escape) -> Translated {
    let items = with_targets(joined(items));
    let meanings = meanings(&items);
    let mut out = Translated::default();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut variable_at = 0;
    for (at, item) in items.iter().enumerate() {
        let variable = match item {
            Item::Literal(text) => {
                out.regex += &literal(text);
                out.line += text;
                continue;
            }
            Item::Variable(variable) => variable,
        };
        let before = match at.checked_sub(1).and_then(|before| items.get(before)) {
            Some(Item::Literal(text)) => text.as_bytes().last().copied(),
            _ => None,
        };
        let next = match items.get(at + 1) {
            None => Next::End,
            Some(Item::Literal(text)) => text.chars().next().map_or(Next::Variable, Next::Char),
            Some(Item::Variable(_)) => Next::Variable,
        };
        let meaning = meanings[variable_at];
        variable_at += 1;
        let count = seen.entry(&variable.name).or_default();
        *count += 1;
        out.line += &variable.example;
        if *count > 1 {
            // The same value once more.
            out.regex += &format!("(?:{})", shape(&variable.shape, before, next, escape, ""));
            continue;
        }
        out.regex += &shape(&variable.shape, before, next, escape, &format!("?<{}>", variable.name));
        let mut capture = meaning.capture(&variable.name);
        let is_escaped = matches!(meaning, Meaning::Text(_) | Meaning::Request | Meaning::Url | Meaning::Field);
        if is_escaped && matches!(variable.shape, Shape::Text | Shape::Path) {
            capture.unescape = match escape {
                Escape::Backslash => Some("nginx".to_owned()),
                Escape::Json => Some("json".to_owned()),
                Escape::None => None,
            };
        }
        out.captures.insert(variable.name.clone(), capture);
        if meaning != Meaning::Field {
            out.expect.extend(variable.expect.iter().copied());
        }
    }
    out
}

/// Literals behind each other are one.
fn joined(items: &[Item]) -> Vec<Item> {
    let mut joined: Vec<Item> = vec![];
    for item in items {
        match (joined.last_mut(), item) {
            (Some(Item::Literal(before)), Item::Literal(text)) => before.push_str(text),
            (_, Item::Literal(text)) if text.is_empty() => {}
            _ => joined.push(item.clone()),
        }
    }
    joined
}

/// Makes one variable of a path and the query right behind it, as in `%U%q` and `$uri$is_args$args`: the target of the request.
fn with_targets(items: Vec<Item>) -> Vec<Item> {
    let is = |item: &Item, test: &dyn Fn(&Variable) -> bool| matches!(item, Item::Variable(variable) if test(variable));
    let mut out: Vec<Item> = vec![];
    let mut items = items.into_iter().peekable();
    while let Some(mut item) = items.next() {
        let Item::Variable(path) = &mut item else {
            out.push(item);
            continue;
        };
        if path.meaning != Meaning::Text("path") {
            out.push(item);
            continue;
        }
        let mark = items.next_if(|next| is(next, &|of| of.name == "is_args"));
        let is_query = |of: &Variable| of.meaning == Meaning::Text("query") && (mark.is_some() || of.shape == Shape::Query);
        if items.next_if(|next| is(next, &is_query)).is_some() {
            path.name = "url".to_owned();
            path.meaning = Meaning::Url;
            path.example = "/a?b=c".to_owned();
            path.expect = vec![("url", "/a?b=c"), ("path", "/a"), ("query", "b=c")];
            out.push(item);
        } else {
            out.push(item);
            out.extend(mark);
        }
    }
    out
}

/// What each variable means here: a column is filled by one of them, the others go to `fields`.
fn meanings(items: &[Item]) -> Vec<Meaning> {
    let variables: Vec<&Variable> = items
        .iter()
        .filter_map(|item| match item {
            Item::Variable(variable) => Some(variable),
            Item::Literal(_) => None,
        })
        .collect();
    let mut order: Vec<usize> = (0..variables.len()).collect();
    order.sort_by_key(|&at| variables[at].rank);
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut names: BTreeSet<&str> = BTreeSet::new();
    let mut meanings = vec![Meaning::Field; variables.len()];
    for at in order {
        let columns = variables[at].meaning.columns();
        let is_first = names.insert(&variables[at].name);
        if is_first && columns.iter().all(|column| !taken.contains(column)) {
            taken.extend(columns);
            meanings[at] = variables[at].meaning;
        }
    }
    meanings
}

/// What stands behind a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    End,
    Char(char),
    Variable,
}

/// The regular expression of a value; `name` is what stands behind the bracket that captures it.
fn shape(shape: &Shape, before: Option<u8>, next: Next, escape: Escape, name: &str) -> String {
    let missing = if escape == Escape::Backslash { "|-" } else { "|" };
    // What a word cannot hold ends it, so that nobody has to try where it ends.
    let end = match next {
        Next::Char(c) if "|,;'\t)]}>&".contains(c) => regex_syntax::escape(&c.to_string()),
        _ => String::new(),
    };
    let many = if escape == Escape::Backslash { '+' } else { '*' };
    let lazy = if matches!(next, Next::Char(' ' | '"' | '|' | ',' | ';' | '\'' | '\t' | ')' | ']' | '}' | '>' | '&') | Next::End)
    {
        ""
    } else {
        "?"
    };
    match shape {
        Shape::Number => format!(r"({name}\d+{missing})"),
        Shape::Decimal => format!(r"({name}\d+(?:\.\d+)?{missing})"),
        Shape::Word => format!(r#"({name}[^ "{end}]{many}{lazy})"#),
        Shape::List => format!(r#"(?:[^ ,"]+(?:, | : ))*({name}[^ ,"{end}]{many})"#),
        Shape::Is(regex) => format!("({name}{regex})"),
        Shape::Query => format!(r#"(?:\?({name}[^ "]*))?"#),
        Shape::Owned(regex) => format!("({name}{regex})"),
        Shape::Text | Shape::Path if before == Some(b'"') && next == Next::Char('"') && escape != Escape::None => {
            format!(r#"({name}(?:[^"\\]|\\.)*)"#)
        }
        Shape::Path => format!(r"({name}/.*?|\*|-|)"),
        Shape::Text if next == Next::End => format!("({name}.*)"),
        Shape::Text => format!("({name}.*?)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_variables_for_a_column_the_better_one_fills_it() {
        let variable = |name: &str, meaning, rank| {
            let (name, example) = (name.to_owned(), String::new());
            Item::Variable(Variable { name, shape: Shape::Word, meaning, rank, example, expect: vec![] })
        };
        let items = [
            variable("uri", Meaning::Url, 1),
            Item::Literal(" ".to_owned()),
            variable("request", Meaning::Request, 0),
            variable("request", Meaning::Request, 0),
        ];
        let got = assemble(&items, Escape::Backslash);
        assert_eq!(got.captures["uri"].column.as_deref(), Some("fields.uri"));
        assert_eq!(got.captures["request"].column.as_deref(), Some("request"));
        assert_eq!(got.regex, r#"(?<uri>[^ "]+) (?<request>[^ "]+?)(?:([^ "]+))"#);
    }
}
