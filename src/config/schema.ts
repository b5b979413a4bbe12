import { z } from 'zod'
import { ApiConfig } from '../api/config.ts'
import { LogConfig } from '../log-config.ts'
import { BackendsConfig } from '../notifier/backends/config.ts'
import { NotifierConfig } from '../notifier/config.ts'
import { ProcessorConfig } from '../processor/config.ts'
import { RedisConfig } from '../queue/redis-config.ts'
import { TracingConfig } from '../tracing/config.ts'

/** The whole of `config.json`; every part's schema stands beside the code that it configures. */
export const Config = z.strictObject({
  redis: RedisConfig,
  api: ApiConfig.prefault({}),
  processor: ProcessorConfig.prefault({}),
  notifier: NotifierConfig.prefault({}),
  backends: BackendsConfig,
  log: LogConfig.prefault({}),
  tracing: TracingConfig.optional(),
})
export type Config = z.infer<typeof Config>
