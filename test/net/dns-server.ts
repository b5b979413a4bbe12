import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import ipaddr from 'ipaddr.js'

export interface DnsAnswer {
  addresses?: string[]
  /** seconds */
  ttl?: number
  /** 1 is FORMERR, 2 SERVFAIL, 3 NXDOMAIN, 4 NOTIMP, 5 REFUSED */
  rcode?: number
  /** Names that the one asked for goes by, each leading to the next, in front of the addresses. */
  aliases?: string[]
  /** Sent behind head and question, which announce one answer, instead of any. */
  garbage?: Buffer
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
function encode(question: Buffer, type: 'A' | 'AAAA', answer: DnsAnswer): Buffer {
  const { addresses = [], ttl = 60, rcode = 0, aliases = [], garbage } = answer
  const kind = type === 'A' ? 'ipv4' : 'ipv6'
  const matching = addresses.map((address) => ipaddr.parse(address)).filter((address) => address.kind() === kind)
  const head = Buffer.from(question)
  head.writeUInt16BE(0x8180 | rcode, 2)
  head.writeUInt32BE(0, 8)
  const names = [QUESTION, ...aliases.map(encodeName)]
  const records = [
    ...aliases.map((_, i) => encodeRecord(names[i] ?? QUESTION, CNAME, ttl, names[i + 1] ?? QUESTION)),
    ...matching.map((address) => {
      return encodeRecord(names.at(-1) ?? QUESTION, type === 'A' ? 1 : 28, ttl, Buffer.from(address.toByteArray()))
    }),
  ]
  head.writeUInt16BE(garbage ? 1 : records.length, 6)
  return Buffer.concat([head, ...(garbage ? [garbage] : records)])
}

const CNAME = 5
/** The name in the question, which stands behind the head. */
const QUESTION = Buffer.from([0xc0, 0x0c])

function encodeName(name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`, 'latin1'))
  return Buffer.concat([...labels, Buffer.alloc(1)])
}

function encodeRecord(name: Buffer, type: number, ttl: number, data: Buffer): Buffer {
  const record = Buffer.alloc(10)
  record.writeUInt16BE(type, 0)
  record.writeUInt16BE(1, 2)
  record.writeUInt32BE(ttl, 4)
  record.writeUInt16BE(data.length, 8)
  return Buffer.concat([name, record, data])
}
