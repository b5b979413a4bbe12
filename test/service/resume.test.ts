import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import path from 'node:path'
import { eventually } from '../support/eventually.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { startS3Server } from '../support/s3-server.ts'
import { type Role, type Service, startService } from '../support/service.ts'
import { type Fault, serve } from '../support/versions.ts'

const SIZE = 20e6
const CUT = 12e6

describe('a download that was interrupted', () => {
  const body = randomBytes(SIZE)
  const sha256 = createHash('sha256').update(body).digest('hex')
  let origin: Origin
  before(async () => {
    origin = await startOrigin()
  })
  after(() => origin[Symbol.asyncDispose]())

  /** @param faults of the first answers; 503 for a number */
  function file(...faults: (Fault | number)[]) {
    const requests: IncomingMessage[] = []
    const url = origin.on(`/${randomBytes(4).toString('hex')}`, (request, response) => {
      const fault = faults[requests.push(request) - 1] ?? {}
      if (typeof fault === 'number') response.writeHead(fault).end()
      else void serve(request, response, { body, headers: { etag: '"one"' } }, fault)
    })
    return { url, from: (i: number) => Number(/^bytes=(\d+)-$/.exec(requests[i]?.headers.range ?? '')?.[1]), requests }
  }

  /** Waits until a note says that so many bytes are there; the processor that fetches them. */
  async function underWay(service: Service, id: string, bytes: number): Promise<Role> {
    const note = await eventually(async () => {
      const text = await readFile(path.join(service.tempDir, `${id}.resume.tmp`), 'utf8')
      assert.ok(Number(/\n(\d+) \d+\n$/.exec(text)?.[1]) >= bytes, text)
      return text
    })
    const pid = Number(/\.[0-9a-f]{8}-(\d+)-/.exec(note)?.[1])
    const role = service.roles.find(({ child }) => child.pid === pid)
    if (!role) throw new Error(`no processor of ours has the process id ${pid}`)
    return role
  }

  async function isWhole(service: Service, id: string): Promise<void> {
    const { success, error, sha256: digest, size } = await service.receiver.callbackOf(id)
    assert.deepEqual({ success, error, digest, size }, { success: true, error: '', digest: sha256, size: SIZE })
    const stored = await readFile(path.join(service.root, id.slice(0, 3), id))
    assert.equal(createHash('sha256').update(stored).digest('hex'), sha256)
    await eventually(async () => assert.deepEqual(await readdir(service.tempDir), []))
  }

  const quick = { processor: { lease_ms: 1000 } }

  it('goes on in the next processor when its own was killed; what no job wants any more is removed', async () => {
    await using service = await startService({ config: quick })
    const { url, from, requests } = file({ stallAfter: CUT })
    const id = await service.enqueue({ url })
    const killed = await underWay(service, id, 10e6)
    await killed.end('SIGKILL')
    const hourAgo = new Date(Date.now() - 3_600_000)
    for (const name of await readdir(service.tempDir)) {
      const unknown = path.join(service.tempDir, name.replace(id, 'nobodyKnowsMe_'))
      const text = await readFile(path.join(service.tempDir, name), 'latin1')
      await writeFile(unknown, text.replace(id, 'nobodyKnowsMe_'), 'latin1')
      for (const file of [unknown, path.join(service.tempDir, name)]) await utimes(file, hourAgo, hourAgo)
    }
    await service.add('processor')
    await isWhole(service, id)
    assert.equal(requests.length, 2)
    assert.ok(from(1) >= 10e6, `${from(1)}`)
  })

  it('goes on in another processor when its own stops', async () => {
    await using service = await startService({ config: { processor: { shutdown_grace_ms: 0 } } })
    const { url, from } = file({ stallAfter: CUT })
    const id = await service.enqueue({ url })
    const stopped = await underWay(service, id, 10e6)
    await service.add('processor')
    assert.equal(await stopped.end('SIGTERM'), 0)
    await isWhole(service, id)
    assert.ok(from(1) > 11e6, `${from(1)}`)
  })

  it('goes on in another processor when its own is frozen, which wakes up too late', async () => {
    await using service = await startService({ config: quick })
    const { url, from } = file({ stallAfter: CUT }, { stallAfter: 4e6 })
    const id = await service.enqueue({ url })
    const frozen = await underWay(service, id, 10e6)
    await service.add('processor')
    frozen.child.kill('SIGSTOP')
    const second = await underWay(service, id, 14e6)
    assert.notEqual(second, frozen)
    frozen.child.kill('SIGCONT')
    await frozen.logged(({ msg }) => msg === 'lost a lease')
    second.child.kill('SIGSTOP') // and back again
    await eventually(() => assert.ok(from(2) >= 14e6, `${from(2)}`))
    second.child.kill('SIGCONT')
    await isWhole(service, id)
    assert.ok(from(1) >= 10e6, `${from(1)}`)
  })

  it('goes on with its next attempt; when it fails for good, nothing is left', async () => {
    await using service = await startService({ roles: ['start'], config: { processor: { max_retries: 1 } } })
    const lucky = file({ cutAfter: CUT }, 503)
    await isWhole(service, await service.enqueue({ url: lucky.url }))
    assert.equal(lucky.from(2), CUT)
    const luckless = file({ cutAfter: CUT }, 503, 503)
    assert.equal((await service.download({ url: luckless.url })).error_code, 'http.503')
    assert.deepEqual(await readdir(service.tempDir), [])
  })

  it('goes on also where files are stored in S3, which verifies the checksum of the whole', async () => {
    await using s3 = await startS3Server()
    const { endpoint } = s3
    const filestorage = { type: 's3', bucket: 'files', region: 'eu-west-1', endpoint, force_path_style: true }
    await using service = await startService({
      roles: ['start'],
      env: { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' },
      config: { processor: { filestorage } },
    })
    const { url, from } = file({ cutAfter: CUT }, 503)
    const { job_id: id, sha256: digest } = await service.download({ url })
    assert.deepEqual([digest, from(2)], [sha256, CUT])
    assert.ok(s3.objects.get(`/files/${id.slice(0, 3)}/${id}`)?.equals(body))
    assert.deepEqual(await readdir(service.tempDir), [])
  })
})
