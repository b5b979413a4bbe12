/** How many members of an archive are looked at. */
const MAX_NAMES = 32

const LOCAL_HEADER = 'PK\x03\x04'
/** Of archives that are empty, or cut into volumes. */
const OTHER_STARTS = ['PK\x05\x06', `PK\x07\x08${LOCAL_HEADER}`, `PK00${LOCAL_HEADER}`]

/** File name length, extra field length and name of a local file header stand from here on (APPNOTE.TXT, 4.3.7). */
const NAME_LENGTH = 26
const NAME = 30

const OOXML_FIRST = /^(\[Content_Types\]\.xml|_rels\/\.rels|docProps|customXml|word\/|ppt\/|xl\/|visio\/)/
const OOXML_FOLDERS: [string, string][] = [
  ['word/', 'application/vnd.openxmlformats-officedocument.wordprocessingml.document'],
  ['ppt/', 'application/vnd.openxmlformats-officedocument.presentationml.presentation'],
  ['xl/', 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'],
  ['visio/', 'application/vnd.ms-visio.drawing.main+xml'],
]

const MANIFEST = 'META-INF/MANIFEST.MF'
const APK = 'application/vnd.android.package-archive'
const APK_FIRST = ['AndroidManifest.xml', 'classes.dex', 'META-INF/com/android/build/gradle/app-metadata.properties']
const APK_MEMBER = /^(resources\.arsc|classes\.dex|lib\/armeabi|res\/drawable)/

/** Types that a member `mimetype`, the first and stored, may name (OpenDocument, OpenOffice.org 1, EPUB). */
const NAMED_TYPE = /^application\/(epub\+zip|vnd\.oasis\.opendocument\.[a-z-]+|vnd\.sun\.xml\.[a-z.]+)/

/**
 * The type of a ZIP archive by the names of its first members, as libmagic tells them apart.
 *
 * @returns undefined when it is none
 */
export function zipType(head: Buffer): string | undefined {
  if (!startsWith(head, [LOCAL_HEADER])) return startsWith(head, OTHER_STARTS) ? ZIP : undefined

  const names = memberNames(head)
  const first = names[0] ?? ''
  if (first === 'mimetype') {
    const named = NAMED_TYPE.exec(head.toString('latin1', NAME + first.length, NAME + 128))
    if (named) return named[0].replace(/\.base$/, '.database')
  }
  if (OOXML_FIRST.test(first)) {
    // some writers put other parts first; the folder tells all the same
    const found = OOXML_FOLDERS.find(([folder]) => names.some((name) => name.startsWith(folder)))
    if (found) return found[1]
  }
  if (APK_FIRST.includes(first)) return APK
  if (first === MANIFEST) return names.some((name) => APK_MEMBER.test(name)) ? APK : JAR
  if (hasJarMark(head, first)) return JAR
  if (/^Payload\/.{0,64}\.app\//.test(first)) return 'application/x-ios-app'
  return ZIP
}

const ZIP = 'application/zip'
const JAR = 'application/java-archive'

/** The jar tool marks the first member with an extra field 0xCAFE. */
function hasJarMark(head: Buffer, first: string): boolean {
  const extra = NAME + first.length
  return extra + 2 <= head.length && head.readUInt16LE(extra) === 0xcafe
}

/** Searches for the local headers, since a member of unknown size does not tell where the next one begins. */
function memberNames(head: Buffer): string[] {
  const names: string[] = []
  let at = 0
  while (at >= 0 && names.length < MAX_NAMES && at + NAME <= head.length) {
    const length = head.readUInt16LE(at + NAME_LENGTH)
    names.push(head.toString('latin1', at + NAME, at + NAME + length))
    at = head.indexOf(LOCAL_HEADER, at + NAME, 'latin1')
  }
  return names
}

function startsWith(head: Buffer, starts: string[]): boolean {
  const start = head.toString('latin1', 0, 8)
  return starts.some((bytes) => start.startsWith(bytes))
}
