import { z } from 'zod'
import { HttpConfig } from './http.ts'
import { KafkaConfig } from './kafka-config.ts'
import { SqsConfig } from './sqs.ts'

/** A backend is on when its section is there, even an empty one. */
export const BackendsConfig = z.strictObject({
  http: HttpConfig.optional(),
  kafka: KafkaConfig.optional(),
  sqs: SqsConfig.optional(),
})
export type BackendsConfig = z.infer<typeof BackendsConfig>
