import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, symlink, utimes, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { CreateBucketCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { newJobId } from '../../src/jobs/job.ts'
import { startAws } from '../support/aws.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { type Service, startRole, startService } from '../support/service.ts'

const env = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' }

async function files({ configFile }: Service, ...args: string[]) {
  const role = startRole(['files', '-c', configFile, ...args], { env })
  return { code: await role.ended, out: role.stdout(), err: role.stderr() }
}

describe('downloader files', () => {
  let origin: Origin
  let service: Service
  const kept: string[] = []

  before(async () => {
    origin = await startOrigin()
    service = await startService({ roles: ['start'], config: { processor: { max_retries: 0 } } })
    const url = origin.on('/file', 'hello')
    const jobs = Array.from({ length: 30 }, (_, i) => service.download({ url, ...(i % 3 === 0 && { subpath: 'a/b' }) }))
    for (const [i, { job_id }] of (await Promise.all(jobs)).entries())
      kept.push(pathOf(job_id, i % 3 === 0 ? 'a/b' : ''))
    for (const file of kept) await age(file)
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await origin[Symbol.asyncDispose]()
  })

  const pathOf = (id: string, folder = '') => path.join(service.root, folder, id.slice(0, 3), id)
  /** Two hours old. */
  const age = (file: string) => utimes(file, Date.now() / 1000 - 7200, Date.now() / 1000 - 7200)
  async function write(file: string, content = 'stray'): Promise<string> {
    await mkdir(path.dirname(file), { recursive: true })
    await writeFile(file, content)
    await age(file)
    return file
  }

  it('finds nothing where every file has its job', async () => {
    const { code, out, err } = await files(service)
    assert.deepEqual([code, out, err], [0, '', '0 files without a job (0 B), of 30 older than 1h\n'])
  })

  it('names and deletes files without a job, and no others', async () => {
    const strays = [await write(pathOf(newJobId())), await write(pathOf(newJobId(), 'deep/er'), 'x'.repeat(1500))]
    const young = pathOf(newJobId())
    await write(young)
    await writeFile(young, 'just now')
    const id = newJobId()
    const others = await Promise.all([
      write(path.join(service.root, 'README')),
      write(path.join(service.root, 'abc', id.startsWith('abc') ? `xyz${id.slice(3)}` : id)),
      write(`${pathOf(id)}.0123456789ab.tmp`),
      write(path.join(service.root, '.tmp', id.slice(0, 3), id)),
      write(path.join(service.tempDir, `${id}.x.tmp`)),
      write(path.join(service.dir, 'elsewhere', id.slice(0, 3), id)),
    ])
    await symlink(path.join(service.dir, 'elsewhere'), path.join(service.root, 'link'))

    const listed = await files(service, '--json')
    assert.equal(listed.code, 1)
    const found = listed.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    assert.deepEqual(
      found.map(({ path: relative, size }) => [path.join(service.root, relative), size]).sort(),
      [
        [strays[0], 5],
        [strays[1], 1500],
      ].sort(),
    )
    const people = await files(service)
    assert.match(people.out, /^20\S+Z +1\.5 kB {2}deep\/er\/\S+$/m)
    assert.equal(people.err, '2 files without a job (1.5 kB), of 32 older than 1h\n')
    assert.ok(strays.every(existsSync), 'they are only listed')

    const deleted = await files(service, '--delete')
    assert.deepEqual([deleted.code, deleted.err], [0, '2 files without a job deleted (1.5 kB), of 32 older than 1h\n'])
    assert.ok(!strays.some(existsSync))
    for (const file of [...kept, ...others, young]) assert.ok(existsSync(file), file)
    assert.match((await files(service, '--older-than', '0s')).out, new RegExp(path.relative(service.root, young)))
  })

  it('refuses to delete more than one in ten, unless forced', async () => {
    const strays = await Promise.all(Array.from({ length: 5 }, () => write(pathOf(newJobId()))))
    const refused = await files(service, '--delete')
    assert.equal(refused.code, 1)
    assert.match(refused.err, /^downloader: 5 of 35 files have no job: .+ Nothing was deleted/)
    assert.ok(strays.every(existsSync))
    assert.equal((await files(service, '--delete', '--force')).code, 0)
    assert.ok(!strays.some(existsSync))
  })

  it('refuses where Redis knows of no job, and where it does not answer', async () => {
    await using empty = await startService({
      roles: [],
      config: { processor: { filestorage: { type: 'filesystem', rootdir: service.root } } },
    })
    for (const args of [[], ['--delete']]) {
      const { code, err } = await files(empty, ...args)
      assert.equal(code, 1)
      assert.match(err, /^downloader: Redis knows of no job at all/)
    }
    await empty.redis.kill()
    const { code, err } = await files(empty, '--delete', '--force')
    assert.equal(code, 1)
    assert.match(err, /^downloader: Redis has been away for 5 s$/m)
    assert.ok(kept.every(existsSync))
  }).timeout(30_000)

  it('says what is wrong with its arguments', async () => {
    for (const args of [['x'], ['--force'], ['--older-than', 'yesterday']]) {
      assert.equal((await files(service, ...args)).code, 2, args.join(' '))
    }
  })

  it('does the same with a bucket, page by page', async () => {
    await using aws = await startAws()
    const client = new S3Client({ endpoint: aws.endpoint, region: aws.region, forcePathStyle: true })
    await client.send(new CreateBucketCommand({ Bucket: 'files' }))
    const put = (Key: string) => client.send(new PutObjectCommand({ Bucket: 'files', Key, Body: 'x' }))
    const bucket = { bucket: 'files', region: aws.region, endpoint: aws.endpoint, force_path_style: true }
    await using one = await startService({
      roles: ['start'],
      env,
      config: { processor: { filestorage: { type: 's3', ...bucket } } },
    })
    const { job_id } = await one.download({ url: origin.on('/file', 'hello'), subpath: '9' })
    const theirs = ['README', 'abc/other']
    // digits: of other characters the look-alike has two orders, and repeats some on the next page
    const ids = Array.from({ length: 1100 }, (_, i) => String(i).padStart(14, '0'))
    for (let i = 0; i < ids.length; i += 100) {
      await Promise.all(ids.slice(i, i + 100).map((id) => put(`${id.slice(0, 3)}/${id}`)))
    }
    for (const key of theirs) await put(key)
    assert.equal(
      (await files(one, '--older-than', '0s')).err,
      '1100 files without a job (1.1 kB), of 1101 older than 0s\n',
    )
    assert.equal((await files(one, '--older-than', '0s', '--delete')).code, 1)
    assert.equal((await files(one, '--older-than', '0s', '--delete', '--force')).code, 0)
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: 'files' }))
    assert.deepEqual(Contents.map(({ Key }) => Key).sort(), [...theirs, `9/${job_id.slice(0, 3)}/${job_id}`].sort())
    client.destroy()
  }).timeout(30_000)
})
