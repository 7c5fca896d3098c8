//! Reads one XML element: where the texts and attributes inside of it are.
//!
//! ```text
//!   <Event><System><Provider Name='X'/><EventID>4624</EventID></System><EventData><Data Name='User'>ann</Data></EventData></Event>
//!           System.Provider.Name         System.EventID                             EventData.User
//! ```
//!
//! A path is the names from inside the outermost element on; attributes are like elements inside of theirs. Prefixes of namespaces
//! are left out. Windows calls all values of an event `Data` and says in an attribute which one each is: those are called by it.
//! Tags have to be balanced and attributes quoted. What documents may have beyond that (declarations of entities) no log has.

use std::borrow::Cow;

use memchr::memmem;

use super::Span;
use super::find::{find1, find2};
use super::keys::{Entry, Field, KeySet, Keys, NONE, ROOT, WHOLE};
use super::program::Failure;

/// Elements inside of each other at most.
const MAX_DEPTH: usize = 127;
/// A path that is longer is not made longer.
const MAX_PATH: usize = 128;
/// The element that is called by an attribute, and that attribute.
const DATA: &[u8] = b"Data";
const NAME: &[u8] = b"Name";

/// A stretch of the record.
type Place = (usize, usize);

/// What there is in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// The name of an element that begins.
    Open(Place),
    /// An attribute of it, and its value.
    Attribute(Place, Place),
    /// Its first tag is over, and so is all of it if it is empty.
    Opened { is_empty: bool },
    /// The name of an element that ends, and where its last tag begins.
    Close(Place, usize),
    /// The end of the record.
    End,
}

/// Cuts a record into tokens.
struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    in_tag: bool,
}

#[inline]
fn ends_name(byte: u8) -> bool {
    byte <= b' ' || matches!(byte, b'/' | b'>' | b'=' | b'<' | b'"' | b'\'')
}

impl Lexer<'_> {
    fn blanks(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    /// The name at the cursor.
    #[inline]
    fn name(&mut self) -> Result<Place, usize> {
        let start = self.at;
        while self.text.get(self.at).is_some_and(|&byte| !ends_name(byte)) {
            self.at += 1;
        }
        if self.at > start { Ok((start, self.at)) } else { Err(start) }
    }

    fn behind(&mut self, end: &[u8]) -> Result<(), usize> {
        let found = memmem::find(&self.text[self.at..], end).ok_or(self.text.len())?;
        self.at += found + end.len();
        Ok(())
    }

    /// What comes next; or where it is no XML.
    #[inline]
    fn next(&mut self) -> Result<Token, usize> {
        if self.in_tag {
            return self.in_tag();
        }
        loop {
            self.at = find1(self.text, self.at, b'<');
            match self.text.get(self.at + 1) {
                None if self.at >= self.text.len() => return Ok(Token::End),
                Some(b'/') => {
                    let start = self.at;
                    self.at += 2;
                    let name = self.name()?;
                    self.blanks();
                    if self.text.get(self.at) != Some(&b'>') {
                        return Err(self.at);
                    }
                    self.at += 1;
                    return Ok(Token::Close(name, start));
                }
                Some(b'?') => self.behind(b"?>")?,
                Some(b'!') if self.text[self.at..].starts_with(b"<!--") => {
                    self.at += 4;
                    self.behind(b"-->")?;
                }
                Some(b'!') if self.text[self.at..].starts_with(CDATA) => self.behind(CDATA_END)?,
                Some(b'!') => return Err(self.at + 1),
                Some(_) => {
                    self.at += 1;
                    self.in_tag = true;
                    return self.name().map(Token::Open);
                }
                None => return Err(self.at),
            }
        }
    }

    #[inline]
    fn in_tag(&mut self) -> Result<Token, usize> {
        let before = self.at;
        self.blanks();
        let is_empty = match self.text.get(self.at) {
            Some(b'>') => false,
            Some(b'/') if self.text.get(self.at + 1) == Some(&b'>') => true,
            Some(_) if self.at > before => {
                let name = self.name()?;
                self.blanks();
                if self.text.get(self.at) != Some(&b'=') {
                    return Err(self.at);
                }
                self.at += 1;
                self.blanks();
                let Some(&quote @ (b'"' | b'\'')) = self.text.get(self.at) else { return Err(self.at) };
                let start = self.at + 1;
                let end = find2(self.text, start, quote, b'<');
                if self.text.get(end) != Some(&quote) {
                    return Err(end);
                }
                self.at = end + 1;
                return Ok(Token::Attribute(name, (start, end)));
            }
            _ => return Err(self.at),
        };
        self.at += 1 + usize::from(is_empty);
        self.in_tag = false;
        Ok(Token::Opened { is_empty })
    }
}

const CDATA: &[u8] = b"<![CDATA[";
const CDATA_END: &[u8] = b"]]>";

/// The name without the prefix of its namespace.
#[inline]
fn local(text: &[u8], (start, end): Place) -> Place {
    (memchr::memchr(b':', &text[start..end]).map_or(start, |colon| start + colon + 1), end)
}

/// The text of an element without any inside: without blanks around it, and without what says that it has no escapes.
fn content(text: &[u8], (start, end): Place) -> Place {
    let inner = &text[start..end];
    let begin = start + (inner.len() - inner.trim_ascii_start().len());
    let inner = inner.trim_ascii();
    match inner.strip_prefix(CDATA).and_then(|inner| inner.strip_suffix(CDATA_END)) {
        // One section, and not the begin of one and the end of another.
        Some(plain) if memmem::find(plain, CDATA_END).is_none() => (begin + CDATA.len(), begin + CDATA.len() + plain.len()),
        _ => (begin, begin + inner.len()),
    }
}

/// An element that is being read.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    /// Its name.
    name: Place,
    /// What is wanted of it.
    entry: Entry,
    /// Where its content begins.
    start: usize,
    /// No element is inside.
    is_leaf: bool,
    /// How many `Data` without a name are inside.
    unnamed: u32,
}

/// Reads a record.
pub(super) fn scan(mut keys: Keys<'_>, text: &[u8], slots: &mut [Span], frames: &mut Vec<Frame>) -> Result<(), Failure> {
    frames.clear();
    let failed =
        |at: usize, slot: u16| Failure { at: at.min(text.len()) as u32, capture: Some(slot).filter(|&slot| slot != NONE) };
    let mut lexer = Lexer { text, at: 0, in_tag: false };
    let mut set = |slot: u16, (start, end): Place| {
        if let Some(slot) = slots.get_mut(usize::from(slot)) {
            *slot = Span { start: start as u32, end: end as u32 };
        }
    };
    // The element whose first tag is being read, until it is known what it is called.
    let mut pending: Option<Place> = None;
    let mut is_over = false;
    loop {
        let slot = frames.last().map_or(NONE, |frame| frame.entry.slot);
        let before = lexer.at;
        let token = lexer.next().map_err(|at| failed(at, slot))?;
        if let Some(name) = pending {
            let called = match token {
                Token::Attribute(attribute, value) if is_data(text, name) && text[attribute.0..attribute.1] == *NAME => {
                    Some(value)
                }
                _ => None,
            };
            pending = None;
            open(&mut keys, text, name, called, frames);
            if called.is_some() {
                continue;
            }
        }
        match token {
            Token::Open(name) => {
                if is_over || frames.len() >= MAX_DEPTH || (frames.is_empty() && !is_prolog(&text[..before])) {
                    return Err(failed(name.0 - 1, slot));
                }
                pending = Some(name);
            }
            Token::Attribute(name, value) => {
                let node = frames.last().map_or(NONE, |frame| frame.entry.node);
                // Attributes of the outermost element name the schema.
                if node != NONE && frames.len() > 1 {
                    let entry = find(&mut keys, node, text, local(text, name));
                    set(entry.slot, value);
                }
            }
            Token::Opened { is_empty } => {
                let Some(frame) = frames.last_mut() else { return Err(failed(lexer.at, NONE)) };
                frame.start = lexer.at;
                if is_empty {
                    frames.pop();
                    is_over = frames.is_empty();
                }
            }
            Token::Close(name, start) => {
                let Some(frame) = frames.pop().filter(|frame| text[frame.name.0..frame.name.1] == text[name.0..name.1]) else {
                    return Err(failed(name.0, slot));
                };
                if frame.entry.slot != NONE {
                    let place = (frame.start, start);
                    set(frame.entry.slot, if frame.is_leaf { content(text, place) } else { place });
                }
                is_over = frames.is_empty();
            }
            Token::End if is_over => break,
            Token::End => return Err(failed(text.len(), slot)),
        }
        if is_over && text[lexer.at..].iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|&byte| byte != b'<') {
            return Err(failed(lexer.at, NONE));
        }
    }
    set(WHOLE, (0, text.len()));
    Ok(())
}

/// May this stand before the outermost element?
fn is_prolog(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    text.is_empty() || (text.starts_with(b"<") && text.ends_with(b">"))
}

#[inline]
fn is_data(text: &[u8], name: Place) -> bool {
    let name = local(text, name);
    text[name.0..name.1] == *DATA
}

#[inline]
fn find(keys: &mut Keys<'_>, node: u16, text: &[u8], (start, end): Place) -> Entry {
    match keys.guess(node, &text[start..]) {
        Some((len, entry)) if len == end + 1 - start => entry,
        _ => keys.look_up(node, &text[start..=end]),
    }
}

/// An element begins, which is called by this value of an attribute or else by its name.
fn open(keys: &mut Keys<'_>, text: &[u8], name: Place, called: Option<Place>, frames: &mut Vec<Frame>) {
    let entry = match frames.last_mut() {
        None => Entry { slot: NONE, node: ROOT },
        Some(outer) => {
            outer.is_leaf = false;
            let node = outer.entry.node;
            let is_unnamed = called.is_none() && is_data(text, name);
            outer.unnamed += u32::from(is_unnamed);
            match node {
                NONE => Entry::NONE,
                _ if is_unnamed && outer.unnamed > 1 => keys.set.entry(node, &unnamed(outer.unnamed)),
                _ => find(keys, node, text, called.unwrap_or_else(|| local(text, name))),
            }
        }
    };
    frames.push(Frame { name, entry, start: 0, is_leaf: true, unnamed: 0 });
}

/// What the second and further `Data` without a name are called.
fn unnamed(number: u32) -> Vec<u8> {
    format!("Data{number}").into_bytes()
}

/// The fields of a record that was read: all texts and attributes.
pub(super) fn fields<'a>(set: &KeySet, text: &'a [u8], found: &mut Vec<Field<'a>>) {
    struct Outer {
        /// Empty for the outermost one.
        path: Vec<u8>,
        node: u16,
        slot: u16,
        start: usize,
        is_leaf: bool,
        unnamed: u32,
    }
    let mut outer: Vec<Outer> = vec![];
    let mut lexer = Lexer { text, at: 0, in_tag: false };
    let mut pending: Option<Place> = None;
    let inside = |frame: Option<&Outer>, key: &[u8]| match frame {
        None => (vec![], ROOT, NONE),
        Some(frame) => {
            let Entry { slot, node } = if frame.node == NONE { Entry::NONE } else { set.entry(frame.node, key) };
            let is_outermost = frame.path.is_empty();
            let path = match frame.path.len() {
                _ if is_outermost => key.to_vec(),
                // Many members with a long path in front of each would be far more bytes than the record has.
                MAX_PATH.. => frame.path.clone(),
                _ => [&frame.path, &b"."[..], key].concat(),
            };
            (path, node, slot)
        }
    };
    while let Ok(token) = lexer.next() {
        if let Some(name) = pending.take() {
            let called = match token {
                Token::Attribute(attribute, value) if is_data(text, name) && text[attribute.0..attribute.1] == *NAME => {
                    Some(value)
                }
                _ => None,
            };
            let key = called.unwrap_or_else(|| local(text, name));
            let mut key = Cow::Borrowed(&text[key.0..key.1]);
            if let Some(frame) = outer.last_mut() {
                frame.is_leaf = false;
                if called.is_none() && is_data(text, name) {
                    frame.unnamed += 1;
                    if frame.unnamed > 1 {
                        key = Cow::Owned(unnamed(frame.unnamed));
                    }
                }
            }
            let (path, node, slot) = inside(outer.last(), &key);
            outer.push(Outer { path, node, slot, start: 0, is_leaf: true, unnamed: 0 });
            if called.is_some() {
                continue;
            }
        }
        match token {
            Token::Open(name) => pending = Some(name),
            Token::Attribute(name, value) if outer.len() > 1 => {
                let name = local(text, name);
                let (path, _, slot) = inside(outer.last(), &text[name.0..name.1]);
                found.push(Field { path, value: &text[value.0..value.1], quoted: false, slot });
            }
            Token::Attribute(..) => {}
            Token::Opened { is_empty: true } => drop(outer.pop()),
            Token::Opened { is_empty: false } => {
                if let Some(frame) = outer.last_mut() {
                    frame.start = lexer.at;
                }
            }
            Token::Close(_, end) => {
                if let Some(frame) = outer.pop().filter(|frame| frame.is_leaf && !frame.path.is_empty()) {
                    let (start, end) = content(text, (frame.start, end));
                    let quoted = start >= CDATA.len() && text[..start].ends_with(CDATA);
                    found.push(Field { path: frame.path, value: &text[start..end], quoted, slot: frame.slot });
                }
            }
            Token::End => return,
        }
    }
}

/// The text with characters in the place of `&amp;`, `&#10;` and their like.
pub(super) fn plain(text: &[u8]) -> Cow<'_, [u8]> {
    /// The longest that is known: `&#x10FFFF;`.
    const MAX_ENTITY: usize = 10;
    if memchr::memchr(b'&', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'&', rest) {
        plain.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let end = rest.iter().take(MAX_ENTITY).position(|&byte| byte == b';');
        let character = end.and_then(|end| match &rest[1..end] {
            b"amp" => Some('&'),
            b"lt" => Some('<'),
            b"gt" => Some('>'),
            b"quot" => Some('"'),
            b"apos" => Some('\''),
            [b'#', b'x', hex @ ..] => char::from_u32(u32::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?),
            [b'#', digits @ ..] => char::from_u32(std::str::from_utf8(digits).ok()?.parse().ok()?),
            _ => None,
        });
        match (character, end) {
            (Some(character), Some(end)) => {
                plain.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[end + 1..];
            }
            _ => {
                plain.push(b'&');
                rest = &rest[1..];
            }
        }
    }
    plain.extend_from_slice(rest);
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::scan::{Escapes, Keyed, Matcher, PatternSet, Scratch, Syntax, Ways, check_traces};

    const PATHS: &[&str] = &["a", "b", "a.b", "a.b.c", "b.Data", "a.x", "Data", "Data2", "n"];

    fn matcher(paths: &[&str]) -> Matcher {
        let captures = paths.iter().map(|path| (format!("capture_{path}"), vec![(*path).to_owned()])).collect();
        Matcher::Keyed(Keyed::try_new(Syntax::Xml, &captures, &BTreeMap::new()).expect("no path stands twice").into())
    }

    fn fields(text: &str) -> Vec<(String, String)> {
        let matcher = matcher(&[]);
        let keyed = matcher.as_keyed().expect("it goes by keys");
        let read = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let rest = keyed.rest(text.as_bytes(), None).into_iter();
        rest.map(|field| (read(&field.path), read(&Escapes::Entities.undo(field.value, field.quoted.then_some(b'['))))).collect()
    }

    /// The same by another reader: leaves and attributes with their paths.
    fn slowly(node: roxmltree::Node<'_, '_>, path: &str, found: &mut Vec<(String, String)>) {
        let mut unnamed = 0;
        for child in node.children().filter(roxmltree::Node::is_element) {
            let name = child.tag_name().name();
            let called = child.attributes().next().filter(|attribute| name == "Data" && attribute.name() == "Name");
            unnamed += usize::from(name == "Data" && called.is_none());
            let key = match called {
                Some(attribute) => attribute.value().to_owned(),
                None if name == "Data" && unnamed > 1 => format!("Data{unnamed}"),
                None => name.to_owned(),
            };
            let inner = if path.is_empty() { key } else { format!("{path}.{key}") };
            for attribute in child.attributes().skip(usize::from(called.is_some())) {
                found.push((format!("{inner}.{}", attribute.name()), attribute.value().to_owned()));
            }
            if !child.children().any(|inside| inside.is_element()) {
                let text: String =
                    child.children().filter(|inside| inside.is_text()).filter_map(|inside| inside.text()).collect();
                found.push((inner.clone(), text));
            }
            slowly(child, &inner, found);
        }
    }

    fn worth(mut all: Vec<(String, String)>) -> BTreeMap<String, String> {
        all.iter_mut().for_each(|(_, value)| *value = value.trim_ascii().to_owned());
        all.into_iter().filter(|(_, value)| !value.is_empty() && value != "-").collect()
    }

    #[test]
    fn an_event_is_read_by_its_names() {
        let text = "<?xml version='1.0'?><e:Event xmlns='http://x' xmlns:e='y'><System><Provider Name='P' Guid=\"{1}\"/><EventID \
                    Qualifiers='0'>4624</EventID><Empty></Empty></System>\n  <EventData><Data Name='User'>a &amp; b</Data><Data>x</Data>\
                    <Data>y</Data><Raw><![CDATA[<&amp;>]]></Raw></EventData></e:Event>";
        let expected = [
            ("System.Provider.Name", "P"),
            ("System.Provider.Guid", "{1}"),
            ("System.EventID.Qualifiers", "0"),
            ("System.EventID", "4624"),
            ("EventData.User", "a & b"),
            ("EventData.Data", "x"),
            ("EventData.Data2", "y"),
            ("EventData.Raw", "<&amp;>"),
        ];
        assert_eq!(fields(text), expected.map(|(path, value)| (path.to_owned(), value.to_owned())));
        let matcher = matcher(&["System.EventID", "EventData.User", "System.Provider.Name", "EventData.Data2"]);
        let mut slots = vec![Span::NONE; matcher.captures().len()];
        assert_eq!(matcher.find(text.as_bytes(), &mut slots, &mut Scratch::default()), Ok(()));
        let values: Vec<_> = slots[1..].iter().filter_map(|span| span.of(text.as_bytes())).collect();
        assert_eq!(values, [&b"y"[..], b"a &amp; b", b"4624", b"P"], "in the order of the names");
    }

    #[test]
    fn what_is_no_element_fails_where_it_is_none() {
        let cases: [(&str, u32); 12] = [
            ("<a>", 3),
            ("<a></b>", 5),
            ("<a x=1/>", 5),
            ("<a x='1/>", 9),
            ("<a/>x", 4),
            ("<a/><b/>", 4),
            ("<a x='<'/>", 6),
            ("<a><b></a></b>", 8),
            ("<a", 2),
            ("<>", 1),
            ("<a><!-- x</a>", 13),
            ("<?xml x", 7),
        ];
        let matcher = matcher(&["x"]);
        for (text, at) in cases {
            let found = matcher.find(text.as_bytes(), &mut [Span::NONE; 2], &mut Scratch::default());
            assert_eq!(found.map_err(|failure| failure.at), Err(at), "{text}");
        }
    }

    #[test]
    fn depth_and_paths_are_bounded() {
        let nested = |depth: usize| "<a>".repeat(depth) + &"</a>".repeat(depth);
        let taken = |text: &str| matcher(&["a"]).find(text.as_bytes(), &mut [Span::NONE; 2], &mut Scratch::default()).is_ok();
        assert!(taken(&nested(MAX_DEPTH)) && !taken(&nested(MAX_DEPTH + 1)) && !taken(&nested(100_000)));
        let long = "k".repeat(10_000);
        let inner: String = (0..1000).map(|i| format!("<i>{i}</i>")).collect();
        let all = fields(&format!("<a><{long}>{inner}</{long}></a>"));
        assert_eq!(all.iter().map(|(path, _)| path.len()).max(), Some(10_000));
        assert_eq!(all.len(), 1, "one path, and the last value counts");
    }

    /// An element with what events have inside.
    fn element() -> impl Strategy<Value = String> {
        let texts = ["", "x", " y ", "1 &lt; 2", "&#65;&#x42;", "a\n b", "<![CDATA[<x>&amp;]]>", "é"];
        let text = prop::sample::select(texts.to_vec()).prop_map(str::to_owned);
        let name =
            prop::sample::select(vec!["a", "b", "c", "Data", "Data Name='n'", "b x='1'", "a y=\"&quot;\" x = '2'", "Data x='3'"]);
        let wrap = |(name, inner): (&str, String)| {
            let end = name.split(' ').next().unwrap_or_default();
            if inner.is_empty() { format!("<{name}/>") } else { format!("<{name} >{inner}</{end}\n>") }
        };
        let leaf = (name.clone(), text).prop_map(wrap);
        let inner = leaf.prop_recursive(4, 24, 4, move |inner| {
            (name.clone(), prop::collection::vec(inner, 0..4)).prop_map(move |(name, inner)| wrap((name, inner.concat())))
        });
        prop::collection::vec(inner, 0..4).prop_map(|inner| format!("<r>{}</r>", inner.join("\n ")))
    }

    fn damaged() -> impl Strategy<Value = Vec<u8>> {
        let telling = prop::sample::select(b"<>/='\"&;! a-\n\xff".to_vec());
        let edit = (any::<prop::sample::Index>(), 0..4u8, telling);
        (element(), prop::collection::vec(edit, 0..4)).prop_map(|(text, edits)| {
            let mut text = text.into_bytes();
            for (at, how, byte) in edits {
                let at = at.index(text.len() + 1);
                match how {
                    0 => text.insert(at, byte),
                    1 if at < text.len() => text[at] = byte,
                    2 if at < text.len() => drop(text.remove(at)),
                    _ => text.truncate(at.max(text.len().saturating_sub(3))),
                }
            }
            text
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..Default::default() })]

        #[test]
        fn elements_are_worth_what_roxmltree_says(text in element()) {
            let document = roxmltree::Document::parse(&text).expect("XML");
            let mut expected = vec![];
            slowly(document.root_element(), "", &mut expected);
            // Of values with one path the last one that says anything counts here and there.
            let got = worth(fields(&text));
            let expected = worth(expected);
            prop_assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{}", text);
        }

        #[test]
        fn damaged_elements_are_judged_without_a_panic(text in damaged()) {
            let matcher = matcher(PATHS);
            let mut slots = vec![Span::NONE; matcher.captures().len()];
            let found = matcher.find(&text, &mut slots, &mut Scratch::default());
            let _ = matcher.as_keyed().expect("it goes by keys").rest(&text, None);
            if let Ok(text) = std::str::from_utf8(&text) && text.starts_with('<') && roxmltree::Document::parse(text).is_ok() {
                prop_assert!(found.is_ok(), "{found:?} on {text}");
            }
        }

        #[test]
        fn what_was_learned_of_keys_changes_nothing(texts in prop::collection::vec(damaged(), 1..8)) {
            let (one, other) = (matcher(PATHS), matcher(&["b", "a.b.c"]));
            let set = PatternSet::new([&one, &other], Ways::Each);
            let texts: Vec<Vec<u8>> = texts.into_iter().map(|text| text.into_iter().filter(|&byte| byte != b'\n').collect()).collect();
            check_traces(&set, &texts.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
    }
}
