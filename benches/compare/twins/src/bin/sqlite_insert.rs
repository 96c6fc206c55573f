//! The twin of `issue create`: opens an SQLite database (WAL, synchronous FULL), inserts one row durably, prints its
//! number and ends. `sqlite_insert DATABASE fill COUNT` makes the database, with an index as a list needs.

use rusqlite::{Connection, params};

fn main() -> rusqlite::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let mut database = Connection::open(&arguments[1])?;
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "FULL")?;
    if let Some(count) = arguments.get(3) {
        let count: u32 = count.parse().expect("a number");
        database.execute_batch(
            "CREATE TABLE issues (id INTEGER PRIMARY KEY, title TEXT, status TEXT, updated TEXT, body TEXT);
             CREATE INDEX by_update ON issues (status, updated);",
        )?;
        let body = "a body of about four thousand bytes, as issues have. ".repeat(75);
        let transaction = database.transaction()?;
        for id in 0..count {
            insert(&transaction, &format!("2025-01-01T00:00:00.{id:09}Z"), &body)?;
        }
        return transaction.commit();
    }
    insert(&database, "2026-01-01T00:00:00Z", "")?;
    println!("{}", database.last_insert_rowid());
    Ok(())
}

fn insert(database: &Connection, updated: &str, body: &str) -> rusqlite::Result<usize> {
    database.execute(
        "INSERT INTO issues (title, status, updated, body) VALUES (?1, 'open', ?2, ?3)",
        params!["A new issue", updated, body],
    )
}
