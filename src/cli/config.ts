import type { Config } from '../config/schema.ts'
import { kafkaSettings } from '../notifier/backends/kafka-config.ts'
import { printable } from '../printable.ts'
import { command, oneOf, UsageError } from './command.ts'
import { masked } from './masked.ts'

const onlyStart = (section: string) => `${section} is not given: nothing but downloader start does without`

/** Why not all workers would start, and what they would say when they do. */
function workersOf({ processor, backends }: Config): string[] {
  const said = backends.kafka ? kafkaSettings(backends.kafka).warnings : []
  if (!processor.filestorage && !processor.storage_dir) {
    said.push('processor.filestorage is not given: no processor starts with this configuration')
  }
  if (!backends.http && !backends.kafka && !backends.sqs) {
    said.push('backends is empty: no notifier starts with this configuration')
  }
  return said
}

export const config = command({
  help: `Usage: downloader config check|print [-c FILE]

check says whether the configuration of this machine is right: FILE (config.json), and the environment over it. Exits
with 1 when it is not. print shows what it comes to, with all defaults, as JSON; secrets are masked.
`,
  options: {},
  async run(_, args, context) {
    const what = oneOf(args, 'check or print')
    if (what !== 'check' && what !== 'print') throw new UsageError(`there is no config ${what}`)
    const { config, warnings: general, assumed } = context.config()
    const warnings = [...general, ...assumed.map(onlyStart), ...workersOf(config)]
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
