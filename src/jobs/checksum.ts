/** The digests that a job may expect, with the number of their hex digits. */
const HEX_DIGITS = { sha256: 64, sha512: 128, sha1: 40, md5: 32 } as const

/** What a job's `checksum` says of its file. */
export interface Checksum {
  algorithm: keyof typeof HEX_DIGITS
  /** In lower case. */
  hex: string
}

/**
 * Reads `sha256:<hex>`, in any letter case.
 *
 * @returns undefined when the text is no such digest
 */
export function parseChecksum(text: string): Checksum | undefined {
  const [, algorithm = '', hex = ''] = /^([a-z0-9]+):([0-9a-f]+)$/.exec(text.toLowerCase()) ?? []
  return isAlgorithm(algorithm) && hex.length === HEX_DIGITS[algorithm] ? { algorithm, hex } : undefined
}

function isAlgorithm(name: string): name is keyof typeof HEX_DIGITS {
  return Object.hasOwn(HEX_DIGITS, name)
}
