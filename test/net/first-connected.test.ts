import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { byTurns, firstConnected } from '../../src/net/first-connected.ts'
import type { ResolvedAddress } from '../../src/net/resolver.ts'
import { startBlackHole } from '../support/black-hole.ts'
import { response, startRawOrigin } from '../support/origin.ts'

describe('the first connection of several', () => {
  const v4 = (...addresses: string[]): ResolvedAddress[] => addresses.map((address) => ({ address, family: 4 }))

  function connecting(addresses: readonly ResolvedAddress[], port: number) {
    return new Promise<Socket>((resolve, reject) => {
      firstConnected({
        addresses,
        port,
        callback: (result) => (result instanceof Error ? reject(result) : resolve(result)),
      })
    })
  }

  it('is not held up by addresses that never answer', async () => {
    await using origin = await startRawOrigin(() => response(''))
    await using one = await startBlackHole('127.0.0.2', origin.port)
    await using two = await startBlackHole('127.0.0.3', one.port)
    const begun = performance.now()
    const socket = await connecting(v4('127.0.0.2', '127.0.0.3', '127.0.0.1'), two.port)
    const took = performance.now() - begun
    assert.equal(socket.remoteAddress, '127.0.0.1')
    assert.ok(took >= 490 && took < 1500, `${took} ms`)
    socket.destroy()
  })

  it('may be the first address after all, however late it answers', async () => {
    await using hole = await startBlackHole('127.0.0.2')
    const connection = connecting(v4('127.0.0.2', '127.0.0.3'), hole.port) // the second refuses
    setTimeout(() => hole.open(), 500)
    const socket = await connection
    assert.equal(socket.remoteAddress, '127.0.0.2')
    socket.destroy()
  })

  it('goes on at once where an address refuses', async () => {
    await using origin = await startRawOrigin(() => response(''))
    const begun = performance.now()
    const socket = await connecting(v4('127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.1'), origin.port)
    assert.ok(performance.now() - begun < 240)
    assert.equal(socket.remoteAddress, '127.0.0.1')
    socket.destroy()
  })

  it('plans no second attempt any more once the first has answered', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    await using origin = await startRawOrigin(() => response(''))
    const before = timers()
    const socket = await connecting(v4('127.0.0.1', '127.0.0.2'), origin.port)
    assert.equal(timers(), before)
    socket.destroy()
  })

  it('fails when all have failed, with what tells most', async () => {
    const nobody = await startRawOrigin(() => response(''))
    await nobody[Symbol.asyncDispose]()
    await assert.rejects(connecting(v4('255.255.255.255', '127.0.0.1'), nobody.port), { code: 'ECONNREFUSED' })
    await assert.rejects(connecting(v4('255.255.255.255'), nobody.port), { code: 'ENETUNREACH' })
  })

  it('lets the families take turns, so that one that does not work holds up nothing for long', () => {
    const v6 = (...addresses: string[]): ResolvedAddress[] => addresses.map((address) => ({ address, family: 6 }))
    const order = (addresses: ResolvedAddress[]) => byTurns(addresses).map(({ address }) => address)
    assert.deepEqual(order([...v4('a', 'b', 'c'), ...v6('x')]), ['a', 'x', 'b', 'c'])
    assert.deepEqual(order([...v4('a'), ...v6('x', 'y', 'z')]), ['a', 'x', 'y', 'z'])
    assert.deepEqual(order(v6('x', 'y')), ['x', 'y'])
    assert.deepEqual(order([]), [])
  })

  it('calls nobody back once it is destroyed, and lets go of all', async () => {
    await using hole = await startBlackHole('127.0.0.2')
    const attempt = firstConnected({
      addresses: v4('127.0.0.2'),
      port: hole.port,
      callback: () => assert.fail('called back'),
    })
    attempt.destroy()
    hole.open()
  })
})
