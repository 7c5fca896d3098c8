//! A table in HTML, in a page of its own or as a part of one.
//!
//! Log text is hostile here too: markup becomes text, and what steers a reader's eye without being seen (control characters,
//! bidirectional overrides, zero-width characters) is shown as on a terminal.

use super::sanitise::sanitise_cell;
use super::sink::TextSink;
use super::value::Column;
use super::{Header, OutputError, OutputOptions, TextWriter};

/// The style of our pages: light and dark, for screens of any width and for paper. Nothing from elsewhere.
pub const STYLE: &str = include_str!("page.css");

/// Sorts tables. The only script of a page: nothing that a log says can be another one, since the page allows this one alone, by its hash.
const SORT: &str = include_str!("sort.js");
/// `openssl dgst -sha256 -binary src/output/sort.js | base64`
const SORT_SHA256: &str = "4bmJH6lgoxDJKiMRfIiPxn50H/tJxUJOwvBxajuOsac=";

/// What a page can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scripts {
    /// Be read.
    None,
    /// Have its tables sorted, where scripts may run.
    Sort,
}

/// Whether the table is all of a page, or goes into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Page,
    Part,
}

pub(super) struct Html {
    layout: Layout,
    names: Vec<String>,
    is_number: Vec<bool>,
    header: Header,
    null: String,
    scratch: String,
}

impl Html {
    pub(super) fn new(layout: Layout, names: Vec<String>, is_number: Vec<bool>, options: &OutputOptions) -> Self {
        let null = options.null.clone().unwrap_or_else(|| "NULL".to_owned());
        Self { layout, names, is_number, header: options.header, null, scratch: String::new() }
    }

    fn class(&self, column: usize) -> &'static str {
        if self.is_number[column] { " class=\"number\"" } else { "" }
    }
}

/// Appends text that is shown as it is, in an element or in a quoted attribute.
pub fn push_text(out: &mut String, text: &str) {
    for c in sanitise_cell(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

/// The begin of a page, up to its body.
pub fn page_start(title: &str, scripts: Scripts) -> String {
    let script = match scripts {
        Scripts::None => String::new(),
        Scripts::Sort => format!("; script-src 'sha256-{SORT_SHA256}'"),
    };
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'{script}\">\n<title>"
    );
    push_text(&mut out, title);
    out.push_str("</title>\n<style>\n");
    out.push_str(STYLE);
    out.push_str("</style>\n</head>\n<body>\n");
    out
}

/// Its end.
pub fn page_end(scripts: Scripts) -> String {
    let script = match scripts {
        Scripts::None => String::new(),
        Scripts::Sort => sort_script(),
    };
    format!("{script}</body>\n</html>\n")
}

fn sort_script() -> String {
    format!("<script>{SORT}</script>\n")
}

/// The page as mails have it: who looks at mails for others takes any script for an attack.
pub fn without_scripts(page: &str) -> String {
    page.replace(&sort_script(), "")
}

impl TextWriter for Html {
    fn start(&mut self, out: &mut TextSink<'_>) -> Result<(), OutputError> {
        if self.layout == Layout::Page {
            out.text.push_str(&page_start("logsql", Scripts::None));
        }
        out.text.push_str("<div class=\"table\" tabindex=\"0\"><table>\n");
        if self.header == Header::Show {
            out.text.push_str("<thead><tr>");
            for (column, name) in self.names.iter().enumerate() {
                out.text.push_str("<th scope=\"col\"");
                out.text.push_str(self.class(column));
                out.text.push('>');
                push_text(&mut out.text, name);
                out.text.push_str("</th>");
            }
            out.text.push_str("</tr></thead>\n");
        }
        out.text.push_str("<tbody>\n");
        Ok(())
    }

    fn batch(&mut self, columns: &[Column<'_>], rows: usize, out: &mut TextSink<'_>) -> Result<(), OutputError> {
        for row in 0..rows {
            out.text.push_str("<tr>");
            for (at, column) in columns.iter().enumerate() {
                if column.is_null(row) {
                    out.text.push_str("<td class=\"null\">");
                    push_text(&mut out.text, &self.null);
                } else {
                    out.text.push_str("<td");
                    out.text.push_str(self.class(at));
                    out.text.push('>');
                    self.scratch.clear();
                    column.text(row, &mut self.scratch);
                    push_text(&mut out.text, &self.scratch);
                }
                out.text.push_str("</td>");
            }
            out.text.push_str("</tr>\n");
            out.row_done()?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut TextSink<'_>) -> Result<(), OutputError> {
        out.text.push_str("</tbody>\n</table></div>\n");
        if self.layout == Layout::Page {
            out.text.push_str(&page_end(Scripts::None));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn markup_is_text_and_what_steers_is_seen() {
        let mut out = String::new();
        push_text(&mut out, "<script>\"a\" & 'b'</script>\u{202e}\x1b\n\t\u{200b}");
        assert_eq!(out, "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/script&gt;\\u{202e}\\x1b\\n\\t\\u{200b}");
    }

    proptest! {
        #[test]
        fn no_text_leaves_its_place(text in any::<String>(), odd in "[<>&\"'a\u{202e}\u{1b}/-]{0,20}") {
            for text in [text, odd] {
                let mut out = String::new();
                push_text(&mut out, &text);
                prop_assert!(!out.contains(['<', '>', '"', '\'']));
                prop_assert!(!out.chars().any(|c| super::super::sanitise::is_forbidden(c) || c == '\n'));
            }
        }
    }
}
