import { existsSync } from 'node:fs'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]
/** Nothing but what a test asks for: no updates, no look-ups at its maker's. */
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** A real browser, and what its pages complained of. */
export interface TestBrowser extends AsyncDisposable {
  /** A page with cookies of its own. */
  open(url: string, options?: BrowserContextOptions): Promise<Page>
  /** What stood in the console as an error, and what was thrown: refused scripts, bugs. */
  complaints: string[]
}

/** @throws when no Chromium is installed: `./setup --test` does that */
export async function startBrowser(): Promise<TestBrowser> {
  const executablePath = PLACES.find((path) => existsSync(path))
  if (!executablePath) throw new Error('no Chromium is installed: run ./setup --test')
  const browser: Browser = await chromium.launch({ executablePath, args: ARGS })
  const complaints: string[] = []
  return {
    complaints,
    async open(url, options = {}) {
      const context = await browser.newContext({ locale: 'en-GB', viewport: { width: 1280, height: 900 }, ...options })
      const page = await context.newPage()
      page.on('console', (message) => {
        if (message.type() === 'error') complaints.push(message.text())
      })
      page.on('pageerror', (error) => complaints.push(String(error)))
      await page.goto(url)
      return page
    },
    [Symbol.asyncDispose]: () => browser.close(),
  }
}
