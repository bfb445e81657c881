//! Text in a fixed buffer: messages that must be written when memory may be gone.

use std::fmt::{self, Write};

/// At most `N` bytes of UTF-8, always followed by a NUL. What does not fit is cut at a character boundary.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    pub const fn new() -> Self {
        Self { bytes: [0; N], len: 0 }
    }

    pub fn format(arguments: fmt::Arguments<'_>) -> Self {
        let mut text = Self::new();
        // A text that is full, or a value whose Display fails, leaves what was written so far.
        let _ = text.write_fmt(arguments);
        text
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or("")
    }

    /// The text with its terminating NUL; for C.
    pub fn as_c_bytes(&self) -> &[u8; N] {
        &self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn clear(&mut self) {
        self.len = 0;
        self.bytes[0] = 0;
    }

    /// Puts another text in its place.
    pub fn set(&mut self, text: &str) {
        self.clear();
        // As for `format`.
        let _ = self.write_str(text);
    }

    /// Copies the text into `target`, NUL-terminated, cut to what fits.
    pub fn copy_to(&self, target: &mut [u8]) {
        let Some(room) = target.len().checked_sub(1) else { return };
        let text = self.as_str();
        let len = floor_char_boundary(text, room);
        target[..len].copy_from_slice(&text.as_bytes()[..len]);
        target[len] = 0;
    }
}

impl<const N: usize> Write for Text<N> {
    /// Fails where it cuts, so that no later piece that would fit stands behind a gap.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = N - 1 - self.len;
        let len = floor_char_boundary(text, room);
        self.bytes[self.len..self.len + len].copy_from_slice(&text.as_bytes()[..len]);
        self.len += len;
        self.bytes[self.len] = 0;
        if len == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

fn floor_char_boundary(text: &str, limit: usize) -> usize {
    let mut len = text.len().min(limit);
    while !text.is_char_boundary(len) {
        len -= 1;
    }
    len
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> From<&str> for Text<N> {
    fn from(text: &str) -> Self {
        Self::format(format_args!("{text}"))
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), formatter)
    }
}

/// Bytes of the host as text: what is not UTF-8 in them is U+FFFD. Nothing is allocated for that.
pub struct Lossy<'a>(pub &'a [u8]);

impl fmt::Display for Lossy<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            formatter.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                formatter.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

/// A number of bytes for people: exact where that is short, else with one decimal of the largest unit.
#[derive(Clone, Copy)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 7] = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        let power = (self.0.max(1).ilog2() / 10) as usize;
        let unit = UNITS.get(power).copied().unwrap_or_default();
        let (whole, rest) = (self.0 >> (10 * power), self.0 & ((1 << (10 * power)) - 1));
        if rest == 0 {
            return write!(formatter, "{whole} {unit}");
        }
        let tenths = (u128::from(rest) * 10) >> (10 * power);
        write!(formatter, "{whole}.{tenths} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::{Lossy, Size, Text};

    #[test]
    fn cuts_at_a_character_boundary_and_stays_terminated() {
        let text = Text::<6>::from("aäöü");
        assert_eq!(text.as_str(), "aäö");
        assert_eq!(text.as_c_bytes()[5], 0);
        let mut small = [1u8; 3];
        text.copy_to(&mut small);
        assert_eq!(&small, b"a\0\x01");
    }

    #[test]
    fn bytes_that_are_no_text_are_marked() {
        assert_eq!(
            Text::<32>::format(format_args!("{}", Lossy(b"refus\xe9: \xc3\xa9t\xc3"))).as_str(),
            "refus\u{fffd}: ét\u{fffd}"
        );
    }

    #[test]
    fn sizes_are_cut_not_rounded_up() {
        let sizes = [0, 1023, 1024, 1536, (64 << 20) - 1, 64 << 20, u64::MAX];
        let words = sizes.map(|bytes| Size(bytes).to_string());
        assert_eq!(words, ["0 bytes", "1023 bytes", "1 KiB", "1.5 KiB", "63.9 MiB", "64 MiB", "15.9 EiB"]);
    }

    #[test]
    fn nothing_stands_behind_a_cut() {
        assert_eq!(Text::<6>::format(format_args!("{}", Lossy(b"abc\xffd"))).as_str(), "abc");
        assert_eq!(Text::<6>::format(format_args!("{}{}", "aäö", "üb")).as_str(), "aäö");
    }
}
