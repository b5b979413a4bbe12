// What it costs to look at a file: `node --import tsx bench/verification.ts`, in microseconds of CPU for each, over all
// threads. The table is that of docs/verification.md.
import { imageSize } from '../src/processor/verify/image-size.ts'
import { SNIFF_BYTES } from '../src/processor/verify/mime.ts'
import { mimeDetector } from '../src/processor/verify/mime-detector.ts'
import { generated } from '../test/processor/verify/corpus.ts'
import { media } from '../test/processor/verify/media.ts'

const TURNS = 2000
const never = new AbortController().signal

/** The largest file of a generator: that is what costs most. */
const largest = (name: string): Buffer => {
  const [start, extension] = name.split('.')
  const files = generated().filter((file) => file.name.startsWith(`${start}-`) && file.name.endsWith(`.${extension}`))
  const contents = files.map(({ content }) => content).sort((a, b) => b.length - a.length)
  if (!contents[0]) throw new Error(`nothing generates ${name}`)
  return contents[0]
}

const FILES: Record<string, Buffer> = {
  png: largest('comment.png'),
  jpeg: largest('camera.jpg'),
  gif: media('sample.gif'),
  webp: media('lossy.webp'),
  avif: media('still.avif'),
  pdf: largest('paper.pdf'),
  docx: largest('letter.docx'),
  mp4: largest('film.mp4'),
  mp3: largest('tagged.mp3'),
  'html, 16 KiB of it': largest('large.html'),
  'json, 16 KiB of it': Buffer.from(JSON.stringify(Array.from({ length: 2000 }, (_, id) => ({ id, name: `n${id}` })))),
  'text, 16 KiB of it': largest('long.txt'),
  'csv, 16 KiB of it': largest('large.csv'),
  'unknown, 16 KiB of it': largest('large.bin'),
}

/** The best of a few rounds, since what disturbs only adds. */
async function cost(work: () => Promise<unknown>): Promise<number> {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < 5; round++) {
    const before = process.cpuUsage()
    for (let turn = 0; turn < TURNS; turn++) await work()
    const { user, system } = process.cpuUsage(before)
    best = Math.min(best, (user + system) / TURNS)
  }
  return best
}

const { detect, close } = mimeDetector({ warn: console.warn })
console.log('| file | found | type, µs | image size, µs |\n| --- | --- | --- | --- |')
for (const [name, content] of Object.entries(FILES)) {
  const head = content.subarray(0, SNIFF_BYTES)
  const complete = content.length <= SNIFF_BYTES
  const mimeType = await detect(head, complete)
  const type = await cost(() => detect(head, complete))
  const image = { head: content, size: content.length, mimeType }
  const size = (await imageSize(image, never)) ? (await cost(() => imageSize(image, never))).toFixed(1) : ''
  console.log(`| ${name} | \`${mimeType}\` | ${type.toFixed(1)} | ${size} |`)
}
await close()
