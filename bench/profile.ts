// Where the CPU of a process went: `node --import tsx bench/profile.ts JOBS FILE.cpuprofile …`, in microseconds per job.
// JOBS counts the warm-up, too: a profile spans the whole life of a process, its start included. It counts time by the
// clock: where others want the processor as well, shares say more than microseconds.
import { readFileSync } from 'node:fs'
import path from 'node:path'

interface Frame {
  id: number
  callFrame: { functionName: string; url: string; lineNumber: number }
  children?: number[]
}
interface Profile {
  nodes: Frame[]
  samples: number[]
  timeDeltas: number[]
}

const MOST = 30
const QUIET = ['(idle)', '(root)']

/** What a frame belongs to: a part of ours, a package, Node itself, or the engine. */
function moduleOf({ callFrame: { url, functionName } }: Frame): string {
  const ours = /\/dist\/(.+)\.m?js$/.exec(url)?.[1]
  if (ours && !url.includes('/node_modules/')) return ours
  const name = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1]
  if (name) return name
  return functionName.startsWith('(') ? functionName : 'node'
}

function analyse({ nodes, samples, timeDeltas }: Profile) {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const owners = new Map<number, string>()
  /** Node's own time counts for whoever called it. */
  const own = (node: Frame, caller: string) => {
    const module = moduleOf(node)
    const owner = module === 'node' || module === '(root)' ? caller : module
    owners.set(node.id, owner)
    for (const child of node.children ?? []) {
      const below = byId.get(child)
      if (below) own(below, owner)
    }
  }
  const [root] = nodes
  if (root) own(root, 'node, called by nobody')

  const owned = new Map<string, number>()
  const functions = new Map<string, number>()
  const add = (sums: Map<string, number>, name: string, us: number) => sums.set(name, (sums.get(name) ?? 0) + us)
  let busyUs = 0
  samples.forEach((id, i) => {
    const node = byId.get(id)
    const us = timeDeltas[i] ?? 0
    if (!node || us < 0 || QUIET.includes(node.callFrame.functionName)) return
    busyUs += us
    add(owned, owners.get(id) ?? '', us)
    const { functionName, lineNumber } = node.callFrame
    add(functions, `${functionName || '(anonymous)'}  ${moduleOf(node)}:${lineNumber + 1}`, us)
  })
  return { busyUs, owned, functions }
}

const [jobs = '', ...files] = process.argv.slice(2)
for (const file of files) {
  const { busyUs, owned, functions } = analyse(JSON.parse(readFileSync(file, 'utf8')))
  const perJob = (us: number) => (us / Number(jobs)).toFixed(1).padStart(8)
  const share = (us: number) => `${((100 * us) / busyUs).toFixed(1)} %`.padStart(8)
  const print = (title: string, sums: Map<string, number>) => {
    console.log(`\n  ${title}`)
    const most = [...sums].sort(([, a], [, b]) => b - a).slice(0, MOST)
    for (const [name, us] of most) console.log(`${perJob(us)} ${share(us)}  ${name}`)
  }
  console.log(`\n${path.basename(file)}: ${perJob(busyUs).trim()} µs per job`)
  print('on behalf of', owned)
  print('functions, themselves', functions)
}
