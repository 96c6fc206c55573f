//! Rows appended to `log.jsonl`, and the present state in `latest.json`, which is replaced by rename: what needs no
//! library. No lock, as Node has none. PLACE is a folder; `locked:FOLDER` takes a lock to write, `log:FOLDER` keeps no
//! `latest.json` and reads the rows, `unsynced:FOLDER` does not wait for the disk, either.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use twins::{Record, Result, Store};

struct Jsonl {
    folder: PathBuf,
    latest: bool,
    sync: bool,
    _lock: Option<File>,
}

impl Jsonl {
    fn log(&self) -> PathBuf {
        self.folder.join("log.jsonl")
    }

    /// The rows that can be read; a torn one is passed over.
    fn rows(&self) -> Result<Vec<Record>> {
        let bytes = fs::read(self.log())?;
        Ok(bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }

    fn state(&self) -> Result<BTreeMap<String, Record>> {
        if !self.latest {
            return Ok(self.rows()?.into_iter().map(|record| (record.key.clone(), record)).collect());
        }
        match fs::read(self.folder.join("latest.json")) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error.into()),
        }
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let temporary = self.folder.join(format!("{name}.tmp.{}", std::process::id()));
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, self.folder.join(name))?;
        sync_folder(&self.folder)
    }
}

fn sync_folder(folder: &Path) -> Result<()> {
    Ok(File::open(folder)?.sync_all()?)
}

fn line(record: &Record) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    Ok(line)
}

impl Store for Jsonl {
    fn fill(&mut self, records: &mut dyn Iterator<Item = Record>) -> Result<()> {
        let records: Vec<Record> = records.collect();
        let mut log = Vec::new();
        for record in &records {
            log.extend(line(record)?);
        }
        self.replace("log.jsonl", &log)?;
        if self.latest {
            let state: BTreeMap<&str, &Record> = records.iter().map(|record| (record.key.as_str(), record)).collect();
            self.replace("latest.json", &serde_json::to_vec(&state)?)?;
        }
        Ok(())
    }

    fn put(&mut self, record: &Record) -> Result<()> {
        let mut log = OpenOptions::new().append(true).create(true).open(self.log())?;
        log.write_all(&line(record)?)?;
        if self.sync {
            log.sync_data()?;
        }
        if self.latest {
            let mut state = self.state()?;
            state.insert(record.key.clone(), record.clone());
            self.replace("latest.json", &serde_json::to_vec(&state)?)?;
        }
        Ok(())
    }

    fn get(&mut self, key: &str) -> Result<Option<Record>> {
        Ok(self.state()?.remove(key))
    }

    fn list(&mut self, status: &str, limit: usize) -> Result<Vec<Record>> {
        let mut records: Vec<Record> = self.state()?.into_values().filter(|record| record.status == status).collect();
        records.sort_by(|one, other| other.updated.cmp(&one.updated));
        records.truncate(limit);
        Ok(records)
    }

    fn swap(&mut self, expected: &str, record: &Record) -> Result<bool> {
        if self.get(&record.key)?.is_none_or(|present| present.value != expected) {
            return Ok(false);
        }
        self.put(record)?;
        Ok(true)
    }

    fn keys(&mut self) -> Result<Vec<String>> {
        if self.latest {
            return Ok(self.state()?.into_keys().collect());
        }
        Ok(self.rows()?.into_iter().map(|record| record.key).collect())
    }

    fn prune(&mut self) -> Result<()> {
        let mut log = Vec::new();
        for record in self.rows()? {
            log.extend(line(&record)?);
        }
        self.replace("log.jsonl", &log)
    }
}

fn main() -> ExitCode {
    twins::run(|place, writing| {
        let (kind, folder) = place.split_once(':').unwrap_or(("", place));
        let lock = (writing && kind == "locked").then(|| -> Result<File> {
            let file = File::create(Path::new(folder).join("lock"))?;
            file.lock()?;
            Ok(file)
        });
        let latest = matches!(kind, "" | "locked");
        Ok(Jsonl { folder: folder.into(), latest, sync: kind != "unsynced", _lock: lock.transpose()? })
    })
}
