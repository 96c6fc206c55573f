//! The order of what is made durable, as the system calls of the real program show it: whatever a loss of power takes, no
//! file of the mirror is torn, and nothing is noted as agreed on that is not there.

use std::collections::BTreeSet;

use crate::calls::Rehearsed;
use crate::commands::CASES;
use crate::sandbox::has;

const WRITING: &str =
    "write,pwrite64,ftruncate,copy_file_range,sendfile,fsync,fdatasync,syncfs,rename,renameat,renameat2";

const DATABASE: &str = "/.oxi/state.redb";

/// What is noted of git's index: if it is lost or torn, git is asked again.
const NOTE: &str = "/.oxi/state.lock-database";

/// The path behind a descriptor, as `strace -y` shows it: `fsync(5</path>)`.
fn of_descriptor(text: &str) -> Option<&str> {
    text.split_once('<')?.1.split_once('>').map(|(path, _)| path)
}

/// Both paths of a rename: `renameat(4</folder>, "a", 4</folder>, "b")`.
fn of_rename(arguments: &str) -> Option<(String, String)> {
    let mut parts = arguments.split("\", ");
    let path = |part: &str| Some(format!("{}/{}", of_descriptor(part)?, part.split_once('"')?.1.split('"').next()?));
    Some((path(parts.next()?)?, path(parts.next()?)?))
}

fn folder(path: &str) -> String {
    path.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned())
}

/// What was done to the database since it was last synced, and what was synced before: `P` pages and perhaps the header,
/// `H` the header alone.
#[derive(Default)]
struct Database {
    unsynced: Option<char>,
    syncs: String,
}

impl Database {
    fn written(&mut self, arguments: &str) {
        // pwrite64(6</.oxi/state.redb>, "redb", 320, 0) = 320
        let mut parts = arguments.rsplit_once(')').unwrap_or_default().0.rsplitn(3, ", ");
        let (offset, length) = (parts.next(), parts.next().and_then(|length| length.parse::<u32>().ok()));
        let is_header = offset == Some("0") && length.is_some_and(|length| length <= 512);
        self.unsynced = if is_header && self.unsynced != Some('P') { Some('H') } else { Some('P') };
    }

    fn synced(&mut self) {
        self.syncs.extend(self.unsynced.take());
    }

    /// Whether what was reported is durable: after pages and a header that names them, the engine's own pages. The header
    /// that follows these may wait.
    fn is_durable(&self) -> bool {
        match self.unsynced {
            None => true,
            Some('H') => self.syncs.ends_with("PHP"),
            Some(_) => false,
        }
    }
}

/// What is wrong about the order of some calls.
fn complaints(lines: &[String]) -> Vec<String> {
    let (mut unsynced, mut folders, mut wrong) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    let mut database = Database::default();
    for line in lines {
        let Some((call, arguments)) = line.split_once('(') else { continue };
        let path = of_descriptor(arguments).unwrap_or_default().to_owned();
        match call {
            "write" if arguments.starts_with("1<") => {
                // the answer: what it reports is durable
                wrong.extend(folders.iter().map(|folder| format!("answered before {folder} was synced: {line}")));
                if !database.is_durable() {
                    wrong.push(format!("answered before the database was synced: {line}"));
                }
            }
            "fsync" | "fdatasync" if path == DATABASE => database.synced(),
            "fsync" | "fdatasync" => drop((unsynced.remove(&path), folders.remove(&path))),
            "syncfs" => {
                database.synced();
                unsynced.clear();
                folders.clear();
            }
            "rename" | "renameat" | "renameat2" => match of_rename(arguments) {
                Some((from, to)) if to == NOTE => drop(unsynced.remove(&from)),
                Some((from, to)) => {
                    if unsynced.contains(&from) {
                        wrong.push(format!("renamed before it was synced: {line}"));
                    }
                    unsynced.remove(&to);
                    if to == DATABASE {
                        database = Database::default();
                    }
                    folders.insert(folder(&to));
                }
                None => wrong.push(format!("not understood: {line}")),
            },
            _ if path == DATABASE => {
                if folders.contains("/.oxi/issues") {
                    wrong.push(format!("noted as agreed on before the files were durable: {line}"));
                }
                database.written(arguments);
            }
            _ => drop(unsynced.insert(path)),
        }
    }
    wrong
}

#[test]
fn everything_is_durable_before_it_gets_its_name_is_relied_on_or_is_reported() {
    if !has("strace") {
        return;
    }
    for case in CASES {
        let lines: Vec<_> = Rehearsed::new(case, WRITING).calls.into_iter().map(|call| call.line).collect();
        assert!(lines.len() > 3, "{}: {lines:?}", case.name);
        assert_eq!(complaints(&lines), [""; 0], "{}:\n{}", case.name, lines.join("\n"));
    }
}

#[test]
fn a_wrong_order_is_noticed() {
    let of = |lines: &[&str]| complaints(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>()).len();
    let write = "write(5</.oxi/issues/.a.tmp-1-0>, \"x\", 1) = 1";
    let sync = "fdatasync(5</.oxi/issues/.a.tmp-1-0>) = 0";
    let rename = "renameat2(4</.oxi/issues>, \".a.tmp-1-0\", 4</.oxi/issues>, \"a\", RENAME_NOREPLACE) = 0";
    let sync_folder = "fsync(4</.oxi/issues>) = 0";
    let commit = "pwrite64(6</.oxi/state.redb>, \"x\", 1, 0) = 1";
    let commit_sync = "fdatasync(6</.oxi/state.redb>) = 0";
    let answer = "write(1<pipe:[1]>, \"done\", 4) = 4";
    assert_eq!(of(&[write, sync, rename, sync_folder, commit, commit_sync, answer]), 0);
    assert_eq!(of(&[write, rename, sync_folder]), 1);
    assert_eq!(of(&[write, sync, rename, commit, sync_folder]), 1);
    assert_eq!(of(&[write, sync, rename, answer]), 1);
    assert_eq!(of(&[commit, answer]), 1);
    let note = "renameat(4</.oxi>, \".state.lock-database.tmp-1-0\", 4</.oxi>, \"state.lock-database\") = 0";
    assert_eq!(of(&[note, answer]), 0);
    assert_eq!(of(&[&note.replace("-database\"", "-sync\""), answer]), 1);
    let (pages, header) = ("pwrite64(6</.oxi/state.redb>, \"x\"..., 4096, 8192) = 4096", commit);
    let change = [pages, header, commit_sync, header, commit_sync];
    let and_then = |more: &[&'static str]| of(&[change.as_slice(), more].concat());
    assert_eq!(and_then(&[answer]), 0);
    assert_eq!(and_then(&[pages, header, commit_sync, header, answer]), 0);
    assert_eq!(and_then(&[pages, header, answer]), 1);
    assert_eq!(of(&[pages, header, commit_sync, header, answer]), 1);
    assert_eq!(of(&[pages, commit_sync, pages, header, commit_sync, header, answer]), 1);
}
