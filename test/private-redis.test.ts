import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { newLog } from '../src/log.ts'
import { type PrivateRedis, startPrivateRedis } from '../src/private-redis.ts'
import { ping } from '../src/redis-server.ts'

const log = newLog('test', 'silent')

async function newFolder(...below: string[]) {
  const root = await mkdtemp(path.join(tmpdir(), 'private-redis-'))
  const folder = path.join(root, ...below)
  await mkdir(folder, { recursive: true })
  return { path: folder, [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }) }
}

async function started(folder: { path: string }) {
  const redis = await startPrivateRedis(folder.path, log)
  return Object.assign(redis, { [Symbol.asyncDispose]: () => redis.stop() })
}

/** One command, over a connection that waits for the server when it is about to come back. */
async function ask(redis: Pick<PrivateRedis, 'socket'>, command: string, ...args: string[]): Promise<unknown> {
  const client = new Redis({
    path: redis.socket,
    retryStrategy: () => 20,
    maxRetriesPerRequest: 250,
    maxLoadingRetryTime: 20,
  })
  client.on('error', () => {})
  try {
    return await client.call(command, ...args)
  } finally {
    client.disconnect()
  }
}

async function pidOf(redis: PrivateRedis): Promise<number> {
  return Number(/process_id:(\d+)/.exec(String(await ask(redis, 'INFO', 'server')))?.[1])
}

async function until(condition: () => Promise<boolean> | boolean, what: string): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, `did not happen within 10 s: ${what}`)
    await delay(10)
  }
}

/** A process of its own, without any environment, that starts the private Redis and then only lives. */
async function otherProcess(folder: { path: string }): Promise<{ child: ChildProcess; socket: string }> {
  const script = `
    import { newLog } from ${JSON.stringify(new URL('../src/log.ts', import.meta.url).href)}
    import { startPrivateRedis } from ${JSON.stringify(new URL('../src/private-redis.ts', import.meta.url).href)}
    const redis = await startPrivateRedis(${JSON.stringify(folder.path)}, newLog('test', 'silent'))
    console.log(redis.socket)`
  const child = spawn(process.execPath, ['--import=tsx', '--input-type=module', '-e', script], {
    cwd: path.join(import.meta.dirname, '..'),
    env: {},
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(() => assert.fail('the process ended')),
  ])
  return { child, socket: String(line).trim() }
}

describe('the private Redis', () => {
  it('keeps what it was given from one start to the next', async () => {
    await using folder = await newFolder()
    const first = await startPrivateRedis(folder.path, log)
    assert.equal(first.adopted, false)
    await ask(first, 'SET', 'job', 'kept')
    await first.stop()
    assert.equal(await ping({ path: first.socket }), '')

    await using second = await started(folder)
    assert.equal(await ask(second, 'GET', 'job'), 'kept')
  })

  it('answers only after a write is on the disk, and lets nobody else in', async () => {
    await using folder = await newFolder()
    await using redis = await started(folder)
    const expected = { appendonly: 'yes', appendfsync: 'always', 'maxmemory-policy': 'noeviction', port: '0' }
    for (const [name, value] of Object.entries(expected)) {
      assert.deepEqual(await ask(redis, 'CONFIG', 'GET', name), [name, value])
    }
    assert.equal((await stat(path.dirname(redis.socket))).mode & 0o077, 0)
    assert.equal((await stat(redis.socket)).mode & 0o077, 0)
  })

  it('starts without any environment, and ends with its process even by SIGKILL', async () => {
    await using folder = await newFolder()
    const { child, socket } = await otherProcess(folder)
    assert.equal(await ping({ path: socket }), '+PONG')
    await ask({ socket }, 'SET', 'job', 'kept')
    child.kill('SIGKILL')
    await until(async () => (await ping({ path: socket }).catch(() => '')) === '', 'the server is gone')

    await using redis = await started(folder)
    assert.equal(await ask(redis, 'GET', 'job'), 'kept')
  })

  it('is joined by a second start, which carries on when the first is killed', async () => {
    await using folder = await newFolder()
    const { child, socket } = await otherProcess(folder)
    await using second = await started(folder)
    assert.equal(second.adopted, true)
    assert.equal(second.socket, socket)
    await ask(second, 'SET', 'job', 'kept')

    child.kill('SIGKILL')
    await until(() => !second.adopted, 'the second runs a server itself')
    assert.equal(await ask(second, 'GET', 'job'), 'kept')
  })

  it('is left running by one that only joined it', async () => {
    await using folder = await newFolder()
    await using first = await started(folder)
    const second = await startPrivateRedis(folder.path, log)
    await second.stop()
    assert.equal(await ping({ path: first.socket }), '+PONG')
  })

  it('is one server for many starts at the same moment', async () => {
    await using folder = await newFolder()
    const all = await Promise.all(Array.from({ length: 8 }, () => startPrivateRedis(folder.path, log)))
    assert.equal(all.filter((redis) => !redis.adopted).length, 1)
    assert.equal(new Set(await Promise.all(all.map(pidOf))).size, 1)
    for (const redis of all.sort((a, b) => Number(b.adopted) - Number(a.adopted))) await redis.stop()
    assert.deepEqual(
      (await readdir(path.join(folder.path, 'redis'))).filter((name) => name.startsWith('starting-')),
      [],
    )
  })

  it('does not wait for a process that died while it was starting', async () => {
    await using folder = await newFolder()
    const dead = spawn('/bin/sh', ['-c', ''])
    await once(dead, 'exit')
    await mkdir(path.join(folder.path, 'redis', 'starting'), { recursive: true })
    await writeFile(path.join(folder.path, 'redis', 'starting', `${dead.pid}-00`), '')
    await using redis = await started(folder)
    assert.equal(redis.adopted, false)
  })

  it('comes back with every write it had answered, when it is killed', async () => {
    await using folder = await newFolder()
    await using redis = await started(folder)
    for (const pid of [await pidOf(redis), 0]) {
      await ask(redis, 'INCR', 'jobs')
      if (pid) process.kill(pid, 'SIGKILL')
    }
    assert.equal(await ask(redis, 'GET', 'jobs'), '2')
  })

  it('can be stopped while it is coming back', async () => {
    await using folder = await newFolder()
    const redis = await startPrivateRedis(folder.path, log)
    process.kill(await pidOf(redis), 'SIGKILL')
    await until(async () => (await ping({ path: redis.socket }).catch(() => '')) === '', 'the server is gone')
    await redis.stop()
    assert.equal(await ping({ path: redis.socket }), '')
  })

  it('finds a short place for its socket when the folder has a long name', async () => {
    await using folder = await newFolder('a-folder-with-a-long-name'.repeat(5))
    await using redis = await started(folder)
    assert.ok(Buffer.byteLength(redis.socket) < 104)
    assert.equal(await ping({ path: redis.socket }), '+PONG')
    await rm(path.dirname(redis.socket), { recursive: true })
  })

  it('says what the server said when it does not start', async () => {
    await using folder = await newFolder()
    const redis = await startPrivateRedis(folder.path, log)
    await ask(redis, 'SET', 'job', 'kept')
    await redis.stop()
    const files = path.join(folder.path, 'redis', 'appendonlydir')
    for (const name of await readdir(files)) {
      if (name.endsWith('.incr.aof')) await writeFile(path.join(files, name), 'this is no append-only file')
    }
    await assert.rejects(
      startPrivateRedis(folder.path, log),
      /^Error: The private Redis did not start: .*Bad file format/s,
    )
  })

  it('says what to install when there is no server', async () => {
    await using folder = await newFolder()
    const { PATH } = process.env
    process.env.PATH = folder.path
    try {
      await assert.rejects(startPrivateRedis(folder.path, log), /apt-get install redis-server.*DOWNLOADER_REDIS__URL/)
    } finally {
      process.env.PATH = PATH
    }
  })
})
