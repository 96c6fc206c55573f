//! Passing on what a command prints, and looking at its lines on the way.

use std::io::{self, Read, Write};
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::schema::validation::summary::{MAX_LINE, Reader};

/// How long to wait for output after the command has ended: something that it left behind may hold the pipe open.
const GRACE: Duration = Duration::from_secs(2);

/// The passing on of both outputs.
pub(super) struct Tee {
    reader: Arc<Mutex<Reader>>,
    ends: Vec<Receiver<()>>,
}

impl Tee {
    /// Begins; with `aside` everything goes to stderr. Where that fails, the child is ended.
    pub(super) fn start(child: &mut Child, aside: bool) -> io::Result<Self> {
        let mut tee = Self { reader: Arc::default(), ends: Vec::new() };
        let begun = tee.pass_all(child, aside);
        if begun.is_err() {
            child.kill()?;
            child.wait()?;
        }
        begun.map(|()| tee)
    }

    fn pass_all(&mut self, child: &mut Child, aside: bool) -> io::Result<()> {
        match child.stdout.take() {
            Some(stdout) if aside => self.pass(stdout, io::stderr())?,
            Some(stdout) => self.pass(stdout, io::stdout())?,
            None => {}
        }
        child.stderr.take().map_or(Ok(()), |stderr| self.pass(stderr, io::stderr()))
    }

    fn pass(&mut self, from: impl Read + Send + 'static, to: impl Write + Send + 'static) -> io::Result<()> {
        let (ended, end) = channel();
        let reader = Arc::clone(&self.reader);
        std::thread::Builder::new().spawn(move || {
            copy(from, to, |line| reader.lock().unwrap_or_else(PoisonError::into_inner).line(line));
            // nobody waits any more if this came too late
            let _ = ended.send(());
        })?;
        self.ends.push(end);
        Ok(())
    }

    /// Waits for the rest, and says what the lines came to.
    pub(super) fn finish(self) -> Option<String> {
        for end in self.ends {
            let _ = end.recv_timeout(GRACE);
        }
        self.reader.lock().unwrap_or_else(PoisonError::into_inner).summary()
    }
}

/// Copies until either side ends: a reader who has seen enough ends the command as it would without us.
fn copy(mut from: impl Read, mut to: impl Write, mut look: impl FnMut(&str)) {
    let mut buffer = vec![0; 1 << 16];
    let mut line = Vec::with_capacity(MAX_LINE);
    loop {
        let bytes = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => &buffer[..len],
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        if to.write_all(bytes).and_then(|()| to.flush()).is_err() {
            break;
        }
        for &byte in bytes {
            if matches!(byte, b'\n' | b'\r') {
                look(&String::from_utf8_lossy(&line));
                line.clear();
            } else if line.len() <= MAX_LINE {
                line.push(byte);
            }
        }
    }
    look(&String::from_utf8_lossy(&line));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_through_as_they_are_and_lines_are_seen() {
        let input = [&b"one\r\ntwo\xff\x1b[0m\n"[..], &[b'x'; 5_000], b"\nlast"].concat();
        let (mut out, mut lines) = (Vec::new(), Vec::new());
        copy(&input[..], &mut out, |line| lines.push(line.len()));
        assert_eq!(out, input);
        assert_eq!(lines, [3, 0, 10, MAX_LINE + 1, 4]);
    }
}
