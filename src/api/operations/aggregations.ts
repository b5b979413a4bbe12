import {
  AggregationList,
  AggregationQuery,
  AggregationView,
  Amendment,
  EmptiedView,
  EmptyQuery,
} from '../schemas/aggregation.ts'
import type { Operation } from './operation.ts'

const params = { id: 'the aggr_id, percent-encoded' }
const answer = { description: 'as it is now', schema: AggregationView, name: 'Aggregation' }

export const aggregationOperations: Operation[] = [
  {
    method: 'get',
    path: '/aggregations',
    tag: 'aggregations',
    summary: 'List the aggregations that have jobs, or of which something is set',
    query: AggregationQuery,
    answers: { 200: { description: 'a page', schema: AggregationList, name: 'AggregationList' } },
    problems: { 400: 'names the parameter' },
  },
  {
    method: 'get',
    path: '/aggregations/{id}',
    tag: 'aggregations',
    summary: 'Look at an aggregation',
    params,
    answers: { 200: answer },
    problems: { 404: 'it has no jobs, and nothing is set of it' },
  },
  {
    method: 'patch',
    path: '/aggregations/{id}',
    tag: 'aggregations',
    summary: 'Set limit and rate of an aggregation, pause it, or take that back',
    description:
      'Takes effect at once, wins over what jobs bring, and stands until it is changed, also when the aggregation has no ' +
      'jobs. null takes a setting back; what is not named stays.',
    params,
    body: { schema: Amendment },
    answers: { 200: answer },
    problems: { 400: 'names the field', 413: 'larger than api.max_body_bytes' },
  },
  {
    method: 'delete',
    path: '/aggregations/{id}',
    tag: 'aggregations',
    summary: 'Cancel what is pending in an aggregation, and take back what is set of it',
    description: 'Callbacks of what was downloaded already are still delivered.',
    params,
    query: EmptyQuery,
    answers: {
      200: { description: 'nothing is pending', schema: EmptiedView, name: 'Emptied' },
      202: { description: 'some is left: repeat it', schema: EmptiedView, name: 'Emptied' },
    },
    problems: { 400: 'names the parameter', 404: 'it has no jobs, and nothing is set of it' },
  },
]
