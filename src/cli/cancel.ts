import { ApiProblem } from '#client'
import { printable } from '../printable.ts'
import { command, UsageError } from './command.ts'
import { linesOf } from './file-lines.ts'

export const cancel = command({
  help: `Usage: downloader cancel ID... | -  [--json] [--api URL]

Takes jobs back: nobody is called, and a file that is stored already is deleted. A job that rests, or was delivered, is
deleted with its file; \`delete\` does only that. - reads the ids from standard input, one on each line.
Exits with 1 when there is no such job.
`,
  options: {},
  async run(_, args, context) {
    if (args.length === 0) throw new UsageError('ID is missing; - is standard input')
    const { client, json, print, note, input, signal } = context
    let allWell = true
    for await (const line of args[0] === '-' ? linesOf(input) : args) {
      const id = line.trim()
      try {
        const answer = await client.cancel(id, { signal })
        print(json ? JSON.stringify(answer) : `${answer.id} ${answer.state}`)
      } catch (error) {
        if (!(error instanceof ApiProblem) || ![404, 409].includes(error.status)) throw error
        allWell = false
        if (json) print(JSON.stringify({ id, error: error.message }))
        else note(printable(error.message))
      }
    }
    return allWell
  },
})
