//! Measures what a command puts into an agent's context.

use std::io::{self, IoSlice, Write};

use crate::schema::agent::tokens_in;

/// A writer that counts the bytes which the one beneath it has taken: not those that it refused, nor those it was only
/// offered. It does not buffer, so a buffer belongs around it, not beneath it.
#[derive(Debug)]
pub struct CountingWriter<W> {
    inner: W,
    bytes: u64,
}

impl<W: Write> CountingWriter<W> {
    /// Counts from nothing.
    pub fn new(inner: W) -> Self {
        Self { inner, bytes: 0 }
    }

    /// The bytes written so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// An estimate of the tokens in them.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        tokens_in(self.bytes)
    }

    /// The writer beneath.
    pub fn into_inner(self) -> W {
        self.inner
    }

    fn counted(&mut self, written: io::Result<usize>) -> io::Result<usize> {
        if let Ok(bytes) = written {
            self.bytes = self.bytes.saturating_add(bytes as u64);
        }
        written
    }
}

impl<W: Write> Write for CountingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes);
        self.counted(written)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = self.inner.write_vectored(slices);
        self.counted(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes at most three bytes at once, is interrupted before each, and breaks after ten.
    #[derive(Default)]
    struct Narrow {
        taken: Vec<u8>,
        interrupted: bool,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.interrupted = !self.interrupted;
            if self.interrupted {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let len = bytes.len().min(3).min(10 - self.taken.len());
            if len == 0 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.taken.extend_from_slice(&bytes[..len]);
            Ok(len)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_what_was_taken_is_counted() {
        let mut writer = CountingWriter::new(Narrow::default());
        writer.write_all(b"seven b").unwrap();
        assert_eq!((writer.bytes(), writer.tokens()), (7, 1));
        assert_eq!(writer.write_all(b"more than fits").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!((writer.bytes(), writer.tokens()), (10, 2));
        assert_eq!(writer.into_inner().taken, b"seven bmor");
    }

    #[test]
    fn a_buffer_around_it_counts_when_it_is_flushed() {
        let mut writer = io::BufWriter::new(CountingWriter::new(Vec::new()));
        writer.write_all(b"12345678").unwrap();
        assert_eq!(writer.get_ref().bytes(), 0);
        writer.flush().unwrap();
        assert_eq!(writer.get_ref().bytes(), 8);
        let slices = [IoSlice::new(b"ab"), IoSlice::new(b"cd")];
        let mut writer = CountingWriter::new(Vec::new());
        assert_eq!((writer.write_vectored(&slices).unwrap(), writer.bytes()), (4, 4));
    }
}
