//! Invented issues of 3 to 5 KB, the same on every machine.

use std::fmt::Write as _;
use std::path::Path;

use oxi_state::schema::id::{IssueId, Slug};
use oxi_state::schema::issue::{Issue, IssueHead, Priority, Status};
use oxi_state::schema::time::Timestamp;

const WORDS: [&str; 32] = [
    "gate", "reader", "writer", "index", "merge", "branch", "clone", "label", "title", "body", "folder", "commit",
    "revision", "session", "owner", "baseline", "conflict", "record", "number", "snapshot", "waits", "opens",
    "follows", "holds", "keeps", "changes", "the", "every", "another", "open", "stale", "durable",
];
const LABELS: [&str; 7] = ["bug", "docs", "sync", "cli", "storage", "windows", "speed"];

/// A stream of numbers (xorshift), seeded by what it is for.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits fit") % end
    }

    fn words(&mut self, count: usize) -> String {
        let mut text = String::new();
        for place in 0..count {
            if place > 0 {
                text.push(' ');
            }
            text.push_str(WORDS[self.below(WORDS.len())]);
        }
        text
    }
}

/// The time that issues are made at, some seconds on.
pub(crate) fn time(seconds: u32) -> Timestamp {
    let (days, seconds) = (seconds / 86_400, seconds % 86_400);
    let (month, day) = (days / 28 + 1, days % 28 + 1);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("2025-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z").parse().expect("a time of day in 2025")
}

/// The issue of a number; about a third are closed.
pub(crate) fn issue(number: u32) -> Issue {
    let mut numbers = Numbers(u64::from(number).wrapping_mul(2_654_435_761) + 88_172_645_463_325_252);
    let title = numbers.words(5);
    let mut head = IssueHead::new(IssueId(number), title.clone(), time(number));
    head.slug = Slug::from_title(&title);
    head.priority = Priority::ALL[numbers.below(Priority::ALL.len())];
    head.labels = (0..numbers.below(3)).map(|_| LABELS[numbers.below(LABELS.len())].to_owned()).collect();
    head.labels.dedup();
    if numbers.below(3) == 0 {
        head.status = Status::Closed;
        head.closed_at = Some(head.updated_at);
    }
    let (mut body, wanted) = (String::new(), 3000 + numbers.below(2000));
    while body.len() < wanted {
        let _ = match numbers.below(5) {
            0 => writeln!(body, "## {}\n", numbers.words(3)),
            1 => writeln!(body, "- [ ] {}\n- [x] {}\n", numbers.words(8), numbers.words(7)),
            2 => writeln!(body, "```rust\nlet gate = Gate::new({});\n```\n", numbers.below(9973)),
            _ => writeln!(body, "{}. {}.\n", numbers.words(40), numbers.words(30)),
        };
    }
    Issue { head, body }
}

/// Writes the files of issues 1 to `count` into a folder.
#[expect(clippy::disallowed_methods, reason = "the bench makes its own folder, which nobody else looks at")]
pub(crate) fn write_files(folder: &Path, count: u32) {
    std::fs::create_dir_all(folder).expect("a folder can be made");
    for number in 1..=count {
        let issue = issue(number);
        let text = oxi_state::schema::frontmatter::render(&issue);
        std::fs::write(folder.join(issue.head.file_name().to_string()), text).expect("a file can be written");
    }
}
