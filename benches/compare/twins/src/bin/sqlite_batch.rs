//! The twin of `issue create --from` and `issue update --where`: an SQLite database (WAL, synchronous FULL) that takes
//! many rows, or changes many, in one durable transaction.
//!
//! `sqlite_batch DATABASE fill COUNT | create FILE.jsonl | update PRIORITY`. `create` reads one JSON object a line and
//! prints the new numbers, as ours does; `update` changes every row that has the label `batch`.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, Transaction, params};
use serde::Deserialize;

#[derive(Deserialize)]
struct Row {
    title: String,
    priority: String,
    labels: Vec<String>,
    body: String,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let mut database = Connection::open(&arguments[1])?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    if arguments[2] == "fill" {
        database.execute_batch(
            "CREATE TABLE issues (id INTEGER PRIMARY KEY, title TEXT, status TEXT, priority TEXT, label TEXT, updated TEXT,
                                  body TEXT);
             CREATE INDEX by_update ON issues (status, updated);
             CREATE INDEX by_priority ON issues (status, priority);
             CREATE INDEX by_label ON issues (label);",
        )?;
    }
    let transaction = database.transaction()?;
    match arguments[2].as_str() {
        "fill" => {
            let body = "a body of about four thousand bytes, as issues have. ".repeat(75);
            for id in 0..arguments[3].parse::<u32>()? {
                let row = Row {
                    title: "An issue".into(),
                    priority: "medium".into(),
                    labels: vec!["bug".into()],
                    body: body.clone(),
                };
                insert(&transaction, &row, &format!("2025-01-01T00:00:00.{id:09}Z"))?;
            }
        }
        "create" => {
            let mut out = BufWriter::new(std::io::stdout().lock());
            for line in BufReader::new(std::fs::File::open(&arguments[3])?).lines() {
                writeln!(out, "{}", insert(&transaction, &serde_json::from_str(&line?)?, &now())?)?;
            }
            out.flush()?;
        }
        "update" => {
            let changed = transaction.execute(
                "UPDATE issues SET priority = ?1, updated = ?2 WHERE label = 'batch' AND status = 'open'",
                params![arguments[3], now()],
            )?;
            println!("{changed}");
        }
        other => return Err(format!("no such step: {other}").into()),
    }
    Ok(transaction.commit()?)
}

fn insert(transaction: &Transaction<'_>, row: &Row, updated: &str) -> rusqlite::Result<i64> {
    transaction
        .prepare_cached(
            "INSERT INTO issues (title, status, priority, label, updated, body) VALUES (?1, 'open', ?2, ?3, ?4, ?5)",
        )?
        .insert(params![row.title, row.priority, row.labels.first(), updated, row.body])
}

fn now() -> String {
    format!("{:020}", SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_nanos())
}
