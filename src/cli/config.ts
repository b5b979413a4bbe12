import { printable } from '../printable.ts'
import { command, oneOf, UsageError } from './command.ts'
import { masked } from './masked.ts'

export const config = command({
  help: `Usage: downloader config check|print [-c FILE]

check says whether the configuration of this machine is right: FILE (config.json), and the environment over it. Exits
with 1 when it is not. print shows what it comes to, with all defaults, as JSON; secrets are masked.
`,
  options: {},
  async run(_, args, context) {
    const what = oneOf(args, 'check or print')
    if (what !== 'check' && what !== 'print') throw new UsageError(`there is no config ${what}`)
    const { config, warnings } = context.config()
    const { filestorage, storage_dir } = config.processor
    if (!filestorage && !storage_dir) {
      warnings.push('processor.filestorage is not set: no processor starts with this configuration')
    }
    for (const warning of warnings) context.note(printable(warning))
    if (what === 'print') context.print(JSON.stringify(masked(config), null, 2))
    else if (context.json) context.print(JSON.stringify({ right: true, warnings }))
    else
      context.print(
        warnings.length > 0 ? 'The configuration can be used, with warnings.' : 'The configuration is right.',
      )
    return true
  },
})
