/** What every deployment must tell apart; each family is compared with libmagic on its own. */
export const FAMILIES = [
  'image',
  'audio',
  'video',
  'archive',
  'document',
  'font',
  'html',
  'xml',
  'svg',
  'json',
  'csv',
  'text',
  'source',
  'empty',
  'binary',
] as const
export type Family = (typeof FAMILIES)[number]

/** Whether a file belongs to a family is libmagic's to say. */
const TYPES: [RegExp, Family][] = [
  [/^image\/svg\+xml$/, 'svg'],
  [/^image\//, 'image'],
  [/^audio\//, 'audio'],
  [/^video\//, 'video'],
  [/^(application\/vnd\.ms-opentype$|application\/vnd\.ms-fontobject$|font\/)/, 'font'],
  [
    /^application\/(pdf|postscript|msword|vnd\.(ms-|openxml|oasis|sun|visio)|epub|x-ole-storage)|^text\/rtf$/,
    'document',
  ],
  [
    /^application\/(zip|gzip|zstd|zlib|java-archive|vnd\.(debian|android)|x-(tar|7z|rar|xz|bzip|lz|arch|cpio|rpm))/,
    'archive',
  ],
  [/^text\/html$/, 'html'],
  [/^text\/xml$|^application\/(xml|.*\+xml)/, 'xml'],
  [/^application\/(json|x-ndjson)$/, 'json'],
  [/^text\/csv$/, 'csv'],
  [/^text\/(plain|vtt|calendar|vcard)$|^message\/|^application\/x-subrip$/, 'text'],
  [/^text\/(x-|troff)|^application\/javascript$/, 'source'],
  [/x-empty$/, 'empty'],
  [/^application\/octet-stream$/, 'binary'],
]

/** @returns undefined for types that are nobody's business here: programs, databases, caches */
export function familyOf(libmagicType: string): Family | undefined {
  return TYPES.find(([types]) => types.test(libmagicType))?.[1]
}
