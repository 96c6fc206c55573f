// What a Node program does with the state of a project: `node demo.mjs [PROJECT]`. It prints one line for each step.

import { openState } from './state.mjs'

const state = openState(process.argv[2])

// 1. ask for a snapshot, and read it: the tables are of one moment
state.refresh()
const { latest, tables } = state.tables(['issues', 'pointers'])
const open = tables.issues.filter((issue) => issue.status === 'open')
console.log(`revision ${latest.revision}: ${open.length} open of ${tables.issues.length} issues, next ${latest.issues.next ?? 'none'}`)

// 2. hand in rows; none of them waits for the database
const issue = latest.issues.next ?? undefined
state.append('handoff', { from: 'demo', summary: 'Read the snapshot from Node.', next: ['look at it'], issue }, `demo-handoff-${issue}`)
state.append('validation', { name: 'node demo', result: 'passed', exit_code: 0, duration_ms: 12, at: '2026-11-20T12:00:00Z' }, 'demo-run')
state.append('pointer', { kind: 'branch', target: 'main' })
state.append('health', { provider: 'openai', model: 'gpt-5', ok: true, remaining: 99 })
state.append('telemetry', { measure: 'tool', name: 'demo', total_ms: 12 })

// 3. have them taken; rows with a key are taken once, however often this is run
const taken = state.takeInbox()
console.log(`inbox: ${taken.taken} taken, ${taken.skipped} known, ${taken.bad_lines} bad`)

// 4. they are in the next snapshot
const after = state.refresh()
console.log(`handoffs: ${after.handoffs.map((handoff) => handoff.summary).join(' ')}`)
console.log(`checks: ${after.validations.map((run) => `${run.name} ${run.result}`).join(', ')}`)

// 5. what must be answered now is asked of the program itself; its errors are objects, too
const { result } = state.cli(['health', 'check', 'openai/gpt-5', '--peek'])
console.log(`openai/gpt-5 may be called: ${result.allowed}`)
try {
  state.cli(['issue', 'show', '4294967295'])
} catch (error) {
  console.log(`error ${error.code} (exit ${error.exit}): ${error.message}`)
}
