import { printable } from '../printable.ts'
import { command, oneOf } from './command.ts'

export const why = command({
  help: `Usage: downloader why ID [--json] [--api URL]

Says why a job waits: one main reason, and what else would keep it.
`,
  options: {},
  async run(_, args, { client, json, print, signal }) {
    const answer = await client.why(oneOf(args, 'ID'), { signal })
    if (json) print(JSON.stringify(answer))
    else {
      print(printable(`${answer.code}: ${answer.text}`))
      for (const { code, text } of answer.also) print(printable(`  also ${code}: ${text}`))
      const running = answer.waiting?.running_jobs ?? []
      if (running.length > 0) print(`  running now: ${running.join(' ')}`)
    }
    return true
  },
})
