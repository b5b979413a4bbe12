import { readFileSync } from 'node:fs'
import type { z } from 'zod'
import { Config } from './schema.ts'

/** The configuration cannot be used; the message names the key. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

type Tree = { [key: string]: Tree | unknown }

export interface Loaded {
  config: Config
  /** What the operator should know: keys that nobody reads, and the like. */
  warnings: string[]
  /** Sections that only the fallbacks have. */
  assumed: string[]
}

/**
 * Reads a config file, lets the environment win over it, and checks the whole.
 *
 * @param file undefined: no file, only defaults and the environment
 * @param fallbacks sections that stand when neither file nor environment has them
 * @throws {ConfigError} naming the key and where its value came from
 */
export function loadConfig(file: string | undefined, env: NodeJS.ProcessEnv, fallbacks: Tree = {}): Loaded {
  const tree: Tree = file === undefined ? {} : readTree(file)
  const fromEnv = applyEnv(tree, env)
  const assumed = Object.keys(fallbacks).filter((section) => tree[section] === undefined || tree[section] === null)
  for (const section of assumed) tree[section] = fallbacks[section]
  const origin = (path: string): string =>
    fromEnv.get(path) ?? (path.includes('.') ? origin(path.slice(0, path.lastIndexOf('.'))) : (file ?? 'defaults'))
  const warnings: string[] = []

  // Two kinds of issues are mended, then it is checked again: unknown keys, which the original ignores, and texts of
  // the environment that stand for a number, a boolean, a list or an object. Each round mends something or ends.
  for (;;) {
    const { success, data, error } = Config.safeParse(tree)
    if (success) return { config: data, warnings: [...warnings, ...deprecations(data)], assumed }
    const mended = error.issues.filter((issue) => dropUnknown(issue) || parseText(issue))
    if (mended.length > 0) continue
    throw new ConfigError(error.issues.map((issue) => complaint(issue)).join('\n'))
  }

  function dropUnknown(issue: z.core.$ZodIssue): boolean {
    if (issue.code !== 'unrecognized_keys') return false
    const parent = at(tree, issue.path)
    for (const key of issue.keys) {
      const path = [...issue.path, key].join('.')
      warnings.push(`${origin(path)}: ${path} is not a key of this service: ignored`)
      delete parent?.[key]
    }
    return true
  }

  function parseText(issue: z.core.$ZodIssue): boolean {
    const path = issue.path.join('.')
    const parent = at(tree, issue.path.slice(0, -1))
    const key = String(issue.path.at(-1))
    const text = parent?.[key]
    if (!fromEnv.has(path) || typeof text !== 'string') return false
    try {
      const value: unknown = JSON.parse(text)
      if (parent) parent[key] = value
      return typeof value !== 'string'
    } catch {
      return false
    }
  }

  function complaint(issue: z.core.$ZodIssue): string {
    const path = issue.path.join('.')
    const missing =
      issue.code === 'invalid_type' && at(tree, issue.path.slice(0, -1))?.[String(issue.path.at(-1))] === undefined
    return `${origin(path)}: ${path || 'the configuration'}: ${missing ? 'is required' : issue.message}`
  }
}

function readTree(file: string): Tree {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new ConfigError(`${file}: cannot be read: ${(error as NodeJS.ErrnoException).code}`)
  }
  try {
    const tree: unknown = JSON.parse(text)
    if (typeof tree === 'object' && tree !== null && !Array.isArray(tree)) return tree as Tree
  } catch (error) {
    // Node quotes what stands around the mistake, which may be a secret
    const why = (error as Error).message.replace(/, (\.{3})?".*"(\.{3})? is not valid JSON$/s, '')
    throw new ConfigError(`${file}: is not JSON: ${why}`)
  }
  throw new ConfigError(`${file}: must hold a JSON object`)
}

const SECTIONS = ['redis', 'api', 'processor', 'notifier', 'backends', 'log', 'tracing']

/**
 * Puts `DOWNLOADER_SECTION__KEY` (deeper keys with more `__`) into the tree, the shorter ones first: the longer ones
 * stand over what is in their JSON. Returns which path came from where.
 */
function applyEnv(tree: Tree, env: NodeJS.ProcessEnv): Map<string, string> {
  const from = new Map<string, string>()
  const variables = Object.entries(env).map(([name, value]) => ({ name, value, path: pathOf(name) }))
  for (const { name, value, path } of variables.sort((a, b) => a.path.length - b.path.length)) {
    if (path.length < 2 || value === undefined) continue
    let parent = tree
    for (const [i, key] of path.slice(0, -1).entries()) {
      const above = path.slice(0, i + 1).join('.')
      parent[key] = opened(parent[key], above, from.get(above))
      parent = parent[key] as Tree
    }
    parent[path.at(-1) as string] = value
    from.set(path.join('.'), name)
  }
  return from
}

/** The keys that a variable names; none when it is none of ours. */
function pathOf(name: string): string[] {
  if (!name.startsWith('DOWNLOADER_')) return []
  const path = name.slice('DOWNLOADER_'.length).toLowerCase().split('__')
  return SECTIONS.includes(path[0] ?? '') && !path.includes('') && !path.includes('__proto__') ? path : []
}

/** A value to put something into: an object, or what the JSON of a variable says. */
function opened(value: unknown, path: string, variable: string | undefined): Tree {
  if (typeof value === 'object' && value !== null) return value as Tree
  if (variable === undefined || typeof value !== 'string') return {}
  try {
    const parsed: unknown = JSON.parse(value)
    if (typeof parsed === 'object' && parsed !== null) return parsed as Tree
  } catch {}
  throw new ConfigError(`${variable}: ${path}: must be a JSON object, or absent beside variables with longer names`)
}

function at(tree: Tree, path: PropertyKey[]): Tree | undefined {
  let node: unknown = tree
  for (const key of path) node = (node as Tree | undefined)?.[String(key)]
  return typeof node === 'object' && node !== null ? (node as Tree) : undefined
}

function deprecations({ processor }: Config): string[] {
  if (processor.filestorage || !processor.storage_dir) return []
  return ['processor.storage_dir as the root of the files is deprecated: give processor.filestorage']
}
