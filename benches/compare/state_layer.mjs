// The stores of state_layer.py as Node sees them, with nothing but Node's own modules (better-sqlite3 apart, where it
// is installed). The command line and the files are those of the Rust twins; see twins/src/lib.rs.
//
//   node state_layer.mjs KIND PLACE put KEY VALUE | get KEY | list STATUS LIMIT | swap KEY EXPECTED VALUE | keys
//   node state_layer.mjs resident PLACE COUNT PROGRAM FOLDER       times calls within one process, as a proxy makes them
//
// KIND is jsonl, redis or sqlite (then BETTER_SQLITE3 names the folder that holds node_modules).
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import net from 'node:net'
import path from 'node:path'

const now = (key, value) => {
  const size = /^size:(\d+)$/.exec(value)
  return {
    key, status: 'open', updated: String(BigInt(Date.now()) * 1000000n).padStart(20, '0'),
    value: size ? 'x'.repeat(Number(size[1])) : value,
  }
}

const newest = (records, status, limit) => records
  .filter(record => record.status === status)
  .sort((one, other) => (one.updated < other.updated ? 1 : one.updated > other.updated ? -1 : 0))
  .slice(0, limit)

class Jsonl {
  constructor(place) {
    const [, kind, folder] = /^(?:(log|unsynced):)?(.*)$/.exec(place)
    this.folder = folder
    this.latest = !kind
    this.sync = kind !== 'unsynced'
    this.log = path.join(folder, 'log.jsonl')
    this.file = path.join(folder, 'latest.json')
  }

  rows() {
    const rows = []
    for (const line of fs.readFileSync(this.log, 'utf8').split('\n')) {
      try { rows.push(JSON.parse(line)) } catch { /* torn, or the empty end */ }
    }
    return rows
  }

  state() {
    if (!this.latest) return Object.fromEntries(this.rows().map(row => [row.key, row]))
    try {
      return JSON.parse(fs.readFileSync(this.file, 'utf8'))
    } catch (error) {
      if (error.code === 'ENOENT') return {}
      throw error
    }
  }

  put(record) {
    const log = fs.openSync(this.log, 'a')
    fs.appendFileSync(log, JSON.stringify(record) + '\n')
    if (this.sync) fs.fdatasyncSync(log)
    fs.closeSync(log)
    if (!this.latest) return
    const state = this.state()
    state[record.key] = record
    const temporary = `${this.file}.tmp.${process.pid}`
    const file = fs.openSync(temporary, 'w')
    fs.writeFileSync(file, JSON.stringify(state))
    fs.fsyncSync(file)
    fs.closeSync(file)
    fs.renameSync(temporary, this.file)
    const folder = fs.openSync(this.folder, 'r')
    fs.fsyncSync(folder)
    fs.closeSync(folder)
  }

  get(key) { return this.state()[key] }
  list(status, limit) { return newest(Object.values(this.state()), status, limit) }
  keys() { return this.latest ? Object.keys(this.state()) : this.rows().map(row => row.key) }

  swap(record, expected) {
    if (this.get(record.key)?.value !== expected) return false
    this.put(record)
    return true
  }
}

class Sqlite {
  constructor(place) {
    const Database = createRequire(path.join(process.env.BETTER_SQLITE3, 'x.js'))('better-sqlite3')
    this.database = new Database(place, { timeout: 60000 })
    this.database.pragma('journal_mode = WAL')
    this.database.pragma('synchronous = FULL')
  }

  put(record) {
    this.database.prepare(`INSERT INTO records (key, status, updated, value) VALUES (@key, @status, @updated, @value)
      ON CONFLICT (key) DO UPDATE SET status = @status, updated = @updated, value = @value`).run(record)
  }

  get(key) { return this.database.prepare('SELECT * FROM records WHERE key = ?').get(key) }

  list(status, limit) {
    return this.database.prepare('SELECT * FROM records WHERE status = ? ORDER BY updated DESC LIMIT ?').all(status, limit)
  }

  keys() { return this.database.prepare('SELECT key FROM records').pluck().all() }
  close() { this.database.close() }
}

class Redis {
  constructor(place) {
    const [host, port] = place.split(':')
    this.socket = net.connect(Number(port), host)
    this.socket.setNoDelay(true)
  }

  // one bulk or status answer; enough for what is measured here
  ask(...words) {
    this.socket.write(`*${words.length}\r\n` + words.map(word => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join(''))
    return new Promise((resolve, reject) => {
      let text = ''
      this.socket.on('error', reject)
      this.socket.on('data', data => {
        text += data
        const head = /^([+$:-])(.*)\r\n/.exec(text)
        if (!head || (head[1] === '$' && head[2] !== '-1' && text.length < head[0].length + Number(head[2]) + 2)) return
        this.socket.removeAllListeners('data')
        if (head[1] === '-') reject(new Error(head[2]))
        else resolve(head[1] === '$' ? (head[2] === '-1' ? undefined : text.slice(head[0].length, -2)) : head[2])
      })
    })
  }

  async put(record) { await this.ask('SET', `record:${record.key}`, JSON.stringify(record)) }

  async get(key) {
    const json = await this.ask('GET', `record:${key}`)
    return json && JSON.parse(json)
  }

  close() { this.socket.destroy() }
}

// What a Node process pays that runs already: milliseconds for each call, in the middle of all.
function resident([place, count, program, folder]) {
  const store = new Jsonl(place)
  const log = new Jsonl(`log:${place}`)
  const unsynced = new Jsonl(`unsynced:${place}`)
  const call = (...words) => {
    const done = spawnSync(program, ['-q', ...words], { cwd: folder, encoding: 'utf8' })
    if (done.status !== 0) throw new Error(done.stderr)
    return done.stdout
  }
  const steps = {
    'append a row, not synced': n => unsynced.put(now(`r/${n}`, `value ${n}`)),
    'append a row, synced': n => log.put(now(`r/${n}`, `value ${n}`)),
    'read latest.json': () => store.state(),
    'replace latest.json, with a row': n => store.put(now('r/latest', `value ${n}`)),
    'oxi-state pointer get': () => call('pointer', 'get', 'note', 'bench', '--json'),
    'oxi-state pointer set': n => call('pointer', 'set', 'note', `value ${n}`, '--name', 'bench', '--json'),
  }
  const times = Object.fromEntries(Object.keys(steps).map(name => [name, []]))
  call('pointer', 'set', 'note', 'first', '--name', 'bench')
  for (let n = 0; n < Number(count); n += 1) {
    for (const [name, step] of Object.entries(steps)) {
      const start = process.hrtime.bigint()
      step(n)
      times[name].push(Number(process.hrtime.bigint() - start) / 1e6)
    }
  }
  const middle = list => list.sort((one, other) => one - other)[list.length >> 1]
  console.log(JSON.stringify(Object.fromEntries(Object.entries(times).map(([name, list]) => [name, middle(list)]))))
}

const [kind, ...rest] = process.argv.slice(2)
if (kind === 'null') {
  console.log('[]')
} else if (kind === 'resident') {
  resident(rest)
} else {
  const [place, command, ...words] = rest
  const store = new { jsonl: Jsonl, redis: Redis, sqlite: Sqlite }[kind](place)
  if (command === 'put') {
    await store.put(now(words[0], words[1]))
  } else if (command === 'get') {
    const record = await store.get(words[0])
    if (record) console.log(record.value)
    else process.exitCode = 3
  } else if (command === 'list') {
    console.log(JSON.stringify(store.list(words[0], Number(words[1]))))
  } else if (command === 'swap') {
    if (!store.swap(now(words[0], words[2]), words[1])) process.exitCode = 4
  } else if (command === 'keys') {
    for (const key of store.keys()) console.log(key)
  }
  store.close?.()
}
