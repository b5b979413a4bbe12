import { createInterface } from 'node:readline'
import { ApiProblem } from '#client'
import { printable } from '../printable.ts'
import { type Context, command, UsageError } from './command.ts'

export const cancel = command({
  help: `Usage: downloader cancel ID... | -  [--json] [--api URL]

Takes jobs back: nobody is called, and a file that is stored already is deleted. A job that rests is deleted with its
file. - reads the ids from standard input, one on each line. A job whose callback was delivered cannot be taken back.
Exits with 1 when one could not be taken back.
`,
  options: {},
  async run(_, args, context) {
    if (args.length === 0) throw new UsageError('ID is missing; - is standard input')
    const { client, json, print, note, signal } = context
    let allWell = true
    for await (const id of args[0] === '-' ? idsOf(context) : args) {
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

async function* idsOf({ input }: Context): AsyncGenerator<string> {
  for await (const line of createInterface({ input })) if (line.trim() !== '') yield line.trim()
}
