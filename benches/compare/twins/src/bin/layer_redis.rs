//! Redis over a plain socket, so that no client library is measured. PLACE is `HOST:PORT` of a server that runs. Each
//! record is a string, each status a sorted set of keys by time.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::ExitCode;

use twins::{Record, Result, Store};

struct Redis(BufReader<TcpStream>);

#[derive(Debug)]
enum Answer {
    Text(String),
    Nothing,
    Number(i64),
    Many(Vec<Answer>),
}

const PUT: &str = "local old = redis.call('GET', KEYS[1])
    if ARGV[5] ~= '' and (not old or cjson.decode(old).value ~= ARGV[5]) then return 0 end
    if old then redis.call('ZREM', 'by:' .. cjson.decode(old).status, ARGV[1]) end
    redis.call('SET', KEYS[1], ARGV[4])
    redis.call('ZADD', 'by:' .. ARGV[2], ARGV[3], ARGV[1])
    return 1";

impl Redis {
    fn send(&mut self, words: &[&str]) -> Result<()> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request += &format!("${}\r\n{word}\r\n", word.len());
        }
        Ok(self.0.get_mut().write_all(request.as_bytes())?)
    }

    fn answer(&mut self) -> Result<Answer> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        let line = line.trim_end();
        let (kind, rest) = line.split_at_checked(1).ok_or("the server went away")?;
        Ok(match kind {
            "+" => Answer::Text(rest.into()),
            ":" => Answer::Number(rest.parse()?),
            "$" if rest == "-1" => Answer::Nothing,
            "$" => {
                let mut bytes = vec![0; rest.parse::<usize>()? + 2];
                self.0.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                Answer::Text(String::from_utf8(bytes)?)
            }
            "*" => Answer::Many((0..rest.parse()?).map(|_| self.answer()).collect::<Result<_>>()?),
            _ => return Err(line.into()),
        })
    }

    fn ask(&mut self, words: &[&str]) -> Result<Answer> {
        self.send(words)?;
        self.answer()
    }

    fn write(&mut self, record: &Record, expected: &str) -> Result<bool> {
        let (name, json) = (format!("record:{}", record.key), serde_json::to_string(record)?);
        // a double holds the microseconds exactly, the nanoseconds it does not
        let score = &record.updated[..17];
        let answer = self.ask(&["EVAL", PUT, "1", &name, &record.key, &record.status, score, &json, expected])?;
        Ok(matches!(answer, Answer::Number(1)))
    }

    fn records(&mut self, keys: Vec<Answer>) -> Result<Vec<Record>> {
        let names: Vec<String> = keys
            .iter()
            .filter_map(|key| if let Answer::Text(key) = key { Some(format!("record:{key}")) } else { None })
            .collect();
        let mut words = vec!["MGET"];
        words.extend(names.iter().map(String::as_str));
        let Answer::Many(records) = self.ask(&words)? else { return Err("not a list".into()) };
        let mut found = Vec::new();
        for record in records {
            if let Answer::Text(json) = record {
                found.push(serde_json::from_str(&json)?);
            }
        }
        Ok(found)
    }
}

impl Store for Redis {
    fn fill(&mut self, records: &mut dyn Iterator<Item = Record>) -> Result<()> {
        let records: Vec<Record> = records.collect();
        for some in records.chunks(500) {
            let (mut strings, mut open, mut done) =
                (vec!["MSET".to_owned()], vec!["ZADD".to_owned(), "by:open".into()], vec![]);
            done.extend(["ZADD".to_owned(), "by:done".into()]);
            for record in some {
                strings.extend([format!("record:{}", record.key), serde_json::to_string(record)?]);
                let set = if record.status == "open" { &mut open } else { &mut done };
                set.extend([record.updated[..17].to_owned(), record.key.clone()]);
            }
            for words in [strings, open, done] {
                self.ask(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
            }
        }
        Ok(())
    }

    fn put(&mut self, record: &Record) -> Result<()> {
        self.write(record, "")?;
        Ok(())
    }

    fn get(&mut self, key: &str) -> Result<Option<Record>> {
        match self.ask(&["GET", &format!("record:{key}")])? {
            Answer::Text(json) => Ok(Some(serde_json::from_str(&json)?)),
            _ => Ok(None),
        }
    }

    fn list(&mut self, status: &str, limit: usize) -> Result<Vec<Record>> {
        let last = (limit - 1).to_string();
        match self.ask(&["ZREVRANGE", &format!("by:{status}"), "0", &last])? {
            Answer::Many(keys) => self.records(keys),
            other => Err(format!("not a list: {other:?}").into()),
        }
    }

    fn swap(&mut self, expected: &str, record: &Record) -> Result<bool> {
        self.write(record, expected)
    }

    fn keys(&mut self) -> Result<Vec<String>> {
        let Answer::Many(names) = self.ask(&["KEYS", "record:*"])? else { return Err("not a list".into()) };
        let name = |name| if let Answer::Text(name) = name { Some(name["record:".len()..].to_owned()) } else { None };
        Ok(names.into_iter().filter_map(name).collect())
    }
}

fn main() -> ExitCode {
    twins::run(|place, _| {
        let socket = TcpStream::connect(place)?;
        socket.set_nodelay(true)?;
        Ok(Redis(BufReader::new(socket)))
    })
}
