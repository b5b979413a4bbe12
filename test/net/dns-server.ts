import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import ipaddr from 'ipaddr.js'

export interface DnsAnswer {
  addresses?: string[]
  /** seconds */
  ttl?: number
  /** 2 is SERVFAIL, 3 NXDOMAIN, 5 REFUSED */
  rcode?: number
}

export interface DnsServer extends AsyncDisposable {
  /** `127.0.0.1:port` */
  address: string
  /** `A good.test`, in the order in which they came. */
  queries: string[]
}

const types: Record<number, 'A' | 'AAAA'> = { 1: 'A', 28: 'AAAA' }

/** A DNS server (RFC 1035) over UDP. @param answer for one query; undefined means silence */
export async function startDns(
  answer: (name: string, type: 'A' | 'AAAA') => DnsAnswer | undefined,
): Promise<DnsServer> {
  const socket = createSocket('udp4')
  const queries: string[] = []
  socket.on('message', (message, from) => {
    const labels: string[] = []
    let at = 12
    for (let length = message.readUInt8(at); length > 0; length = message.readUInt8(at)) {
      labels.push(message.toString('latin1', at + 1, at + 1 + length))
      at += 1 + length
    }
    const type = types[message.readUInt16BE(at + 1)]
    if (type === undefined) return
    const name = labels.join('.').toLowerCase()
    queries.push(`${type} ${name}`)
    const reply = answer(name, type)
    if (reply !== undefined) socket.send(encode(message.subarray(0, at + 5), type, reply), from.port, from.address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return {
    address: `127.0.0.1:${socket.address().port}`,
    queries,
    async [Symbol.asyncDispose]() {
      socket.close()
      await once(socket, 'close')
    },
  }
}

/** @param question the query's head and its question; of the answers, only those of its type are sent */
function encode(question: Buffer, type: 'A' | 'AAAA', { addresses = [], ttl = 60, rcode = 0 }: DnsAnswer): Buffer {
  const kind = type === 'A' ? 'ipv4' : 'ipv6'
  const matching = addresses.map((address) => ipaddr.parse(address)).filter((address) => address.kind() === kind)
  const head = Buffer.from(question)
  head.writeUInt16BE(0x8180 | rcode, 2)
  head.writeUInt16BE(matching.length, 6)
  head.writeUInt32BE(0, 8)
  const records = matching.map((address) => {
    const data = Buffer.from(address.toByteArray())
    const record = Buffer.alloc(12)
    record.writeUInt16BE(0xc00c, 0) // the question's name
    record.writeUInt16BE(type === 'A' ? 1 : 28, 2)
    record.writeUInt16BE(1, 4)
    record.writeUInt32BE(ttl, 6)
    record.writeUInt16BE(data.length, 10)
    return Buffer.concat([record, data])
  })
  return Buffer.concat([head, ...records])
}
