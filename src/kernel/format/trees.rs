//! The regular expressions of the built-in definitions, as the build script read them.
//!
//! Texts and trees are one text and one run of bytes, so that nothing of them is touched before it is asked for.

/// All texts in their order, one behind the other.
static TEXTS: &str = include_str!(concat!(env!("OUT_DIR"), "/regexes.txt"));
/// Their trees.
static TREES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/trees.bin"));
/// Where the text and the tree of each end.
static ENDS: &[(u32, u32)] = include!(concat!(env!("OUT_DIR"), "/regexes.rs"));

fn text(index: usize) -> &'static str {
    &TEXTS[before(index).0 as usize..ENDS[index].0 as usize]
}

/// The ends of the one before.
fn before(index: usize) -> (u32, u32) {
    index.checked_sub(1).map_or((0, 0), |index| ENDS[index])
}

/// The tree of a regular expression, if a built-in definition has it.
pub(super) fn tree(regex: &str) -> Option<&'static [u8]> {
    let (mut low, mut high) = (0, ENDS.len());
    while low < high {
        let middle = low.midpoint(high);
        match text(middle).cmp(regex) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
            std::cmp::Ordering::Equal => return Some(&TREES[before(middle).1 as usize..ENDS[middle].1 as usize]),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{ENDS, text, tree};
    use crate::format::Catalog;
    use crate::scan::{Matcher, RegexMatcher};

    #[test]
    fn what_the_build_script_read_is_what_the_expressions_say() {
        for text in (0..ENDS.len()).map(text) {
            let matcher = Matcher::try_new(text).expect(text);
            let read = matcher.as_regex().and_then(RegexMatcher::tree);
            assert!(read.is_some() && read.as_deref() == tree(text), "{text}");
        }
        assert_eq!((tree("no such expression"), tree("")), (None, None));
    }

    #[test]
    fn each_expression_of_a_built_in_definition_is_known() {
        for format in Catalog::builtin().formats() {
            for regex in format.patterns().iter().filter_map(|pattern| pattern.matcher.as_regex()) {
                let text = regex.regex().strip_prefix(r"\A(?:").and_then(|text| text.strip_suffix(r")\z")).expect("anchored");
                assert!(tree(text).or_else(|| tree(text.strip_suffix('\n')?)).is_some(), "{}: {text}", format.name);
            }
        }
    }
}
