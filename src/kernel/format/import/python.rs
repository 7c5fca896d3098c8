//! What a callback of pylogsparser does, told from its text: Python is never run.
//!
//! Most callbacks are one of few things: they read a date, look the value up in a dictionary or a list, lower it, or compare it. All
//! others are [`Action::Unknown`].

/// What a callback does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// It reads a date.
    Date,
    /// It looks the value up, for another tag.
    Map { tag: String, map: Vec<(String, String)>, other: Other },
    /// It lowers the value, for another tag.
    Lower { tag: String },
    /// The value for another tag, as it is.
    Copy { tag: String },
    /// The value without so many characters in front and behind, where it begins with this text or with any.
    Cut { tag: String, front: usize, back: usize, begin: String },
    /// The value for another tag, as a number of milliseconds becomes one of seconds.
    Milliseconds { tag: String },
    /// The value for another tag; of what it makes of numbers, these are left.
    Number { tag: String },
    /// It takes the blanks around all values away.
    Trim,
    /// Something else.
    Unknown,
}

/// What a value means that is not found.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Other {
    /// Itself.
    Same,
    /// This text.
    Text(String),
    /// Nothing.
    Nothing,
}

impl Action {
    /// What the code does, as far as it is one of the usual things.
    pub(super) fn of(code: &str) -> Self {
        let code = code.trim();
        if code.contains("datetime(") || code.contains("utcfromtimestamp(") {
            let is_date = ["log['date'] =", "log[\"date\"] ="].iter().any(|set| code.contains(set));
            return if is_date { Self::Date } else { Self::Unknown };
        }
        if code.contains("for t in log") && code.contains(".strip()") {
            return Self::Trim;
        }
        let mut assigned = code.match_indices("log[").filter_map(|(at, _)| assignment(&code[at..]));
        let Some((tag, value)) = assigned.next() else { return Self::Unknown };
        if let Some(map) = comparisons(code, &tag) {
            return map;
        }
        if let Some((other, behind)) = assigned.next() {
            let rest = assigned.next();
            if rest.is_none()
                && other == tag
                && behind.trim() == "value"
                && code.starts_with("try:")
                && code.contains(" = long(value)")
            {
                return Self::Number { tag };
            }
            return conditional(code, &tag, value, (&other, behind)).filter(|_| rest.is_none()).unwrap_or(Self::Unknown);
        }
        let value = value.lines().next().unwrap_or_default().trim();
        if code.lines().count() == 1 {
            match value {
                "value" => return Self::Copy { tag },
                "value.lower()" => return Self::Lower { tag },
                // Types of tags that end so end so once.
                "value.rstrip(':')" | "value.rstrip(\":\")" => return Self::Cut { tag, front: 0, back: 1, begin: String::new() },
                _ => {}
            }
            if let Some((front, back)) = slice(value) {
                return Self::Cut { tag, front, back, begin: String::new() };
            }
        }
        let lines: Vec<&str> = code.lines().map(str::trim).collect();
        if let ["value = float(value)", "value = value / 1000", _] = lines[..]
            && value == "value"
        {
            return Self::Milliseconds { tag };
        }
        // `if value != "-":` before it: that means nothing here, too.
        if let Some((condition, rest)) = code.split_once('\n')
            && ["if value != \"-\":", "if value != '-':"].contains(&condition.trim())
            && rest.lines().count() == 1
            && value == "value"
        {
            return Self::Copy { tag };
        }
        Self::lookup(code, tag, value).unwrap_or(Self::Unknown)
    }

    /// `NAME = {…}` and then `log['x'] = NAME.get(value, …)`, or all of it in one.
    fn lookup(code: &str, tag: String, value: &str) -> Option<Self> {
        if let Some(at) = code.find(value).filter(|_| value.starts_with(['{', '['])) {
            let (map, rest) = collection(&code[at..])?;
            return access(rest).map(|other| Self::Map { tag, map, other });
        }
        let start = code.find(['{', '['])?;
        let name = code[..start].trim_end().strip_suffix('=')?.trim_end();
        let name = name.rsplit(char::is_whitespace).next().filter(|name| !name.is_empty() && *name != "log")?;
        let (mut map, rest) = collection(&code[start..])?;
        // Numbers in one spelling, and the value brought to it.
        let upper = rest.lines().find_map(|line| line.trim().strip_suffix(" = value.upper()"));
        if let (Some(upper), Some(default)) = (upper, value.strip_prefix(name).and_then(|access| access.strip_prefix(".get("))) {
            let (default, _) = python_text(default.strip_prefix(upper)?.trim_start().strip_prefix(',')?.trim_start())?;
            let hex = |key: &str| u64::from_str_radix(key.strip_prefix("0X")?, 16).ok();
            let numbers = map.iter().filter_map(|(key, to)| Some((hex(key)?, to.clone())));
            let spelled = |(number, to): (u64, String)| {
                let decimal = code.contains("hex(int(value))").then(|| number.to_string());
                let keys = [Some(format!("0x{number:X}")), Some(format!("0x{number:x}")), Some(format!("0X{number:x}")), decimal];
                keys.into_iter().flatten().map(move |key| (key, to.clone()))
            };
            let more: Vec<_> = numbers.flat_map(spelled).collect();
            map.extend(more);
            return Some(Self::Map { tag, map, other: Other::Text(default) });
        }
        let own = |text: &str| text.strip_prefix(name).and_then(access);
        if let Some(other) = own(value) {
            return Some(Self::Map { tag, map, other });
        }
        // It may be looked up into a variable first, with another text for what is not found.
        let looked = rest.lines().find_map(|line| own(line.trim().strip_prefix(value)?.trim_start().strip_prefix('=')?.trim()));
        if let Some(other) = looked {
            let failed = rest.split_once("except").and_then(|(_, rest)| {
                python_text(
                    rest.split_once('\n')?.1.trim_start().strip_prefix(value)?.trim_start().strip_prefix('=')?.trim_start(),
                )
            });
            return Some(Self::Map { tag, map, other: failed.map_or(other, |(text, _)| Other::Text(text)) });
        }
        // Or looked for first: `if value in NAME: log['x'] = NAME[value]`.
        let is_asked = rest.trim_start().starts_with("if ") && rest.contains(&format!(" in {name}"));
        is_asked.then(|| own(value)).flatten().map(|other| Self::Map { tag, map, other })
    }
}

/// `if value.startswith('text'): log['x'] = value[4:-1]`, and the value itself if it does not.
fn conditional(code: &str, tag: &str, value: &str, (other, plain): (&str, &str)) -> Option<Action> {
    let condition = code.lines().next()?.trim().strip_prefix("if value")?;
    let condition = condition.strip_prefix(".lower()").unwrap_or(condition).strip_prefix(".startswith(")?;
    let (begin, rest) = python_text(condition)?;
    let (front, back) = slice(value.lines().next()?.trim())?;
    let is_whole = rest.trim() == "):" && other == tag && plain.trim() == "value" && begin.chars().count() == front;
    is_whole.then(|| Action::Cut { tag: tag.to_owned(), front, back, begin })
}

/// The characters that `value[2:]`, `value[:-1]` and the like leave out in front and behind.
fn slice(value: &str) -> Option<(usize, usize)> {
    let (from, to) = value.strip_prefix("value[")?.strip_suffix(']')?.split_once(':')?;
    let front = if from.is_empty() { 0 } else { from.parse().ok()? };
    let back = if to.is_empty() { 0 } else { to.strip_prefix('-')?.parse().ok()? };
    (front + back > 0).then_some((front, back))
}

/// The tag and the value of `log['tag'] = value`.
fn assignment(code: &str) -> Option<(String, &str)> {
    let (tag, rest) = python_text(code.strip_prefix("log[")?)?;
    let value = rest.trim_start().strip_prefix(']')?.trim_start().strip_prefix('=')?;
    (!value.starts_with('=')).then(|| (tag, value.trim_start()))
}

/// What is not found by `[value]`, `[int(value)]` or `.get(value, …)` behind a collection.
fn access(text: &str) -> Option<Other> {
    let text = text.trim_start();
    if text.starts_with("[int(value)]") || text.starts_with("[value]") {
        return Some(Other::Nothing);
    }
    let rest = text.strip_prefix(".get(value").or_else(|| text.strip_prefix(".get(int(value)"))?;
    match rest.trim_start().strip_prefix(',').map(str::trim_start) {
        None => Some(Other::Nothing),
        Some(default) if default.starts_with("value") => Some(Other::Same),
        Some(default) => python_text(default).map(|(text, _)| Other::Text(text)),
    }
}

/// `if value == 'a': log['x'] = 'b'`, and so on, and perhaps an `else`; also by way of a variable that is the last line's value.
fn comparisons(code: &str, tag: &str) -> Option<Action> {
    let mut lines: Vec<&str> = code.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let mut target = None;
    if lines.len() % 2 == 1 {
        let (_, name) = assignment(lines.pop()?)?;
        target = Some(name.trim());
    }
    let mut map = vec![];
    let mut other = Other::Nothing;
    for pair in lines.chunks(2) {
        let [condition, set] = pair else { return None };
        let (to, _) = match target {
            Some(name) => python_text(set.strip_prefix(name)?.trim_start().strip_prefix('=')?.trim_start())?,
            None => {
                let (own, value) = assignment(set)?;
                (own == tag).then_some(())?;
                python_text(value)?
            }
        };
        if *condition == "else:" {
            other = Other::Text(to);
            continue;
        }
        let compared = condition.strip_prefix("if ").or_else(|| condition.strip_prefix("elif "))?;
        let (from, rest) =
            python_text(compared.trim_start().strip_prefix("value")?.trim_start().strip_prefix("==")?.trim_start())?;
        (rest.trim() == ":").then_some(())?;
        map.push((from, to));
    }
    (!map.is_empty()).then(|| Action::Map { tag: tag.to_owned(), map, other })
}

/// A text in quotes that the code begins with, and what stands behind it.
fn python_text(code: &str) -> Option<(String, &str)> {
    let quote = code.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut text = String::new();
    let mut chars = code.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => text.push(chars.next()?.1),
            c if c == quote => return Some((text, &code[at + 1..])),
            '\n' => return None,
            c => text.push(c),
        }
    }
    None
}

/// The entries of a dictionary or list of texts that the code begins with, and what stands behind it.
fn collection(code: &str) -> Option<(Vec<(String, String)>, &str)> {
    let is_list = code.starts_with('[');
    let mut rest = behind_blanks(code.get(1..)?);
    let mut entries = vec![];
    loop {
        if let Some(behind) = rest.strip_prefix(if is_list { ']' } else { '}' }) {
            return Some((entries, behind));
        }
        let mut key = entries.len().to_string();
        if !is_list {
            let behind;
            (key, behind) = match python_text(rest) {
                Some(found) => found,
                None => {
                    let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '-')).filter(|end| *end > 0)?;
                    (rest[..end].to_owned(), &rest[end..])
                }
            };
            rest = behind_blanks(behind_blanks(behind).strip_prefix(':')?);
        }
        let (value, behind) = python_text(rest)?;
        entries.push((key, value));
        rest = behind_blanks(behind);
        rest = behind_blanks(rest.strip_prefix(',').unwrap_or(rest));
    }
}

/// The code behind blanks, line ends and comments.
fn behind_blanks(mut code: &str) -> &str {
    loop {
        code = code.trim_start();
        match code.strip_prefix('#') {
            Some(comment) => code = comment.split_once('\n').map_or("", |(_, rest)| rest),
            None => return code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_does_is_told_from_its_text() {
        let map = |pairs: &[(&str, &str)], other| Action::Map {
            tag: "x".to_owned(),
            map: pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect(),
            other,
        };
        let text = |text: &str| Other::Text(text.to_owned());
        let x = || "x".to_owned();
        let cut = |front, back, begin: &str| Action::Cut { tag: x(), front, back, begin: begin.to_owned() };
        for (code, expected) in [
            (
                "D = { '1' : 'a', # one\n 2 : \"b's\",\n}\nlog['x'] = D.get(value, 'UNKNOWN')",
                map(&[("1", "a"), ("2", "b's")], text("UNKNOWN")),
            ),
            ("l = ['', 'a']\nlog[\"x\"] = l[int(value)]", map(&[("0", ""), ("1", "a")], Other::Nothing)),
            (
                "l = ['', 'a']\ntry:\n    t = l[int(value)]\nexcept:\n    t = \"odd\"\nlog['x'] = t",
                map(&[("0", ""), ("1", "a")], text("odd")),
            ),
            ("d = {1: 'a'}\nif int(value) in d.keys():\n    log['x'] = d[int(value)]", map(&[("1", "a")], Other::Nothing)),
            ("log['x'] = {'o' : 'open',\n   'c': 'close'}.get(value, value)", map(&[("o", "open"), ("c", "close")], Other::Same)),
            ("if value == 'F':\n    log['x'] = 'no'\nelse:\n    log['x'] = 'yes'", map(&[("F", "no")], text("yes"))),
            (
                "if value == '0':\n  r = \"No\"\nelif value == '1':\n  r = \"Yes\"\nelse:\n  r = '?'\nlog['x'] = r",
                map(&[("0", "No"), ("1", "Yes")], text("?")),
            ),
            ("log['x'] = value.lower()", Action::Lower { tag: x() }),
            ("if value != \"-\":\n    log[\"x\"] = value", Action::Copy { tag: x() }),
            ("log['date'] = datetime(**m)", Action::Date),
            ("for t in log:\n  log[t] = log[t].strip()", Action::Trim),
            ("import os; os.system(value)", Action::Unknown),
            ("log['x'] = value[4:]", cut(4, 0, "")),
            ("log['x'] = value[1:-1]", cut(1, 1, "")),
            ("log['x'] = value.rstrip(':')", cut(0, 1, "")),
            ("if value.startswith('a=\"'):\n    log['x'] = value[3:-1]\nelse:\n    log['x'] = value", cut(3, 1, "a=\"")),
            ("if value.startswith('a=\"'):\n    log['x'] = value[4:-1]\nelse:\n    log['x'] = value", Action::Unknown),
            ("if value.startswith('a=\"'):\n    log['x'] = value[3:-1]\nelse:\n    log['y'] = value", Action::Unknown),
            ("log['x'] = value[1]", Action::Unknown),
            ("value = float(value)\nvalue = value / 1000\nlog['x'] = value", Action::Milliseconds { tag: x() }),
            ("try:\n    a = long(value)\n    log['x'] = f(a)\nexcept:\n    log['x'] = value", Action::Number { tag: x() }),
            (
                "d = {'0XA' : 'a'}\nv = value.upper()\nlog['x'] = d.get(v, \"-\")",
                map(&[("0XA", "a"), ("0xA", "a"), ("0xa", "a"), ("0Xa", "a")], text("-")),
            ),
            ("if 'a' in value:\n    log['x'] = value", Action::Unknown),
            ("log['x'] = {", Action::Unknown),
            ("log['x'] =", Action::Unknown),
            ("log['x'", Action::Unknown),
            ("", Action::Unknown),
        ] {
            assert_eq!(Action::of(code), expected, "{code}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_code_is_too_odd(code in r#"(log\['x'\] = |value|\.get\(value, |[{}\[\]:,='"\\#]|\n|if |else:|1|é){0,16}"#) {
            Action::of(&code);
        }
    }
}
