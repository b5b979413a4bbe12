import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Reports to nobody, with no file left to open; says when it has done so twice. */
const STARVED = `
import { openSync } from 'node:fs'
import { reporting } from './src/reporting.ts'
const log = { debug: () => console.log('could not report'), info() {}, warn() {}, error() {} }
const instances = { report: async () => console.log('reported'), retire: async () => {} }
const options = { instances, instance: 'one', version: '1', concurrency: 0, snapshot: () => ({}), everyMs: 20, log }
try { for (;;) openSync('/dev/null') } catch {}
const report = reporting(options)
setTimeout(async () => { await report.close(); console.log('alive'); process.exit(0) }, 100)
`

describe('the reports of a process', () => {
  it('do not end it when it can open no more files', async () => {
    const node = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', STARVED]
    const { stdout } = await run('sh', ['-c', 'ulimit -n 128 && exec "$@"', 'sh', ...node])
    assert.match(stdout, /(could not report|reported)\n(.*\n)+alive/)
  })
})
