import assert from 'node:assert/strict'
import { existsSync, mkdirSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import type { Page } from 'playwright-core'
import { startBrowser, type TestBrowser } from '../support/browser.ts'
import { eventually } from '../support/eventually.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { PNG } from '../support/samples.ts'
import { type Service, startService } from '../support/service.ts'

/** Where the pictures for docs/dashboard.md go, when they are to be made anew. */
const PICTURES = process.env.DASHBOARD_PICTURES

const HOSTILE = [
  '<img src=x onerror="window.hurt=1">',
  '"><script>window.hurt=1</script>',
  'javascript:window.hurt=1',
  '../../etc/passwd?a=b&c#d',
  '%2e%2e%2f%00',
  '\u202egpj.exe',
  '\u200f\u2067marks\u061c',
  `it's "quoted" &amp; 'so'`,
  '{{7*7}} $(7*7)',
  '__proto__',
]

describe('the dashboard in a browser', function () {
  this.timeout(60_000)
  let browser: TestBrowser
  let service: Service
  let origin: Origin
  const finish: (() => void)[] = []

  before(async () => {
    origin = await startOrigin()
    browser = await startBrowser()
    service = await startService({ config: { processor: { max_retries: 0 }, notifier: { max_retries: 0 } } })
    origin.on('/fine.png', PNG)
    origin.on('/slow.png', (_request, response) => {
      finish.push(() => response.end(PNG))
    })
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await browser[Symbol.asyncDispose]()
    await origin[Symbol.asyncDispose]()
  })
  afterEach(() => assert.deepEqual(browser.complaints.splice(0), [], 'the browser complained of nothing'))

  const open = (address: string, options = {}) => browser.open(`${service.url}/${address}`, options)
  const shows = (page: Page, text: string | RegExp) => page.getByText(text).first().waitFor({ timeout: 10_000 })
  const confirm = (page: Page, verb: string) => page.locator('dialog').getByRole('button', { name: verb }).click()

  /** Nothing of what others sent became a part of the page, or was run by it. */
  async function unhurt(page: Page) {
    assert.equal(await page.evaluate('window.hurt'), undefined)
    assert.equal(await page.locator('main img, main script').count(), 0)
  }

  /** Resolves when the aggregations were asked for once more, as they are every other second. */
  const askedAgain = (page: Page) =>
    Promise.all([
      page.waitForResponse((response) => response.url().includes('/aggregations?')),
      page.evaluate(`document.dispatchEvent(new Event('visibilitychange'))`),
    ])

  async function picture(page: Page, name: string) {
    if (!PICTURES) return
    mkdirSync(PICTURES, { recursive: true })
    await page.screenshot({ path: path.join(PICTURES, `${name}.png`), fullPage: name !== 'phone' })
  }

  it('shows what is alive and what happens, without being loaded again', async () => {
    const page = await open('')
    for (const role of ['api', 'processor', 'notifier']) {
      await page.getByRole('cell', { name: role, exact: true }).waitFor()
    }
    await page.locator('.chart canvas').first().waitFor()
    const id = await service.enqueue({ url: `${origin.url}/slow.png`, aggr_id: 'live' })
    await eventually(() => assert.equal(finish.length, 1))
    await page.getByRole('link', { name: '1 running' }).first().waitFor()
    finish.splice(0)[0]?.()
    await service.receiver.callbackOf(id)
    await eventually(async () => {
      const chart = await page.locator('figure.chart').first().getAttribute('aria-label')
      assert.match(chart ?? '', /downloaded: 1,/)
    })
  })

  it('says of each process where it runs, its version, load, and since when; and what the last day was like', async () => {
    await service.download({ url: `${origin.url}/fine.png` })
    const page = await open('')
    const row = page.getByRole('row').filter({ has: page.getByRole('cell', { name: 'processor', exact: true }) })
    await row.waitFor()
    const [role, host, pid, version, alive, running, cpu, memory] = await row.getByRole('cell').allTextContents()
    assert.deepEqual([role, host, pid], ['processor', os.hostname(), String(service.role('processor').child.pid)])
    const { version: ours } = (await (await service.get('/overview')).json()) as { version: string }
    assert.equal(version, ours)
    assert.match(alive ?? '', /^\d+(\.\d)? (s|min)/)
    assert.match(running ?? '', /^\d+ of 256$/)
    assert.match(cpu ?? '', /^\d+ %$/)
    assert.match(memory ?? '', /^\d+\.\d MB$/)
    await page.getByRole('link', { name: 'last day' }).click()
    const chart = page.getByRole('img', { name: /^Downloads, every 10 minutes; downloaded: [1-9]/ })
    await chart.locator('canvas').waitFor()
  })

  it('finds, pauses, limits and resumes an aggregation', async () => {
    await Promise.all(
      Array.from({ length: 60 }, (_, i) => {
        return service.send('PATCH', `/aggregations/host-${i}.example`, { limit: 1 + (i % 9) })
      }),
    )
    const page = await open('#/aggregations?sort=aggr_id')
    await page.getByText('host-0.example').waitFor()
    await page.keyboard.press('/')
    await page.keyboard.type('host-42')
    await shows(page, /^1 found$/)
    assert.equal(await page.locator('tbody tr').count(), 1)

    await page.getByRole('button', { name: 'Pause host-42.example' }).click()
    await page.locator('dialog[open]').waitFor() // a key that comes before the question is for the page
    await page.keyboard.press('Escape')
    await page.locator('dialog').waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Pause host-42.example' }).click()
    await confirm(page, 'Pause')
    await page.locator('.badge', { hasText: 'paused' }).waitFor()
    const of = async () =>
      (await (await service.get('/aggregations/host-42.example')).json()) as Record<string, unknown>
    assert.equal((await of()).paused, true)

    await page.getByRole('button', { name: 'Limit of host-42.example' }).click()
    await page.getByLabel('Downloads at once').fill('17')
    await confirm(page, 'Change')
    await page.getByRole('cell', { name: '17*' }).waitFor()
    assert.equal((await of()).limit, 17)

    await page.getByRole('button', { name: 'Resume host-42.example' }).click()
    await confirm(page, 'Resume')
    await page.getByRole('button', { name: 'Pause host-42.example' }).waitFor()
    assert.equal((await of()).paused, false)
  })

  it('sets of an aggregation what was changed in the form, and nothing else', async () => {
    await service.send('PATCH', '/aggregations/terms-jobs', { paused: true })
    await service.enqueue({ url: `${origin.url}/fine.png`, aggr_id: 'terms-jobs', aggr_limit: 3, aggr_rate: 2.5 })
    await service.send('PATCH', '/aggregations/terms-operator', { rate: 40, burst: 9 })
    const set = async (name: string) =>
      ((await (await service.get(`/aggregations/${name}`)).json()) as { set: unknown }).set
    const page = await open('#/aggregations?search=terms-')
    const change = async (name: string, field: string, value: string) => {
      await page.getByRole('button', { name: `Limit of ${name}` }).click()
      await page.getByLabel(field).fill(value)
      for (let i = 0; i < 2; i++) await askedAgain(page) // the page goes on beneath the form
      await confirm(page, 'Change')
      await page.locator('dialog').waitFor({ state: 'detached' })
    }

    await page.getByRole('button', { name: 'Limit of terms-jobs' }).click()
    assert.equal(await page.getByLabel('per second').inputValue(), '')
    assert.equal(await page.getByLabel('per second').getAttribute('placeholder'), '2.5')
    await confirm(page, 'Change')
    await page.locator('dialog').waitFor({ state: 'detached' })
    assert.deepEqual(await set('terms-jobs'), { paused: true })
    await change('terms-jobs', 'Downloads at once', '7')
    assert.deepEqual(await set('terms-jobs'), { limit: 7, paused: true })

    await change('terms-operator', 'Downloads at once', '4')
    assert.deepEqual(await set('terms-operator'), { limit: 4, rate: 40, burst: 9 })
    await change('terms-operator', 'per second', '50')
    assert.deepEqual(await set('terms-operator'), { limit: 4, rate: 50, burst: 9 })
    await change('terms-operator', 'begun at once', '')
    assert.deepEqual(await set('terms-operator'), { limit: 4, rate: 50, burst: 5 })
    await change('terms-operator', 'per second', '100')
    assert.deepEqual(await set('terms-operator'), { limit: 4, rate: 100, burst: 10 })
    await change('terms-operator', 'per second', '')
    assert.deepEqual(await set('terms-operator'), { limit: 4 })
  })

  it('sorts aggregations by the head that is pressed', async () => {
    const named = (name: string, job: Record<string, unknown>) => service.enqueue({ aggr_id: `sorted-${name}`, ...job })
    const fine = { url: `${origin.url}/fine.png` }
    for (const name of ['a', 'b']) await service.send('PATCH', `/aggregations/sorted-${name}`, { paused: true })
    await service.send('PATCH', '/aggregations/sorted-c', { limit: 2 })
    await named('a', fine)
    await Promise.all([1, 2, 3].map(() => named('b', fine)))
    await named('c', { url: `${origin.url}/gone.png`, callback_type: 'none', callback_dst: '' })
    await named('c', { url: `${origin.url}/slow.png` })
    const page = await open('#/aggregations?search=sorted-')
    const order = async () =>
      (await page.locator('tbody .name').allTextContents()).map((name) => name.slice(-1)).join('')
    const heads = page.getByRole('columnheader')
    for (const [head, wanted, direction] of [
      ['Failed', 'cab', 'descending'],
      ['Oldest wait', 'abc', 'descending'],
      ['Pending', 'bac', 'descending'],
      ['Aggregation', 'abc', 'ascending'],
      ['Running', 'cab', 'descending'],
    ]) {
      await heads.getByRole('button', { name: head ?? '' }).click()
      await eventually(async () => assert.equal(await order(), wanted, head))
      assert.equal(await heads.filter({ hasText: head ?? '' }).getAttribute('aria-sort'), direction)
    }
    finish.splice(0)[0]?.()
  })

  it('sorts and pauses by keyboard alone', async () => {
    await service.send('PATCH', '/aggregations/keys-a', { limit: 2 })
    const page = await open('#/aggregations')
    /** Goes on to what has this label or text. */
    async function tabTo(label: string) {
      const focus = `document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent`
      for (let i = 0; i < 60; i++) {
        await page.keyboard.press('Tab')
        if (String(await page.evaluate(focus)).startsWith(label)) return
      }
      assert.fail(`Tab does not lead to ${label}`)
    }
    await page.locator('#search').waitFor() // a key that comes before the page is for nobody
    await page.keyboard.press('/')
    await page.keyboard.type('keys-')
    await shows(page, /^1 found$/)
    await tabTo('Oldest wait')
    await page.keyboard.press('Enter')
    await page.waitForURL(/sort=waiting/)
    await tabTo('Pause keys-a')
    await page.keyboard.press('Enter')
    await page.locator('dialog[open]').waitFor()
    await tabTo('Pause')
    await page.keyboard.press('Enter')
    await page.locator('.badge', { hasText: 'paused' }).waitFor()
    await page.locator('dialog').waitFor({ state: 'detached' })
  })

  it('says why a job waits, follows it live, and cancels it', async () => {
    await service.send('PATCH', '/aggregations/waiting', { paused: true })
    const id = await service.enqueue({ url: `${origin.url}/fine.png`, aggr_id: 'waiting' })
    const page = await open('')
    await page.getByPlaceholder('id of a job').fill(id)
    await page.keyboard.press('Enter')
    await shows(page, /paused/)
    await page.locator('.live[data-live=true]').waitFor()
    await picture(page, 'job')
    await service.send('PATCH', '/aggregations/waiting', { paused: null })
    await page.locator('#job-state', { hasText: 'delivered' }).waitFor()

    await service.send('PATCH', '/aggregations/waiting', { paused: true })
    const other = await service.enqueue({ url: `${origin.url}/fine.png`, aggr_id: 'waiting' })
    await page.goto(`${service.url}/#/jobs/${other}`)
    await page.getByRole('button', { name: 'Cancel' }).click()
    await confirm(page, 'Cancel the job')
    await page.locator('#job-state', { hasText: 'cancelled' }).waitFor()
  })

  it('deletes the file of a delivered job early, once that is confirmed', async () => {
    const id = await service.enqueue({ url: `${origin.url}/fine.png`, aggr_id: 'early' })
    const file = path.join(service.root, id.slice(0, 3), id)
    const page = await open(`#/jobs/${id}`)
    await page.locator('#job-state', { hasText: 'delivered' }).waitFor()
    assert.equal(await page.getByRole('button', { name: 'Cancel' }).count(), 0)
    await page.getByRole('button', { name: 'Delete' }).click()
    await confirm(page, 'Leave it')
    assert.equal(existsSync(file), true)
    await page.getByRole('button', { name: 'Delete' }).click()
    await confirm(page, 'Delete job and file')
    await page.getByRole('heading', { name: 'Jobs', exact: true }).waitFor()
    await eventually(async () => {
      assert.equal(existsSync(file), false)
      assert.equal((await service.get(`/jobs/${id}`)).status, 404)
    })
  })

  it('retries failed callbacks, one by its page and all of a receiver at once', async () => {
    service.receiver.answer = () => 500
    const jobs = Array.from({ length: 4 }, () => service.enqueue({ url: `${origin.url}/gone.png`, aggr_id: 'failing' }))
    const [first = ''] = await Promise.all(jobs)
    const page = await open('#/failures')
    await page.getByRole('link', { name: 'http.404' }).waitFor({ timeout: 15_000 })
    const row = page.getByRole('row', { name: new RegExp(new URL(service.receiver.url).host) }).last()
    await row.getByRole('link', { name: '4' }).waitFor({ timeout: 15_000 })
    await picture(page, 'failures')

    service.receiver.answer = () => 200
    const single = await open(`#/jobs/${first}`)
    await single.getByRole('button', { name: 'Retry' }).click()
    await confirm(single, 'Retry')
    await single.locator('#job-state', { hasText: 'delivered' }).waitFor()

    await row.getByRole('button', { name: /Retry all/ }).click()
    await confirm(page, 'Retry')
    await page.locator('dialog').waitFor({ state: 'detached' })
    await eventually(async () => {
      const { receivers } = (await (await service.get('/failures')).json()) as { receivers: unknown[] }
      assert.deepEqual(receivers, [])
    })
  })

  it('links every count of jobs to a list that holds as many', async () => {
    const counted = (job: Record<string, unknown>) => service.enqueue({ aggr_id: 'counted', ...job })
    const polled = { callback_type: 'none', callback_dst: '' }
    const [gone, fine, slow] = ['gone', 'fine', 'slow'].map((name) => ({ url: `${origin.url}/${name}.png` }))
    await service.send('PATCH', '/aggregations/counted-later', { paused: true })
    const later = await Promise.all([1, 2, 3].map(() => counted({ ...fine, aggr_id: 'counted-later' })))
    await service.send('DELETE', `/jobs/${later[0]}`)
    await counted({ ...slow, ...polled })
    await Promise.all([1, 2, 3].map(() => counted({ ...gone, ...polled })))
    await counted({ ...fine, ...polled })
    await service.receiver.callbackOf(await counted({ ...gone })) // delivered: it failed, and rests nowhere
    service.receiver.answer = () => 500
    await Promise.all([1, 2].map(() => counted({ ...gone })))
    await eventually(async () => {
      const now = (await (await service.get('/aggregations/counted')).json()) as Record<string, unknown>
      const { running, pending, failed, callback_failed } = now
      assert.deepEqual(
        { running, pending, failed, callback_failed },
        { running: 1, pending: 0, failed: 3, callback_failed: 2 },
      )
    })
    service.receiver.answer = () => 200

    const page = await open('')
    const counts = async (address: string, ready: string) => {
      await page.goto(`${service.url}/${address}`)
      await page.getByText(ready).first().waitFor()
      const links = await page.locator('main a[href^="#/jobs?"]').all()
      const found = links.map(async (link) => {
        const [number = ''] = /[\d,]+/.exec((await link.textContent()) ?? '') ?? []
        return [await link.getAttribute('href'), Number(number.replaceAll(',', ''))] as const
      })
      return Promise.all(found)
    }
    const rows = page.locator('tbody tr:not(:has(td[colspan]))')
    for (const [address, ready, least] of [
      ['', 'at rest', 8],
      ['#/aggregations?search=counted', '2 found', 8],
      ['#/failures', 'callback failed', 3],
    ] as const) {
      const all = await counts(address, ready)
      assert.ok(all.length >= least, `${address || 'overview'}: ${all.join(' ')}`)
      for (const [href, count] of all) {
        const list = `${service.url}/${href?.slice(2)}&count=50`
        await Promise.all([page.waitForResponse(list), page.goto(`${service.url}/${href}`)])
        await eventually(async () => assert.equal(await rows.count(), count, `${address}: ${href}`))
      }
    }
    await page.goto(`${service.url}/#/failures`)
    const attempts = page.getByRole('region', { name: 'Failed attempts by code' })
    await attempts.getByRole('row', { name: 'http.404' }).waitFor()
    assert.equal(await attempts.locator('a[href^="#/jobs"]').count(), 0, 'attempts are no jobs')
    finish.splice(0)[0]?.()
  })

  it('shows names of others as text, and finds them by their links', async () => {
    for (const name of HOSTILE) {
      await service.send('PATCH', `/aggregations/${encodeURIComponent(name)}`, { paused: true })
      await service.enqueue({ url: `${origin.url}/fine.png?${encodeURIComponent(name)}`, aggr_id: name })
    }
    const page = await open('#/aggregations')
    for (const name of HOSTILE) {
      const row = page.getByRole('row').filter({ has: page.locator('bdi', { hasText: name }) })
      const jobs = row.getByRole('link', { name: '1', exact: true })
      await jobs.click()
      await page.getByRole('heading', { name: 'Jobs' }).waitFor()
      await page.locator('tbody a').first().waitFor()
      assert.equal(await page.locator('tbody bdi').first().textContent(), name)
      await page.goBack()
    }
    await page
      .getByRole('button', { name: `Pause ${HOSTILE[0]}` })
      .or(page.getByRole('button', { name: `Resume ${HOSTILE[0]}` }))
      .click()
    await confirm(page, 'Resume')
    await unhurt(page)
  })

  it('shows a job with names of others as text', async () => {
    const job = { url: `${origin.url}/gone.png`, callback_type: 'none', callback_dst: '' }
    const page = await open('#/jobs')
    for (const name of HOSTILE) {
      await service.send('PATCH', `/aggregations/${encodeURIComponent(name)}`, { paused: null })
      const id = await service.enqueue({ ...job, aggr_id: name })
      await page.goto(`${service.url}/#/jobs/${id}`)
      await page.locator('#job-state', { hasText: 'failed' }).waitFor()
      assert.equal(await page.locator('dd bdi').first().textContent(), name)
      await page.locator('dd a', { has: page.locator('bdi') }).click()
      await page.getByRole('heading', { name: 'Aggregations' }).waitFor()
      assert.equal(await page.locator('#search').inputValue(), name)
    }
    await unhurt(page)
  })

  it('shows hosts and receivers that fail as text, and narrows failures down to them', async () => {
    const now = Math.floor(Date.now() / 600_000) * 600_000
    const rest = '{downloader}:rest:callback-failed'
    for (const name of HOSTILE) {
      await service.redis.cli('HSET', `{downloader}:series:failures:${now}`, `d tls.untrusted ${name}`, '3')
      await service.redis.cli('ZADD', `${rest}:to:${name}`, String(now), 'AAAAAAAAAAAAAA')
      await service.redis.cli('SADD', '{downloader}:tags:callback-failed', `to:${name}`)
    }
    const page = await open('#/failures?code=tls.untrusted')
    const table = (name: string) => page.getByRole('region', { name, exact: true })
    const names = (name: string) => table(name).locator('tbody bdi').allTextContents()
    await eventually(async () => {
      assert.deepEqual((await names('Failed attempts by host')).sort(), [...HOSTILE].sort())
      const receivers = await names('Failed callbacks by receiver')
      assert.deepEqual(
        HOSTILE.filter((name) => !receivers.includes(name)),
        [],
      )
    })
    for (const name of HOSTILE) {
      await table('Failed attempts by host')
        .getByRole('link')
        .filter({ has: page.locator('bdi', { hasText: name }) })
        .click()
      await eventually(async () => assert.deepEqual(await names('Failed attempts by host'), [name]))
      assert.deepEqual(await page.locator('.filter bdi').allTextContents(), [name, 'tls.untrusted'])
      await page.getByRole('link', { name: 'Every host' }).click()
      await page.locator('.filter', { hasText: name }).waitFor({ state: 'detached' })
    }
    await page.getByRole('button', { name: `Retry all, state: callback_failed, receiver: ${HOSTILE[0]}` }).click()
    await shows(page, `What has state: callback_failed, receiver: ${HOSTILE[0]} is queued again.`)
    await confirm(page, 'Leave it')
    await unhurt(page)
    for (const name of HOSTILE) await service.redis.cli('DEL', `${rest}:to:${name}`)
  })

  it('stays usable with ten thousand aggregations', async () => {
    const keys = '{downloader}:downloads:overrides'
    const args = Array.from({ length: 10_000 }, (_, i) => [`many-${String(i).padStart(5, '0')}.example`, '{"limit":3}'])
    for (let i = 0; i < args.length; i += 500) await service.redis.cli('HSET', keys, ...args.slice(i, i + 500).flat())
    const began = performance.now()
    const page = await open('#/aggregations?sort=pending')
    await shows(page, /to 50 of 10,\d\d\d/)
    assert.ok((await page.locator('tbody tr').count()) <= 50)
    await page.locator('#search').fill('MANY-09999')
    await shows(page, /^1 found$/)
    await page.getByText('many-09999.example').waitFor()
    assert.ok(performance.now() - began < 15_000)
  })

  it('fits on a phone, in the dark, and goes by keyboard', async () => {
    const options = { viewport: { width: 390, height: 844 }, colorScheme: 'dark', hasTouch: true } as const
    const page = await open('', options)
    await page.locator('.chart canvas').first().waitFor()
    for (const name of ['Aggregations', 'Jobs', 'Failures', 'Events', 'Overview']) {
      const link = page.getByRole('navigation', { name: 'Pages' }).first().getByRole('link', { name })
      await link.focus()
      await page.keyboard.press('Enter')
      await page.getByRole('heading', { level: 1, name }).waitFor()
      const wider = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
      assert.ok(Number(wider) <= 0, `${name} is ${wider} px too wide`)
    }
    const long = 'x'.repeat(500) // of what was delivered, neither name nor URL is kept
    await service.send('PATCH', `/aggregations/${long}`, { paused: true })
    const id = await service.enqueue({ url: `${origin.url}/${long}.png`, aggr_id: long })
    await page.goto(`${service.url}/#/jobs/${id}`)
    await page.locator('dd bdi', { hasText: long }).waitFor()
    const wider = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
    assert.ok(Number(wider) <= 0, `the page of a job is ${wider} px too wide`)
    await page.goto(`${service.url}/`)
    await page.locator('.chart canvas').first().waitFor()
    assert.match(
      String(await page.evaluate('getComputedStyle(document.documentElement).backgroundColor')),
      /20, 23, 28/,
    )
    await picture(page, 'phone')
  })

  it('tells events as they happen', async () => {
    const page = await open('#/events')
    await page.locator('.live[data-live=true]').waitFor()
    await page.getByLabel('Aggregation').fill('told')
    const id = await service.enqueue({ url: `${origin.url}/fine.png`, aggr_id: 'told' })
    await page.getByRole('row').filter({ hasText: id }).filter({ hasText: 'delivered' }).waitFor()
    await page.keyboard.press('Enter') // what is typed stands while others happen
    await page.waitForURL(/#\/events\?aggr_id=told$/)
  })

  it('tells events of names of others as text', async () => {
    const page = await open('#/events')
    await page.locator('.live[data-live=true]').waitFor()
    for (const name of HOSTILE) await service.enqueue({ url: `${origin.url}/fine.png`, aggr_id: name })
    for (const name of HOSTILE) await page.locator('tbody bdi', { hasText: name }).first().waitFor()
    for (const name of HOSTILE) {
      await page.getByLabel('Aggregation').fill(name)
      const [request] = await Promise.all([
        page.waitForRequest((request) => request.url().includes('/events?')),
        page.keyboard.press('Enter'),
      ])
      assert.equal(new URL(request.url()).searchParams.get('aggr_id'), name)
    }
    await unhurt(page)
  })

  it('makes the pictures of the documentation', async () => {
    for (let i = 0; i < 40; i++) {
      await service.enqueue({ url: `${origin.url}/fine.png`, aggr_id: `shop-${i % 7}.example`, aggr_limit: 4 })
    }
    const page = await open('')
    await eventually(async () => {
      const chart = await page.locator('figure.chart').first().getAttribute('aria-label')
      assert.match(chart ?? '', /downloaded: [4-9]\d/)
    })
    await picture(page, 'overview')
    const shops = {
      'shop-0': { limit: 6 },
      'shop-1': { rate: 2.5 },
      'shop-2': { paused: true },
      'shop-3': { limit: 2 },
    }
    for (const [name, set] of Object.entries(shops)) await service.send('PATCH', `/aggregations/${name}.example`, set)
    for (const [name, path, count] of [
      ['shop-0', 'slow', 3],
      ['shop-1', 'slow', 1],
      ['shop-2', 'fine', 5],
      ['shop-3', 'slow', 4],
    ] as const) {
      const job = { url: `${origin.url}/${path}.png`, aggr_id: `${name}.example`, aggr_limit: 4 }
      for (let i = 0; i < count; i++) await service.enqueue(job)
    }
    await page.goto(`${service.url}/#/aggregations?search=shop-`)
    await shows(page, /^4 found$/)
    await page.getByRole('row', { name: 'shop-0' }).getByRole('link', { name: '3' }).waitFor()
    await picture(page, 'aggregations')
    for (const end of finish.splice(0)) end()
  })
})

describe('the dashboard of a deployment with tokens', function () {
  this.timeout(60_000)
  let browser: TestBrowser
  let service: Service
  before(async () => {
    browser = await startBrowser()
    service = await startService({ roles: ['api'], config: { api: { tokens: ['the-token', 'second'] } } })
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await browser[Symbol.asyncDispose]()
  })

  it('asks for a token, and takes it back', async () => {
    const page = await browser.open(service.url)
    assert.equal(new URL(page.url()).pathname, '/login')
    await page.getByLabel('Token').fill('wrong')
    await page.keyboard.press('Enter')
    await page.getByRole('alert').waitFor()
    await page.getByLabel('Token').fill('the-token')
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
    await page.getByRole('cell', { name: 'api', exact: true }).waitFor()

    await page.goto(`${service.url}/#/aggregations`)
    assert.equal(await page.evaluate('document.cookie'), '', 'no script reads the session')
    const status = await page.evaluate(
      `fetch('/aggregations/a', { method: 'PATCH', body: '{"paused":true}' }).then(({ status }) => status)`,
    )
    assert.equal(status, 200, 'who is logged in may change things')
    await page.getByRole('button', { name: 'Log out' }).click()
    await page.getByLabel('Token').waitFor()
    await page.goto(service.url)
    await page.getByLabel('Token').waitFor()
    browser.complaints.splice(0)
  })

  it('says for how long the job waits that waits longest, and sets a cookie for this site alone', async () => {
    const page = await browser.open(service.url)
    await page.getByLabel('Token').fill('second')
    await page.keyboard.press('Enter')
    await page.getByText('nothing waits that could start').first().waitFor()
    const job = { aggr_id: 'nobody-works', aggr_limit: 1, url: 'http://origin.test/', callback_type: 'none' }
    const headers = { authorization: 'Bearer second' }
    assert.equal((await service.post('/download', job, headers)).status, 201)
    await page.getByText(/^waits for [1-9]/).waitFor()
    const [cookie] = await page.context().cookies()
    assert.deepEqual([cookie?.sameSite, cookie?.httpOnly, cookie?.secure], ['Strict', true, false])
  })

  it('takes nothing from the pages of other sites, and is shown in nobody’s frame', async () => {
    const target = service.url
    const other = createServer((_request, response) => {
      response.setHeader('content-type', 'text/html')
      response.end(`<iframe src="${target}/login"></iframe>
        <form method="post" action="${target}/aggregations/forged" enctype="text/plain"><button>go</button></form>`)
    })
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as AddressInfo
    try {
      const page = await browser.open(service.url)
      await page.getByLabel('Token').fill('second')
      await page.keyboard.press('Enter')
      await page.getByRole('heading', { name: 'Overview' }).waitFor()
      for (const host of ['127.0.0.1', 'localhost']) {
        await page.goto(`http://${host}:${port}/`)
        const answer = await page.evaluate(
          `fetch('${target}/retry', { method: 'POST', body: '{}', mode: 'no-cors', credentials: 'include' }).then(({ type }) => type)`,
        )
        assert.equal(answer, 'opaque')
        const [response] = await Promise.all([
          page.waitForResponse((response) => response.request().isNavigationRequest()),
          page.getByRole('button', { name: 'go' }).click(),
        ])
        assert.equal(response.status(), 403, host)
      }
      assert.ok(browser.complaints.splice(0).some((text) => /frame/i.test(text)))
    } finally {
      other.closeAllConnections()
      await new Promise((resolve) => other.close(resolve))
    }
  })
})
