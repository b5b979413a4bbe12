import { compoundFileType } from './compound-file.ts'

/** file-type's names of what libmagic calls otherwise; without those that our own signatures find first. */
const LIBMAGIC_NAMES: Record<string, string> = {
  'application/eps': 'application/postscript',
  'application/java-vm': 'application/x-java-applet',
  'application/rtf': 'text/rtf',
  'application/x-google-chrome-extension': 'application/x-chrome-extension',
  'application/x-ms-regedit': 'text/x-ms-regedit',
  'application/x-nintendo-nes-rom': 'application/x-nes-rom',
  'application/x-rar-compressed': 'application/x-rar',
  'application/x.ms.shortcut': 'application/x-ms-shortcut',
  'audio/ape': 'audio/x-ape',
  'audio/ogg; codecs=opus': 'audio/ogg',
  'audio/x-it': 'audio/x-mod',
  'audio/x-xm': 'audio/x-mod',
  'font/otf': 'application/vnd.ms-opentype',
  'image/apng': 'image/png',
  'image/icns': 'image/x-icns',
  'image/j2c': 'image/x-jp2-codestream',
  'image/mj2': 'video/mj2',
  'image/vnd.ms-photo': 'image/jxr',
  'image/x-adobe-dng': 'image/tiff',
  'image/x-fujifilm-raf': 'image/x-fuji-raf',
  'image/x-nikon-nef': 'image/tiff',
  'image/x-sony-arw': 'image/tiff',
  'video/MP1S': 'video/mpeg',
  'video/MP2P': 'video/mpeg',
  'video/matroska': 'video/x-matroska',
}

/** Brands of `ftyp` that file-type takes for plain MP4. */
const BRANDS: Record<string, string> = {
  KDDI: 'video/3gpp2',
  MSNV: 'audio/mp4',
  NDAS: 'audio/mp4',
  dvr1: 'video/vnd.dvb.file',
  dvt1: 'video/vnd.dvb.file',
  'jp2 ': 'image/jp2',
  'jpm ': 'image/jpm',
  'jpx ': 'image/jpx',
  mj2s: 'video/mj2',
  mjp2: 'video/mj2',
  'mqt ': 'video/quicktime',
}

/** What file-type decides by two or three bytes: here the rest of the header has to fit, as libmagic wants it. */
const LOOK_CLOSER: Record<string, (head: Buffer) => string | undefined> = {
  'application/ogg': (head) => (head.toString('latin1', 28, 35) === 'fishead' ? 'video/ogg' : 'application/ogg'),
  'application/x-apple-diskimage': () => undefined, // a zlib stream begins like that
  'application/x-arj': (head) => (head.length > 34 && head.readUInt16LE(2) <= 2600 ? 'application/x-arj' : undefined),
  'application/x-cfb': compoundFileType,
  'application/x-elf': elfType,
  'application/x-msdownload': executableType,
  'application/xml': () => undefined, // the rules for text look at its root
  'application/x-sqlite3': () => undefined, // signatures.ts has spoken, here and of IFF
  'application/zip': () => undefined, // so has zip.ts
  'audio/aiff': () => undefined,
  'audio/aac': (head) => ((frameSync(head) & 0xfff6) === 0xfff0 ? 'audio/x-hx-aac-adts' : undefined),
  'audio/mpeg': mpegAudioType,
  'font/collection': (head) => (head.readUInt32BE(4) > 0xffffff ? undefined : 'font/ttf'),
  'font/ttf': (head) => (isSfnt(head) ? 'font/sfnt' : undefined),
  'image/bmp': (head) => (isBitmap(head) ? 'image/bmp' : undefined),
  'image/gif': (head) => (head[3] === 0x38 ? 'image/gif' : undefined),
  'image/x-icon': iconType,
  'model/stl': () => undefined, // any text that begins with "solid "
  'video/mp4': (head) => BRANDS[head.toString('latin1', 8, 12)] ?? 'video/mp4',
  'video/mp2t': (head) => (isTransportStream(head) ? 'video/MP2T' : undefined),
  'video/quicktime': (head) => (isQuickTime(head) ? 'video/quicktime' : undefined),
}

/**
 * libmagic's name of what file-type found, or undefined where file-type is too sure of itself. A type that libmagic
 * does not know keeps file-type's name.
 */
export function confirmedType(found: string, head: Buffer): string | undefined {
  const look = Object.hasOwn(LOOK_CLOSER, found) ? LOOK_CLOSER[found] : undefined
  return look ? look(head) : (LIBMAGIC_NAMES[found] ?? found)
}

function elfType(head: Buffer): string | undefined {
  if (head.length < 20) return undefined
  const bigEndian = head[5] === 2
  const type = bigEndian ? head.readUInt16BE(16) : head.readUInt16LE(16)
  const types = ['', 'object', 'executable', 'sharedlib', 'coredump']
  // libmagic asks the dynamic section, which may be megabytes away; who wants an interpreter is a program
  if (type === 3 && /\/(ld|lib)[\w.-]{0,16}\.so/.test(head.toString('latin1', 0, 4096)))
    return 'application/x-pie-executable'
  return types[type] ? `application/x-${types[type]}` : 'application/octet-stream'
}

/** `MZ`: a Windows program when its header points to a PE header, else one for DOS. */
function executableType(head: Buffer): string | undefined {
  if (head.length < 64) return undefined
  const pe = head.readUInt32LE(60)
  if (head.toString('latin1', pe, pe + 4) === 'PE\0\0') return 'application/vnd.microsoft.portable-executable'
  return 'application/x-dosexec'
}

const frameSync = (head: Buffer) => (head.length < 2 ? 0 : head.readUInt16BE(0))

/** ID3, or a frame header of layer I to III with a bit rate that exists. */
function mpegAudioType(head: Buffer): string | undefined {
  if (head.toString('latin1', 0, 3) === 'ID3') return (head[3] as number) < 16 ? 'audio/mpeg' : undefined
  const sync = frameSync(head) & 0xfffe
  const bitRate = (head[2] as number) >> 4
  if (sync === 0xfffa) return bitRate > 0 && bitRate < 15 ? 'audio/mpeg' : undefined
  return [0xfffc, 0xfff2, 0xfff4, 0xfff6, 0xffe2].includes(sync) ? 'audio/mpeg' : undefined
}

/** A font has fewer than 47 tables, and the first has a name of letters. */
function isSfnt(head: Buffer): boolean {
  return (
    head.length > 16 &&
    head.readUInt16BE(4) < 47 &&
    /^[A-Za-z]{2}[A-Za-z/][A-Za-z2 ]/.test(head.toString('latin1', 12, 16))
  )
}

/** Sizes of the headers that follow `BM` and its 12 bytes. */
function isBitmap(head: Buffer): boolean {
  return head.length >= 18 && [12, 16, 40, 52, 56, 64, 108, 124].includes(head.readUInt32LE(14))
}

/** Icons and cursors: the first image lies behind the directory of all. */
function iconType(head: Buffer): string | undefined {
  if (head.length < 22) return undefined
  const count = head.readUInt16LE(4)
  if (count === 0 || head[9] !== 0 || head.readUInt32LE(18) < 6 + 16 * count) return undefined
  return head[2] === 2 ? 'image/x-win-bitmap' : 'image/vnd.microsoft.icon'
}

/** Packets of 188 bytes, or of 192 with a time stamp in front; three in a row, as far as there are three. */
function isTransportStream(head: Buffer): boolean {
  const [offset, size] = head[0] === 0x47 ? [0, 188] : [4, 192]
  return head.length > offset + size && [0, 1, 2].every((packet) => (head[offset + packet * size] ?? 0x47) === 0x47)
}

/** A movie without `ftyp` begins with a box whose size makes sense. */
function isQuickTime(head: Buffer): boolean {
  const size = head.readUInt32BE(0)
  return size === 0 || size === 1 || (size >= 8 && size < 2 ** 31)
}
