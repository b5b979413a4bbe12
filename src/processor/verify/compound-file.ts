/** Compound files (OLE2) hold directory entries of this size (MS-CFB, 2.6). */
const ENTRY_BYTES = 128

const NO_SECTOR = 0xfffffffa

/** By the streams of the directory, as libmagic names what it finds there. */
const STREAMS: [RegExp, string][] = [
  [/^WordDocument$/, 'application/msword'],
  [/^(Work)?[Bb]ook$/, 'application/vnd.ms-excel'],
  [/^PowerPoint Document$/, 'application/vnd.ms-powerpoint'],
  [/^VisioDocument$/, 'application/vnd.visio'],
  [/^__(nameid|properties)_version1\.0$/, 'application/vnd.ms-outlook'],
]

/** Class of the root storage of Windows installer packages, in its byte order in the file. */
const INSTALLER_CLASS = '84100c0000000000c000000000000046'

/** What a document's main stream begins with when it is the first in the file, which is usual. */
const MAIN_STREAMS: [string, string][] = [
  ['eca5', 'application/msword'],
  ['0908', 'application/vnd.ms-excel'],
  ['0f00e803', 'application/vnd.ms-powerpoint'],
  ['006e1ef0', 'application/vnd.ms-powerpoint'],
  ['a0461df0', 'application/vnd.ms-powerpoint'],
]

/**
 * The type of a Microsoft compound file: the old Office formats. The directory may lie beyond the head, then the
 * beginning of the first stream has to do.
 */
export function compoundFileType(head: Buffer): string {
  if (head.length >= 512) {
    const entries = directory(head)
    if (entries[0]?.classId === INSTALLER_CLASS) return 'application/x-msi'
    const found = STREAMS.find(([stream]) => entries.some(({ name }) => stream.test(name)))
    if (found) return found[1]
    const main = head.subarray(512, 516).toString('hex')
    const begun = MAIN_STREAMS.find(([start]) => main.startsWith(start))
    if (begun) return begun[1]
  }
  return 'application/x-ole-storage'
}

/** The entries of the first sector of the directory, the root first. */
function directory(head: Buffer) {
  const sectorBytes = 2 ** Math.min(head.readUInt16LE(30), 12)
  const sector = head.readUInt32LE(48)
  const start = sector < NO_SECTOR ? (sector + 1) * sectorBytes : head.length
  const entries: { name: string; classId: string }[] = []
  for (let at = start; at + ENTRY_BYTES <= Math.min(start + sectorBytes, head.length); at += ENTRY_BYTES) {
    const nameBytes = Math.min(Math.max(head.readUInt16LE(at + 64) - 2, 0), 62)
    const name = head.toString('utf16le', at, at + nameBytes)
    entries.push({ name, classId: head.subarray(at + 80, at + 96).toString('hex') })
  }
  return entries
}
