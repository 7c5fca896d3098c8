//! What the terminal is like.

/// The width of the terminal that standard output goes to, in columns.
pub fn terminal_width() -> Option<u16> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0)
}

/// Its height, in lines.
pub(super) fn terminal_height() -> Option<u16> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(_, height)| height.0)
}
