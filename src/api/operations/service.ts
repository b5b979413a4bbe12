import { z } from 'zod'
import type { Operation } from './operation.ts'

const text = (description: string) => ({ description, type: 'text/plain' })
const page = (description: string) => ({ description, type: 'text/html' })

export const serviceOperations: Operation[] = [
  {
    method: 'get',
    path: '/hb',
    tag: 'service',
    summary: 'Say whether a load balancer should send requests here',
    answers: { 200: text('`OK`'), 503: text('while the file api.heartbeat_path exists') },
    open: true,
  },
  {
    method: 'get',
    path: '/livez',
    tag: 'service',
    summary: 'Say that this process is alive',
    answers: { 200: text('`OK`') },
    open: true,
  },
  {
    method: 'get',
    path: '/readyz',
    tag: 'service',
    summary: 'Say whether a job could be accepted now',
    answers: { 200: text('`OK`') },
    problems: { 503: 'Redis takes none' },
    open: true,
  },
  {
    method: 'get',
    path: '/metrics',
    tag: 'service',
    summary: 'Count jobs by place, for Prometheus',
    answers: { 200: text('metrics') },
  },
  {
    method: 'get',
    path: '/stats/{role}',
    tag: 'service',
    summary: 'Add up the counters of the live processors, or notifiers',
    params: { role: '`processor` or `notifier`' },
    answers: { 200: { description: 'counters', schema: z.record(z.string(), z.int()), name: 'Stats' } },
    problems: { 404: 'none is alive, or there is no such role' },
  },
  {
    method: 'get',
    path: '/dashboard/aggregations',
    tag: 'service',
    summary: 'List the aggregations that have pending jobs',
    answers: {
      200: {
        description: 'their names, with `jobs:` in front, and how many',
        schema: z.array(z.strictObject({ name: z.string(), size: z.int().min(1) })),
        name: 'PendingSizes',
      },
    },
  },
  { method: 'get', path: '/', tag: 'service', summary: 'The dashboard', answers: { 200: page('a page') } },
  {
    method: 'get',
    path: '/openapi.json',
    tag: 'service',
    summary: 'This document',
    answers: { 200: { description: 'OpenAPI 3.1', schema: z.looseObject({ openapi: z.string() }), name: 'OpenApi' } },
  },
  {
    method: 'get',
    path: '/docs',
    tag: 'service',
    summary: 'This document, for people',
    answers: { 200: page('a page') },
  },
]
