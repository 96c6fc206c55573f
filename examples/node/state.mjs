// Reads and feeds the state of a project from Node, without any dependency. Node 18 or newer.
//
//   const state = openState('/path/to/project')
//   state.latest()                        the present state: an object
//   state.rows('issues')                  a table: an array of objects
//   state.append('handoff', {...}, key)   hands in a row; `oxi-state inbox` takes it
//   state.cli(['issue', 'next'])          asks the program itself, for what must be answered now
//
// The database is never opened here: redb lets in one process at a time, and `oxi-state` sees to that.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/** What this module can read; a snapshot of another number is refused. */
export const SCHEMA_VERSION = 1

/** How often a set of files is read again that was being replaced. */
const TRIES = 50

/** Longest row that is taken, in bytes. */
const MAX_ROW = 64 * 1024

export class StateError extends Error {
  constructor(message, details = {}) {
    super(message)
    this.name = 'StateError'
    Object.assign(this, details)
  }
}

/** The project that holds a directory: the nearest one upwards with a folder .oxi (or .oxicode). */
export function openState(directory = process.cwd(), { program = process.env.OXI_STATE ?? 'oxi-state' } = {}) {
  let root = resolve(directory)
  for (;;) {
    const folder = ['.oxi', '.oxicode'].map((name) => join(root, name)).find(existsSync)
    if (folder) return new State(root, join(folder, 'state'), program)
    if (dirname(root) === root) throw new StateError(`no .oxi folder in ${directory} or above it`)
    root = dirname(root)
  }
}

class State {
  constructor(root, folder, program) {
    this.root = root
    this.folder = folder
    this.program = program
  }

  /** The present state, as the last `oxi-state snapshot` wrote it. */
  latest() {
    let text
    try {
      text = readFileSync(join(this.folder, 'latest.json'), 'utf8')
    } catch (error) {
      if (error.code === 'ENOENT') throw new StateError('there is no snapshot; run `oxi-state snapshot`')
      throw error
    }
    const latest = JSON.parse(text)
    if (latest.schema_version !== SCHEMA_VERSION) {
      throw new StateError(`the snapshot is of version ${latest.schema_version}, this reads ${SCHEMA_VERSION}`)
    }
    return latest
  }

  /** A table: an array of objects. */
  rows(name) {
    return this.tables([name]).tables[name]
  }

  /**
   * Several tables of one moment, with the `latest` that names them. A snapshot may be written meanwhile: its files are
   * replaced one by one, latest.json last, so the digests in there tell whether all of them belong together.
   */
  tables(names) {
    for (let attempt = 1; attempt <= TRIES; attempt++) {
      const latest = this.latest()
      const tables = {}
      const fits = names.every((name) => {
        const file = latest.files[name]
        if (!file) throw new StateError(`there is no table ${name}; there are ${Object.keys(latest.files).join(', ')}`)
        const bytes = readFileSync(join(this.folder, file.path))
        if (createHash('sha256').update(bytes).digest('hex') !== file.sha256) return false
        tables[name] = bytes.toString('utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line))
        return tables[name].length === file.rows
      })
      if (fits) return { latest, tables }
      sleep(10)
    }
    // a writer that was killed between two files leaves such a set until the next snapshot
    throw new StateError('the tables are not of one moment; run `oxi-state snapshot`')
  }

  /**
   * Hands in a row for `oxi-state inbox`. With a key it may be handed in again, for instance after a crash: it is taken
   * once. `oxi-state schema inbox-row` says what may be in `data`.
   */
  append(kind, data, key) {
    const row = JSON.stringify(key === undefined ? { kind, data } : { kind, key, data })
    if (Buffer.byteLength(row) > MAX_ROW) throw new StateError(`a row is at most ${MAX_ROW} bytes long`)
    mkdirSync(this.folder, { recursive: true, mode: 0o700 })
    // One write, opened to append, closed at once: rows of many writers stay whole, and a file that was put aside is
    // let go. The line feed before the row ends what a killed writer left unfinished; blank lines mean nothing.
    appendFileSync(join(this.folder, 'inbox.jsonl'), `\n${row}\n`, { mode: 0o600 })
  }

  /** Runs the program with --json; answers { code, result } or throws its error, with its code and hint. */
  cli(args, { input, accept = [0] } = {}) {
    const run = spawnSync(this.program, ['-C', this.root, '--json', ...args], { input, encoding: 'utf8', maxBuffer: 1 << 30 })
    if (run.error) throw new StateError(`cannot run ${this.program}: ${run.error.message}`)
    if (!accept.includes(run.status)) throw new StateError(...failure(run))
    return { code: run.status, result: run.stdout === '' ? null : JSON.parse(run.stdout) }
  }

  /** Takes in what was handed in. Lines that cannot be taken are in `bad`, and are no exception. */
  takeInbox() {
    return this.cli(['inbox'], { accept: [0, 7] }).result
  }

  /** Has a snapshot written, and answers the state that it shows. */
  refresh() {
    this.cli(['snapshot'])
    return this.latest()
  }
}

function failure(run) {
  try {
    const { error } = JSON.parse(run.stderr)
    return [error.message, { ...error, exit: run.status }]
  } catch {
    return [`oxi-state ended with ${run.status ?? run.signal}: ${run.stderr.trim()}`, { exit: run.status }]
  }
}

function sleep(milliseconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}
