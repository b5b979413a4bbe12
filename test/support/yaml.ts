import { createRequire } from 'node:module'

// Mocha brings it; here it only reads what stands beside the service.
const yaml = createRequire(createRequire(import.meta.url).resolve('mocha/package.json'))('js-yaml')

/** The documents of a YAML text. */
export const parseYaml = (text: string): unknown[] => yaml.loadAll(text)
