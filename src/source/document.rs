//! JSON over several lines, and arrays of objects, as one object a line.
//!
//! ```text
//!   {                  { "a": 1 }         [{"a":1},{"a":2}]         {"Records":[{"a":1},       {"a":1}
//!     "a": 1     ──►                      ──►  {"a":1}              {"a":2}]}            ──►   {"a":2}
//!   }                                          {"a":2}
//! ```
//!
//! Each byte stays where it is: line ends inside of an object become blanks, commas between the objects of an array become line ends,
//! and what is around them becomes blanks. So offsets are those of the file, and a line number is that of the object. What is no
//! JSON passes as it is, and a line end inside of a text, which JSON does not have, ends the object that is read: damage is unparsed,
//! and what comes behind it is read again.

use super::error::{Change, Issue, SourceError};
use super::outbox::Outbox;
use super::{ByteReader, Fill, ReadOptions};

/// The bytes that tell at most.
pub(super) const TELLING_BYTES: usize = 256;
/// What an object around an array of events calls it: CloudTrail, Azure.
const WRAPPERS: [&[u8]; 3] = [b"Records", b"records", b"value"];

/// Is what begins so JSON over several lines or in an array?
pub(super) fn is_document(head: &[u8]) -> bool {
    begin(head).is_some()
}

/// So many bytes are in front of the first object, and so many brackets around it.
fn begin(head: &[u8]) -> Option<(usize, usize)> {
    let head = &head[..head.len().min(TELLING_BYTES)];
    let blanks = |at: usize| at + head[at.min(head.len())..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let start = blanks(0);
    let inner = blanks(start + 1);
    match head.get(start)? {
        b'[' if head.get(inner) == Some(&b'{') => Some((inner, 1)),
        b'{' if head[start..inner].contains(&b'\n') && head.get(inner) == Some(&b'"') && wrapped(head, inner).is_none() => {
            Some((start, 0))
        }
        b'{' => wrapped(head, inner).map(|at| (at, 2)),
        _ => None,
    }
}

/// Where the first object is in the array that is the value of the key at `at`.
fn wrapped(head: &[u8], at: usize) -> Option<usize> {
    let rest = head.get(at..)?.strip_prefix(b"\"")?;
    let name = WRAPPERS.iter().find(|name| rest.starts_with(name) && rest.get(name.len()) == Some(&b'"'))?;
    let mut at = at + name.len() + 2;
    for wanted in [b':', b'[', b'{'] {
        at += head.get(at..)?.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        if head.get(at) != Some(&wanted) {
            return None;
        }
        at += usize::from(wanted != b'{');
    }
    Some(at)
}

/// Where in a document a byte is.
#[derive(Clone, Copy, Debug, Default)]
struct Lines {
    /// Bytes in front of the first object that are still to come.
    before: usize,
    /// Open brackets around the objects, and all of them.
    around: usize,
    depth: usize,
    in_text: bool,
    is_escaped: bool,
}

impl Lines {
    fn new(head: &[u8]) -> Self {
        let (before, around) = begin(head).unwrap_or((0, 0));
        Self { before, around, depth: around, ..Self::default() }
    }

    /// Changes the next bytes in place.
    fn apply(&mut self, bytes: &mut [u8]) {
        let blank = self.before.min(bytes.len());
        self.before -= blank;
        bytes[..blank].fill(b' ');
        for byte in &mut bytes[blank..] {
            if self.in_text {
                match *byte {
                    b'\n' => *self = Self { around: self.around, depth: self.around, ..Self::default() },
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    b'"' => self.in_text = false,
                    _ => {}
                }
                continue;
            }
            let is_inside = self.depth > self.around;
            match *byte {
                b'"' if is_inside => self.in_text = true,
                b'[' if self.depth == 0 => {
                    (self.around, self.depth) = (1, 1);
                    *byte = b' ';
                }
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if is_inside => self.depth -= 1,
                b'}' | b']' if self.around > 0 => {
                    self.around -= 1;
                    self.depth = self.around;
                    *byte = b' ';
                }
                b',' if !is_inside && self.around > 0 => *byte = b'\n',
                b'\n' | b'\r' if is_inside || self.around > 0 => *byte = b' ',
                _ => {}
            }
        }
    }
}

/// The first bytes of a text, as [`DocumentReader`] gives them if it is such a document.
pub fn head_in_lines(mut head: Vec<u8>) -> Vec<u8> {
    if is_document(&head) {
        Lines::new(&head.clone()).apply(&mut head);
    }
    head
}

/// [`ByteReader`] of a document in lines.
pub(super) struct DocumentReader {
    inner: Box<dyn ByteReader>,
    lines: Option<Lines>,
    out: Outbox,
    done: bool,
    block_bytes: usize,
}

impl DocumentReader {
    pub(super) fn new(inner: Box<dyn ByteReader>, options: &ReadOptions) -> Self {
        Self { inner, lines: None, out: Outbox::default(), done: false, block_bytes: options.block_bytes.max(4096) }
    }

    /// Takes in what `inner` has. `false` if that is nothing yet.
    fn step(&mut self) -> Result<bool, SourceError> {
        let telling = if self.lines.is_none() { TELLING_BYTES } else { 1 };
        let Fill { bytes, end } = self.inner.fill(telling)?;
        if bytes.is_empty() && !end {
            return Ok(false);
        }
        let lines = self.lines.get_or_insert_with(|| Lines::new(bytes));
        let count = bytes.len().min(self.block_bytes);
        let room = &mut self.out.room(count, self.block_bytes)[..count];
        room.copy_from_slice(&bytes[..count]);
        lines.apply(room);
        self.done = end && count == bytes.len();
        self.out.made(count);
        self.inner.consume(count);
        Ok(true)
    }
}

impl ByteReader for DocumentReader {
    fn fill(&mut self, min: usize) -> Result<Fill<'_>, SourceError> {
        while !self.done && self.out.bytes().len() < min.max(1) {
            if !self.step()? {
                break;
            }
        }
        Ok(Fill { bytes: self.out.bytes(), end: self.done })
    }

    fn consume(&mut self, n: usize) {
        self.out.consume(n);
    }

    fn verify(&mut self) -> Result<(), Change> {
        self.inner.verify().inspect_err(|_| {
            self.out.clear();
            self.done = true;
        })
    }

    fn issues(&self) -> &[Issue] {
        self.inner.issues()
    }

    fn bytes_read(&self) -> u64 {
        self.inner.bytes_read()
    }

    fn offset(&self) -> u64 {
        self.out.offset()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_lines(text: &str, dose: usize) -> String {
        let mut bytes = text.as_bytes().to_vec();
        let mut lines = Lines::new(text.as_bytes());
        bytes.chunks_mut(dose).for_each(|chunk| lines.apply(chunk));
        String::from_utf8(bytes).expect("only ASCII is put in")
    }

    /// The objects that the lines are.
    fn objects(text: &str) -> Vec<String> {
        let lines = in_lines(text, 3);
        assert_eq!(lines, in_lines(text, text.len().max(1)));
        assert_eq!(lines.len(), text.len());
        let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
        lines
            .map(|line| serde_json::from_str::<serde_json::Value>(line).map_or_else(|_| format!("!{line}"), |v| v.to_string()))
            .collect()
    }

    #[test]
    fn objects_are_lines_however_they_are_written() {
        let cases = [
            ("{\n  \"a\": [1,\r\n {\"b\": \"}\\\"\"}]\n}\n{\n\"a\":2}\n", vec!["{\"a\":[1,{\"b\":\"}\\\"\"}]}", "{\"a\":2}"]),
            ("[{\"a\":1},{\"a\":[2,{}]}]", vec!["{\"a\":1}", "{\"a\":[2,{}]}"]),
            ("[\n {\"a\":1},\n {\"a\":2}\n]\n", vec!["{\"a\":1}", "{\"a\":2}"]),
            ("{\"Records\":[{\"a\":1},{\"a\":2}]}", vec!["{\"a\":1}", "{\"a\":2}"]),
            ("{\n  \"records\" : [\n {\n\"a\":1},\n{\"a\":2}\n]}\n", vec!["{\"a\":1}", "{\"a\":2}"]),
            ("[{\"a\":1}]\n[{\"a\":2},{\"a\":3}]\n", vec!["{\"a\":1}", "{\"a\":2}", "{\"a\":3}"]),
            ("{\n\"a\": \"cut\n{\n\"a\":1}\n", vec!["!{ \"a\": \"cut", "{\"a\":1}"]),
        ];
        for (text, expected) in cases {
            assert!(is_document(text.as_bytes()), "{text}");
            assert_eq!(objects(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_a_line_already_is_no_document() {
        for text in [
            "{\"a\":1}\n{\"a\":2}\n",
            "{\"items\":[{\"a\":1}],\"b\":2}\n",
            "{ \"Records\": 17 }\n",
            "[2026-11-21 01:02:03] x\n",
            "[]",
            "{}",
            "{",
            "",
            "{\n}",
            "{\nnot json",
            "text {\n\"a\":1}",
        ] {
            assert!(!is_document(text.as_bytes()), "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

        #[test]
        fn pretty_arrays_are_worth_what_serde_json_says(numbers in prop::collection::vec((any::<u8>(), "[a-z{}\\[\\],\"\\\\\n]{0,6}"), 1..5), wrap in 0..3u8) {
            let items: Vec<serde_json::Value> = numbers.iter().map(|(n, text)| serde_json::json!({ "n": n, "t": [text, { "x": text }] })).collect();
            let pretty = |value: &serde_json::Value| serde_json::to_string_pretty(value).expect("JSON");
            let text = match wrap {
                0 => items.iter().map(|item| pretty(item) + "\n").collect(),
                1 => pretty(&serde_json::Value::from(items.clone())),
                _ => pretty(&serde_json::json!({ "Records": items })),
            };
            prop_assert!(is_document(text.as_bytes()), "{}", text);
            prop_assert_eq!(objects(&text), items.iter().map(serde_json::Value::to_string).collect::<Vec<_>>(), "{}", text);
        }

        #[test]
        fn any_text_stays_as_long_as_it_is(text in "[\\[\\]{},\"\\\\ a\n]{0,60}", dose in 1..9usize) {
            prop_assert_eq!(in_lines(&text, dose), in_lines(&text, text.len().max(1)));
        }
    }
}
