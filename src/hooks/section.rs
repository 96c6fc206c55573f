//! The section that is put into a hook or into `.gitattributes`, and taken out again. Pure: bytes in, bytes out; taking out
//! what was put in gives the bytes that were there before.

use std::fmt::Write as _;
use std::ops::Range;

const BEGIN: &str = "# >>> oxi-state";
const END: &str = "# <<< oxi-state <<<\n";

/// What is remembered about the file that a section is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The file was there.
    Found,
    /// It was there, and its last line had no end.
    FoundOpen,
    /// It was made for the section.
    Made,
    /// It was made for the section, and the one that was there has another name now.
    PutAside,
}

impl Origin {
    const ALL: [Self; 4] = [Self::Found, Self::FoundOpen, Self::Made, Self::PutAside];

    const fn note(self) -> &'static str {
        match self {
            Self::Found => "",
            Self::FoundOpen => " (the line before had no end)",
            Self::Made => " (made this file)",
            Self::PutAside => " (put the file that was here aside)",
        }
    }
}

/// A section that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) range: Range<usize>,
    pub(super) origin: Origin,
    /// The project that it is for, from the top of the work tree.
    pub(super) project: String,
}

fn first_line(origin: Origin) -> String {
    format!("{BEGIN}{}: see `oxi-state hooks --help` >>>\n", origin.note())
}

/// A section with these lines.
pub(super) fn section(origin: Origin, project: &str, lines: &str) -> String {
    // a name with a line end in it would end the comment
    let project = project.replace(['\n', '\r'], "?");
    format!("{}# project: {project}\n{lines}{END}", first_line(origin))
}

/// The section in a file.
pub(super) fn find(text: &[u8]) -> Option<Found> {
    let mut at = 0;
    let mut begun = None;
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let after = at + line.len();
        if let Some((start, origin)) = begun {
            if line == END.as_bytes() {
                let section = String::from_utf8_lossy(&text[start..after]).into_owned();
                let project = section.lines().find_map(|line| line.strip_prefix("# project: "))?.to_owned();
                return Some(Found { range: start..after, origin, project });
            }
        } else if let Some(origin) = Origin::ALL.into_iter().find(|origin| line == first_line(*origin).as_bytes()) {
            begun = Some((at, origin));
        }
        at = after;
    }
    None
}

/// The file without its section.
pub(super) fn without(text: &[u8], found: &Found) -> Vec<u8> {
    let start = found.range.start - usize::from(found.origin == Origin::FoundOpen);
    [&text[..start], &text[found.range.end..]].concat()
}

/// The file with another section in the place of its section.
pub(super) fn replaced(text: &[u8], found: &Found, section: &str) -> Vec<u8> {
    [&text[..found.range.start], section.as_bytes(), &text[found.range.end..]].concat()
}

/// The lines of a hook's section.
pub(super) fn hook_lines(hook: &str, stops_git: bool, program: &str, project: &str, aside: Option<&str>) -> String {
    let program = quoted(program);
    let (missing_project, directory) = match project {
        "" => (String::new(), String::new()),
        project => {
            // beginning with a dash it would be a flag
            let folder = quoted(&format!("./{project}"));
            (format!("if ! [ -d {folder} ]; then\n    :\nel"), format!(" -C {folder}"))
        }
    };
    let failed = if stops_git { "case $? in 4 | 7) exit 1 ;; esac" } else { ":" };
    let mut lines = format!(
        "{missing_project}if command -v {program} >/dev/null 2>&1; then\n    \
         {program}{directory} hooks run {hook} -- \"$@\" </dev/null || {failed}\n\
         else\n    echo 'oxi-state is not to be found from here (PATH), so its {hook} hook did nothing; `oxi-state hooks install` says where it is' >&2\nfi\n"
    );
    if let Some(aside) = aside {
        let aside = format!("\"${{0%/*}}\"/{}", quoted(aside));
        // writing to a string cannot fail
        let _ = write!(lines, "if [ -x {aside} ]; then\n    exec {aside} \"$@\"\nfi\n");
    }
    lines
}

/// A word that a shell takes as it is.
pub(super) fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-' | b'+');
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Whether a file is a script that a shell runs, to whose lines others can be added.
pub(super) fn is_shell_script(text: &[u8]) -> bool {
    let Some(first) = text.split_inclusive(|&byte| byte == b'\n').next() else { return false };
    let Some(line) = first.strip_suffix(b"\n").and_then(|line| line.strip_prefix(b"#!")) else { return false };
    let line = String::from_utf8_lossy(line);
    let mut words = line.trim_matches([' ', '\t']).split([' ', '\t']).filter(|word| !word.is_empty());
    let base = |word: &str| word.rsplit('/').next().unwrap_or_default().to_owned();
    let interpreter = match words.next().map(base) {
        Some(name) if name == "env" => words.next().map(base),
        other => other,
    };
    interpreter.is_some_and(|name| matches!(name.as_str(), "sh" | "bash" | "dash" | "ksh" | "ash" | "zsh"))
}

/// A script with a section after its first line: at its end it might never be reached.
pub(super) fn into_script(text: &[u8], section: &str) -> Vec<u8> {
    let first = text.iter().position(|&byte| byte == b'\n').map_or(text.len(), |at| at + 1);
    [&text[..first], section.as_bytes(), &text[first..]].concat()
}

/// A line of `.gitattributes` for the issue files of a project.
pub(super) fn attribute_line(project: &str, issues: &str) -> String {
    let path = if project.is_empty() { issues.to_owned() } else { format!("{project}/{issues}") };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-');
    if path.bytes().all(plain) {
        return format!("{path}/*.md merge=oxi-state\n");
    }
    // as a pattern first, as a quoted word then
    let mut pattern = String::from("/");
    for letter in path.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    let escaped = pattern.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n").replace('\t', r"\t");
    format!("\"{escaped}/*.md\" merge=oxi-state\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_can_be_taken_out_to_the_byte() {
        let lines = hook_lines("pre-commit", true, "oxi-state", "", None);
        for text in ["#!/bin/sh\n", "#!/bin/sh\nexit 0", "#!/usr/bin/env bash\n\n# \u{e9}\r\necho\n"] {
            let put = into_script(text.as_bytes(), &section(Origin::Found, "", &lines));
            assert_eq!(without(&put, &find(&put).unwrap()), text.as_bytes());
        }
        let open = [b"*.txt text\n", section(Origin::FoundOpen, "a b", "x\n").as_bytes()].concat();
        let found = find(&open).unwrap();
        assert_eq!((found.project.as_str(), without(&open, &found)), ("a b", b"*.txt text".to_vec()));
        let again = replaced(&open, &found, &section(Origin::FoundOpen, "", "y\n"));
        assert_eq!(without(&again, &find(&again).unwrap()), b"*.txt text");
        assert_eq!(find(b"# >>> oxi-state\nno end\n"), None);
    }

    #[test]
    fn only_scripts_of_a_shell_are_added_to() {
        for script in ["#!/bin/sh\n", "#! /bin/bash -e\nx", "#!/usr/bin/env zsh\n"] {
            assert!(is_shell_script(script.as_bytes()), "{script}");
        }
        for other in ["", "#!/bin/sh", "#!/bin/sh\r\n", "#!/usr/bin/env python3\n", "echo\n", "\u{7f}ELF"] {
            assert!(!is_shell_script(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn names_are_quoted_for_the_shell_and_for_git() {
        assert_eq!(quoted("/usr/bin/oxi-state"), "/usr/bin/oxi-state");
        assert_eq!(quoted("it's here"), r"'it'\''s here'");
        assert_eq!(attribute_line("", ".oxi/issues"), ".oxi/issues/*.md merge=oxi-state\n");
        assert_eq!(attribute_line("a", ".oxi/issues"), "a/.oxi/issues/*.md merge=oxi-state\n");
        assert_eq!(attribute_line("a b[1]", ".oxi/issues"), "\"/a b\\\\[1\\\\]/.oxi/issues/*.md\" merge=oxi-state\n");
    }
}
