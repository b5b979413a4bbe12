import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { Worker } from 'node:worker_threads'

/** An address that answers nothing at all: the kernel drops the first packet of whoever connects. */
export interface BlackHole extends AsyncDisposable {
  port: number
  /** From now on it takes connections; a system that sent its first packet in vain sends it again after a second. */
  open(): void
}

/** Listens, and never accepts; its queue is short, and full. */
const listener = `
const { parentPort, workerData } = require('node:worker_threads')
const server = require('node:net').createServer((socket) => socket.end('HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\nhole'))
server.listen({ ...workerData.where, backlog: 1 }, () => {
  parentPort.postMessage(server.address())
  Atomics.wait(new Int32Array(workerData.gate), 0, 0)
})
`
/** Linux takes one more than the backlog says. */
const inQueue = 2

/** @param host an address of 127.0.0.0/8 */
export async function startBlackHole(host: string, port = 0): Promise<BlackHole> {
  const gate = new SharedArrayBuffer(4)
  const worker = new Worker(listener, { eval: true, workerData: { gate, where: { host, port } } })
  const [address] = (await once(worker, 'message')) as [AddressInfo]
  const fillers: Socket[] = []
  for (let i = 0; i < inQueue; i++) {
    const socket = connect(address.port, host).on('error', () => {})
    fillers.push(socket)
    await once(socket, 'connect')
  }
  const release = () => {
    Atomics.store(new Int32Array(gate), 0, 1)
    Atomics.notify(new Int32Array(gate), 0)
  }
  return {
    port: address.port,
    open() {
      for (const socket of fillers) socket.destroy()
      release()
    },
    async [Symbol.asyncDispose]() {
      for (const socket of fillers) socket.destroy()
      await worker.terminate()
    },
  }
}
