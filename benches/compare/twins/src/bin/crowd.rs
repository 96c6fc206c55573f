//! Runs many processes at once and notes how long each one takes, from its start to its end.
//!
//! `crowd together SECONDS WRITERS READERS` starts as many threads, each of which runs its command again and again until
//! the time is over; `crowd alone WRITES READS` runs as many commands one after another, both kinds in turn. Standard
//! input says what: `{"folder": …, "write": [WORD…], "read": [WORD…]}`, where `{}` in a word is the thread's number.
//! Prints `{"seconds": …, "write": [[NANOSECONDS…]…], "read": …}`, one list for each thread.

use std::error::Error;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Commands {
    folder: String,
    write: Vec<String>,
    read: Vec<String>,
}

#[derive(Serialize)]
struct Waits {
    seconds: f64,
    write: Vec<Vec<u64>>,
    read: Vec<Vec<u64>>,
}

impl Commands {
    /// Runs a command; nanoseconds. A command that fails ends everything.
    fn once(&self, words: &[String], number: usize) -> u64 {
        let mut words = words.iter().map(|word| word.replace("{}", &number.to_string()));
        let mut command = Command::new(words.next().expect("a program"));
        command
            .args(words)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        let start = Instant::now();
        let status = command.status().expect("the program can be run");
        let nanoseconds = start.elapsed().as_nanos();
        if !status.success() {
            eprintln!("a command failed: {status}");
            std::process::exit(1);
        }
        u64::try_from(nanoseconds).expect("less than centuries")
    }

    fn until(&self, words: &[String], number: usize, end: Instant) -> Vec<u64> {
        let mut waits = Vec::new();
        while Instant::now() < end {
            waits.push(self.once(words, number));
        }
        waits
    }

    fn together(&self, time: Duration, writers: usize, readers: usize) -> Waits {
        let start = Instant::now();
        let end = start + time;
        let (write, read) = thread::scope(|scope| {
            let threads = |words, count| {
                let start = |number| scope.spawn(move || self.until(words, number, end));
                (0..count).map(start).collect::<Vec<_>>()
            };
            let (write, read) = (threads(&self.write, writers), threads(&self.read, readers));
            let join = |threads: Vec<thread::ScopedJoinHandle<'_, _>>| {
                threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
            };
            (join(write), join(read))
        });
        Waits { seconds: start.elapsed().as_secs_f64(), write, read }
    }

    fn alone(&self, writes: usize, reads: usize) -> Waits {
        let start = Instant::now();
        let (mut write, mut read) = (Vec::new(), Vec::new());
        while write.len() < writes || read.len() < reads {
            // whichever kind is further behind
            if write.len() * reads <= read.len() * writes && write.len() < writes {
                write.push(self.once(&self.write, 0));
            } else {
                read.push(self.once(&self.read, 0));
            }
        }
        Waits { seconds: start.elapsed().as_secs_f64(), write: vec![write], read: vec![read] }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let commands: Commands = serde_json::from_reader(std::io::stdin().lock())?;
    let number = |place: usize| arguments[place].parse::<usize>();
    let waits = match arguments[1].as_str() {
        "together" => commands.together(Duration::from_secs(arguments[2].parse()?), number(3)?, number(4)?),
        "alone" => commands.alone(number(2)?, number(3)?),
        other => return Err(format!("no such way: {other}").into()),
    };
    println!("{}", serde_json::to_string(&waits)?);
    Ok(())
}
