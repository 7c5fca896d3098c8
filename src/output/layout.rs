//! Widths on a screen: of a text, of a cut text, of the columns of a table.
//!
//! Widths are summed character by character, as terminals do it: two for East Asian wide ones, none for combining
//! marks. All text here has been through the sanitiser, so no character moves the cursor by itself.

use unicode_width::UnicodeWidthChar;

/// A text column that is cut gets at least this much before a table is worth having.
const SENSIBLE: usize = 12;

/// A name over a column of narrow values may be cut to this.
const SENSIBLE_HEAD: usize = 8;

/// What is left of a column in a table that cannot fit: a letter or two and the mark.
const LEAST: usize = 3;

/// The width of a sanitised text.
pub(crate) fn text_width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(char_width).sum() }
}

fn char_width(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// Appends the text, cut to `max` columns with a mark at its end if it is wider; returns the width of what was appended.
pub(super) fn push_cut(out: &mut String, text: &str, width: usize, max: usize, mark: char) -> usize {
    if width <= max {
        out.push_str(text);
        return width;
    }
    let room = max.saturating_sub(1);
    let mut used = 0;
    let mut end = text.len();
    for (at, c) in text.char_indices() {
        let next = used + char_width(c);
        if next > room {
            end = at;
            break;
        }
        used = next;
    }
    out.push_str(&text[..end]);
    if max == 0 {
        return used;
    }
    out.push(mark);
    used + 1
}

/// The beginning of a text, at most `bytes` long, and whether that is not all of it.
pub(super) fn prefix(text: &str, bytes: usize) -> (&str, bool) {
    if text.len() <= bytes {
        return (text, false);
    }
    (&text[..text.floor_char_boundary(bytes)], true)
}

/// What a column would like to have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    /// Its widest value.
    pub(super) cells: usize,
    /// Its name.
    pub(super) head: usize,
    /// Whether the values must not be cut.
    pub(super) is_rigid: bool,
}

impl Wish {
    fn natural(&self) -> usize {
        self.cells.max(self.head).max(1)
    }

    fn floor(&self) -> usize {
        if self.is_rigid { self.cells.max(self.head.min(SENSIBLE_HEAD)).max(1) } else { self.natural().min(LEAST) }
    }
}

/// What the columns get.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Widths {
    pub(super) columns: Vec<usize>,
    pub(super) fit: Fit,
}

/// How well a table goes into its width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// Nothing is cut.
    Whole,
    /// Some cells are cut, and what is left of them is worth reading.
    Cut,
    /// Too little is left, or the table is wider than the screen all the same.
    Poor,
}

/// Shares `room` between the columns: as if all were filled to one level, so that the widest give first.
pub(super) fn share(wishes: &[Wish], room: usize) -> Widths {
    let natural: Vec<usize> = wishes.iter().map(Wish::natural).collect();
    if natural.iter().sum::<usize>() <= room {
        return Widths { columns: natural, fit: Fit::Whole };
    }
    let at = |level: usize| wishes.iter().map(move |wish| wish.natural().min(level).max(wish.floor()));
    // The highest level that fits. Halving: the sum only grows with the level.
    let (mut low, mut high) = (0, natural.iter().copied().max().unwrap_or(0));
    while low + 1 < high {
        let middle = (low + high) / 2;
        if at(middle).sum::<usize>() <= room { low = middle } else { high = middle }
    }
    let mut columns: Vec<usize> = at(low).collect();
    let used: usize = columns.iter().sum();
    let is_poor = |(wish, width): (&Wish, &usize)| !wish.is_rigid && *width < wish.natural().min(SENSIBLE);
    let fit = if used > room || wishes.iter().zip(&columns).any(is_poor) { Fit::Poor } else { Fit::Cut };
    // What the level leaves over, less than one for each column that would take it.
    let mut left = room.saturating_sub(used);
    for (width, natural) in columns.iter_mut().zip(&natural) {
        if left > 0 && *width < *natural {
            *width += 1;
            left -= 1;
        }
    }
    Widths { columns, fit }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(cells: usize) -> Wish {
        Wish { cells, head: 4, is_rigid: false }
    }

    fn number(cells: usize) -> Wish {
        Wish { cells, head: 4, is_rigid: true }
    }

    #[test]
    fn what_fits_gets_what_it_wants() {
        assert_eq!(share(&[text(10), number(2)], 14), Widths { columns: vec![10, 4], fit: Fit::Whole });
        assert_eq!(share(&[], 80), Widths { columns: vec![], fit: Fit::Whole });
    }

    #[test]
    fn the_widest_text_gives_first_and_numbers_never() {
        assert_eq!(share(&[text(100), text(20), number(30)], 80).columns, [30, 20, 30]);
        assert_eq!(share(&[text(100), text(100), number(30)], 81).columns, [26, 25, 30]);
        assert_eq!(share(&[text(100), number(30)], 20), Widths { columns: vec![3, 30], fit: Fit::Poor });
    }

    #[test]
    fn a_long_name_over_short_numbers_is_cut() {
        let wish = Wish { cells: 3, head: 30, is_rigid: true };
        assert_eq!(share(&[wish, text(12)], 30), Widths { columns: vec![18, 12], fit: Fit::Cut });
        assert_eq!(share(&[wish, text(5)], 13), Widths { columns: vec![8, 5], fit: Fit::Cut });
    }

    #[test]
    fn the_shares_never_exceed_the_room_unless_nothing_can_give() {
        for room in 0..200 {
            for wide in [1, 13, 50, 1024] {
                let wishes = [text(wide), number(7), text(wide / 2), text(3)];
                let widths = share(&wishes, room);
                let floor: usize = wishes.iter().map(Wish::floor).sum();
                let sum: usize = widths.columns.iter().sum();
                assert!(sum <= room.max(floor), "{room} {wide}: {widths:?}");
                assert!(widths.fit != Fit::Cut || sum == room, "{room} {wide}: {widths:?} leaves room");
            }
        }
    }

    #[test]
    fn a_cut_never_splits_a_wide_character_or_leaves_its_marks_behind() {
        let cut = |text: &str, max| {
            let mut out = String::new();
            let width = push_cut(&mut out, text, text_width(text), max, '…');
            assert_eq!(width, text_width(&out));
            assert!(width <= max);
            out
        };
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
        assert_eq!(cut("abc", 1), "…");
        assert_eq!(cut("abc", 0), "");
    }
}
