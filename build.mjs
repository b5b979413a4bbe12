// Compiles client/ to dist/client/, which the command line uses, and src/ to dist/; copies what the compiler leaves
// behind: the Lua scripts and the dashboard's files.
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'

const root = import.meta.dirname
const tsc = path.join(path.dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
rmSync(path.join(root, 'dist'), { recursive: true, force: true })
const clientDir = path.join(root, 'dist', 'client')
execFileSync(process.execPath, [tsc, '-p', path.join(root, 'client'), '--outDir', clientDir], { stdio: 'inherit' })
execFileSync(process.execPath, [tsc, '-p', root], { stdio: 'inherit' })
cpSync(path.join(root, 'src'), path.join(root, 'dist'), {
  recursive: true,
  filter: (file) => !file.endsWith('.ts'),
})
chmodSync(path.join(root, 'dist', 'main.js'), 0o755)
