// Writes src/api.ts anew: the types of everything that the API takes and answers. `node --import tsx client/generate.ts`
import { writeFileSync } from 'node:fs'
import { apiTypes } from './api-types.ts'

writeFileSync(new URL('src/api.ts', import.meta.url), apiTypes())
