import type { Dispatcher } from 'undici'
import type { CallbackType } from '../../jobs/job.ts'
import type { Log } from '../../log.ts'
import type { Backend } from './backend.ts'
import type { BackendsConfig } from './config.ts'
import { httpBackend } from './http.ts'
import { kafkaBackend } from './kafka.ts'
import { sqsBackend } from './sqs.ts'

export interface BackendsDeps {
  /** Guarded, for receivers over HTTP and for SQS; closed by who made it, after the backends. */
  dispatcher: Dispatcher
  log: Log
}

/**
 * The backends that are configured. None of them connects, or loads its client, before its first delivery.
 *
 * @throws Error that names the key of `backends.kafka` whose file cannot be read
 */
export function createBackends(
  { http, kafka, sqs }: BackendsConfig,
  { dispatcher, log }: BackendsDeps,
): Partial<Record<CallbackType, Backend>> {
  const backends: Partial<Record<CallbackType, Backend>> = {}
  if (http) backends.http = httpBackend(http, dispatcher)
  if (kafka) backends.kafka = kafkaBackend(kafka, log)
  if (sqs) backends.sqs = sqsBackend(sqs, dispatcher)
  return backends
}
