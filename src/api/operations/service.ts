import { z } from 'zod'
import { FailuresView, Overview, SeriesView, SpanQuery } from '../schemas/overview.ts'
import type { Operation } from './operation.ts'

const text = (description: string) => ({ description, type: 'text/plain' })
const page = (description: string) => ({ description, type: 'text/html' })
const to = (description: string) => ({ ...page(`to ${description}`), headers: { Location: 'the page' } })

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
    description:
      'Each counts since it started. `workers` are downloads that count against a limit, until the origin has sent all; ' +
      '`maxWorkers` adds up the most that each process had at once, which need not have been at the same time.',
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
  {
    method: 'get',
    path: '/overview',
    tag: 'service',
    summary: 'Say which processes are alive, and what waits, runs and rests',
    answers: { 200: { description: 'as it is now', schema: Overview, name: 'Overview' } },
  },
  {
    method: 'get',
    path: '/series',
    tag: 'service',
    summary: 'Tell what happened in the last hour, minute by minute, or the last day',
    query: SpanQuery,
    answers: { 200: { description: 'points', schema: SeriesView, name: 'Series' } },
    problems: { 400: 'names the parameter' },
  },
  {
    method: 'get',
    path: '/failures',
    tag: 'service',
    summary: 'Count failures by code, host and receiver',
    query: SpanQuery,
    answers: { 200: { description: 'counts', schema: FailuresView, name: 'Failures' } },
    problems: { 400: 'names the parameter' },
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
  {
    method: 'get',
    path: '/login',
    tag: 'service',
    summary: 'The form in which browsers show a token',
    answers: { 200: page('a form'), 303: to('`next`: no token is needed') },
    open: true,
  },
  {
    method: 'post',
    path: '/login',
    tag: 'service',
    summary: 'Give a browser a session for a token',
    description: 'The session is a cookie that no script can read and no other site can use; it stands for seven days.',
    body: {
      schema: z.object({ token: z.string(), next: z.string().optional() }),
      type: 'application/x-www-form-urlencoded',
    },
    answers: {
      303: { ...to('the dashboard, or `next`'), headers: { Location: 'the page', 'Set-Cookie': 'the session' } },
      401: page('the form again: no such token'),
    },
    open: true,
  },
  {
    method: 'post',
    path: '/logout',
    tag: 'service',
    summary: 'Take the session back from the browser',
    answers: { 303: to('the form') },
  },
]
