// What Linux tells about a process.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

const read = (pid: number, file: string) => readFileSync(`/proc/${pid}/${file}`, 'utf8')

/** User and system time of all its threads, in ms; Linux counts in 10 ms. */
export function cpuMs(pid: number): number {
  const [user, system] = read(pid, 'stat').split(') ')[1]?.split(' ').slice(11, 13) ?? []
  return (Number(user) + Number(system)) * 10
}

/** Resident memory, in bytes. */
export function rssBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(read(pid, 'status'))?.[1]) * 1024
}

/** Open files and sockets. */
export function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** The local ports of its TCP connections. */
export function tcpPorts(pid: number): Set<number> {
  const inodes = new Set<string>()
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1]
    if (inode) inodes.add(inode)
  }
  const ports = new Set<number>()
  for (const line of read(pid, 'net/tcp').split('\n').slice(1)) {
    const [, local, , , , , , , , inode = ''] = line.trim().split(/\s+/)
    if (inodes.has(inode)) ports.add(Number.parseInt(local?.split(':')[1] ?? '', 16))
  }
  return ports
}

function linkOf(file: string): string {
  try {
    return readlinkSync(file)
  } catch {
    return '' // closed meanwhile
  }
}

/** Reads a figure again and again, until it is told to stop; then says all that it was. */
export function sampling(everyMs: number, read: () => number) {
  const samples = [read()]
  const timer = setInterval(() => samples.push(read()), everyMs)
  return {
    stop(): number[] {
      clearInterval(timer)
      samples.push(read())
      return samples
    },
  }
}
