import assert from 'node:assert/strict'
import { Refused, translation } from '../../src/import/translation.ts'

const { queued, stray } = translation({ backends: ['http'], storage: 'files', onUnknownField: () => {} })

const job = (aggrId: string, downloadState: string) => ({
  id: 'NSb4FOAs9fVaQw',
  dueMs: 0,
  fields: new Map(
    Object.entries({
      AggrID: aggrId,
      URL: 'http://origin.example/',
      CallbackURL: 'http://receiver.example/',
      DownloadState: downloadState,
      CallbackState: 'Failed',
    }),
  ),
  aggregation: { limit: '4', proxy: '' },
})

describe('a job of the Go service', () => {
  it('is refused when a NUL in its aggregation would make it a lane of ours, whatever became of it', () => {
    for (const aggrId of ['cats', 'cats\0origin.example']) {
      const moves = [
        () => queued('downloads', job(aggrId, 'Pending')),
        () => queued('callbacks', job(aggrId, 'Success')),
        () => stray(job(aggrId, 'Failed'), 0),
      ]
      for (const move of moves) {
        if (aggrId === 'cats') assert.ok(move().job)
        else assert.throws(move, (error) => error instanceof Refused && /NUL/.test(error.message))
      }
    }
  })
})
