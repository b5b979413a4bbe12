import type { FileBytes } from './file-bytes.ts'

interface Size {
  width: number
  height: number
}

/** A box of ISO/IEC 14496-12, 4.2: where its content begins and where it ends. */
interface Box {
  type: string
  start: number
  end: number
}

const MAX_TOP_LEVEL_BOXES = 64

/** What describes the image; a few hundred bytes, more for a grid of many tiles. */
const MAX_META_BYTES = 512 * 1024

/** In one container. An image has a handful of properties, a grid a few for each tile. */
const MAX_BOXES = 4096

/**
 * The stored size of an AVIF's primary image (HEIF, ISO/IEC 23008-12: `pitm` names it, `ipma` lists its properties,
 * `ispe` is the one with the size), without its rotation or crop. Of our own, because image-size takes the largest
 * size of any item, subtracts what is no crop, and needs time quadratic in the number of boxes. Here everything is
 * looked at once, within `MAX_META_BYTES`.
 *
 * @returns undefined when the file does not say
 */
export async function avifSize(bytes: FileBytes): Promise<Size | undefined> {
  const meta = await readMeta(bytes)
  if (!meta) return undefined
  const content = boxes(meta, 4, meta.length) // behind version and flags
  const primary = content.find(({ type }) => type === 'pitm')
  const properties = content.find(({ type }) => type === 'iprp')
  if (!primary || !properties) return undefined
  const item = readItemId(meta, primary.start + 4, meta[primary.start] === 0 ? 2 : 4)

  const inside = boxes(meta, properties.start, properties.end)
  const container = inside.find(({ type }) => type === 'ipco')
  if (!container) return undefined
  const stored = boxes(meta, container.start, container.end)
  for (const association of inside.filter(({ type }) => type === 'ipma')) {
    for (const index of propertiesOf(item, meta, association)) {
      const box = stored[index - 1]
      if (box?.type === 'ispe' && box.end - box.start >= 12) {
        return { width: meta.readUInt32BE(box.start + 4), height: meta.readUInt32BE(box.start + 8) }
      }
    }
  }
  return undefined
}

/** The content of the `meta` box, which usually follows the first box. */
async function readMeta(bytes: FileBytes): Promise<Buffer | undefined> {
  let offset = 0
  for (let boxes = 0; boxes < MAX_TOP_LEVEL_BOXES && offset < bytes.size; boxes++) {
    const box = boxAt(await bytes.at(offset, 16), 0, bytes.size - offset)
    if (!box) return undefined
    if (box.type === 'meta') {
      const length = box.end - box.start
      return length <= MAX_META_BYTES ? bytes.at(offset + box.start, length) : undefined
    }
    offset += box.end
  }
  return undefined
}

/** The boxes of a container, up to the first that does not fit in it, and to `MAX_BOXES`. */
function boxes(bytes: Buffer, start: number, end: number): Box[] {
  const found: Box[] = []
  for (let at = start; at < end && found.length < MAX_BOXES; ) {
    const box = boxAt(bytes, at, end)
    if (!box || box.end > Math.min(end, bytes.length)) break
    found.push(box)
    at = box.end // a box is at least as long as its header
  }
  return found
}

/** @param end where the container ends: so does a box of size 0 */
function boxAt(bytes: Buffer, at: number, end: number): Box | undefined {
  if (at + 8 > bytes.length) return undefined
  const type = bytes.toString('latin1', at + 4, at + 8)
  const size = bytes.readUInt32BE(at)
  if (size === 0) return { type, start: at + 8, end }
  if (size !== 1) return size < 8 ? undefined : { type, start: at + 8, end: at + size }
  if (at + 16 > bytes.length) return undefined
  const large = Number(bytes.readBigUInt64BE(at + 8))
  return large < 16 || !Number.isSafeInteger(large) ? undefined : { type, start: at + 16, end: at + large }
}

/** Indices, from 1 on, of the properties that belong to an item. */
function propertiesOf(item: number, bytes: Buffer, { start, end }: Box): number[] {
  const idBytes = bytes[start] === 0 ? 2 : 4
  const wide = ((bytes[start + 3] ?? 0) & 1) === 1
  const entries = start + 8 <= end ? bytes.readUInt32BE(start + 4) : 0
  let at = start + 8
  for (let entry = 0; entry < entries && at + idBytes < end; entry++) {
    const id = readItemId(bytes, at, idBytes)
    const count = bytes[at + idBytes] as number
    const first = at + idBytes + 1
    at = first + count * (wide ? 2 : 1)
    if (id !== item || at > end) continue
    // the highest bit says that a decoder must know the property
    return Array.from({ length: count }, (_, i) =>
      wide ? bytes.readUInt16BE(first + 2 * i) & 0x7fff : (bytes[first + i] as number) & 0x7f,
    )
  }
  return []
}

function readItemId(bytes: Buffer, at: number, length: 2 | 4): number {
  return at + length <= bytes.length ? bytes.readUIntBE(at, length) : -1
}
