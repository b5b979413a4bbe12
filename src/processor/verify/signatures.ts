/** A row: where, which bytes (Latin-1), and libmagic's name of the type. */
type Signature = [offset: number, bytes: string, type: string]

/** What is common, or is found in text too, so that file-type need not be asked. */
const COMMON: Signature[] = [
  [0, '\x89PNG\r\n\x1a\n', 'image/png'],
  [0, '\xff\xd8\xff\xf7', 'image/jls'],
  [0, '\xff\xd8\xff', 'image/jpeg'],
  [0, 'GIF8', 'image/gif'],
  [0, '%PDF-', 'application/pdf'],
  [0, 'fLaC', 'audio/flac'],
  [0, '#!AMR', 'audio/amr'],
  [0, 'BZh', 'application/x-bzip2'],
  [0, '070701', 'application/x-cpio'],
  [0, '070702', 'application/x-cpio'],
  [0, '070707', 'application/x-cpio'],
]

/** Formats that libmagic knows and file-type does not, or names by looking closer. */
const SIGNATURES: Signature[] = [
  ...COMMON,
  [0, '\x1f\x8b', 'application/gzip'],
  [0, '!<arch>\ndebian', 'application/vnd.debian.binary-package'],
  [0, '!<arch>\n', 'application/x-archive'],
  [0, 'wOFF', 'font/woff'],
  [0, 'wOF2', 'font/woff2'],
  [0, '\x30\x26\xb2\x75', 'video/x-ms-asf'],
  [0, 'QFI\xfb', 'application/x-qemu-disk'],
  [0, '\x76\x2f\x31\x01', 'image/x-exr'],
  [0, 'SIMPLE  =', 'image/fits'],
  [0, 'SDPX', 'image/x-dpx'],
  [0, 'XPDS', 'image/x-dpx'],
  [0, '\xb1\x68\xde\x3a', 'image/x-dcx'],
  [0, 'qoif', 'image/x-qoi'],
  [0, '\xd7\xcd\xc6\x9a', 'image/wmf'],
  [0, '\x01\0\x09\0', 'image/wmf'],
  [0, 'id=ImageMagick', 'image/x-miff'],
  [0, '.snd\0', 'audio/basic'],
  [0, 'RF64\xff\xff\xff\xffWAVEds64', 'audio/x-wav'],
  [0, 'riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0', 'audio/x-w64'],
  [0, 'Creative Voice File', 'audio/x-unknown'],
  [0, '\x1f\x07\0', 'video/x-dv'],
  [0, '\x8aMNG', 'video/x-mng'],
  [0, '\x8bJNG', 'video/x-jng'],
  [0, 'MOVI', 'video/x-sgi-movie'],
  [0, '\x5d\0\0', 'application/x-lzma'],
  [0, '\xff\x06\0\0sNaPpY', 'application/x-snappy-framed'],
  [0, 'ISc(', 'application/x-installshield'],
  [0, '\x89HDF\r\n\x1a\n', 'application/x-hdf5'],
  [0, 'CDF\x01\0', 'application/x-netcdf'],
  [0, 'CDF\x02\0', 'application/x-netcdf'],
  [0, 'MATLAB', 'application/x-matlab-data'],
  [0, 'SQLite format 3\0', 'application/vnd.sqlite3'],
  [0, '\xde\x12\x04\x95', 'application/x-gettext-translation'],
  [0, '\x95\x04\x12\xde', 'application/x-gettext-translation'],
  [0, '\xcd\x9a\x57\x13', 'application/x-gdbm'],
  [0, '\xce\x9a\x57\x13', 'application/x-gdbm'],
  [0, '\xcf\x9a\x57\x13', 'application/x-gdbm'],
  [0, 'JM\x01\0', 'application/x-java-jmod'],
  [0, 'PACK\0\0\0\x02', 'application/x-git'],
  [0, 'd8:announce', 'application/x-bittorrent'],
  [0, 'd13:announce-list', 'application/x-bittorrent'],
  [0, 'd7:comment', 'application/x-bittorrent'],
  [0, 'd4:info', 'application/x-bittorrent'],
  [0, '\xc5\xd0\xd3\xc6', 'image/x-eps'],
  [6, '%!PS-AdobeFont-1.', 'font/x-postscript-pfb'],
  [4, 'idsc', 'image/x-quicktime'],
]

/** The RIFF and IFF families say at byte 8 what they hold. */
const RIFF: Record<string, string> = {
  'AVI ': 'video/x-msvideo',
  WAVE: 'audio/x-wav',
  WEBP: 'image/webp',
  RMID: 'audio/mid',
  ACON: 'application/x-navi-animation',
  CDXA: 'video/x-cdxa',
  sfbk: 'audio/x-sfbk',
}
const IFF: Record<string, string> = { AIFF: 'audio/x-aiff', AIFC: 'audio/x-aiff', '8SVX': 'audio/x-aiff' }
const DJVU = ['DJVM', 'DJVU', 'DJVI', 'THUM']

/** Names of binary PNM images, with libmagic's two spellings of grey. */
const PNM: Record<string, string> = {
  P4: 'image/x-portable-bitmap',
  P5: 'image/x-portable-greymap',
  P6: 'image/x-portable-pixmap',
}

/** The type of binary content by signatures of our own. */
export function signatureType(head: Buffer): string | undefined {
  const start = head.toString('latin1', 0, 32)
  if (start.startsWith('RIFF')) return RIFF[start.slice(8, 12)]
  if (start.startsWith('FORM')) return IFF[start.slice(8, 12)]
  if (start.startsWith('AT&TFORM')) return DJVU.includes(start.slice(12, 16)) ? 'image/vnd.djvu' : undefined
  if (/^P[456]\s/.test(start)) return PNM[start.slice(0, 2)]
  if (/^P7\s/.test(start) && head.subarray(0, 256).includes('WIDTH')) return 'image/x-portable-arbitrarymap'
  if (/^AC10\d\d/.test(start)) return 'image/vnd.dwg'
  if (/^[\s\S]{2}\r\n/.test(start) && isPythonMagic(head)) return 'application/x-bytecode.python'
  return SIGNATURES.find(([offset, bytes]) => start.startsWith(bytes, offset))?.[2]
}

/** For what libmagic has no name. */
export const UNKNOWN = 'application/octet-stream'

/** Of CPython 3 from 3000 on, of its forerunners 50823 to 62211 (`MAGIC_NUMBER` in importlib). */
function isPythonMagic(head: Buffer): boolean {
  const magic = head.readUInt16LE(0)
  return (magic >= 3000 && magic < 3700) || (magic >= 50_823 && magic <= 62_211)
}

/** The type of binary content by a signature that is weak, or by fields that must fit together; asked last of all. */
export function guessType(head: Buffer): string | undefined {
  if (/^(II[*+]\0|MM\0[*+])/.test(head.toString('latin1', 0, 4))) return 'image/tiff'
  if (head.toString('latin1', 0, 3) === 'ID3' && (head[3] as number) < 16) return 'audio/mpeg'
  if (isZlib(head)) return 'application/zlib'
  if (isTarga(head)) return 'image/x-tga'
  if (isPcx(head)) return 'image/x-pcx'
  return undefined
}

/** RFC 1950, 2.2: the two header bytes are a multiple of 31; window bits below 8. */
function isZlib(head: Buffer): boolean {
  return (
    head.length >= 2 &&
    (head[0] as number) < 0x80 &&
    ((head[0] as number) & 15) === 8 &&
    head.readUInt16BE(0) % 31 === 0
  )
}

function isTarga(head: Buffer): boolean {
  if (head.length < 18) return false
  const [, mapType = 0, imageType = 0] = head
  const mapDepth = head[7] as number
  const depth = head[16] as number
  const descriptor = head[17] as number
  return (
    mapType <= 1 &&
    imageType > 0 &&
    imageType < 34 &&
    (imageType & 0xc4) === 0 &&
    (mapDepth & 0xc0) === 0 &&
    (descriptor & 0xc0) !== 0xc0 &&
    (descriptor & 0x0f) !== 0x0b &&
    [1, 8, 15, 16, 24, 32].includes(depth)
  )
}

function isPcx(head: Buffer): boolean {
  if (head.length < 128) return false
  const [manufacturer, version = 9, encoding = 9, depth = 0] = head
  return manufacturer === 0x0a && version <= 5 && version !== 1 && encoding <= 1 && [1, 2, 4, 8].includes(depth)
}
